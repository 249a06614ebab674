// The ring as the reactor's single blocking point: readiness of descriptors, waiting, limits, and its end.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { OPERATION_COPY_OUT } from '../../assembly/abi/records.ts';
import { native } from '../../host/native.ts';
import { closeAll, fdCount, Guest, MIB, Rig, withCode } from './rig.ts';

function elapsed(work: () => void): number {
  const begin = native.now();
  work();
  return native.now() - begin;
}

test('enter waits as long as told, and not at all when something is there', () => {
  const ring = native.uring(8);
  assert.ok(elapsed(() => assert.equal(ring.enter(0), 0)) < 20_000);
  const waited = elapsed(() => assert.equal(ring.enter(30_000), 0));
  assert.ok(waited >= 29_000 && waited < 500_000, `${waited} us`);
  const fd = native.eventfdCreate();
  ring.watch(fd, 7);
  assert.equal(ring.enter(0), 0);
  native.eventfdSignal(fd);
  assert.equal(ring.enter(-1), 1);
  assert.equal(ring.tokens[0], 7);
  ring.close();
  ring.close();
  assert.throws(() => ring.enter(0), withCode('EBADF'));
  assert.throws(() => ring.watch(fd, 1), withCode('EBADF'));
  ring.unwatch(7);
  native.fdClose(fd);
});

test('readiness is level-triggered: it is reported until it is dealt with', () => {
  const ring = native.uring(8);
  const fd = native.eventfdCreate();
  ring.watch(fd, 0xffffffff);
  native.eventfdSignal(fd);
  native.eventfdSignal(fd);
  for (let i = 0; i < 5; i++) {
    assert.equal(ring.enter(-1), 1);
    assert.equal(ring.tokens[0], 0xffffffff);
  }
  assert.equal(native.eventfdRead(fd), 2);
  assert.equal(native.eventfdRead(fd), 0);
  assert.equal(ring.enter(1000), 0);
  native.eventfdSignal(fd);
  assert.equal(ring.enter(0), 1);
  ring.close();
  native.fdClose(fd);
});

test('a spinning reactor sees readiness without blocking', () => {
  const ring = native.uring(8);
  const fd = native.eventfdCreate();
  ring.watch(fd, 3);
  ring.enter(0);
  for (let round = 0; round < 100; round++) {
    assert.equal(ring.enter(0), 0);
    native.eventfdSignal(fd);
    assert.equal(ring.enter(0), 1, `round ${round}`);
    native.eventfdRead(fd);
  }
  ring.close();
  native.fdClose(fd);
});

test('many descriptors, more than a ring has entries', () => {
  const ring = native.uring(4);
  const fds = Array.from({ length: 300 }, () => native.eventfdCreate());
  fds.forEach((fd, token) => ring.watch(fd, token));
  assert.equal(ring.enter(0), 0);
  fds.forEach((fd) => native.eventfdSignal(fd));
  const seen = new Set<number>();
  for (let rounds = 0; rounds < 3; rounds++) {
    const count = ring.enter(0);
    ring.tokens.subarray(0, count).forEach((token) => seen.add(token));
  }
  assert.equal(seen.size, 300);
  ring.close();
  closeAll(fds);
});

test('more tokens than one enter hands out come with the next', () => {
  const ring = native.uring(64);
  const fd = native.eventfdCreate();
  for (let token = 0; token < 1500; token++) ring.watch(fd, token);
  native.eventfdSignal(fd);
  const seen = new Set<number>();
  for (let rounds = 0; rounds < 100 && seen.size < 1500; rounds++) {
    const count = ring.enter(0);
    assert.ok(count <= ring.tokens.length);
    ring.tokens.subarray(0, count).forEach((token) => seen.add(token));
  }
  assert.equal(seen.size, 1500);
  ring.close();
  native.fdClose(fd);
});

