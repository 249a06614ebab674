// The control socket of a running target: what it shows, what it changes, what it refuses, and what is saved.

import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { ConfigDocument, optionsOfDocument } from '../../../host/config/file/index.ts';
import { Configuration, ControlClient, ControlServer, createMethods } from '../../../host/control/index.ts';
import { buildPath } from '../../../host/demo/checkout.ts';
import { createLog } from '../../../host/log/log.ts';
import { startTarget, type Target } from '../../../host/serve/target.ts';

fs.mkdirSync(buildPath('tmp'), { recursive: true });
const directory = fs.mkdtempSync(buildPath('tmp', 'control-'));
const running: { target: Target; server: ControlServer }[] = [];
after(async () => {
  for (const { target, server } of running) {
    server.close();
    await target.drain();
  }
  fs.rmSync(directory, { recursive: true });
});

let counter = 0;

interface Started {
  readonly client: ControlClient;
  readonly target: Target;
  readonly file: string;
  /** Where relative paths begin. */
  readonly place: string;
  readonly drained: () => boolean;
}

async function start(subsystems: object[]): Promise<Started> {
  const place = path.join(directory, String(counter++));
  fs.mkdirSync(place);
  const file = path.join(place, 'target.json');
  fs.writeFileSync(file, JSON.stringify({ control: 'control.sock', 'log-level': 'error', subsystems }));
  const document = ConfigDocument.read(file);
  const options = optionsOfDocument(document);
  const target = await startTarget(options, () => undefined);
  const configuration = new Configuration({ target, options, document });
  const log = createLog({ level: 'error', json: false });
  let isDrained = false;
  const drain = (): void => void (isDrained = true);
  const methods = createMethods({ target, configuration, log, drain });
  const server = await ControlServer.listen(options.control ?? '', methods, log);
  running.push({ target, server });
  const client = await ControlClient.connect(server.path);
  after(() => client.close());
  return { client, target, file, place, drained: () => isDrained };
}

const RAM = { backend: 'ram', size: '1M' };

test('the socket is for its owner alone, and is gone when it closes', async () => {
  const { place } = await start([{ namespaces: [RAM], controllers: [{ socket: 'a.sock' }] }]);
  const socket = path.join(place, 'control.sock');
  assert.equal(fs.statSync(socket).mode & 0o777, 0o600);
  running.at(-1)?.server.close();
  await delay(50);
  assert.ok(!fs.existsSync(socket));
});

test('a controller and its namespace come, are saved, and go', async () => {
  const { client, file, place } = await start([
    { namespaces: [RAM], controllers: [{ socket: 'a.sock' }, { socket: 'b.sock', namespaces: [] }] },
  ]);
  assert.equal(await client.call('ping'), 'pong');
  const disk = { backend: 'file', path: 'disk.img', size: '1M' };
  const added = (await client.call('namespace.add', disk)) as { nsid: number };
  assert.equal(added.nsid, 2);
  const controller = (await client.call('controller.add', { socket: 'c.sock', namespaces: [2] })) as object;
  assert.equal((controller as { cntlid: number }).cntlid, 3);
  assert.ok(fs.statSync(path.join(place, 'c.sock')).isSocket());
  await assert.rejects(client.call('namespace.remove', { nsid: 2 }), {
    code: 'NAMESPACE_BUSY',
    isUsage: true,
  });
  const list = (await client.call('controller.list')) as { socketPath: string; namespaces: number[] }[];
  assert.deepEqual(
    list.map(({ socketPath, namespaces }) => [path.basename(socketPath), namespaces]),
    [
      ['a.sock', [1]],
      ['b.sock', []],
      ['c.sock', [2]],
    ],
  );
  await client.call('controller.remove', { socket: path.join(place, 'a.sock') });
  assert.ok(!fs.existsSync(path.join(place, 'a.sock')));
  assert.deepEqual(await client.call('config.save'), { path: file });
  const saved = optionsOfDocument(ConfigDocument.read(file)).subsystems[0];
  // The ones that stay keep their identity though what stood first has gone.
  assert.deepEqual(
    (saved?.sockets ?? []).map(({ path: socket, cntlid, namespaces }) => [
      path.basename(socket),
      cntlid,
      namespaces,
    ]),
    [
      ['b.sock', 2, []],
      ['c.sock', 3, [2]],
    ],
  );
  assert.deepEqual(
    (saved?.namespaces ?? []).map(({ nsid }) => nsid),
    [1, 2],
  );
  assert.match(saved?.subsystemNqn ?? '', /^nqn\.2014-08/);
  await client.call('controller.remove', { socket: 'c.sock' });
  await client.call('namespace.remove', { nsid: 2 });
  const spaces = (await client.call('namespace.list')) as { nsid: number }[];
  assert.deepEqual(
    spaces.map(({ nsid }) => nsid),
    [1],
  );
  // The file can be opened by the next one: its lock has gone with it.
  assert.equal(((await client.call('namespace.add', disk)) as { nsid: number }).nsid, 2);
});

