/**
 * The server on real sockets with real descriptors: framing, one client after another, clients that vanish or
 * do not read, and no descriptor left open after any of it. Server and clients share this thread: a client
 * that waits runs the reactor.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, afterEach, beforeEach, test } from 'node:test';
import { createLog } from '../../../../host/log/log.ts';
import { native } from '../../../../host/native.ts';
import { UringReactor } from '../../../../host/reactor/uring.ts';
import type { InterruptKind } from '../../../../host/transport/device.ts';
import { VfioUserServer } from '../../../../host/transport/vfio-user/server.ts';
import { VfioUserClient, VfioUserClosed, VfioUserError } from '../../../support/vfio-user-client.ts';
import { EINVAL, message, NO_REPLY, RecordingDevice, u32, u64 } from './harness.ts';

/** Closes the eventfds it is given, when it should. */
class OwningDevice extends RecordingDevice {
  override notifiersClear(kind: InterruptKind): void {
    super.notifiersClear(kind);
    this.#closeAll();
  }

  override disconnect(done: () => void): void {
    this.#closeAll();
    this.regions.clear();
    super.disconnect(done);
  }

  #closeAll(): void {
    for (const fd of this.takenFds.splice(0)) native.fdClose(fd);
  }
}

const folder = mkdtempSync(path.join(tmpdir(), 'doorbell-server-'));
const socketPath = path.join(folder, 'vfu.sock');
const reactor = new UringReactor();
const logLines: string[] = [];
let device: OwningDevice;
let server: VfioUserServer;
let before: number;
const clients: VfioUserClient[] = [];

const openFds = (): number => readdirSync('/proc/self/fd').length;

/** Lets the server do all that it can. */
function run(): void {
  for (let idle = 0; idle < 3;) idle = reactor.turn(0) === 0 ? idle + 1 : 0;
}

/** `wait`: what the client does while a reply is due. */
function connect(wait: () => void = () => reactor.turn(1000)): VfioUserClient {
  const client = VfioUserClient.connect(socketPath, { wait });
  clients.push(client);
  return client;
}

function established(): VfioUserClient {
  const client = connect();
  client.version({ max_msg_fds: 16 });
  return client;
}

beforeEach(() => {
  logLines.length = 0;
  before = openFds();
  device = new OwningDevice();
  const log = createLog({ level: 'debug', json: false, write: (line) => logLines.push(line) });
  server = new VfioUserServer({ path: socketPath, device, reactor, log });
});

/** Whatever a test did: after the clients and the server are gone, so are their descriptors. */
afterEach(() => {
  for (const client of clients.splice(0)) client.close();
  device.late.clear();
  let closed = false;
  server.close(() => (closed = true));
  while (device.pending.length > 0) device.complete();
  run();
  assert.equal(closed, true, 'the server comes to rest');
  assert.equal(existsSync(socketPath), false, 'the socket is removed');
  assert.equal(openFds(), before, 'no descriptor is left open');
});

after(() => {
  reactor.close();
  rmSync(folder, { recursive: true });
});

test('a client maps memory, sets interrupts, reads, writes, resets and leaves', () => {
  const client = established();
  const memory = native.memfdCreate('guest', 1 << 20);
  const eventfds = Array.from({ length: 3 }, () => native.eventfdCreate());
  client.mapMemoryPipelined([
    { gpa: 0n, length: 0x80000n, fd: memory },
    { gpa: 0x100000n, length: 0x80000n, fd: memory, offset: 0x80000n },
    { gpa: 0xfffc0000n, length: 0x40000n, flags: 1 },
  ]);
  assert.equal(client.regionInfo(0).bytes, 0x4000);
  assert.equal(client.irqCount(2), 65);
  client.setEventfds(2, 0, eventfds);
  client.setEventfds(2, 1, []);
  assert.equal(client.regionRead(7, 0, 4096).length, 4096);
  client.registerWrite(0x14, 0x00460001);
  client.registerRead(0x1c);
  client.reset();
  client.unmapMemory(0n, 0x80000n);
  client.clearEventfds(2);
  assert.ok(device.calls.includes('write bar0 20 01004600'));
  assert.ok(device.calls.includes('notifier msix 1 -'));
  client.close();
  run();
  assert.equal(device.calls.at(-1), 'disconnect');
  for (const fd of [memory, ...eventfds]) native.fdClose(fd);
});

