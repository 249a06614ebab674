/** RESET and QUIESCE: what they wait for, and what they leave as it is. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EINVAL, u64 } from '../../fixture.ts';
import { message, reply } from '../harness.ts';
import { ETIMEDOUT, ExtendedFixture, refusal } from './harness.ts';

test('a reset is answered when no request is under way; memory, page and kicks stay', () => {
  const fixture = ExtendedFixture.withMemory();
  fixture.accepts(0x408, u64(4096n, 0n), [30], [`map ${1n << 52n} 4096 0 30 rw`, 'kicked 10000000000000']);
  fixture.device.late.add('reset');
  fixture.handle(message(0x40b));
  assert.deepEqual(fixture.calls(), ['reset']);
  assert.deepEqual(fixture.replies(), []);
  fixture.device.complete();
  assert.deepEqual(fixture.calls(), ['kicked 10000000000000']);
  assert.deepEqual(fixture.replies(), [reply(0x40b, u64(0n))]);
  fixture.close();
});

test('a front end that leaves during a reset', () => {
  const fixture = ExtendedFixture.withMemory();
  fixture.device.late.add('reset');
  fixture.handle(message(0x40b));
  fixture.calls();
  fixture.close();
  fixture.device.complete();
  assert.deepEqual(fixture.calls(), ['disconnect']);
  assert.deepEqual(fixture.replies(), []);
});

test('a quiesce is answered when nothing is under way', () => {
  const fixture = ExtendedFixture.agreed();
  fixture.device.late.add('quiesce');
  fixture.handle(message(0x40c, u64(1n)));
  assert.deepEqual(fixture.replies(), []);
  fixture.device.complete();
  assert.deepEqual(fixture.replies(), [reply(0x40c, u64(0n))]);
  fixture.calls();
  fixture.accepts(0x40c, u64(0n), [], ['proceed']);
});

test('or with ETIMEDOUT when something still is', () => {
  const fixture = ExtendedFixture.agreed();
  fixture.device.drained = false;
  fixture.refuses(0x40c, u64(1n), ETIMEDOUT, [], ['quiesce']);
  fixture.accepts(0x40c, u64(0n), [], ['proceed']);
});

test('other actions and shapes', () => {
  const fixture = ExtendedFixture.agreed();
  for (const action of [2n, 1n << 32n, 1n << 63n]) fixture.refuses(0x40c, u64(action), EINVAL);
  fixture.refusesOtherShapes(0x40c, u64(0n), [0]);
  fixture.refusesOtherShapes(0x40b, Buffer.alloc(0), [0]);
});

test('replies keep the order of requests, whatever waits', () => {
  const fixture = ExtendedFixture.agreed();
  fixture.device.late.add('reset');
  fixture.handle(message(0x40b));
  assert.ok(!fixture.session.ready, 'what follows is not handed over yet');
  fixture.device.complete();
  fixture.handle(message(0x40c, u64(7n)));
  fixture.handle(message(0x40f));
  fixture.handle(message(0x40b));
  fixture.device.complete();
  assert.deepEqual(fixture.replies(), [
    reply(0x40b, u64(0n)),
    refusal(0x40c, EINVAL),
    refusal(0x40f, 95),
    reply(0x40b, u64(0n)),
  ]);
});
