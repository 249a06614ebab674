/**
 * The server on real sockets with real descriptors: front ends that come back at once, that come too early, that do not
 * read; the back channel, kicks and the state file. Server and front ends share this thread.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readSync, rmSync, writeSync } from 'node:fs';
import { createServer, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, afterEach, beforeEach, test } from 'node:test';
import { createLog } from '../../../../host/log/log.ts';
import { native, type Listener, type MessageSocket, type Received } from '../../../../host/native.ts';
import { UringReactor } from '../../../../host/reactor/uring.ts';
import { VHOST_USER_FRAMING } from '../../../../host/transport/vhost-user/framing.ts';
import { VhostUserServer } from '../../../../host/transport/vhost-user/server.ts';
import { u32, u64 } from '../fixture.ts';
import { message, NEED_REPLY, RecordingResumableDevice, reply } from './harness.ts';
import { ALL_FEATURES, MIB, slot } from './extended/harness.ts';

/** Closes the eventfds that it was given, and writes a state. */
class OwningDevice extends RecordingResumableDevice {
  override disconnect(done: () => void): void {
    for (const fd of this.takenFds.splice(0)) native.fdClose(fd);
    this.regions.clear();
    super.disconnect(done);
  }

  override stateSave(fd: number): void {
    super.stateSave(fd);
    writeSync(fd, 'state', 0);
  }
}

const folder = mkdtempSync(path.join(tmpdir(), 'doorbell-vhost-server-'));
const socketPath = path.join(folder, 'v.sock');
const reactor = new UringReactor();
const logLines: string[] = [];
const sockets: MessageSocket[] = [];
let device: OwningDevice;
let server: VhostUserServer;
let before: number;

const openFds = (): number => readdirSync('/proc/self/fd').length;

/** Lets the server do all that it can. */
function run(): void {
  for (let idle = 0; idle < 3;) idle = reactor.turn(0) === 0 ? idle + 1 : 0;
}

function socketOf(fd: number): MessageSocket {
  const socket = native.messageSocket(fd, VHOST_USER_FRAMING);
  sockets.push(socket);
  return socket;
}

const connect = (): MessageSocket => socketOf(native.connect(socketPath));

function agreed(): MessageSocket {
  const socket = connect();
  socket.send(message(16, u64(ALL_FEATURES)));
  run();
  return socket;
}

/** What the server sends on when the first part of it was read. */
function again(socket: MessageSocket): Received | undefined | null {
  run();
  return socket.receive();
}

function received(socket: MessageSocket): Received {
  run();
  const answer = socket.receive() ?? again(socket);
  assert.ok(answer, 'a whole reply is there');
  return answer;
}

const answerOf = (socket: MessageSocket): string => received(socket).bytes.toString('hex');
const done = (request: number): string => reply(request, u64(0n));

/** Another front end is served now. */
function isServed(): void {
  const next = connect();
  next.send(message(1));
  assert.equal(answerOf(next), reply(1, u64(1n << 30n)));
}

/** Both ends of a connected pair of sockets; the other end of `theirs` has no name. */
function pair(): { ours: MessageSocket; theirs: number } {
  const at = path.join(folder, 'back.sock');
  const listener: Listener = native.listen(at, 0o600);
  const ours = native.connect(at);
  const theirs = listener.accept();
  listener.close();
  assert.ok(theirs !== undefined);
  return { ours: socketOf(ours), theirs };
}

beforeEach(() => {
  logLines.length = 0;
  before = openFds();
  device = new OwningDevice();
  const log = createLog({ level: 'debug', json: false, write: (line) => logLines.push(line) });
  server = new VhostUserServer({ path: socketPath, device, reactor, log, memorySlots: 16 });
});

/** Whatever a test did: after the front ends and the server are gone, so are their descriptors. */
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.close();
  device.late.clear();
  let closed = false;
  server.close(() => (closed = true));
  while (device.pending.length > 0) device.complete();
  run();
  assert.ok(closed, 'the server comes to rest');
  assert.equal(existsSync(socketPath), false, 'the socket is removed');
  assert.equal(openFds(), before, 'no descriptor is left open');
});

after(() => {
  reactor.close();
  rmSync(folder, { recursive: true });
});

test('handshake, memory, page, kicks and notifiers over a socket', () => {
  const socket = connect();
  socket.send(message(1));
  assert.equal(answerOf(socket), reply(1, u64(1n << 30n)));
  socket.send(message(16, u64(ALL_FEATURES)));
  socket.send(message(36));
  assert.equal(answerOf(socket), reply(36, u64(16n)));
  const memory = native.memfdCreate('guest', Number(MIB));
  const [kick, notifier] = [native.eventfdCreate(), native.eventfdCreate()];
  socket.send(message(37, slot(0n, MIB), 1 | NEED_REPLY), [memory]);
  socket.send(message(0x408, u64(4096n, 0n)), [memory]);
  socket.send(message(0x409, u32(0, 0)), [kick]);
  socket.send(message(0x40a, u32(0, 1)), [notifier]);
  for (const request of [37, 0x408, 0x409, 0x40a]) assert.equal(answerOf(socket), done(request));
  native.eventfdSignal(kick);
  assert.equal(reactor.turn(1_000_000), 1, 'a kick ends the sleep');
  assert.equal(reactor.turn(0), 0, 'and was read');
  assert.equal(native.eventfdRead(kick), 0);
  for (const fd of [memory, kick, notifier]) native.fdClose(fd);
});

