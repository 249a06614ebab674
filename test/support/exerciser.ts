// Runs a workload against a mock guest step by step, each step one call of a driver or a reactor, drawn from a seed. A
// test may act between any two steps.

import assert from 'node:assert/strict';
import type { MockGuest } from './mock-guest.ts';
import type { Random } from './random.ts';
import type { Workload } from './workload.ts';

export interface ExerciserOptions {
  guest: MockGuest;
  workload: Workload;
  random: Random;
  /** Submission queues in use. */
  queues: readonly number[];
  /** Commands to be submitted in all. */
  commands: number;
  /** Called after each step. */
  afterStep?: (step: number) => void;
}

/** Steps without progress after which the run is given up as a hang. */
const STALL_STEPS = 2000;

/** Runs until all commands were submitted and completed; returns the number of steps. */
export function exercise(options: ExerciserOptions): number {
  const { guest, workload, random, queues } = options;
  let left = options.commands;
  let step = 0;
  let progressAt = 0;
  while (left > 0 || workload.outstanding.length > 0) {
    const action = random.below(8);
    let progress: boolean;
    if (action < 3 && left > 0) {
      const sqid = random.pick(queues);
      for (let burst = random.between(1, 6); burst > 0 && left > 0 && workload.submit(sqid); burst--) left--;
      guest.ring(sqid);
      progress = true;
    } else if (action < 5) progress = guest.poll(random.between(1, 16)) > 0;
    else if (action < 7) progress = completeSome(guest, random);
    else progress = reapSome(guest, workload, random);
    if (progress) progressAt = step;
    assert.ok(step - progressAt < STALL_STEPS, `hang at step ${step}: ${describe(guest, workload)}`);
    options.afterStep?.(step);
    step++;
  }
  workload.finish();
  return step;
}

function completeSome(guest: MockGuest, random: Random): boolean {
  const chosen = random.shuffle([...guest.pending]).slice(0, random.between(1, 8));
  guest.complete(chosen);
  return chosen.length > 0;
}

function reapSome(guest: MockGuest, workload: Workload, random: Random): boolean {
  const cqid = random.pick([...guest.completionQueues]);
  const list = guest.reap(cqid, random.between(1, 16));
  for (const completed of list) if (completed.sqid !== 0) workload.done(completed);
  return list.length > 0;
}

function describe(guest: MockGuest, workload: Workload): string {
  const { failure } = guest.core;
  const state = failure ? `the core trapped: ${failure.message}` : `${guest.pending.length} requests pending`;
  return `${workload.outstanding.length} commands outstanding, ${state}`;
}
