/** SET_CONTROLLER: limits and serial number. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DeviceError } from '../../../../../host/transport/device.ts';
import { EINVAL, u32 } from '../../fixture.ts';
import { EBUSY, ExtendedFixture } from './harness.ts';

function limits(pairs: number, serial: string | Buffer, reserved = [0, 0]): Buffer {
  const field = Buffer.alloc(20);
  Buffer.from(serial).copy(field);
  return Buffer.concat([u32(pairs, reserved[0] ?? 0), field, u32(reserved[1] ?? 0)]);
}

test('limits, a serial number padded with zeros or spaces, or what the target has', () => {
  for (const [payload, ioQueuePairs, serial] of [
    [limits(4, 'ABC'), 4, 'ABC'],
    [limits(1, 'A B C               '), 1, 'A B C'],
    [limits(0, ''), undefined, undefined],
    [limits(0, ' '.repeat(20)), undefined, undefined],
    [limits(0xffffffff, 'x'.repeat(20)), 0xffffffff, 'x'.repeat(20)],
  ] as const) {
    const fixture = ExtendedFixture.agreed();
    fixture.accepts(0x401, payload);
    assert.deepEqual(fixture.device.configured, [{ ioQueuePairs, queueEntries: undefined, serial }]);
    fixture.close();
  }
});

test('a serial number that is no text comes to the controller as it is', () => {
  const fixture = ExtendedFixture.agreed();
  fixture.accepts(0x401, limits(0, Buffer.of(65, 0, 255, 66)));
  assert.equal(fixture.device.configured[0]?.serial, 'A\0\xffB');
  fixture.close();
});

test('what the controller refuses', () => {
  const fixture = ExtendedFixture.agreed();
  for (const errno of [EBUSY, EINVAL]) {
    fixture.device.refusals.set('configure', new DeviceError('LIMITS_INVALID', errno, 'no'));
    fixture.refuses(0x401, limits(4, ''), errno);
  }
  fixture.close();
});

test('reserved fields and other shapes', () => {
  const fixture = ExtendedFixture.agreed();
  fixture.refuses(0x401, limits(1, '', [1, 0]), EINVAL);
  fixture.refuses(0x401, limits(1, '', [0, 1]), EINVAL);
  fixture.refusesOtherShapes(0x401, limits(1, ''), [0]);
  assert.deepEqual(fixture.device.configured, []);
});