test('a kick that is no eventfd is refused and closed', () => {
  const socket = agreed();
  const fd = native.memfdCreate('none', 4096);
  const open = openFds();
  socket.send(message(0x409, u32(0, 0)), [fd]);
  assert.equal(answerOf(socket), reply(0x409, u64(22n)));
  assert.equal(openFds(), open);
  native.fdClose(fd);
});

test('the back channel brings CSTS; of what is not read only the newest stays', () => {
  const socket = agreed();
  const { ours, theirs } = pair();
  socket.send(message(21, Buffer.alloc(0), 1 | NEED_REPLY), [theirs]);
  native.fdClose(theirs);
  assert.equal(answerOf(socket), done(21));
  const status = (csts: number): string => message(0x480, u32(csts, 0)).toString('hex');
  assert.equal(answerOf(ours), status(0));
  const changes = 100_000;
  for (let csts = 1; csts <= changes; csts++) {
    device.csts = csts;
    if (csts === changes / 2) device.shadowDoorbells = true;
  }
  const shadow = message(0x481, u32(1, 0)).toString('hex');
  let shadows = 0;
  let last = '';
  let count = 0;
  for (; ; count++) {
    run();
    const one = ours.receive();
    if (!one) break;
    if (one.bytes.toString('hex') === shadow) shadows += 1;
    else last = one.bytes.toString('hex');
  }
  assert.equal(last, status(changes));
  assert.equal(shadows, 1, 'the newest of each kind');
  assert.ok(count < changes / 2, `${count} were kept`);
});

test('a back channel that is closed is no error, one that is no socket is', () => {
  const socket = agreed();
  const { ours, theirs } = pair();
  socket.send(message(21, Buffer.alloc(0), 1 | NEED_REPLY), [theirs]);
  assert.equal(answerOf(socket), done(21));
  ours.close();
  for (const csts of [1, 2, 3]) device.csts = csts;
  run();
  socket.send(message(21, Buffer.alloc(0), 1 | NEED_REPLY), [theirs]);
  assert.equal(answerOf(socket), done(21), 'one whose other end is gone already');
  native.fdClose(theirs);
  const eventfd = native.eventfdCreate();
  socket.send(message(21, Buffer.alloc(0), 1 | NEED_REPLY), [eventfd]);
  assert.equal(answerOf(socket), reply(21, u64(22n)));
  native.fdClose(eventfd);
});

test('a back channel over a network is none: sending there may take as long as its owner likes', async () => {
  const network = createServer().listen(0, '127.0.0.1');
  await once(network, 'listening');
  const { fd } = (network as unknown as { _handle: { fd: number } })._handle;
  const socket = agreed();
  socket.send(message(21, Buffer.alloc(0), 1 | NEED_REPLY), [fd]);
  const answer = answerOf(socket);
  network.close();
  await once(network, 'close');
  assert.equal(answer, reply(21, u64(22n)));
});

test('a front end passes no end of its own connection as back channel: nobody would hear of its end', () => {
  const socket = agreed();
  socket.send(message(21, Buffer.alloc(0), 1 | NEED_REPLY), [socket.fd]);
  assert.equal(answerOf(socket), reply(21, u64(22n)));
  const { ours, theirs } = pair();
  ours.send(message(1), [socket.fd]);
  socket.send(message(21, Buffer.alloc(0), 1 | NEED_REPLY), [theirs]);
  native.fdClose(theirs);
  assert.equal(answerOf(socket), done(21));
  ours.send(message(1), [socket.fd]);
  socket.close();
  isServed();
});

/** A front end that is not listened to any more. */
function unread(): MessageSocket {
  const socket = agreed();
  device.completions.set(0x200, { status: 0, result: 0, data: Buffer.alloc(65536) });
  for (let count = 0; count < 100; count++) {
    socket.send(message(0x406, Buffer.concat([Buffer.of(2), Buffer.alloc(63), u32(65536, 0)])));
    run();
  }
  return socket;
}

test('one that left its replies unread and will send nothing more does not keep the target busy', async () => {
  const socket = unread();
  const { ours, theirs } = pair();
  ours.send(message(1), [socket.fd]);
  const [fd] = received(socketOf(theirs)).fds;
  const half = new Socket({ fd, readable: false, writable: true });
  half.end();
  await once(half, 'close');
  run();
  assert.ok(logLines.some((line) => line.includes('does not read its replies')));
  isServed();
});

test('one that left its replies unread makes room for the next, even if its end cannot be seen', () => {
  const socket = unread();
  socket.send(message(1), [socket.fd]);
  assert.equal(socket.pendingBytes, 0, 'the descriptor waits in the target’s socket');
  socket.close();
  isServed();
});

