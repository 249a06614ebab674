// Random I/O whose data is checked against an oracle: all commands, buffers of every alignment, lists that begin
// anywhere, requests that complete in any order; both block sizes, guests below and above 4 GiB, full queues.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as abi from '../../assembly/abi/records.ts';
import { exercise } from '../support/exerciser.ts';
import { MockGuest, type MockGuestOptions, type QueueOptions } from '../support/mock-guest.ts';
import { Random } from '../support/random.ts';
import { Workload, type WorkloadOptions } from '../support/workload.ts';

interface Variant {
  title: string;
  guest?: MockGuestOptions & { queues?: number; queue?: QueueOptions };
  workload?: Partial<WorkloadOptions>;
  shadow?: boolean;
  commands?: number;
}

const GIB = 2 ** 30;

const VARIANTS: Variant[] = [
  { title: 'one queue, blocks of 512 bytes' },
  {
    title: 'blocks of 4,096 bytes',
    guest: { namespaces: [{ lbaShift: 12, blocks: 1024n }] },
    workload: { lbaShift: 12, blocksMax: 16 },
  },
  { title: 'guest memory above 4 GiB', guest: { address: 6 * GIB } },
  { title: 'guest memory that straddles 4 GiB', guest: { address: 4 * GIB - (8 << 20) } },
  { title: 'four queues', guest: { queues: 4 } },
  { title: 'four queues with shadow doorbells', guest: { queues: 4 }, shadow: true },
  { title: 'a ring of two entries', guest: { queue: { entries: 2, depth: 8 } }, commands: 200 },
  {
    title: 'a ring of three entries with shadow doorbells',
    guest: { queue: { entries: 3, depth: 8 } },
    shadow: true,
  },
  {
    title: 'transfers of up to 1 MiB',
    guest: { memory: 32 << 20 },
    workload: { blocksMax: 2048, pages: 2048 },
  },
  {
    title: 'fewer command slots than commands',
    guest: { queues: 4, controller: { slots: 20 } },
  },
  {
    title: 'memory in many regions',
    guest: {
      regions: Array.from({ length: 64 }, (_, index) => ({ address: index * 0x40000, bytes: 0x40000 })),
    },
  },
];

function run(variant: Variant, seed: number): { guest: MockGuest; workload: Workload; steps: number } {
  const guest = MockGuest.up(variant.guest);
  if (variant.shadow) guest.shadowDoorbells();
  const random = new Random(seed);
  const workload = new Workload({ guest, random, ...variant.workload });
  const queues = Array.from({ length: variant.guest?.queues ?? 1 }, (_, index) => index + 1);
  const steps = exercise({ guest, workload, random, queues, commands: variant.commands ?? 600 });
  return { guest, workload, steps };
}

describe('random I/O against an oracle', () => {
  for (const variant of VARIANTS) {
    test(variant.title, () => {
      const { guest, workload } = run(variant, 1);
      for (const kind of ['read', 'write', 'zeroes', 'deallocate', 'flush'] as const) {
        assert.ok(workload.counts[kind] > 0, `no ${kind} was done`);
      }
      const failed = guest.events.filter((event) => event.type === abi.EVENT_COMMAND_FAILED);
      assert.deepEqual(failed, []);
      assert.equal(guest.core.requestsOutstanding(), 0);
    });
  }

  test('the same calls do the same', () => {
    const variant = { title: '', guest: { queues: 2 }, commands: 200 };
    const [first, second] = [run(variant, 7), run(variant, 7)];
    assert.equal(first.steps, second.steps);
    assert.equal(Buffer.compare(first.guest.core.imageSave(), second.guest.core.imageSave()), 0);
  });
});

describe('several submission queues on one completion queue', () => {
  test('all complete there, and none is lost when it is full', () => {
    const guest = MockGuest.up({ queues: 0 });
    guest.queueCreate(1, { entries: 4, depth: 8 });
    guest.queueCreate(2, { entries: 16, depth: 15, cqid: 1 });
    guest.queueCreate(3, { entries: 16, depth: 15, cqid: 1 });
    const random = new Random(3);
    const workload = new Workload({ guest, random });
    exercise({ guest, workload, random, queues: [1, 2, 3], commands: 400 });
  });

  test('a full completion queue stops fetching, and freeing it goes on', () => {
    const guest = MockGuest.up({ queues: 1, queue: { entries: 4, depth: 8 } });
    for (let index = 0; index < 3; index++) guest.driver.flush(1).submit(1);
    guest.ring(1);
    for (let polls = 0; polls < 8; polls++) {
      guest.poll();
      guest.complete();
    }
    assert.equal(guest.driver.reap(1), 3);
    for (let index = 0; index < 3; index++) guest.driver.flush(1).submit(1);
    guest.ring(1);
    for (let polls = 0; polls < 8; polls++) {
      guest.poll();
      guest.complete();
    }
    assert.equal(guest.driver.reap(1), 0, 'completions beyond the free entries');
    guest.ringHead(1);
    assert.equal(guest.run().length, 3);
  });
});

describe('slots', () => {
  test('a flood of I/O leaves the admin queue its slots', () => {
    const guest = MockGuest.up({ queues: 2, controller: { slots: 24 } });
    for (const sqid of [1, 2]) {
      while (guest.driver.flush(1).submit(sqid) !== undefined);
      guest.driver.clear();
      guest.ring(sqid);
    }
    for (let polls = 0; polls < 8; polls++) guest.poll();
    assert.equal(guest.pending.length, 24 - 16, 'I/O takes slots while more than the reserve are free');
    guest.driver.getFeatures(7).submit(0);
    guest.ring(0);
    guest.poll();
    assert.equal(guest.reap(0).length, 1);
    assert.equal(guest.run().length, 2 * 63);
  });
});
