/** DMA_UNMAP: the reply echoes 24 bytes, and comes when no I/O touches the memory any more. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  EINVAL,
  ENOENT,
  EOPNOTSUPP,
  errorReply,
  Fixture,
  message,
  NO_REPLY,
  reply,
  u32,
  u64,
} from './harness.ts';

const DMA_MAP = 2;
const DMA_UNMAP = 3;
const GET_DIRTY_BITMAP = 1;
const ALL = 2;

function payload(address: bigint, size: bigint, { flags = 0, argsz = 24 } = {}): Buffer {
  return Buffer.concat([u32(argsz, flags), u64(address, size)]);
}

/** A session with `count` regions of 4 KiB at 0, 1 MiB, 2 MiB... */
function mapped(count: number): Fixture {
  const fixture = Fixture.established();
  for (let index = 0; index < count; index++) {
    const map = Buffer.concat([u32(32, 3), u64(0n, BigInt(index) << 20n, 4096n)]);
    fixture.handle(message(index, DMA_MAP, map), [200 + index]);
  }
  fixture.replies();
  fixture.calls();
  return fixture;
}

test('an unmap is echoed', () => {
  const fixture = mapped(1);
  const request = payload(0n, 4096n);
  assert.equal(fixture.handle(message(7, DMA_UNMAP, request)), undefined);
  assert.deepEqual(fixture.replies(), [reply(7, DMA_UNMAP, request)]);
  assert.deepEqual(fixture.calls(), ['unmap 0 4096']);
});

test('the echo has 24 bytes even for a longer request', () => {
  const fixture = mapped(1);
  const request = payload(0n, 4096n, { argsz: 40 });
  fixture.handle(message(7, DMA_UNMAP, Buffer.concat([request, Buffer.alloc(16, 9)])));
  assert.deepEqual(fixture.replies(), [reply(7, DMA_UNMAP, request)]);
});

test('a descriptor that comes along is closed', () => {
  const fixture = mapped(1);
  fixture.handle(message(7, DMA_UNMAP, payload(0n, 4096n)), [30]);
  assert.equal(fixture.replies().length, 1);
  fixture.nothingLeaks();
});

test('the reply waits for I/O, further messages do not', () => {
  const fixture = mapped(2);
  fixture.device.late.add('unmap');
  const first = payload(0n, 4096n);
  const second = payload(1n << 20n, 4096n);
  fixture.handle(message(7, DMA_UNMAP, first));
  fixture.handle(message(8, DMA_UNMAP, second));
  assert.deepEqual(fixture.calls(), ['unmap 0 4096', 'unmap 1048576 4096'], 'both are under way');
  assert.equal(fixture.session.ready, true);
  assert.deepEqual(fixture.replies(), []);
  fixture.device.pending.reverse();
  fixture.device.complete();
  assert.deepEqual(fixture.replies(), [], 'the second one is done, but its reply is due after the first');
  fixture.device.complete();
  assert.deepEqual(fixture.replies(), [reply(7, DMA_UNMAP, first), reply(8, DMA_UNMAP, second)]);
});

test('replies of later commands wait for their turn', () => {
  const fixture = mapped(1);
  fixture.device.late.add('unmap');
  fixture.handle(message(7, DMA_UNMAP, payload(0n, 4096n)));
  const map = Buffer.concat([u32(32, 3), u64(0n, 0n, 4096n)]);
  fixture.handle(message(7, DMA_MAP, map), [30]);
  fixture.handle(message(7, DMA_UNMAP, payload(5n, 5n)));
  assert.deepEqual(fixture.replies(), []);
  fixture.device.complete();
  assert.deepEqual(fixture.replies(), [
    reply(7, DMA_UNMAP, payload(0n, 4096n)),
    reply(7, DMA_MAP),
    errorReply(7, DMA_UNMAP, ENOENT),
  ]);
});

test('a region that is not mapped exactly so is ENOENT', () => {
  const fixture = mapped(1);
  for (const [address, size] of [
    [0n, 8192n],
    [4096n, 4096n],
    [0n, 0n],
    [0xfffffffffffff000n, 0x2000n],
  ] as const) {
    fixture.handle(message(7, DMA_UNMAP, payload(address, size)));
    assert.deepEqual(fixture.replies(), [errorReply(7, DMA_UNMAP, ENOENT)]);
  }
  assert.equal(fixture.device.regions.size, 1);
});

test('all regions at once: one reply when the last one is free', () => {
  const fixture = mapped(3);
  fixture.device.late.add('unmap');
  const request = payload(0n, 0n, { flags: ALL });
  fixture.handle(message(7, DMA_UNMAP, request));
  assert.equal(fixture.device.regions.size, 0);
  fixture.device.complete();
  fixture.device.complete();
  assert.deepEqual(fixture.replies(), []);
  fixture.device.complete();
  assert.deepEqual(fixture.replies(), [reply(7, DMA_UNMAP, request)]);
  fixture.handle(message(8, DMA_UNMAP, request));
  assert.deepEqual(fixture.replies(), [reply(8, DMA_UNMAP, request)], 'of none');
});

test('all regions with an address or a size is refused', () => {
  const fixture = mapped(1);
  fixture.refuses(message(7, DMA_UNMAP, payload(1n, 0n, { flags: ALL })), EINVAL, [30]);
  fixture.refuses(message(7, DMA_UNMAP, payload(0n, 4096n, { flags: ALL })), EINVAL, [31]);
});

test('a dirty bitmap is refused as not supported', () => {
  const fixture = mapped(1);
  const bitmap = Buffer.concat([payload(0n, 4096n, { flags: GET_DIRTY_BITMAP, argsz: 48 }), u64(4096n, 8n)]);
  fixture.refuses(message(7, DMA_UNMAP, bitmap), EOPNOTSUPP);
});

test('other flags, short payloads and a small argsz are refused', () => {
  const fixture = mapped(1);
  for (const flags of [3, 4, 0x80000000]) {
    fixture.refuses(message(7, DMA_UNMAP, payload(0n, 4096n, { flags })), EINVAL);
  }
  for (let length = 0; length < 24; length++) {
    fixture.refuses(message(7, DMA_UNMAP, payload(0n, 4096n).subarray(0, length)), EINVAL);
  }
  fixture.refuses(message(7, DMA_UNMAP, payload(0n, 4096n, { argsz: 23 })), EINVAL);
});

test('a posted unmap is not answered', () => {
  const fixture = mapped(1);
  fixture.device.late.add('unmap');
  fixture.handle(message(7, DMA_UNMAP, payload(0n, 4096n), NO_REPLY));
  fixture.device.complete();
  assert.deepEqual(fixture.replies(), []);
});

test('a client that never lets go of the queue is not read any more, until it moves on', () => {
  const fixture = mapped(1);
  fixture.device.late.add('unmap');
  fixture.handle(message(7, DMA_UNMAP, payload(0n, 4096n)));
  let taken = 0;
  while (fixture.session.ready) {
    fixture.handle(message(8, 4, u32(16, 0, 0, 0)));
    taken += 1;
  }
  assert.ok(taken > 100 && taken < 10_000);
  assert.equal(fixture.resumed, 0);
  fixture.device.complete();
  assert.equal(fixture.resumed, 1);
  assert.equal(fixture.session.ready, true);
  assert.equal(fixture.replies().length, taken + 1);
});