test('two subsystems: changes name one', async () => {
  const { client } = await start([
    { nqn: 'nqn.2026-01.com.example:one', namespaces: [RAM], controllers: [{ socket: 'a.sock' }] },
    { nqn: 'nqn.2026-01.com.example:two', namespaces: [RAM], controllers: [{ socket: 'b.sock' }] },
  ]);
  await assert.rejects(client.call('namespace.add', RAM), { code: 'SUBSYSTEM_UNKNOWN' });
  const subsystem = 'nqn.2026-01.com.example:two';
  assert.equal(((await client.call('namespace.add', { ...RAM, subsystem })) as { nsid: number }).nsid, 2);
  const lists = (await client.call('subsystem.list')) as { namespaces: object[] }[];
  assert.deepEqual(
    lists.map(({ namespaces }) => namespaces.length),
    [1, 2],
  );
});

test('what is refused changes nothing, and says why', async () => {
  const { client, place } = await start([{ namespaces: [RAM], controllers: [{ socket: 'a.sock' }] }]);
  const controllers = async (): Promise<number | undefined> => {
    const { subsystems } = (await client.call('config.get')) as { subsystems: { controllers: object[] }[] };
    return subsystems[0]?.controllers.length;
  };
  const cases: readonly [string, object, string, RegExp][] = [
    ['controller.add', { sockt: 'x' }, 'JSON-RPC -32602', /'sockt' is not known|socket is missing/],
    ['controller.add', { socket: 'a.sock' }, 'SOCKET_CONFLICT', /given twice/],
    ['controller.add', { socket: 'control.sock' }, 'SOCKET_CONFLICT', /given twice/],
    ['controller.add', { socket: 'x.sock' }, 'NAMESPACE_NOT_SHARED', /writable through 2/],
    ['controller.add', { socket: 'x.sock', namespaces: [5] }, 'NAMESPACE_UNKNOWN', /does not exist/],
    ['controller.add', { socket: 'no/x.sock', namespaces: [] }, 'SOCKET_PATH', /not a directory/],
    ['controller.remove', { socket: 'x.sock' }, 'CONTROLLER_UNKNOWN', /there is .*a\.sock/],
    ['namespace.add', { ...RAM, nsid: 1 }, 'NAMESPACE_CONFLICT', /nsid=1/],
    ['namespace.add', { backend: 'file', path: 'no.img' }, 'FILE_MISSING', /does not exist/],
    ['namespace.remove', { nsid: 9 }, 'NAMESPACE_UNKNOWN', /there is 1/],
    ['log.level', { level: 'wran' }, 'JSON-RPC -32602', /did you mean warn/],
    ['nonsense', {}, 'JSON-RPC -32601', /not found/],
  ];
  for (const [method, parameters, code, words] of cases) {
    await assert.rejects(client.call(method, parameters), (error: Error & { code: string }) => {
      assert.equal(error.code, code, error.message);
      assert.match(error.message, words);
      return true;
    });
  }
  assert.ok(!fs.existsSync(path.join(place, 'x.sock')));
  assert.equal(await controllers(), 1);
});

test('a file that somebody else changed is not overwritten', async () => {
  const { client, file } = await start([{ namespaces: [RAM], controllers: [{ socket: 'a.sock' }] }]);
  fs.appendFileSync(file, '\n');
  await assert.rejects(client.call('config.save'), { code: 'CONFIG_CHANGED' });
  await client.call('config.save', { force: true });
  await client.call('config.save');
});

test('lines that are no requests', async () => {
  const { place, drained, client } = await start([{ namespaces: [], controllers: [] }]);
  const socket = net.connect(path.join(place, 'control.sock'));
  let answers = '';
  socket.on('data', (chunk: Buffer) => (answers += chunk.toString()));
  socket.write('nonsense\n\n{"jsonrpc": "2.0", "id": 1}\n');
  socket.write('[{"jsonrpc": "2.0", "id": 2, "method": "ping"}, {"jsonrpc": "2.0", "method": "ping"}]\n');
  for (let tries = 0; tries < 200 && answers.split('\n').length < 4; tries++) await delay(10);
  const codes = answers
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { error?: { code: number } });
  assert.deepEqual(
    codes.map((answer) => answer.error?.code),
    [-32700, -32600, undefined],
  );
  const gone = new Promise((resolve) => socket.once('close', resolve));
  socket.on('error', () => undefined);
  socket.write(Buffer.alloc(5 << 20, 'x'));
  await gone;
  assert.ok(!drained());
  assert.equal(await client.call('target.drain'), true);
  await delay(20);
  assert.ok(drained());
});
