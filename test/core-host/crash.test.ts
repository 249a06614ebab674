// The second law at its hardest: the process is killed in the middle of a call, between any two stores. The next one
// finds the state image as it is, resumes, and every command still completes exactly once with its data right.

import { describe, test } from 'node:test';
import { Crash, CrashingCore } from '../support/crashing-core.ts';
import { exercise } from '../support/exerciser.ts';
import { MockGuest, type QueueOptions } from '../support/mock-guest.ts';
import { Random } from '../support/random.ts';
import { Workload } from '../support/workload.ts';

interface Variant {
  seed: number;
  queues: number;
  queue: QueueOptions;
  shadow: boolean;
  /** Stores of a call before the crash, at most. */
  distance: number;
}

/** Polls and completions, and the resumption itself, crash; what a guest writes to a register is asked for again. */
function run(variant: Variant): number {
  const core = new CrashingCore();
  const guest = MockGuest.up({
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
  guest.poll = (budget) => crashing(() => poll(budget), 1);
  guest.post = (done) => {
    crashing(() => {
      post(done);
    }, undefined);
  };

  const workload = new Workload({ guest, random, pages: 96, blocksMax: 32 });
  const queues = Array.from({ length: variant.queues }, (_, index) => index + 1);
  exercise({ guest, workload, random, queues, commands: 60 });
  return crashes;
}

describe('killed between any two stores', () => {
  const variants: Omit<Variant, 'seed'>[] = [
    { queues: 1, queue: { entries: 16 }, shadow: false, distance: 200 },
    { queues: 2, queue: { entries: 8, depth: 12 }, shadow: true, distance: 400 },
    { queues: 2, queue: { entries: 4, depth: 8 }, shadow: false, distance: 50 },
  ];
  variants.forEach((variant, index) => {
    test(`${variant.queues} queues of ${variant.queue.entries}, within ${variant.distance} stores`, (context) => {
      let crashes = 0;
      for (let seed = 1; seed <= 4; seed++) crashes += run({ ...variant, seed: seed + 10 * index });
      context.diagnostic(`${crashes} crashes`);
    });
  });
});
