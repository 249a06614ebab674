/**
 * The header: framing that contradicts itself ends the session, reserved flags are refused, replies are
 * dropped.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EINVAL, errorReply, Fixture, message, reply, u16, u32 } from './harness.ts';

const RESET = 13;

test('a message shorter than the header ends the session', () => {
  for (const length of [0, 1, 15]) {
    const fixture = Fixture.established();
    const error = fixture.handle(message(7, RESET).subarray(0, length), [50]);
    assert.equal(error?.code, 'VFIO_USER_HEADER');
    assert.equal(error.fatal, true);
    assert.deepEqual(fixture.replies(), []);
    fixture.nothingLeaks();
  }
});

test('a size that is not that of the message ends the session', () => {
  for (const size of [0, 15, 17, 0xffffffff]) {
    const fixture = Fixture.established();
    const bytes = message(7, RESET);
    bytes.writeUInt32LE(size, 4);
    assert.equal(fixture.handle(bytes, [50, 51])?.fatal, true);
    assert.deepEqual(fixture.calls(), []);
    fixture.nothingLeaks();
  }
});

test('a type that is neither command nor reply ends the session', () => {
  for (const type of [2, 3, 8, 15]) {
    const fixture = Fixture.established();
    assert.equal(fixture.handle(message(7, RESET, undefined, type), [50])?.code, 'VFIO_USER_HEADER');
    assert.deepEqual(fixture.replies(), []);
    fixture.nothingLeaks();
  }
});

test('reserved flags and the error flag in a command are refused', () => {
  const fixture = Fixture.established();
  for (const flags of [0x20, 0x40, 0x80000000]) {
    fixture.refuses(message(9, RESET, undefined, flags), EINVAL, [60 + (flags >>> 28)]);
  }
});

test('replies that nobody asked for are dropped, with their descriptors', () => {
  const fixture = Fixture.established();
  const dmaRead = message(3, 11, Buffer.alloc(32), 1);
  assert.equal(fixture.handle(dmaRead, [50, 51]), undefined);
  assert.equal(fixture.handle(message(4, 12, Buffer.alloc(16), 0x21)), undefined);
  assert.deepEqual(fixture.replies(), []);
  assert.deepEqual(fixture.calls(), []);
  fixture.nothingLeaks();
});

test('id and command come back, the errno field of a command means nothing', () => {
  const fixture = Fixture.established();
  const bytes = Buffer.concat([u16(0xffff), u16(RESET), u32(16, 0, 0xdeadbeef)]);
  assert.equal(fixture.handle(bytes), undefined);
  assert.deepEqual(fixture.replies(), [reply(0xffff, RESET)]);
});

test('an error reply is a header alone', () => {
  const fixture = Fixture.established();
  fixture.handle(message(5, RESET, Buffer.alloc(1)));
  assert.deepEqual(fixture.replies(), [errorReply(5, RESET, EINVAL)]);
  assert.equal(errorReply(5, RESET, EINVAL), '05000d00' + '10000000' + '21000000' + '16000000');
});
