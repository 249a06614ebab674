// A short run of the fuzzer, and the proof that it finds what it looks for: bugs put in on purpose.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BUGS, episode, type Bug } from './core.ts';

const SMOKE_MS = 5000;
/** Not every episode gets as far as its bug, or a restart repairs it. */
const EPISODES_FOR_A_BUG = 20;

test('a few seconds of episodes', () => {
  const end = performance.now() + SMOKE_MS;
  for (let seed = 1; performance.now() < end; seed++) {
    try {
      episode({ seed });
    } catch (error) {
      throw new Error(`seed ${seed}: npm run fuzz -- --seed ${seed} plays it again`, { cause: error });
    }
  }
});

function found(bug: Bug): boolean {
  for (let seed = 1; seed <= EPISODES_FOR_A_BUG; seed++) {
    try {
      episode({ seed, bug });
    } catch {
      return true;
    }
  }
  return false;
}

describe('canaries: bugs put in on purpose are found', () => {
  for (const bug of BUGS) {
    test(bug, () => {
      assert.ok(found(bug), `no episode of ${EPISODES_FOR_A_BUG} noticed`);
    });
  }
});
