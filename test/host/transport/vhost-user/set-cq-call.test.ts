/** NVME_SET_CQ_CALL: an eventfd for a completion queue. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { u64 } from '../fixture.ts';
import { Fixture } from './harness.ts';

test('the device takes the eventfd of each queue, and another one in its place', () => {
  const fixture = Fixture.started();
  fixture.accepts(81, u64(1n), [30], ['notifier msix 1 30']);
  fixture.accepts(81, u64(31n), [31], ['notifier msix 31 31']);
  fixture.accepts(81, u64(1n), [32], ['notifier msix 1 32']);
  fixture.accepts(81, u64(0x101n), [], ['notifier msix 1 -']);
});

test('one descriptor, or none with bit 8', () => {
  const fixture = Fixture.started();
  fixture.refuses(81, u64(1n), []);
  fixture.refuses(81, u64(1n), [30, 31]);
  fixture.refuses(81, u64(0x101n), [32]);
});

test('numbers that no completion queue has, and bits that nobody knows', () => {
  const fixture = Fixture.started();
  let fd = 30;
  for (const value of [0n, 32n, 255n, 0x201n, 0x1_0000_0001n, 0xffff_ffff_ffff_ffffn]) {
    fixture.refuses(81, u64(value), [fd++]);
  }
  for (const bytes of [0, 4, 7, 9]) fixture.refuses(81, Buffer.alloc(bytes, 1), [fd++]);
});

test('before the start it is out of state', () => {
  new Fixture().refuses(81, u64(1n), [30]);
});

test('a descriptor that is no eventfd is refused by the device, which closes it', () => {
  const fixture = Fixture.started();
  fixture.device.refusedFds.add(30).add(5030);
  fixture.refuses(81, u64(1n), [30], ['notifier msix 1 30']);
  assert.ok(fixture.logLines.some((line) => line.includes('NOTIFIER_KIND')));
});
