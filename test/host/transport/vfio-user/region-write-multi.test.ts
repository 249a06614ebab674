/** REGION_WRITE_MULTI: many small writes in one message, in their order. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EINVAL, Fixture, message, NO_REPLY, reply, u32, u64 } from './harness.ts';

const WRITE_MULTI = 15;
const BAR0 = 0;

const write = (offset: bigint, count: number, value: bigint, region = BAR0): Buffer =>
  Buffer.concat([u64(offset), u32(region, count), u64(value)]);
const payload = (count: bigint, ...writes: Buffer[]): Buffer => Buffer.concat([u64(count), ...writes]);

test('all are done, in order, and counted in the reply', () => {
  const fixture = Fixture.established();
  const request = payload(2n, write(0x1000n, 4, 5n), write(0x28n, 8, 0x1122334455667788n));
  fixture.handle(message(1, WRITE_MULTI, request));
  assert.deepEqual(fixture.calls(), ['write bar0 4096 05000000', 'write bar0 40 8877665544332211']);
  assert.deepEqual(fixture.replies(), [reply(1, WRITE_MULTI, u64(2n))]);
});

test('posted, as QEMU sends it, with the unused rest of its array', () => {
  const fixture = Fixture.established();
  const rest = Buffer.alloc(199 * 24, 0xee);
  fixture.handle(message(1, WRITE_MULTI, payload(1n, write(0x1000n, 4, 5n), rest), NO_REPLY));
  assert.deepEqual(fixture.calls(), ['write bar0 4096 05000000']);
  assert.deepEqual(fixture.replies(), []);
});

test('none at all', () => {
  const fixture = Fixture.established();
  fixture.handle(message(1, WRITE_MULTI, payload(0n)));
  assert.deepEqual(fixture.replies(), [reply(1, WRITE_MULTI, u64(0n))]);
});

test('the reply waits for the last one', () => {
  const fixture = Fixture.established();
  fixture.device.late.add('write');
  fixture.handle(message(1, WRITE_MULTI, payload(2n, write(0n, 4, 1n), write(4n, 4, 2n))));
  assert.equal(fixture.session.ready, false);
  fixture.device.complete();
  assert.deepEqual(fixture.replies(), []);
  fixture.device.complete();
  assert.deepEqual(fixture.replies(), [reply(1, WRITE_MULTI, u64(2n))]);
  assert.equal(fixture.resumed, 1);
});

test('one bad write spoils the message before any is done', () => {
  const fixture = Fixture.established();
  for (const bad of [
    write(0x4000n, 4, 0n),
    write(0xfffffffffffffffcn, 8, 0n),
    write(0n, 0, 0n),
    write(0n, 9, 0n),
    write(0n, 0xffffffff, 0n),
    write(0n, 4, 0n, 3),
  ]) {
    fixture.refuses(message(1, WRITE_MULTI, payload(2n, write(0n, 4, 1n), bad)), EINVAL, [30 + bad.length]);
    fixture.givenFds.length = 0;
    fixture.closedFds.length = 0;
  }
});

test('counts that are not there, or wrap, are refused', () => {
  const fixture = Fixture.established();
  const one = write(0n, 4, 1n);
  for (const count of [2n, 0xffffffffn, 0x0aaaaaaaaaaaaaaan, 0x0aaaaaaaaaaaaaabn, 0xffffffffffffffffn]) {
    fixture.refuses(message(1, WRITE_MULTI, payload(count, one)), EINVAL);
  }
  for (let length = 0; length < 32; length++) {
    fixture.refuses(message(1, WRITE_MULTI, payload(1n, one).subarray(0, length)), EINVAL);
  }
});
