// The second law at its hardest: the process is killed in the middle of a call, between any two stores. The next one
// finds the state image as it is, resumes, and every command still completes exactly once with its data right.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { EVENT_DOORBELL_REFUSED } from '../../assembly/abi/records.ts';
import { Crash, CrashingCore } from '../support/crashing-core.ts';
import { exercise } from '../support/exerciser.ts';
import { MockGuest, type QueueOptions } from '../support/mock-guest.ts';
import { PagedGuest } from '../support/paged-guest.ts';
import { Random } from '../support/random.ts';
import { Workload } from '../support/workload.ts';

interface Variant {
  seed: number;
  queues: number;
  queue: QueueOptions;
  shadow: boolean;
  /** Doorbells are in a page of the caller's, until there are shadow doorbells. */
  paged: boolean;
  /** Stores of a call before the crash, at most. */
  distance: number;
}

/** Polls and completions, and the resumption itself, crash; what a guest writes to a register is asked for again. */
function run(variant: Variant): number {
  const core = new CrashingCore();
  const guest = (variant.paged ? PagedGuest : MockGuest).up({
    queues: variant.queues,
    queue: variant.queue,
    memory: 8 << 20,
    namespaces: [{ blocks: 1024n }],
    build: core.build,
  });
  if (variant.shadow) guest.shadowDoorbells();
  const random = new Random(variant.seed);
  let crashes = 0;

  const crashing = <T>(call: () => T, instead: T): T => {
    for (let first = true; ; first = false) {
      core.countdown = random.oneIn(4) ? random.between(1, variant.distance) : 0;
      try {
        if (first) return call();
        guest.restart();
        return instead;
      } catch (error) {
        if (!(error instanceof Crash)) throw error;
        crashes++;
      } finally {
        core.countdown = 0;
      }
    }
  };
  const poll = guest.poll.bind(guest);
  const post = guest.post.bind(guest);
  guest.poll = (budget) => crashing(() => poll(budget), 0);
  guest.post = (done) => {
    crashing(() => {
      post(done);
    }, undefined);
  };

  const workload = new Workload({ guest, random, pages: 96, blocksMax: 32 });
  const queues = Array.from({ length: variant.queues }, (_, index) => index + 1);
  exercise({ guest, workload, random, queues, commands: 60 });
  doorbellsTaken(guest);
  return crashes;
}

/** A guest that saw an entry may say so, however little the core remembers of having written it. */
function doorbellsTaken(guest: MockGuest): void {
  const refused = guest.events.filter((event) => event.type === EVENT_DOORBELL_REFUSED);
  assert.deepEqual(refused, []);
}

/** Runs a call that dies at its store `countdown`; false when it has no so many stores. */
function dies(core: CrashingCore, countdown: number, call: () => void): boolean {
  core.countdown = countdown;
  try {
    call();
    return false;
  } catch (error) {
    if (!(error instanceof Crash)) throw error;
    return true;
  } finally {
    core.countdown = 0;
  }
}

/** One command whose fetching, or whose completion, dies; the guest looks before the next process has polled. */
function commandDies(
  guest: MockGuest,
  core: CrashingCore,
  half: 'poll' | 'post',
  countdown: number,
): boolean {
  guest.driver.flush(1).submit(1);
  guest.ring(1);
  if (half === 'post') guest.poll();
  const died = dies(core, countdown, () => {
    if (half === 'poll') guest.poll();
    else guest.complete();
  });
  if (died) guest.restart();
  const done = [...guest.reap(1), ...guest.run()];
  assert.equal(done.length, 1, `${half}, store ${countdown}: ${done.length} completions`);
  return died;
}

describe('killed at each store of one command', () => {
  for (const half of ['poll', 'post'] as const) {
    test(half === 'poll' ? 'while it is fetched' : 'while it is completed', () => {
      const core = new CrashingCore();
      const guest = MockGuest.up({
        queue: { entries: 4 },
        memory: 2 << 20,
        adminEntries: 4,
        build: core.build,
      });
      let stores = 0;
      while (commandDies(guest, core, half, stores + 1)) stores++;
      assert.ok(stores > 10, `only ${stores} stores`);
      assert.equal(guest.driver.strangers, 0);
      doorbellsTaken(guest);
    });
  }
});

describe('killed between any two stores', () => {
  const variants: Omit<Variant, 'seed'>[] = [
    { queues: 1, queue: { entries: 16 }, shadow: false, paged: false, distance: 200 },
    { queues: 2, queue: { entries: 8, depth: 12 }, shadow: true, paged: false, distance: 400 },
    { queues: 2, queue: { entries: 4, depth: 8 }, shadow: false, paged: false, distance: 50 },
    { queues: 2, queue: { entries: 8, depth: 12 }, shadow: false, paged: true, distance: 100 },
    { queues: 2, queue: { entries: 8, depth: 12 }, shadow: true, paged: true, distance: 200 },
  ];
  variants.forEach((variant, index) => {
    const doorbells = `${variant.paged ? 'a page' : 'calls'}${variant.shadow ? ', then shadow doorbells' : ''}`;
    const what = `${variant.queues} queues of ${variant.queue.entries}, ${doorbells}`;
    test(`${what}, within ${variant.distance} stores`, (context) => {
      let crashes = 0;
      for (let seed = 1; seed <= 3; seed++) crashes += run({ ...variant, seed: seed + 10 * index });
      context.diagnostic(`${crashes} crashes`);
    });
  });
});
