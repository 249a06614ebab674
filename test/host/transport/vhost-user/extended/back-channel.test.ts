/** SET_BACKEND_REQ_FD and BACKEND_STATUS: what the front end is told of CSTS, and when. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { u32, u64 } from '../../fixture.ts';
import { message, reply } from '../harness.ts';
import { EINVAL } from '../../fixture.ts';
import { ExtendedFixture } from './harness.ts';

test('it is told at once, and of each change', () => {
  const fixture = ExtendedFixture.agreed();
  fixture.device.cstsQuietly(1);
  fixture.accepts(21, Buffer.alloc(0), [30]);
  assert.deepEqual(fixture.statuses, [1]);
  fixture.device.csts = 2;
  fixture.device.csts = 2;
  fixture.device.csts = 1;
  assert.deepEqual(fixture.statuses, [1, 2, 1]);
  fixture.close();
  fixture.device.csts = 0;
  assert.deepEqual(fixture.statuses, [1, 2, 1], 'nobody is told any more');
});

test('a change is told before the reply to what caused it', () => {
  const fixture = ExtendedFixture.agreed();
  fixture.accepts(21, Buffer.alloc(0), [30]);
  fixture.replies();
  fixture.device.late.add('write');
  fixture.handle(message(0x403, Buffer.concat([u32(0x14, 4), u64(1n)])));
  assert.deepEqual(fixture.replies(), []);
  fixture.device.cstsQuietly(1);
  fixture.device.complete();
  assert.deepEqual(fixture.replies(), ['status 1', reply(0x403, u64(0n))]);
  fixture.device.cstsQuietly(0);
  fixture.handle(message(0x40b));
  assert.deepEqual(fixture.replies(), ['status 0', reply(0x40b, u64(0n))]);
  fixture.close();
});

test('another socket takes the place of the first', () => {
  const fixture = ExtendedFixture.agreed();
  fixture.accepts(21, Buffer.alloc(0), [30]);
  fixture.accepts(21, Buffer.alloc(0), [31]);
  assert.deepEqual(fixture.closedFds, [30]);
  assert.deepEqual(fixture.statuses, [0, 0]);
  fixture.close();
});

test('a descriptor that is no socket is refused, and the old one stays', () => {
  const fixture = ExtendedFixture.agreed();
  fixture.accepts(21, Buffer.alloc(0), [30]);
  fixture.systemError = new Error('ENOTSOCK');
  fixture.refuses(21, Buffer.alloc(0), EINVAL, [31]);
  assert.deepEqual(fixture.closedFds, [31]);
  fixture.device.csts = 1;
  assert.deepEqual(fixture.statuses, [0, 1]);
  fixture.close();
});

test('it is told that doorbells are in guest memory, and that they are not', () => {
  const fixture = ExtendedFixture.agreed();
  fixture.accepts(21, Buffer.alloc(0), [30]);
  fixture.device.shadowDoorbells = true;
  fixture.device.csts = 1;
  fixture.device.shadowDoorbells = true;
  assert.deepEqual(fixture.shadows, [1]);
  fixture.replies();
  fixture.accepts(21, Buffer.alloc(0), [31]);
  assert.deepEqual(fixture.shadows, [1, 1], 'another socket is told anew');
  fixture.device.shadowDoorbells = false;
  assert.deepEqual(fixture.shadows, [1, 1, 0]);
  assert.deepEqual(fixture.statuses, [0, 1, 1]);
  fixture.close();
});

test('other shapes', () => {
  ExtendedFixture.agreed().refusesOtherShapes(21, Buffer.alloc(0), [1]);
});

test('without it nothing is sent, and nothing is missing', () => {
  const fixture = ExtendedFixture.agreed();
  fixture.device.csts = 1;
  fixture.accepts(0x40b, Buffer.alloc(0), [], ['reset', 'kicked -']);
  fixture.close();
});
