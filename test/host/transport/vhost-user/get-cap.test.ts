/** NVME_GET_CAP: CAP as NVMe 1.0 knows it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { u64 } from '../fixture.ts';
import { Fixture, message, reply } from './harness.ts';

test('CAP without what NVMe 1.0 does not define', () => {
  const fixture = new Fixture();
  assert.equal(fixture.handle(message(82)), undefined);
  assert.deepEqual(fixture.replies(), [reply(82, u64(0x0000_0020_0f01_03ffn))]);
  fixture.handle(message(82, Buffer.alloc(0), 9));
  assert.equal(fixture.replies().length, 1);
});

test('a payload or a descriptor ends the session', () => {
  for (const bytes of [1, 8, 64])
    new Fixture().ends(message(82, Buffer.alloc(bytes)), 'VHOST_USER_SIZE', [30]);
  new Fixture().ends(message(82), 'VHOST_USER_FDS', [30]);
});
