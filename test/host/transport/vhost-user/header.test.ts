/** The header of every message: sizes, versions, flags; and the numbers that are not served. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DeviceError } from '../../../../host/transport/device.ts';
import { u32 } from '../fixture.ts';
import { Fixture, message } from './harness.ts';

test('a header that contradicts itself or the message ends the session', () => {
  for (const bytes of [
    Buffer.alloc(0),
    Buffer.alloc(11),
    u32(82, 1, 8),
    u32(82, 1, 0xffffffff),
    Buffer.concat([u32(82, 1, 0), Buffer.alloc(1)]),
  ]) {
    new Fixture().ends(bytes, 'VHOST_USER_HEADER', [30, 31]);
  }
});

test('flags are version 1, with NEED_REPLY or without', () => {
  for (const flags of [0, 2, 3, 4, 5, 0xd, 0x11, 0x80000001, 0xffffffff]) {
    new Fixture().ends(message(82, Buffer.alloc(0), flags), 'VHOST_USER_HEADER', [30]);
  }
});

test('requests of the standard that wait for an answer end the session', () => {
  for (const request of [1, 11, 15, 17, 24]) {
    Fixture.started().ends(message(request), 'VHOST_USER_REQUEST', [30]);
    Fixture.started().ends(message(request, Buffer.alloc(8)), 'VHOST_USER_REQUEST');
  }
});

test('the others of the standard, and numbers that nobody has, are refused', () => {
  const fixture = new Fixture();
  let fd = 30;
  for (const request of [
    0, 2, 3, 4, 6, 7, 8, 9, 10, 12, 13, 14, 16, 18, 19, 20, 21, 22, 23, 25, 26, 41, 79,
  ]) {
    fixture.refuses(request, Buffer.alloc(8), [fd++]);
  }
});

test('payloads that the dialect does not have end the session', () => {
  new Fixture().ends(message(80, Buffer.alloc(4161)), 'VHOST_USER_HEADER', [30]);
  new Fixture().ends(message(80, Buffer.alloc(65608)), 'VHOST_USER_HEADER', [30]);
});

test('the first message gives the controller the queues that the device was written for, the next ones none', () => {
  const fixture = Fixture.started();
  const limits = { ioQueuePairs: 31, queueEntries: 256, serial: undefined };
  assert.deepEqual(fixture.device.configured, [limits]);
});

test('a controller that cannot be had ends the session', () => {
  const fixture = new Fixture();
  fixture.device.refusals.set('configure', new DeviceError('CONTROLLER_BUSY', 16, 'busy'));
  fixture.ends(message(82), 'VHOST_USER_STATE', [30]);
});

test('numbers above the last one end the session', () => {
  for (const request of [86, 100, 0x400, 0x80000000, 0xffffffff]) {
    Fixture.started().ends(message(request, Buffer.alloc(0), 9), 'VHOST_USER_REQUEST', [30]);
  }
});
