/** SET_DOORBELL and SET_DOORBELL_PAGE: doorbells one by one, or in a page that is shared. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DeviceError } from '../../../../../host/transport/device.ts';
import { EINVAL, u32, u64 } from '../../fixture.ts';
import { message, reply } from '../harness.ts';
import { EBUSY, ExtendedFixture } from './harness.ts';

const PAGE = u64(4096n, 0n);
const NONE = u64(0n, 0n);
const AT = (1n << 52n).toString();
const KICKED = 'kicked 10000000000000';

test('a doorbell without a page', () => {
  const fixture = ExtendedFixture.agreed();
  fixture.accepts(0x407, u32(0, 5), [], ['write bar0 4096 05000000']);
  fixture.accepts(0x407, u32(12, 0xffffffff), [], ['write bar0 4108 ffffffff']);
  fixture.accepts(0x407, u32(8 * 64 + 4, 1), [], ['write bar0 4612 01000000']);
  for (const offset of [1, 2, 8 * 65, 0x1000, 0xfffffffc]) fixture.refuses(0x407, u32(offset, 1), EINVAL);
  fixture.refusesOtherShapes(0x407, u32(0, 1), [0]);
});

test('queues that the controller does not have any more have no doorbells', () => {
  const fixture = ExtendedFixture.agreed();
  fixture.device.vectors = 2;
  fixture.accepts(0x407, u32(12, 1), [], ['write bar0 4108 01000000']);
  fixture.refuses(0x407, u32(16, 1), EINVAL);
});

test('a page lies above all guest memory, and the controller looks there', () => {
  const fixture = ExtendedFixture.agreed();
  fixture.accepts(0x408, u64(4096n, 0x3000n), [30], [`map ${AT} 4096 12288 30 rw`, KICKED]);
  assert.deepEqual(fixture.closedFds, [30]);
  fixture.refuses(0x407, u32(0, 1), EBUSY);
  fixture.close();
});

test('it is removed, and replaced', () => {
  const fixture = ExtendedFixture.agreed();
  fixture.accepts(0x408, NONE);
  fixture.accepts(0x408, PAGE, [30], [`map ${AT} 4096 0 30 rw`, KICKED]);
  fixture.accepts(0x408, PAGE, [31], ['kicked -', `unmap ${AT} 4096`, `map ${AT} 4096 0 31 rw`, KICKED]);
  fixture.accepts(0x408, NONE, [], ['kicked -', `unmap ${AT} 4096`]);
  fixture.accepts(0x407, u32(0, 1), [], ['write bar0 4096 01000000']);
  fixture.close();
});

test('a removal waits for what still looks there', () => {
  const fixture = ExtendedFixture.agreed();
  fixture.accepts(0x408, PAGE, [30], [`map ${AT} 4096 0 30 rw`, KICKED]);
  fixture.device.late.add('unmap');
  fixture.handle(message(0x408, PAGE), [31]);
  assert.deepEqual(fixture.closedFds, [30]);
  assert.deepEqual(fixture.replies(), []);
  fixture.calls();
  fixture.device.complete();
  assert.deepEqual(fixture.calls(), [`map ${AT} 4096 0 31 rw`, KICKED]);
  assert.deepEqual(fixture.replies(), [reply(0x408, u64(0n))]);
  fixture.close();
});

test('what the controller refuses changes nothing', () => {
  const busy = new DeviceError('CONTROLLER_BUSY', EBUSY, 'queues exist');
  const fixture = ExtendedFixture.agreed();
  fixture.device.refusals.set('kicked', busy);
  fixture.refuses(0x408, PAGE, EBUSY, [30], [`map ${AT} 4096 0 30 rw`, KICKED, `unmap ${AT} 4096`]);
  fixture.accepts(0x408, PAGE, [31], [`map ${AT} 4096 0 31 rw`, KICKED]);
  fixture.device.refusals.set('kicked', busy);
  fixture.refuses(0x408, NONE, EBUSY, [], ['kicked -']);
  fixture.refuses(0x407, u32(0, 1), EBUSY);
  fixture.accepts(0x408, NONE, [], ['kicked -', `unmap ${AT} 4096`]);
  fixture.device.regions.set(1n << 52n, 4096n);
  fixture.refuses(0x408, PAGE, 17, [32], [`map ${AT} 4096 0 32 rw`]);
  fixture.close();
});

test('pages that cannot be, and other shapes', () => {
  const fixture = ExtendedFixture.agreed();
  let fd = 30;
  for (const [size, offset] of [
    [4095n, 0n],
    [8192n, 0n],
    [0n, 4096n],
    [1n << 63n, 0n],
    [4096n, 1n],
    [4096n, 2048n],
  ] as const) {
    fixture.refuses(0x408, u64(size, offset), EINVAL, [fd++]);
  }
  fixture.refuses(0x408, NONE, EINVAL, [fd]);
  fixture.refusesOtherShapes(0x408, PAGE, [1]);
});
