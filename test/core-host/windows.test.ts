// Guest memory seen through few windows: with two of them, and queues, lists and doorbells all over, every command
// still makes progress; regions that come and go are followed.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as abi from '../../assembly/abi/records.ts';
import * as nvme from '../../assembly/spec/nvme.ts';
import { exercise } from '../support/exerciser.ts';
import { MockGuest } from '../support/mock-guest.ts';
import { Random } from '../support/random.ts';
import { Workload } from '../support/workload.ts';

const WINDOW = 2 << 20;

describe('windows that are filled on a miss', () => {
  for (const copyingWindows of [2, 3, 5]) {
    test(`${copyingWindows} windows over eight that are needed`, () => {
      const guest = MockGuest.up({ copyingWindows, spread: true, queues: 3, queue: { entries: 16 } });
      const random = new Random(copyingWindows);
      const workload = new Workload({ guest, random, pages: 256 });
      exercise({ guest, workload, random, queues: [1, 2, 3], commands: 100 });
    });
  }

  test('two windows with shadow doorbells', () => {
    const guest = MockGuest.up({ copyingWindows: 2, spread: true, queues: 2, queue: { entries: 16 } });
    guest.shadowDoorbells();
    const random = new Random(5);
    const workload = new Workload({ guest, random, pages: 256 });
    exercise({ guest, workload, random, queues: [1, 2], commands: 100 });
  });

  test('a ring and a list that straddle two windows', () => {
    const guest = MockGuest.up({ copyingWindows: 2, queues: 0 });
    const ring = 4 * WINDOW - 512;
    const cq = guest.allocate(4096);
    const page = ring & ~4095;
    assert.equal(page % 4096, 0);
    guest.driver.completionQueueCreate(1, cq, 128);
    guest.driver.createCompletionQueue(1, cq, 128, undefined);
    guest.succeed();
    guest.completionQueues.add(1);
    guest.driver.submissionQueueCreate(1, { cqid: 1, address: page, entries: 128, lists: 5 * WINDOW });
    guest.driver.createSubmissionQueue(1, page, 128, 1);
    guest.succeed();
    for (let index = 0; index < 300; index++) {
      guest.driver.read(1, index, 1).data(6 * WINDOW + 512 * index, 512);
      guest.succeed(1);
    }
  });
});

