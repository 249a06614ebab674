/** DEVICE_RESET, and the end of a session. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EINVAL, Fixture, message, NO_REPLY, reply } from './harness.ts';

const RESET = 13;

test('a reset is answered when it is complete', () => {
  const fixture = Fixture.established();
  fixture.device.late.add('reset');
  fixture.handle(message(1, RESET));
  assert.deepEqual(fixture.calls(), ['reset']);
  assert.deepEqual(fixture.replies(), []);
  assert.equal(fixture.session.ready, false, 'nothing may overtake a reset');
  fixture.device.complete();
  assert.deepEqual(fixture.replies(), [reply(1, RESET)]);
  assert.equal(fixture.session.ready, true);
  assert.equal(fixture.resumed, 1);
});

test('twice, as QEMU does at each reboot', () => {
  const fixture = Fixture.established();
  fixture.handle(message(1, RESET));
  fixture.handle(message(2, RESET));
  assert.deepEqual(fixture.calls(), ['reset', 'reset']);
  assert.deepEqual(fixture.replies(), [reply(1, RESET), reply(2, RESET)]);
  assert.equal(fixture.resumed, 0, 'it was never held up');
});

test('a payload is refused, descriptors are closed', () => {
  const fixture = Fixture.established();
  fixture.refuses(message(1, RESET, Buffer.alloc(1)), EINVAL, [30]);
  fixture.handle(message(2, RESET), [31]);
  assert.deepEqual(fixture.closedFds, [30, 31]);
});

test('a posted reset holds back what follows, too', () => {
  const fixture = Fixture.established();
  fixture.device.late.add('reset');
  fixture.handle(message(1, RESET, undefined, NO_REPLY));
  assert.equal(fixture.session.ready, false);
  fixture.device.complete();
  assert.equal(fixture.session.ready, true);
  assert.deepEqual(fixture.replies(), []);
});

test('a client that leaves during a reset is not answered, and the device is told', () => {
  const fixture = Fixture.established();
  fixture.device.late.add('reset').add('disconnect');
  fixture.handle(message(1, RESET));
  let closed = 0;
  fixture.session.close(() => (closed += 1));
  assert.deepEqual(fixture.calls(), ['reset', 'disconnect']);
  fixture.device.complete();
  assert.deepEqual(fixture.replies(), []);
  assert.equal(fixture.resumed, 0);
  assert.equal(closed, 0);
  fixture.device.complete();
  assert.equal(closed, 1);
});
