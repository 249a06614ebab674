/** NVME_START_STOP: both idempotent, a start needs memory, a stop is waited for. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { u64 } from '../fixture.ts';
import { ack, Fixture, message, NEED_REPLY, table } from './harness.ts';

test('a start, another one, a stop, another one', () => {
  const fixture = new Fixture();
  fixture.handle(message(5, table([0n, 0x100000n])), [30]);
  fixture.calls();
  fixture.accepts(83, u64(1n), [], ['start -']);
  fixture.accepts(83, u64(1n), [], []);
  fixture.accepts(83, u64(0n), [], ['clear msix', 'stop']);
  fixture.accepts(83, u64(0n), [], []);
  fixture.accepts(83, u64(0xffff_ffff_0000_0000n), [], ['start -']);
});

test('a start without memory is refused', () => {
  const fixture = new Fixture();
  fixture.refuses(83, u64(1n));
  fixture.handle(message(5, table([0n, 0x100000n])), [30]);
  fixture.handle(message(5, table()));
  fixture.calls();
  fixture.refuses(83, u64(1n));
});

test('what follows a stop waits until it is complete', () => {
  const fixture = Fixture.started();
  fixture.device.late.add('stop');
  fixture.handle(message(83, u64(0n), 1 | NEED_REPLY));
  assert.ok(!fixture.session.ready);
  assert.deepEqual(fixture.replies(), []);
  fixture.device.complete();
  assert.ok(fixture.session.ready);
  assert.deepEqual(fixture.replies(), [ack(83, 0)]);
});

test('a front end that leaves during a stop is put away', () => {
  const fixture = Fixture.started();
  fixture.device.late.add('stop');
  fixture.handle(message(83, u64(0n), 1 | NEED_REPLY));
  let closed = false;
  fixture.session.close(() => (closed = true));
  fixture.device.complete();
  assert.ok(closed);
  assert.deepEqual(fixture.replies(), []);
  assert.equal(fixture.resumed, 0);
});

test('eight bytes, no descriptor', () => {
  const fixture = Fixture.started();
  for (const bytes of [0, 4, 7, 9, 16]) fixture.refuses(83, Buffer.alloc(bytes), [30 + bytes]);
  fixture.refuses(83, u64(0n), [60]);
});