test('each pipelined message keeps its own descriptor', () => {
  const client = established();
  const inodes = new Map<string, number>();
  const memories = [0, 1, 2, 3].map((index) => {
    const fd = native.memfdCreate(`guest${index}`, 4096);
    inodes.set(String(index * 4096), native.fdInfo(fd).inode);
    return { gpa: BigInt(index * 4096), length: 4096n, ...(index === 2 ? {} : { fd }), own: fd };
  });
  const seen = new Map<string, number | undefined>();
  const add = device.memoryAdd.bind(device);
  device.memoryAdd = (region): void => {
    seen.set(String(region.gpa), region.fd === undefined ? undefined : native.fdInfo(region.fd).inode);
    add(region);
  };
  client.mapMemoryPipelined(memories);
  inodes.delete('8192');
  assert.deepEqual(new Map([...seen].filter(([, inode]) => inode !== undefined)), inodes);
  for (const { own } of memories) native.fdClose(own);
});

test('refused messages leave no descriptor behind', () => {
  const client = established();
  const fd = native.eventfdCreate();
  const refused: [number, Buffer][] = [
    [2, Buffer.alloc(3)],
    [2, Buffer.concat([u32(32, 0x80), u64(0n, 0n, 4096n)])],
    [2, Buffer.concat([u32(32, 3), u64(0n, 0n, 0n)])],
    [3, Buffer.concat([u32(24, 0), u64(0n, 4096n)])],
    [8, u32(20, 0x24, 2, 0xffffffff, 1)],
    [8, u32(20, 0x24, 2, 0, 4)],
    [9, Buffer.alloc(0)],
    [999, Buffer.alloc(0)],
  ];
  const atFirst = openFds();
  for (const [command, payload] of refused) {
    assert.throws(() => client.request(command, payload, [fd, fd, fd]), VfioUserError);
    assert.equal(openFds(), atFirst);
  }
  client.request(4, u32(16, 0, 0, 0), [fd, fd]);
  assert.equal(openFds(), atFirst, 'surplus ones are closed');
  native.fdClose(fd);
});

test('messages with a size that cannot be end the session', () => {
  for (const size of [0, 1, 15, (1 << 20) + 33, 0x7fffffff, 0xffffffff]) {
    const client = established();
    const bytes = message(1, 13);
    bytes.writeUInt32LE(size, 4);
    const fd = native.eventfdCreate();
    client.sendRaw(bytes, [fd]);
    native.fdClose(fd);
    assert.throws(() => client.receive(), VfioUserClosed, `size ${size}`);
    client.close();
    run();
    assert.equal(device.calls.at(-1), 'disconnect');
  }
});

test('more descriptors than any message needs end the session', () => {
  const client = established();
  const fd = native.eventfdCreate();
  client.sendRaw(
    message(1, 13),
    Array.from({ length: 200 }, () => fd),
  );
  native.fdClose(fd);
  assert.throws(() => client.receive(), VfioUserClosed);
});

test('a client that vanishes in the middle of a message is put away', () => {
  const fd = native.eventfdCreate();
  for (const length of [1, 15, 16, 17, 40]) {
    const client = established();
    client.sendRaw(message(1, 2, Buffer.concat([u32(32, 3), u64(0n, 0n, 4096n)])).subarray(0, length), [fd]);
    run();
    client.close();
    run();
    assert.equal(device.calls.at(-1), 'disconnect');
  }
  native.fdClose(fd);
});

test('messages that arrive byte by byte are whole messages', () => {
  const client = established();
  const bytes = message(0x77, 4, u32(16, 0, 0, 0));
  for (const byte of bytes) {
    client.sendRaw(Uint8Array.of(byte));
    run();
  }
  assert.equal(client.receive().id, 0x77);
});

test('a client that does not begin with VERSION is answered and dropped', () => {
  const client = connect();
  client.send(13, Buffer.alloc(0));
  assert.equal(client.receive().errno, 71);
  assert.throws(() => client.receive(), VfioUserClosed);
  run();
  assert.deepEqual(device.calls, [], 'the device never hears of it');
});

