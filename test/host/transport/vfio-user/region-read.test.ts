/** REGION_READ: BAR0 and config space, whole or in part, and every range that does not lie inside. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EINVAL, Fixture, message, NO_REPLY, reply, u32, u64 } from './harness.ts';

const REGION_READ = 9;
const BAR0 = 0;
const CONFIG = 7;

const payload = (offset: bigint, region: number, count: number): Buffer =>
  Buffer.concat([u64(offset), u32(region, count)]);

test('the reply is the request and the data', () => {
  const fixture = Fixture.established();
  const request = payload(0x1cn, BAR0, 4);
  fixture.handle(message(1, REGION_READ, request));
  assert.deepEqual(fixture.replies(), [
    reply(1, REGION_READ, Buffer.concat([request, Buffer.of(0x1c, 0x1d, 0x1e, 0x1f)])),
  ]);
  assert.deepEqual(fixture.calls(), ['read bar0 28 4']);
});

test('all of config space in one message', () => {
  const fixture = Fixture.established();
  const request = payload(0n, CONFIG, 4096);
  fixture.handle(message(1, REGION_READ, request));
  assert.deepEqual(fixture.replies(), [
    reply(1, REGION_READ, Buffer.concat([request, fixture.device.config])),
  ]);
});

test('any width, up to the last byte', () => {
  const fixture = Fixture.established();
  for (const [offset, count] of [
    [0x3fff, 1],
    [0x3ffe, 2],
    [0x3ff8, 8],
    [0, 0x4000],
    [3, 7],
  ] as const) {
    fixture.handle(message(1, REGION_READ, payload(BigInt(offset), BAR0, count)));
    assert.deepEqual(fixture.calls(), [`read bar0 ${offset} ${count}`]);
    assert.equal(Buffer.from(fixture.replies()[0] ?? '', 'hex').length, 32 + count);
  }
});

test('ranges that leave the region, wrap, or are empty are refused', () => {
  const fixture = Fixture.established();
  for (const [offset, region, count] of [
    [0x4000n, BAR0, 1],
    [0x3fffn, BAR0, 2],
    [0n, BAR0, 0x4001],
    [0n, BAR0, 0],
    [0n, BAR0, 0xffffffff],
    [0xffffffffffffffffn, BAR0, 1],
    [0xfffffffffffffffcn, BAR0, 8],
    [0x100000000n, BAR0, 4],
    [1n << 53n, BAR0, 4],
    [4093n, CONFIG, 4],
    [0n, CONFIG, 4097],
  ] as const) {
    fixture.refuses(message(1, REGION_READ, payload(offset, region, count)), EINVAL);
  }
});

test('regions without contents are refused', () => {
  const fixture = Fixture.established();
  for (const region of [1, 2, 3, 4, 5, 6, 8, 9, 0x7fffffff, 0xffffffff]) {
    fixture.refuses(message(1, REGION_READ, payload(0n, region, 4)), EINVAL, [region & 0xffff]);
  }
});

test('payloads of another size are refused', () => {
  const fixture = Fixture.established();
  const request = payload(0n, BAR0, 4);
  for (let length = 0; length < 16; length++) {
    fixture.refuses(message(1, REGION_READ, request.subarray(0, length)), EINVAL);
  }
  fixture.refuses(message(1, REGION_READ, Buffer.concat([request, Buffer.alloc(1)])), EINVAL);
});

test('a posted read reads and is not answered', () => {
  const fixture = Fixture.established();
  fixture.handle(message(1, REGION_READ, payload(0n, BAR0, 4), NO_REPLY), [30]);
  assert.deepEqual(fixture.replies(), []);
  fixture.nothingLeaks();
});
