// Switching the volatile write cache off (feature 06h): once the command has completed, no write completes that a
// power failure could take back, even where it was under way before.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as abi from '../../assembly/abi/records.ts';
import { FID_VOLATILE_WRITE_CACHE } from '../../assembly/spec/nvme-features.ts';
import { MockGuest } from '../support/mock-guest.ts';
import type { Request } from '../support/model-disk.ts';

/** Submits to queue 1 and polls: the one request that comes of it. */
function issue(guest: MockGuest): Request {
  assert.notEqual(guest.driver.submit(1), undefined);
  guest.ring(1);
  guest.poll();
  const request = guest.pending.at(-1);
  assert.ok(request !== undefined);
  return request;
}

function cacheOff(guest: MockGuest): void {
  guest.driver.setFeatures(FID_VOLATILE_WRITE_CACHE, 0).submit(0);
  guest.ring(0);
  guest.poll();
  guest.complete(guest.pending.filter(({ operation }) => operation === abi.OPERATION_FLUSH));
  assert.equal(guest.reap(0).length, 1);
}

describe('a write that is under way when the cache is switched off', () => {
  for (const title of ['Write', 'Write Zeroes'] as const) {
    test(`${title}: is flushed before it completes`, () => {
      const guest = MockGuest.up();
      const data = guest.allocate(4096);
      if (title === 'Write') guest.driver.write(1, 0, 8).data(data, 4096);
      else guest.driver.writeZeroes(1, 0, 8);
      const write = issue(guest);
      assert.equal(write.flags, 0);
      cacheOff(guest);
      guest.complete([write]);
      assert.equal(guest.driver.reap(1), 0, 'completed before it was durable');
      assert.deepEqual(
        guest.pending.map(({ operation, nsid, length }) => [operation, nsid, length]),
        [[abi.OPERATION_FLUSH, 1, 0]],
      );
      guest.complete();
      assert.equal(guest.reap(1).length, 1);
    });
  }

  test('a later one is durable by itself', () => {
    const guest = MockGuest.up();
    cacheOff(guest);
    guest.driver.writeZeroes(1, 0, 8);
    const write = issue(guest);
    assert.equal(write.flags, abi.REQUEST_FLAG_FUA);
    guest.complete([write]);
    assert.equal(guest.reap(1).length, 1);
  });

  test('nothing is flushed where there is no cache', () => {
    const guest = MockGuest.up({ namespaces: [{ volatileCache: false }, { volatileCache: true }] });
    guest.driver.writeZeroes(1, 0, 8);
    const write = issue(guest);
    cacheOff(guest);
    guest.complete([write]);
    assert.equal(guest.reap(1).length, 1);
  });
});
