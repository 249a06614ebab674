// Commands that take another way than request and completion: they wait, are aborted, lose their queue, fail in the
// storage, or come back after a reset.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as abi from '../../assembly/abi/records.ts';
import * as nvme from '../../assembly/spec/nvme.ts';
import { MockGuest } from '../support/mock-guest.ts';

const DATA = 0x600000;

describe('results of the storage', () => {
  const table: [string, number, number, number][] = [
    ['out of range', abi.BLOCK_OUT_OF_RANGE, nvme.STATUS_LBA_OUT_OF_RANGE, nvme.STATUS_LBA_OUT_OF_RANGE],
    ['a medium error', abi.BLOCK_MEDIUM_ERROR, nvme.STATUS_UNRECOVERED_READ_ERROR, nvme.STATUS_WRITE_FAULT],
    ['no space', abi.BLOCK_NO_SPACE, nvme.STATUS_CAPACITY_EXCEEDED, nvme.STATUS_CAPACITY_EXCEEDED],
    [
      'read-only',
      abi.BLOCK_READ_ONLY,
      nvme.STATUS_NAMESPACE_WRITE_PROTECTED,
      nvme.STATUS_NAMESPACE_WRITE_PROTECTED,
    ],
    [
      'a memory fault',
      abi.BLOCK_MEMORY_FAULT,
      nvme.STATUS_DATA_TRANSFER_ERROR,
      nvme.STATUS_DATA_TRANSFER_ERROR,
    ],
    ['not supported', abi.BLOCK_NOT_SUPPORTED, nvme.STATUS_INTERNAL_ERROR, nvme.STATUS_INTERNAL_ERROR],
    ['cancelled', abi.BLOCK_CANCELED, nvme.STATUS_ABORT_REQUESTED, nvme.STATUS_ABORT_REQUESTED],
    ['busy', abi.BLOCK_BUSY, nvme.STATUS_NAMESPACE_NOT_READY, nvme.STATUS_NAMESPACE_NOT_READY],
    ['a result that nobody knows', 4711, nvme.STATUS_INTERNAL_ERROR, nvme.STATUS_INTERNAL_ERROR],
  ];

  function statusOf(guest: MockGuest, result: number): number {
    guest.driver.submit(1);
    guest.ring(1);
    guest.poll();
    guest.post(guest.pending.map((request) => ({ request, result })));
    guest.poll();
    const [done] = guest.reap(1);
    return done?.status ?? -1;
  }

  for (const [title, result, read, write] of table) {
    test(title, () => {
      const guest = MockGuest.up();
      guest.driver.read(1, 0, 8).data(DATA, 4096);
      assert.equal(statusOf(guest, result), read, 'read');
      guest.driver.write(1, 0, 8).data(DATA, 4096);
      assert.equal(statusOf(guest, result), write, 'write');
    });
  }
});

describe('completions that the core does not expect', () => {
  test('of a request that has completed already, or never was, are ignored', () => {
    const guest = MockGuest.up();
    guest.driver.read(1, 0, 8).data(DATA, 4096).submit(1);
    guest.ring(1);
    guest.poll();
    const [request] = guest.pending;
    assert.ok(request);
    guest.complete();
    guest.post([{ request, result: 0 }]);
    for (const slot of [0, 0x10000, 0xffffffff, 0x12345678])
      guest.post([{ request: { ...request, slot }, result: 0 }]);
    assert.equal(guest.run().length, 1);
    guest.driver.read(1, 0, 8).data(DATA, 4096);
    guest.succeed(1);
    assert.equal(guest.driver.strangers, 0);
  });
});

describe('late completions', () => {
  test('do not complete the command that has the slot now', () => {
    const guest = MockGuest.up();
    guest.driver.read(1, 0, 8).data(DATA, 4096).submit(1);
    guest.ring(1);
    guest.poll();
    const [first] = guest.pending;
    assert.ok(first);
    guest.complete();
    guest.run();
    guest.driver.read(1, 0, 8).data(DATA, 4096).submit(1);
    guest.ring(1);
    guest.poll();
    const [second] = guest.pending;
    assert.equal((second?.slot ?? 0) & 0xffff, first.slot & 0xffff, 'the slot is used again');
    guest.post([{ request: first, result: 0 }]);
    for (let polls = 0; polls < 4; polls++) guest.poll();
    assert.equal(guest.driver.reap(1), 0);
    assert.equal(guest.run().length, 1);
  });
});