test('no token comes back after unwatch, and the descriptor is let go at once', () => {
  const ring = native.uring(8);
  const socket = path.join(tmpdir(), `doorbell-unwatch-${process.pid}`);
  const listener = native.listen(socket, 0o600);
  const framing = { headerBytes: 16, sizeOffset: 4, sizeIncludesHeader: true, maxBytes: 4096, maxFds: 1 };
  const left = native.messageSocket(native.connect(socket), framing);
  const right = native.messageSocket(listener.accept() as number, framing);
  ring.watch(left.fd, 1);
  ring.watchWritable(left.fd, 2);
  assert.equal(ring.enter(0), 1);
  assert.equal(ring.tokens[0], 2);
  assert.equal(ring.enter(0), 0, 'writability is reported once');
  right.send(Buffer.alloc(1));
  ring.unwatch(1);
  left.close();
  assert.throws(() => right.send(Buffer.alloc(16)), withCode('EPIPE'));
  assert.equal(ring.enter(1000), 0);
  ring.unwatch(1);
  ring.unwatch(99);
  // The token is free again.
  ring.watch(listener.fd, 1);
  const client = native.connect(socket);
  assert.equal(ring.enter(-1), 1);
  native.fdClose(client);
  ring.close();
  right.close();
  listener.close();
});

test('the end of a connection is readiness; a token is watched once; a bad descriptor is reported', () => {
  const ring = native.uring(8);
  const socket = path.join(tmpdir(), `doorbell-hangup-${process.pid}`);
  const listener = native.listen(socket, 0o600);
  const client = native.connect(socket);
  const server = listener.accept() as number;
  ring.watch(server, 5);
  assert.throws(() => ring.watch(server, 5), withCode('EEXIST'));
  assert.equal(ring.enter(0), 0);
  native.fdClose(client);
  assert.equal(ring.enter(-1), 1);
  ring.unwatch(5);
  ring.watch(9999, 6);
  assert.equal(ring.enter(-1), 1);
  assert.equal(ring.tokens[0], 6);
  ring.close();
  native.fdClose(server);
  listener.close();
});

test('enter does not wait when a submit has completed requests at once', () => {
  const guest = new Guest(MIB);
  const rig = new Rig();
  const { ioBase } = rig.region(guest.fd, MIB);
  rig.submit({ operation: OPERATION_COPY_OUT, data: rig.dataAddress(0), segments: [[ioBase, 64]] });
  assert.equal(rig.controller.inFlight, 1);
  assert.ok(elapsed(() => rig.ring.enter(1_000_000)) < 500_000);
  assert.equal(rig.controller.completionsTake(), 1);
  assert.equal(rig.controller.inFlight, 0);
  rig.close();
  guest.close();
});

test('a blocked enter takes no processor time and makes no periodic wake-up', () => {
  const ring = native.uring(8);
  const fd = native.eventfdCreate();
  ring.watch(fd, 1);
  ring.enter(0);
  const switches = (): number =>
    Number(/voluntary_ctxt_switches:\s+(\d+)/.exec(readFileSync('/proc/thread-self/status', 'utf8'))?.[1]);
  // The least of some: the runtime's own threads may take a lock from us.
  const counts = Array.from({ length: 5 }, () => {
    const before = switches();
    ring.enter(50_000);
    return switches() - before;
  });
  assert.ok(Math.min(...counts) <= 1, counts.join(' '));
  ring.close();
  native.fdClose(fd);
});

test('a worker blocked in enter is woken from another thread, and its exit closes everything', async () => {
  const before = fdCount();
  const fd = native.eventfdCreate();
  const worker = new Worker(new URL('./uring-worker.js', import.meta.url), { workerData: { fd } });
  const rounds = 20;
  for (let i = 0; i < rounds; i++) {
    native.eventfdSignal(fd);
    assert.deepEqual(await once(worker, 'message'), [i + 1]);
  }
  const exit = once(worker, 'exit');
  native.eventfdSignal(fd);
  assert.deepEqual(await exit, [0]);
  native.fdClose(fd);
  assert.ok(fdCount() <= before, `${fdCount()} descriptors, ${before} before`);
});
