// `doorbell serve` as a process: ready, drained by a signal, and refusals that leave nothing behind.

import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { buildPath } from '../../../host/demo/checkout.ts';
import { doorbell, MAIN } from './doorbell.ts';

fs.mkdirSync(buildPath('tmp'), { recursive: true });
const directory = fs.mkdtempSync(buildPath('tmp', 'serve-'));
const children: ChildProcess[] = [];
after(() => {
  for (const child of children) child.kill('SIGKILL');
  fs.rmSync(directory, { recursive: true });
});

let counter = 0;
const fresh = (suffix: string): string => path.join(directory, `${counter++}${suffix}`);

interface Running {
  readonly process: ChildProcess;
  readonly output: { stdout: string; stderr: string };
  /** Resolves with the exit code. */
  readonly ended: Promise<number | null>;
}

/** Starts a target and waits until it says that it is ready. */
async function serve(...args: readonly string[]): Promise<Running> {
  const child = spawn(process.execPath, [MAIN, 'serve', ...args]);
  children.push(child);
  const output = { stdout: '', stderr: '' };
  child.stderr.on('data', (chunk: Buffer) => (output.stderr += chunk.toString()));
  const ended = once(child, 'close').then(([code]) => code as number | null);
  await Promise.race([
    new Promise<void>((resolve) => {
      child.stdout.on('data', (chunk: Buffer) => {
        output.stdout += chunk.toString();
        if (/ready/.test(output.stdout)) resolve();
      });
    }),
    ended.then((code) => assert.fail(`ended with ${code}: ${output.stderr}`)),
  ]);
  return { process: child, output, ended };
}

/** Waits, at most 5 seconds, for something to become true. */
async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; !condition(); tries++) {
    assert.ok(tries < 500, 'nothing happened in 5 seconds');
    await delay(10);
  }
}

test('ready, then drained by SIGINT: exit code 0, no socket left', async () => {
  const [socket, disk] = [fresh('.sock'), fresh('.img')];
  const target = await serve(
    '--socket',
    socket,
    '--namespace',
    `file:${disk},size=8M`,
    '--namespace',
    'ram:1M',
  );
  assert.ok(fs.statSync(socket).isSocket());
  assert.equal(
    target.output.stdout,
    `controller 1 on ${socket}\n` +
      `  namespace 1: file:${disk}, 8M, blocks of 512\n` +
      '  namespace 2: ram:1M, 1M, blocks of 512\nready\n',
  );
  target.process.kill('SIGINT');
  assert.equal(await target.ended, 0, target.output.stderr);
  assert.match(target.output.stderr, /SIGINT: draining/);
  assert.match(target.output.stdout, /ready\ndrained after 0 requests, 0 failed\n$/);
  assert.ok(!fs.existsSync(socket));
});

test('--json: one object a line on stdout and on stderr', async () => {
  const sockets = [fresh('.sock'), fresh('.sock')];
  const target = await serve(
    ...sockets.flatMap((socket) => ['--socket', socket]),
    ...['--namespace', 'ram:1M,block-size=4096,share=on', '--json'],
  );
  target.process.kill('SIGUSR2');
  await until(() => target.output.stdout.includes('statistics'));
  target.process.kill('SIGTERM');
  assert.equal(await target.ended, 0, target.output.stderr);
  const [ready, statistics, drained] = target.output.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.equal(ready?.['event'], 'ready');
  assert.equal(ready['pid'], target.process.pid);
  const controllers = ready['controllers'] as { socketPath: string; cntlid: number; namespaces: object[] }[];
  assert.deepEqual(
    controllers.map(({ socketPath, cntlid }) => [socketPath, cntlid]),
    [
      [sockets[0], 1],
      [sockets[1], 2],
    ],
  );
  const namespace = { nsid: 1, label: 'ram:1M', blocks: 256, blockSize: 4096, readOnly: false };
  assert.deepEqual(controllers[0]?.namespaces, [namespace]);
  assert.deepEqual([statistics?.['event'], statistics?.['requests']], ['statistics', 0]);
  assert.equal(drained?.['event'], 'drained');
  for (const line of target.output.stderr.trim().split('\n')) assert.ok(JSON.parse(line));
});