describe('Delete I/O Submission Queue', () => {
  test('waits for the commands of the queue, which complete first', () => {
    const guest = MockGuest.up({ queues: 2 });
    for (let index = 0; index < 3; index++) guest.driver.flush(1).submit(1);
    guest.ring(1);
    guest.poll();
    assert.equal(guest.pending.length, 3);
    guest.driver.deleteSubmissionQueue(1).submit(0);
    guest.ring(0);
    guest.poll();
    const early = guest.reap(0);
    const done = [...early, ...guest.run()];
    assert.equal(done.filter((each) => each.sqid === 0 && each.status === 0).length, 1);
    const ofQueue = done.filter((each) => each.sqid === 1);
    assert.equal(ofQueue.length, 3);
    for (const each of ofQueue) {
      assert.ok(each.status === 0 || each.status === nvme.STATUS_ABORT_SQ_DELETION, each.status.toString(16));
    }
    assert.equal(guest.core.requestsOutstanding(), 0);
    guest.driver.flush(1);
    guest.succeed(2);
  });

  test('a queue with its number can be created anew', () => {
    const guest = MockGuest.up({ queues: 1 });
    for (let round = 0; round < 5; round++) {
      guest.driver.flush(1);
      guest.succeed(1);
      guest.driver.deleteSubmissionQueue(1);
      guest.succeed();
      guest.driver.deleteCompletionQueue(1);
      guest.succeed();
      guest.completionQueues.delete(1);
      guest.queueCreate(1, { entries: 8 + round });
    }
  });
});

describe('Asynchronous Event Requests', () => {
  test('are aborted by Abort', () => {
    const guest = MockGuest.up();
    const cid = guest.driver.asyncEventRequest().submit(0) as number;
    guest.ring(0);
    assert.equal(guest.run().length, 0);
    guest.driver.abort(0, cid).submit(0);
    guest.ring(0);
    const done = guest.run();
    assert.deepEqual(
      done.map(({ status, result }) => [status, result]),
      [
        [nvme.STATUS_ABORT_REQUESTED, 0],
        [nvme.STATUS_SUCCESS, 0],
      ],
    );
  });

  test('above the limit are refused', () => {
    const guest = MockGuest.up();
    for (let index = 0; index < 5; index++) guest.driver.asyncEventRequest().submit(0);
    guest.ring(0);
    assert.deepEqual(
      guest.run().map(({ status }) => status),
      [nvme.STATUS_AER_LIMIT_EXCEEDED],
    );
  });

  test('do not stop a controller from being disabled', () => {
    const guest = MockGuest.up();
    guest.driver.asyncEventRequest().submit(0);
    guest.ring(0);
    guest.run();
    guest.disable();
    guest.enable();
  });

  test('leave the completion queue to others while they wait', () => {
    const guest = new MockGuest({ adminEntries: 4 });
    guest.enable();
    for (let index = 0; index < 23; index++) {
      if (index < 3) guest.driver.asyncEventRequest().submit(0);
      guest.driver.getFeatures(7);
      guest.succeed();
    }
  });
});

describe('requests of before a reset', () => {
  test('complete late without harm, and their slots are used again', () => {
    const guest = MockGuest.up({ controller: { slots: 20 } });
    for (let round = 0; round < 10; round++) {
      for (let index = 0; index < 4; index++) guest.driver.flush(1).submit(1);
      guest.ring(1);
      guest.poll();
      assert.equal(guest.pending.length, 4);
      guest.core.controllerReset();
      guest.forget();
      guest.release();
      guest.enable();
      guest.queueCreate(1);
      assert.equal(guest.core.requestsOutstanding(), 0);
    }
  });

  test('keep the new life from being ready until they are back', () => {
    const guest = MockGuest.up();
    guest.driver.flush(1).submit(1);
    guest.ring(1);
    guest.poll();
    const late = [...guest.pending];
    guest.core.controllerReset();
    guest.registerWrite(nvme.REG_AQA, 0x000f000f);
    guest.register64Write(nvme.REG_ASQ, DATA);
    guest.register64Write(nvme.REG_ACQ, DATA + 4096);
    guest.registerWrite(nvme.REG_CC, 0x00460001);
    for (let polls = 0; polls < 5; polls++) guest.poll();
    assert.equal(guest.registerRead(nvme.REG_CSTS) & nvme.CSTS_RDY, 0);
    guest.complete(late);
    guest.poll();
    assert.equal(guest.registerRead(nvme.REG_CSTS) & nvme.CSTS_RDY, nvme.CSTS_RDY);
  });
});
