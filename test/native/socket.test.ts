// Framed messages over UNIX sockets: boundaries, descriptors, refusals, partial sends. The other end of each
// connection is a second MessageSocket whose send() takes any bytes.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { native, type Framing, type MessageSocket, type Received } from '../../host/native.ts';
import { closeAll, fdCount, pattern, withCode } from './rig.ts';

const directory = mkdtempSync(path.join(tmpdir(), 'doorbell-socket-'));
after(() => rmSync(directory, { recursive: true }));

const FRAMING: Framing = {
  headerBytes: 16,
  sizeOffset: 4,
  sizeIncludesHeader: true,
  maxBytes: 65536,
  maxFds: 8,
};

function pair(framing: Partial<Framing> = {}): { left: MessageSocket; right: MessageSocket } {
  const listener = native.listen(path.join(directory, 'pair'), 0o600);
  const left = native.messageSocket(native.connect(path.join(directory, 'pair')), { ...FRAMING, ...framing });
  const right = native.messageSocket(listener.accept() as number, { ...FRAMING, ...framing });
  listener.close();
  return { left, right };
}

/** A message of the vfio-user kind: size at byte 4, which counts the header. */
function message(bodyBytes: number, seed: number): Buffer {
  const bytes = pattern(16 + bodyBytes, seed);
  bytes.writeUInt32LE(bytes.length, 4);
  return bytes;
}

function take(socket: MessageSocket): Received {
  const received = socket.receive();
  assert.ok(received !== undefined && received !== null, 'a whole message is there');
  return received;
}

/** Descriptors of counters that hold a number each, to tell them apart at the other end. */
function counters(...numbers: number[]): number[] {
  return numbers.map((number) => {
    const fd = native.eventfdCreate();
    for (let i = 0; i < number; i++) native.eventfdSignal(fd);
    return fd;
  });
}

/** What the counters hold; closes them. */
function readAll(fds: readonly number[]): number[] {
  return fds.map((fd) => {
    const number = native.eventfdRead(fd);
    native.fdClose(fd);
    return number;
  });
}

test('messages that arrive glued together keep their bytes and their own descriptors', () => {
  const before = fdCount();
  const { left, right } = pair();
  const sent = [message(0, 1), message(100, 2), message(5000, 3), message(1, 4)];
  const fds = [counters(1, 2), [], counters(3), counters(4, 5, 6)];
  sent.forEach((bytes, i) => left.send(bytes, fds[i]));
  left.send(Buffer.concat([message(7, 5), message(8, 6), message(9, 7)]));
  closeAll(fds.flat());
  const received = sent.map(() => take(right));
  received.forEach(({ bytes }, i) => assert.deepEqual(bytes, sent[i]));
  assert.deepEqual(
    received.map((one) => readAll(one.fds)),
    [[1, 2], [], [3], [4, 5, 6]],
  );
  for (const [body, seed] of [
    [7, 5],
    [8, 6],
    [9, 7],
  ] as const) {
    assert.deepEqual(take(right), { bytes: message(body, seed), fds: [] });
  }
  assert.equal(right.receive(), undefined);
  left.close();
  assert.equal(right.receive(), null);
  right.close();
  assert.equal(fdCount(), before);
});

test('a message that arrives byte by byte is whole at its last byte', () => {
  const { left, right } = pair();
  const sent = message(20, 1);
  const fds = counters(9);
  left.send(sent.subarray(0, 1), fds);
  closeAll(fds);
  assert.equal(right.receive(), undefined);
  for (let i = 1; i < sent.length; i++) {
    assert.equal(right.receive(), undefined);
    left.send(sent.subarray(i, i + 1));
  }
  const received = take(right);
  assert.deepEqual(received.bytes, sent);
  assert.deepEqual(readAll(received.fds), [9]);
  left.close();
  right.close();
});

test('descriptors keep close-on-exec', () => {
  const { left, right } = pair();
  const fds = counters(1);
  left.send(message(0, 1), fds);
  const { fds: received } = take(right);
  const flags = statFlags(received[0] as number);
  assert.ok((flags & 0o2000000) !== 0);
  closeAll([...fds, ...received]);
  left.close();
  right.close();
});