test('a VMM that speaks vfio-user is told of', () => {
  const socket = connect();
  socket.send(Buffer.from('00000100d60000000000000000000000', 'hex'));
  run();
  assert.equal(socket.receive(), null);
  assert.ok(logLines.some((line) => line.includes('needs a --socket without protocol=vhost-user-nvme')));
});

test('a second front end is refused, and the first does not notice', () => {
  const first = agreed();
  const second = connect();
  run();
  assert.equal(second.receive(), null);
  assert.ok(logLines.some((line) => line.includes('refused a second front end')));
  first.send(message(0x40b));
  assert.equal(answerOf(first), done(0x40b));
});

test('one that comes back at once is served, whatever its predecessor had sent', () => {
  for (let count = 0; count < 10; count++) {
    const first = agreed();
    for (let sent = 0; sent < 40 * count; sent++) first.send(message(0x40c, u64(0n)));
    first.close();
    const second = connect();
    second.send(message(1));
    assert.equal(answerOf(second), reply(1, u64(1n << 30n)));
    second.close();
    run();
  }
  assert.ok(!logLines.some((line) => line.includes('refused a second')));
});

test('and while the predecessor still waits for a reset, or the device puts away what it left', () => {
  const first = agreed();
  device.late.add('reset').add('disconnect');
  first.send(message(0x40b));
  run();
  first.close();
  const second = connect();
  second.send(message(1));
  run();
  assert.equal(second.receive(), undefined, 'neither served nor refused yet');
  device.complete();
  run();
  const third = connect();
  third.close();
  const fourth = connect();
  fourth.send(message(1));
  run();
  assert.equal(device.pending[0]?.name, 'disconnect');
  device.complete();
  assert.equal(answerOf(second), reply(1, u64(1n << 30n)));
  run();
  assert.equal(fourth.receive(), null, 'the second is there, so the fourth is refused');
});

test('a second one is refused also when the first turns out to be there after a reset', () => {
  const first = agreed();
  device.late.add('reset');
  first.send(message(0x40b));
  run();
  const second = connect();
  run();
  assert.equal(second.receive(), undefined);
  device.complete();
  run();
  assert.equal(second.receive(), null);
  assert.equal(answerOf(first), done(0x40b));
});

test('a front end that does not read its replies is not listened to for ever', () => {
  const socket = agreed();
  device.completions.set(0x200, { status: 0, result: 0, data: Buffer.alloc(65536) });
  const read = Buffer.concat([Buffer.of(2), Buffer.alloc(63), u32(65536, 0)]);
  const reads = 400;
  for (let count = 0; count < reads; count++) {
    socket.send(message(0x406, read));
    if (count % 16 === 0) run();
  }
  run();
  const handled = (): number => device.calls.filter((call) => call.startsWith('passthrough')).length;
  assert.ok(handled() < 100, `${handled()} replies of 64 KiB were queued`);
  for (let count = 0; count < reads; count++) {
    socket.flush();
    assert.equal(received(socket).bytes.length, 12 + 24 + 65536, `reply ${count}`);
  }
  assert.equal(handled(), reads);
});

test('nor does it take all descriptors of the target', () => {
  const socket = agreed();
  const asked = 5000;
  for (let count = 0; count < asked; count++) {
    socket.send(message(0x40d));
    if (count % 64 === 0) run();
  }
  const inFlight = openFds() - before;
  assert.ok(inFlight < 200, `${inFlight} descriptors wait`);
  for (let count = 0; count < asked; count++) {
    socket.flush();
    const { bytes, fds } = received(socket);
    assert.equal(bytes.toString('hex'), reply(0x40d, u64(0n, 0x3000n)));
    for (const fd of fds) native.fdClose(fd);
  }
});

test('the state is in the file when the socket closes', () => {
  const socket = agreed();
  socket.send(message(0x40d));
  const { bytes, fds } = received(socket);
  assert.equal(bytes.toString('hex'), reply(0x40d, u64(0n, 0x3000n)));
  const [fd = -1] = fds;
  assert.equal(native.fdInfo(fd).size, 0x3000);
  device.late.add('quiesce');
  let closed = 0;
  server.close(() => (closed += 1));
  socket.send(message(0x40b));
  run();
  assert.equal(socket.receive(), undefined, 'nothing is taken any more');
  assert.equal(closed, 0);
  assert.ok(!device.calls.includes('reset'));
  device.complete();
  assert.equal(closed, 1);
  assert.equal(socket.receive(), null);
  const text = Buffer.alloc(5);
  readSync(fd, text, 0, 5, 0);
  assert.equal(text.toString(), 'state');
  native.fdClose(fd);
});

test('a server that is closed once more waits for nothing', () => {
  const socket = agreed();
  socket.send(message(0x40d));
  for (const fd of received(socket).fds) native.fdClose(fd);
  device.late.add('quiesce');
  let closed = 0;
  server.close(() => (closed += 1));
  server.close(() => (closed += 10));
  assert.equal(closed, 10);
  device.complete();
  assert.equal(closed, 10);
  assert.ok(!device.calls.some((call) => call.startsWith('save')));
});