test('a client that holds the connection does not keep the target from draining', async () => {
  const socket = fresh('.sock');
  const target = await serve('--socket', socket, '--namespace', 'ram:1M');
  const client = net.connect(socket);
  await once(client, 'connect');
  target.process.kill('SIGTERM');
  assert.equal(await target.ended, 0, target.output.stderr);
  client.destroy();
});

test('a second signal ends the target at once, by that signal', async () => {
  const target = await serve('--socket', fresh('.sock'), '--namespace', 'ram:1M');
  const closed = once(target.process, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
  // Two kinds, for two of one kind may arrive as one; both at once, for an idle target drains in no time.
  target.process.kill('SIGSTOP');
  target.process.kill('SIGTERM');
  target.process.kill('SIGINT');
  target.process.kill('SIGCONT');
  const [code, signal] = await closed;
  assert.equal(code, null, target.output.stderr);
  assert.match(signal ?? '', /^SIG(TERM|INT)$/);
});

test('a target whose reader is gone ends, and its socket with it', async () => {
  const socket = fresh('.sock');
  const target = await serve('--socket', socket, '--namespace', 'ram:1M');
  const closed = once(target.process, 'exit');
  target.process.stdout?.destroy();
  target.process.kill('SIGUSR2');
  const late = delay(5000, 'late', { ref: false });
  assert.deepEqual(await Promise.race([closed, late]), [0, null]);
  assert.ok(!fs.existsSync(socket));
});

test('two targets: one file, and one socket', async () => {
  const [socket, disk] = [fresh('.sock'), fresh('.img')];
  const target = await serve('--socket', socket, '--namespace', `file:${disk},size=1M`);
  const other = doorbell('serve', '--socket', fresh('.sock'), '--namespace', `file:${disk}`);
  assert.equal(other.code, 2);
  assert.match(
    other.stderr,
    /^doorbell: [^\n]*is in use by another namespace or process[^\n]* \[FILE_BUSY\]\n$/,
  );
  const same = doorbell('serve', '--socket', socket, '--namespace', 'ram:1M');
  assert.equal(same.code, 2);
  assert.match(same.stderr, /^doorbell: something listens on [^\n]* already: [^\n]* \[SOCKET_BUSY\]\n$/);
  assert.ok(fs.existsSync(socket));
  // A target that was killed leaves its socket; the next one takes its place.
  target.process.kill('SIGKILL');
  await target.ended;
  const next = await serve('--socket', socket, '--namespace', `file:${disk}`);
  next.process.kill('SIGTERM');
  assert.equal(await next.ended, 0, next.output.stderr);
});

test('refusals are one line, exit code 2, and leave no socket', () => {
  const cases: readonly [string, string, RegExp][] = [
    [fresh('.sock'), `file:${fresh('.img')}`, /does not exist: add size=.*\[FILE_MISSING\]/],
    [fresh('.sock'), `file:${directory}`, /a directory.*\[FILE_KIND\]/],
    [path.join(directory, 'none', 'a.sock'), 'ram:1M', /is not a directory: create it.*\[SOCKET_PATH\]/],
    [buildPath('dist'), 'ram:1M', /is a directory: name a socket in it.*\[SOCKET_PATH\]/],
  ];
  for (const [socket, namespace, words] of cases) {
    const { code, stdout, stderr } = doorbell('serve', '--socket', socket, '--namespace', namespace);
    assert.match(stderr, words);
    assert.match(stderr, /^doorbell: [^\n]+\n$/);
    assert.equal(stdout, '');
    assert.equal(code, 2);
    assert.ok(!fs.existsSync(socket) || !fs.statSync(socket).isSocket());
  }
});
