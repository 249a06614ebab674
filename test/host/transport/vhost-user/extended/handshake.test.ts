/** GET_FEATURES, SET_FEATURES, SET_OWNER, GET_PROTOCOL_FEATURES, SET_PROTOCOL_FEATURES: what is agreed on, and when. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { u64 } from '../../fixture.ts';
import { message, NEED_REPLY, reply } from '../harness.ts';
import { ALL_FEATURES, ENOTSUP, ExtendedFixture, MIB, PRIVATE_REQUESTS, slot } from './harness.ts';

const REPLY_ACK = 1n << 3n;
const NVME = 1n << 56n;

test('a front end as QEMU begins: features, protocol features, owner', () => {
  const fixture = new ExtendedFixture();
  assert.equal(fixture.handle(message(1)), undefined);
  assert.deepEqual(fixture.replies(), [reply(1, u64(1n << 30n))]);
  assert.equal(fixture.handle(message(15)), undefined);
  assert.deepEqual(fixture.replies(), [reply(15, u64(ALL_FEATURES))]);
  for (const [request, payload] of [
    [16, u64(ALL_FEATURES)],
    [3, Buffer.alloc(0)],
    [2, u64(1n << 30n)],
  ] as const) {
    assert.equal(fixture.handle(message(request, payload)), undefined);
    assert.deepEqual(fixture.replies(), [], 'nobody asked for an answer');
  }
  assert.deepEqual(fixture.calls(), []);
  fixture.close();
});

test('each of them may be the first message', () => {
  for (const [request, payload] of [
    [1, Buffer.alloc(0)],
    [2, u64(0n)],
    [3, Buffer.alloc(0)],
    [15, Buffer.alloc(0)],
    [16, u64(NVME)],
  ] as const) {
    const fixture = new ExtendedFixture();
    assert.equal(fixture.handle(message(request, payload)), undefined);
    assert.deepEqual(fixture.device.configured, [], 'no limits of the legacy dialect');
    assert.equal(fixture.handle(message(82, Buffer.alloc(0))), undefined);
    assert.deepEqual(fixture.replies().slice(request === 1 || request === 15 ? 1 : 0), []);
    fixture.close();
  }
});

test('acknowledgements are sent where they were agreed on and are asked for', () => {
  const fixture = new ExtendedFixture();
  fixture.handle(message(3, Buffer.alloc(0), 1 | NEED_REPLY));
  assert.deepEqual(fixture.replies(), [], 'not agreed on yet');
  fixture.handle(message(16, u64(REPLY_ACK), 1 | NEED_REPLY));
  assert.deepEqual(fixture.replies(), [reply(16, u64(0n))]);
  fixture.handle(message(3));
  assert.deepEqual(fixture.replies(), [], 'not asked for');
  fixture.handle(message(3, Buffer.alloc(0), 1 | NEED_REPLY));
  assert.deepEqual(fixture.replies(), [reply(3, u64(0n))]);
  fixture.handle(message(1, Buffer.alloc(0), 1 | NEED_REPLY));
  assert.deepEqual(fixture.replies(), [reply(1, u64(1n << 30n))], 'what has an answer is answered once');
  fixture.close();
});

test('features that are not offered are refused, and nothing is agreed on', () => {
  const fixture = ExtendedFixture.agreed(REPLY_ACK);
  for (const features of [1n << 29n, 1n, ~0n & 0xffff_ffff_ffff_ffffn]) {
    fixture.refuses(2, u64(features), 22);
  }
  for (const features of [1n, NVME | 1n, 1n << 57n, 0xffff_ffff_ffff_ffffn]) {
    fixture.refuses(16, u64(features), 22);
  }
  fixture.ends(message(0x400), 'VHOST_USER_REQUEST');
});

test('other shapes', () => {
  const fixture = ExtendedFixture.agreed();
  for (const request of [2, 16]) fixture.refusesOtherShapes(request, u64(0n), [0]);
  fixture.refusesOtherShapes(3, Buffer.alloc(0), [0]);
  for (const request of [1, 15, 36]) {
    ExtendedFixture.agreed().ends(message(request, Buffer.alloc(8)), 'VHOST_USER_SIZE', [30]);
    ExtendedFixture.agreed().ends(message(request), 'VHOST_USER_FDS', [30]);
  }
});

test('private requests before they were agreed on end the session, and say why', () => {
  for (const request of PRIVATE_REQUESTS) {
    new ExtendedFixture().ends(message(request), 'VHOST_USER_REQUEST', [30]);
    ExtendedFixture.agreed(ALL_FEATURES & ~NVME).ends(message(request), 'VHOST_USER_REQUEST', [30]);
  }
  const error = new ExtendedFixture().handle(message(0x400));
  assert.match(error?.message ?? '', /SET_PROTOCOL_FEATURES had agreed on protocol feature 56/);
});

test('requests of features that were not agreed on are refused', () => {
  const fixture = ExtendedFixture.agreed(REPLY_ACK | NVME);
  fixture.refuses(21, Buffer.alloc(0), ENOTSUP, [30]);
  fixture.refuses(37, slot(0n, MIB), ENOTSUP, [31]);
  fixture.refuses(38, slot(0n, MIB), ENOTSUP);
  fixture.ends(message(36), 'VHOST_USER_REQUEST');
});