describe('regions', () => {
  test('one that comes while the guest runs can be used', () => {
    const guest = MockGuest.up({ regions: [{ address: 0, bytes: 0x800000 }] });
    guest.driver.read(1, 0, 8).data(0x900000, 4096);
    assert.equal(guest.command(1).status, nvme.STATUS_DATA_TRANSFER_ERROR);
    assert.equal(guest.memory.regionAdd({ address: 0x800000, bytes: 0x800000 }), abi.REGION_OK);
    guest.driver.read(1, 0, 8).data(0x900000, 4096);
    guest.succeed(1);
  });

  test('one that went can not', () => {
    const guest = MockGuest.up({
      regions: [
        { address: 0, bytes: 0x800000 },
        { address: 0x800000, bytes: 0x800000 },
      ],
    });
    guest.driver.read(1, 0, 8).data(0x900000, 4096);
    guest.succeed(1);
    assert.equal(guest.memory.regionRemove(0x800000, 0x800000), abi.REGION_OK);
    guest.driver.read(1, 0, 8).data(0x900000, 4096);
    assert.equal(guest.command(1).status, nvme.STATUS_DATA_TRANSFER_ERROR);
  });

  test('a queue whose memory goes is parked, and goes on when it is back', () => {
    for (const copyingWindows of [0, 2]) {
      const guest = MockGuest.up({
        copyingWindows,
        regions: [
          { address: 0, bytes: 0x800000 },
          { address: 0x800000, bytes: 0x800000 },
        ],
      });
      guest.driver.completionQueueCreate(2, 0x800000, 16);
      guest.driver.createCompletionQueue(2, 0x800000, 16, undefined);
      guest.succeed();
      guest.driver.submissionQueueCreate(2, { cqid: 2, address: 0x801000, entries: 16 });
      guest.driver.createSubmissionQueue(2, 0x801000, 16, 2);
      guest.succeed();
      guest.completionQueues.add(2);
      guest.driver.flush(1).submit(2);
      guest.memory.regionRemove(0x800000, 0x800000);
      guest.ring(2);
      assert.equal(guest.run().length, 0);
      assert.equal(guest.registerRead(nvme.REG_CSTS), nvme.CSTS_RDY, 'parked, not failed');
      guest.driver.flush(1);
      guest.succeed(1);
      assert.equal(guest.memory.regionAdd({ address: 0x800000, bytes: 0x800000 }), abi.REGION_OK);
      assert.equal(guest.run().length, 1);
    }
  });

  test('a completion whose queue went is kept until it is back', () => {
    const guest = MockGuest.up({
      queues: 0,
      regions: [
        { address: 0, bytes: 0x800000 },
        { address: 0x800000, bytes: 0x800000 },
      ],
    });
    guest.queueCreate(1);
    guest.driver.completionQueueCreate(2, 0x800000, 16);
    guest.driver.createCompletionQueue(2, 0x800000, 16, undefined);
    guest.succeed();
    guest.completionQueues.add(2);
    const ring = guest.allocate(4096);
    guest.driver.submissionQueueCreate(2, { cqid: 2, address: ring, entries: 16 });
    guest.driver.createSubmissionQueue(2, ring, 16, 2);
    guest.succeed();
    for (let index = 0; index < 4; index++) guest.driver.flush(1).submit(2);
    guest.ring(2);
    guest.poll();
    assert.equal(guest.pending.length, 4);
    guest.memory.regionRemove(0x800000, 0x800000);
    guest.complete();
    assert.equal(guest.run().length, 0);
    guest.memory.regionAdd({ address: 0x800000, bytes: 0x800000 });
    assert.deepEqual(
      guest.run().map((done) => done.cid),
      [0, 1, 2, 3],
      'in the order in which they were done',
    );
  });

  test('what is not a region of whole pages is refused', () => {
    const guest = new MockGuest({ regions: [{ address: 0, bytes: 0x200000 }] });
    const add = (address: number, bytes: number): number =>
      guest.memory.regionAdd({ address, bytes, offset: 0 });
    assert.equal(add(0x200800, 0x1000), abi.REGION_INVALID);
    assert.equal(add(0x200000, 0x800), abi.REGION_INVALID);
    assert.equal(add(0x200000, 0), abi.REGION_INVALID);
    assert.equal(add(0x1ff000, 0x2000), abi.REGION_OVERLAPS);
    assert.equal(add(0, 0x1000), abi.REGION_OVERLAPS);
    assert.equal(add(0x200000, 0x1000), abi.REGION_OK);
    assert.equal(guest.memory.regionRemove(0x200000, 0x2000), abi.REGION_UNKNOWN);
    assert.equal(guest.memory.regionRemove(0x201000, 0x1000), abi.REGION_UNKNOWN);
    assert.equal(guest.memory.regionRemove(0x200000, 0x1000), abi.REGION_OK);
  });

  test('a region ends below 2^53', () => {
    const guest = new MockGuest();
    const region = { ioBase: 0n, offset: 0n, file: 0, readable: true, writable: true, mapped: false };
    const add = (gpa: bigint, length: bigint): number => guest.core.regionAdd({ ...region, gpa, length });
    assert.equal(add(2n ** 53n - 4096n, 8192n), abi.REGION_INVALID);
    assert.equal(add(2n ** 64n - 4096n, 8192n), abi.REGION_INVALID);
    assert.equal(add(4096n, 2n ** 64n - 4096n), abi.REGION_INVALID);
    assert.equal(add(2n ** 53n - 4096n, 4096n), abi.REGION_OK);
  });
});
