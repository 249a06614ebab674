// `npm run sim -- [SECONDS]` simulates with ever new seeds; `npm run sim -- --seed N` plays one again and tells what
// happened in it. Exit status 1 with the seed when something did not hold.

import { parseArgs } from 'node:util';
import { simulate, type SimulationResult } from './simulation.ts';

const USAGE = 'usage: npm run sim -- [SECONDS] [--seed N]';
const DEFAULT_SECONDS = 60;

function play(seed: number): SimulationResult | undefined {
  try {
    return simulate({ seed });
  } catch (error) {
    console.error(error);
    console.error(`play it again: npm run sim -- --seed ${seed}`);
    return undefined;
  }
}

function playFor(seconds: number): boolean {
  const first = Date.now() >>> 0;
  const end = performance.now() + seconds * 1000;
  const total = { commands: 0, sleeps: 0, resets: 0, disconnects: 0, restarts: 0 };
  console.log(`seeds from ${first} on, for ${seconds} s`);
  let count = 0;
  for (; performance.now() < end; count++) {
    const result = play((first + count) >>> 0);
    if (!result) return false;
    for (const key of Object.keys(total) as (keyof typeof total)[]) total[key] += result[key];
  }
  console.log(`${count} simulations, all well: ${JSON.stringify(total)}`);
  return true;
}

function main(): number {
  const { values, positionals } = parseArgs({
    options: { seed: { type: 'string' } },
    allowPositionals: true,
  });
  const seed = Number(values.seed ?? 0);
  const seconds = Number(positionals[0] ?? DEFAULT_SECONDS);
  if (!Number.isInteger(seed) || !(seconds > 0)) {
    console.error(USAGE);
    return 2;
  }
  if (values.seed === undefined) return playFor(seconds) ? 0 : 1;
  const result = play(seed);
  if (result) console.log(JSON.stringify(result, undefined, 2));
  return result ? 0 : 1;
}

process.exitCode = main();
