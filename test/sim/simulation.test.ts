// A few seconds of simulations, that a seed replays, and that a reactor which sleeps without a word is noticed.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { simulate, type SimulationResult } from './simulation.ts';

const SMOKE_MS = 6000;

test('simulations under delays, errors, resets, disconnects and restarts', () => {
  const end = performance.now() + SMOKE_MS;
  const results: SimulationResult[] = [];
  for (let seed = 1; performance.now() < end || seed <= 4; seed++) {
    try {
      results.push(simulate({ seed }));
    } catch (error) {
      throw new Error(`seed ${seed}: npm run sim -- --seed ${seed} plays it again`, { cause: error });
    }
  }
  const sum = (key: keyof SimulationResult): number => results.reduce((total, each) => total + each[key], 0);
  for (const key of ['commands', 'failed', 'sleeps', 'doorbellsSpared'] as const)
    assert.ok(sum(key) > 0, key);
});

test('a seed replays', () => {
  assert.deepEqual(simulate({ seed: 42, commands: 100 }), simulate({ seed: 42, commands: 100 }));
});

test('canary: a reactor that sleeps unannounced is noticed', () => {
  const hangs = [1, 2, 3, 4, 5, 6].filter((seed) => {
    try {
      simulate({ seed, sleepUnarmed: true });
      return false;
    } catch {
      return true;
    }
  });
  assert.ok(hangs.length > 0, 'no seed of six noticed');
});