test('a second client waits, the log says so, and it is served when the first has gone', () => {
  const first = established();
  device.late.add('disconnect');
  const second = connect();
  const request = Buffer.concat([u32(0), Buffer.from('{}\0')]);
  second.send(1, request);
  run();
  assert.ok(logLines.some((line) => line.includes('a second client connected and waits')));
  first.regionRead(7, 0, 4);
  first.close();
  run();
  assert.equal(device.pending.length, 1, 'the device is still putting the first one away');
  assert.throws(() => new VfioUserServer({ path: socketPath, device, reactor, log: createLog(quiet) }), {
    code: 'EADDRINUSE',
  });
  device.complete();
  assert.equal(second.receive().command, 1);
  assert.equal(second.regionRead(7, 0, 4).length, 4);
});

const quiet = { level: 'error', json: false, write: () => undefined } as const;

test('too many waiting clients are turned away', () => {
  established();
  const others = Array.from({ length: 6 }, () => connect());
  run();
  const last = others.at(-1);
  assert.ok(last !== undefined);
  assert.throws(() => last.receive(), VfioUserClosed);
  assert.ok(logLines.some((line) => line.includes('too many wait')));
});

test('waiting clients that have left meanwhile do not stop the next one', () => {
  const first = established();
  for (let count = 0; count < 3; count++) connect().close();
  const last = connect();
  last.send(1, u32(0));
  run();
  first.close();
  assert.equal(last.receive().command, 1);
});

test('nothing overtakes a reset', () => {
  const client = established();
  device.late.add('reset');
  client.send(13, Buffer.alloc(0));
  client.send(9, Buffer.concat([u64(0x1cn), u32(0, 4)]));
  run();
  assert.equal(device.calls.at(-1), 'reset');
  device.complete();
  assert.equal(client.receive().command, 13);
  assert.equal(client.receive().command, 9);
});

test('a client that leaves during a reset is put away after it', () => {
  const client = established();
  device.late.add('reset');
  client.send(13, Buffer.alloc(0));
  run();
  client.close();
  run();
  assert.equal(device.calls.at(-1), 'reset');
  device.complete();
  run();
  assert.equal(device.calls.at(-1), 'disconnect');
});

test('a client that does not read its replies is not listened to for ever', () => {
  const client = established();
  const read = Buffer.concat([u64(0n), u32(0, 0x4000)]);
  // Few enough that those not taken fit into the socket: the client must not wait for the server either.
  const reads = 450;
  for (let count = 0; count < reads; count++) {
    client.send(9, read);
    if (count % 16 === 0) run();
  }
  const handled = (): number => device.calls.filter((call) => call.startsWith('read')).length;
  run();
  assert.ok(handled() < 350, `${handled()} replies of 16 KiB were queued`);
  for (let count = 0; count < reads; count++) assert.equal(client.receive().payload.length, 16 + 0x4000);
  assert.equal(handled(), reads);
});

test('a client that leaves without reading is put away', () => {
  const client = established();
  for (let count = 0; count < 100; count++) client.send(9, Buffer.concat([u64(0n), u32(0, 0x4000)]));
  client.close();
  run();
  assert.equal(device.calls.at(-1), 'disconnect');
});

test('posted writes are taken in order and never answered', () => {
  const client = established();
  for (let value = 0; value < 300; value++) client.registerWrite(0x1000, value);
  client.send(10, Buffer.alloc(2), [], NO_REPLY);
  assert.throws(() => client.regionRead(1, 0, 4), { errno: EINVAL });
  const writes = device.calls.filter((call) => call.startsWith('write bar0 4096'));
  assert.deepEqual(
    writes,
    Array.from({ length: 300 }, (_, value) => `write bar0 4096 ${u32(value).toString('hex')}`),
  );
});

test('the server can be closed while a client is connected', () => {
  const client = established();
  let closed = false;
  device.late.add('disconnect');
  server.close(() => (closed = true));
  assert.throws(() => client.receive(), VfioUserClosed);
  assert.equal(closed, false);
  device.complete();
  assert.equal(closed, true);
  assert.equal(existsSync(socketPath), false);
});
