/** REGION_WRITE: answered or posted, complete at once or late. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EINVAL, Fixture, message, NO_REPLY, reply, u32, u64 } from './harness.ts';

const REGION_READ = 9;
const REGION_WRITE = 10;
const BAR0 = 0;
const CONFIG = 7;

const payload = (offset: bigint, region: number, count: number, data: Buffer): Buffer =>
  Buffer.concat([u64(offset), u32(region, count), data]);

test('an answered write gets its first 16 bytes back', () => {
  const fixture = Fixture.established();
  fixture.handle(message(1, REGION_WRITE, payload(4n, CONFIG, 2, Buffer.of(6, 4))));
  assert.deepEqual(fixture.replies(), [reply(1, REGION_WRITE, payload(4n, CONFIG, 2, Buffer.alloc(0)))]);
  assert.deepEqual(fixture.calls(), ['write config 4 0604']);
});

test('a posted write is not answered', () => {
  const fixture = Fixture.established();
  fixture.handle(message(1, REGION_WRITE, payload(0x1008n, BAR0, 4, u32(17)), NO_REPLY));
  assert.deepEqual(fixture.replies(), []);
  assert.deepEqual(fixture.calls(), ['write bar0 4104 11000000']);
});

test('a posted write that is refused is not answered either', () => {
  const fixture = Fixture.established();
  fixture.handle(message(1, REGION_WRITE, payload(0x4000n, BAR0, 4, u32(1)), NO_REPLY));
  fixture.handle(message(1, REGION_WRITE, payload(0n, 99, 4, u32(1)), NO_REPLY));
  fixture.handle(message(1, REGION_WRITE, Buffer.alloc(3), NO_REPLY), [30]);
  assert.deepEqual(fixture.replies(), []);
  assert.deepEqual(fixture.calls(), []);
  assert.ok(fixture.logLines.some((line) => line.includes('VFIO_USER_RANGE')));
  fixture.nothingLeaks();
});

test('an answered write that takes time holds back what follows', () => {
  const fixture = Fixture.established();
  fixture.device.late.add('write');
  const request = payload(0x69n, CONFIG, 1, Buffer.of(0x80));
  fixture.handle(message(1, REGION_WRITE, request));
  assert.equal(fixture.session.ready, false);
  assert.deepEqual(fixture.replies(), []);
  fixture.device.complete();
  assert.equal(fixture.session.ready, true);
  assert.equal(fixture.resumed, 1);
  assert.deepEqual(fixture.replies(), [reply(1, REGION_WRITE, request.subarray(0, 16))]);
});

test('a posted write that takes time holds back nothing', () => {
  const fixture = Fixture.established();
  fixture.device.late.add('write');
  fixture.handle(message(1, REGION_WRITE, payload(0x14n, BAR0, 4, u32(0)), NO_REPLY));
  assert.equal(fixture.session.ready, true);
  const read = Buffer.concat([u64(0x1cn), u32(BAR0, 4)]);
  fixture.handle(message(2, REGION_READ, read));
  assert.equal(fixture.replies().length, 1);
  fixture.device.complete();
  assert.deepEqual(fixture.replies(), []);
  assert.equal(fixture.resumed, 0);
});

test('a device that completes twice is heard once', () => {
  const fixture = Fixture.established();
  fixture.device.late.add('write');
  fixture.handle(message(1, REGION_WRITE, payload(4n, CONFIG, 1, Buffer.of(0))));
  const done = fixture.device.pending[0]?.done;
  done?.();
  done?.();
  assert.equal(fixture.replies().length, 1);
});

test('ranges that leave the region, wrap, or are empty are refused', () => {
  const fixture = Fixture.established();
  for (const [offset, region] of [
    [0x4000n, BAR0],
    [0x3ffdn, BAR0],
    [0xffffffffffffffffn, BAR0],
    [0xfffffffffffffffcn, BAR0],
    [0x100000000n, BAR0],
    [4093n, CONFIG],
    [0n, 1],
    [0n, 6],
    [0n, 8],
    [0n, 9],
    [0n, 0xffffffff],
  ] as const) {
    fixture.refuses(message(1, REGION_WRITE, payload(offset, region, 4, u32(7))), EINVAL);
  }
  fixture.refuses(message(1, REGION_WRITE, payload(0n, BAR0, 0, Buffer.alloc(0))), EINVAL);
});

test('the count must be that of the data', () => {
  const fixture = Fixture.established();
  for (const count of [3, 5, 0xfffffff0, 0xffffffff]) {
    fixture.refuses(message(1, REGION_WRITE, payload(0n, BAR0, count, u32(7))), EINVAL);
  }
  for (let length = 0; length < 20; length++) {
    const short = payload(0n, BAR0, 4, u32(7)).subarray(0, length);
    fixture.refuses(message(1, REGION_WRITE, short), EINVAL, [100 + length]);
  }
});
