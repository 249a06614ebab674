/** SET_KICK: an eventfd that wakes the target for a pair of queues. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EINVAL, u32 } from '../../fixture.ts';
import { ExtendedFixture } from './harness.ts';

test('it is watched, and read when it is signalled', () => {
  const fixture = ExtendedFixture.agreed();
  fixture.accepts(0x409, u32(0, 0), [30]);
  fixture.accepts(0x409, u32(64, 0), [31]);
  assert.deepEqual([...fixture.watched.keys()], [30, 31]);
  fixture.watched.get(31)?.();
  assert.deepEqual(fixture.read, [31]);
  assert.equal(fixture.device.doorbells, 1);
  assert.deepEqual(fixture.calls(), [], 'waking is all: the core looks at its doorbells');
  assert.deepEqual(fixture.closedFds, []);
  fixture.close();
  assert.deepEqual(fixture.closedFds, [30, 31]);
});

test('another one takes its place, or none', () => {
  const fixture = ExtendedFixture.agreed();
  fixture.accepts(0x409, u32(1, 0), [30]);
  fixture.accepts(0x409, u32(1, 0), [31]);
  assert.deepEqual([...fixture.watched.keys()], [31]);
  assert.deepEqual(fixture.closedFds, [30]);
  fixture.accepts(0x409, u32(1, 0));
  fixture.accepts(0x409, u32(2, 0));
  assert.equal(fixture.watched.size, 0);
  fixture.close();
});

test('a descriptor that is no eventfd is refused, and the old one stays', () => {
  const fixture = ExtendedFixture.agreed();
  fixture.accepts(0x409, u32(1, 0), [30]);
  fixture.noEventfds.add(31);
  fixture.refuses(0x409, u32(1, 0), EINVAL, [31]);
  assert.deepEqual([...fixture.watched.keys()], [30]);
  assert.deepEqual(fixture.closedFds, [31]);
  fixture.close();
});

test('queues that there are not, reserved bits, other shapes', () => {
  const fixture = ExtendedFixture.agreed();
  let fd = 30;
  for (const qid of [65, 0x10000, 0xffffffff]) fixture.refuses(0x409, u32(qid, 0), EINVAL, [fd++]);
  fixture.refuses(0x409, u32(0, 1), EINVAL, [fd++]);
  fixture.device.vectors = 2;
  fixture.refuses(0x409, u32(2, 0), EINVAL, [fd]);
  fixture.refusesOtherShapes(0x409, u32(1, 0), [0, 1]);
});