function statFlags(fd: number): number {
  const text = readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8');
  return Number.parseInt(/flags:\s+(\d+)/.exec(text)?.[1] ?? '0', 8);
}

test('a size that counts the body alone is understood', () => {
  const { left, right } = pair({ headerBytes: 12, sizeOffset: 8, sizeIncludesHeader: false });
  const bytes = pattern(12 + 40, 1);
  bytes.writeUInt32LE(40, 8);
  left.send(bytes);
  assert.deepEqual(take(right).bytes, bytes);
  left.close();
  right.close();
});

test('impossible sizes are refused, for good, and no descriptor stays', () => {
  for (const [size, code] of [
    [15, 'EBADMSG'],
    [0, 'EBADMSG'],
    [65537, 'EMSGSIZE'],
    [0xffffffff, 'EMSGSIZE'],
  ] as const) {
    const { left, right } = pair();
    const bytes = message(0, 1);
    bytes.writeUInt32LE(size, 4);
    const fds = counters(1, 2);
    const before = fdCount();
    left.send(bytes, fds);
    assert.throws(() => right.receive(), withCode(code));
    assert.equal(fdCount(), before);
    left.send(message(0, 1));
    assert.throws(() => right.receive(), withCode(code));
    closeAll(fds);
    left.close();
    right.close();
  }
  const { left, right } = pair({ headerBytes: 12, sizeOffset: 8, sizeIncludesHeader: false });
  const bytes = Buffer.alloc(12);
  bytes.writeUInt32LE(0xffffffff, 8);
  left.send(bytes);
  assert.throws(() => right.receive(), withCode('EMSGSIZE'));
  left.close();
  right.close();
});

test('too many descriptors are closed and refused, also when they come in portions', () => {
  for (const portions of [[9], [5, 4], [253]]) {
    const { left, right } = pair();
    const fd = native.eventfdCreate();
    const before = fdCount();
    const bytes = message(0, 1);
    portions.forEach((count, i) => left.send(bytes.subarray(i, i + 1), Array<number>(count).fill(fd)));
    assert.throws(() => right.receive(), withCode('EMFILE'));
    assert.equal(fdCount(), before);
    native.fdClose(fd);
    left.close();
    right.close();
  }
});

test('a process without a free descriptor refuses the message, and no descriptor stays', () => {
  // In a process of its own, which has few.
  const program = `
    import assert from 'node:assert/strict';
    import { openSync } from 'node:fs';
    import { native } from '${new URL('../../host/native.js', import.meta.url).href}';
    const file = process.argv[1];
    const listener = native.listen(file, 0o600);
    const left = native.messageSocket(native.connect(file), ${JSON.stringify(FRAMING)});
    const right = native.messageSocket(listener.accept(), ${JSON.stringify(FRAMING)});
    listener.close();
    const fds = [];
    try {
      for (;;) fds.push(openSync('/dev/null'));
    } catch (error) {
      assert.equal(error.code, 'EMFILE');
    }
    const last = fds.pop();
    native.fdClose(last);
    const bytes = Buffer.alloc(16);
    bytes.writeUInt32LE(16, 4);
    left.send(bytes, fds.slice(0, 3));
    assert.throws(() => right.receive(), { code: 'EMFILE' });
    assert.equal(openSync('/dev/null'), last);
  `;
  const limited = ['--nofile=128', process.execPath, '--input-type=module', '-e', program];
  execFileSync('prlimit', [...limited, path.join(directory, 'limited')]);
});

test('descriptors inside a body are an error, and no descriptor stays', () => {
  const { left, right } = pair();
  const fd = native.eventfdCreate();
  const before = fdCount();
  const bytes = message(64, 1);
  left.send(bytes.subarray(0, 40));
  left.send(bytes.subarray(40), [fd]);
  assert.throws(() => right.receive(), withCode('EPROTO'));
  assert.equal(fdCount(), before);
  native.fdClose(fd);
  left.close();
  right.close();
});

test('a peer that goes away in the middle of a message is an end of file; its descriptors are closed', () => {
  for (const length of [1, 15, 16, 30]) {
    const { left, right } = pair();
    const fd = native.eventfdCreate();
    const before = fdCount();
    left.send(message(20, 1).subarray(0, length), [fd]);
    assert.equal(right.receive(), undefined);
    left.close();
    assert.equal(right.receive(), null);
    assert.equal(fdCount(), before - 1);
    right.close();
    native.fdClose(fd);
  }
});

test('a closed connection gives up descriptors of a half message', () => {
  const before = fdCount();
  const { left, right } = pair();
  const fd = native.eventfdCreate();
  left.send(message(20, 1).subarray(0, 20), [fd, fd]);
  assert.equal(right.receive(), undefined);
  right.close();
  right.close();
  assert.throws(() => right.receive(), withCode('EBADF'));
  left.close();
  native.fdClose(fd);
  assert.equal(fdCount(), before);
});

test('what the socket does not take is kept, in order and with its descriptors', () => {
  const before = fdCount();
  const { left, right } = pair({ maxBytes: 1 << 20 });
  const sent: Buffer[] = [];
  for (let i = 0; i < 40; i++) {
    const bytes = message(60000 + i, i);
    const fds = counters(i + 1);
    left.send(bytes, fds);
    closeAll(fds);
    sent.push(bytes);
  }
  assert.ok(left.pendingBytes > 0);
  assert.ok(left.pendingFds > 0);
  assert.equal(left.flush(), false);
  sent.forEach((bytes, i) => {
    let received = right.receive();
    for (let rounds = 0; received === undefined && rounds < 100; rounds++) {
      left.flush();
      received = right.receive();
    }
    assert.ok(received);
    assert.deepEqual(received.bytes, bytes);
    assert.deepEqual(readAll(received.fds), [i + 1]);
  });
  assert.equal(left.flush(), true);
  assert.equal(left.pendingBytes, 0);
  assert.equal(left.pendingFds, 0);
  left.close();
  right.close();
  assert.equal(fdCount(), before);
});

test('sending to a peer that is gone is EPIPE, also when it left our bytes unread', () => {
  const { left, right } = pair();
  left.send(message(10, 1));
  right.close();
  assert.throws(() => left.send(message(0, 1)), withCode('EPIPE'));
  left.close();
});

test('a peer that left with our bytes unread is an end of file for the reader', () => {
  const { left, right } = pair();
  left.send(message(10, 1));
  right.close();
  assert.equal(left.receive(), null);
  left.close();
});

test('a listener has the mode asked for, replaces a stale socket, and leaves a live one alone', () => {
  const file = path.join(directory, 'listener');
  const first = native.listen(file, 0o660);
  assert.equal(statSync(file).mode & 0o777, 0o660);
  assert.throws(() => native.listen(file, 0o600), withCode('EADDRINUSE'));
  assert.equal(first.accept() !== undefined, true, 'the probe was a connection');
  assert.equal(first.accept(), undefined);
  // Its process dies: the file stays, nobody listens.
  native.fdClose(first.fd);
  const second = native.listen(file, 0o666);
  assert.equal(statSync(file).mode & 0o777, 0o666);
  const client = native.connect(file);
  const server = second.accept();
  assert.ok(server !== undefined);
  native.fdClose(client);
  native.fdClose(server);
  second.close();
  second.close();
  assert.equal(existsSync(file), false);
  assert.throws(() => native.connect(file), withCode('ENOENT'));
});

test('a listener refuses a path that it cannot be', () => {
  const file = path.join(directory, 'file');
  writeFileSync(file, 'precious');
  assert.throws(() => native.listen(file, 0o600), withCode('EADDRINUSE'));
  assert.equal(statSync(file).size, 8);
  assert.throws(() => native.listen(path.join(directory, 'x'.repeat(120)), 0o600), withCode('ENAMETOOLONG'));
  assert.throws(() => native.listen(path.join(directory, 'no', 'such'), 0o600), withCode('ENOENT'));
  assert.throws(() => native.listen('', 0o600), withCode('ENOENT'));
  assert.throws(() => native.listen('a\0b', 0o600), { name: 'TypeError', message: /path/ });
  chmodSync(file, 0o600);
});

test('a listener does not remove the socket of its successor', () => {
  const file = path.join(directory, 'taken-over');
  const first = native.listen(file, 0o600);
  rmSync(file);
  const second = native.listen(file, 0o600);
  first.close();
  assert.ok(existsSync(file));
  second.close();
  assert.ok(!existsSync(file));
});
