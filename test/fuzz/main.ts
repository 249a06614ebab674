// `npm run fuzz -- [SECONDS]` fuzzes the core with ever new seeds; `npm run fuzz -- --seed N` plays one episode again.
// Exit status 1 with the seed when something did not hold.

import { parseArgs } from 'node:util';
import { episode } from './core.ts';

const USAGE = 'usage: npm run fuzz -- [SECONDS] [--seed N]';
const DEFAULT_SECONDS = 60;
const REPORT_MS = 10_000;

function play(seed: number): boolean {
  try {
    episode({ seed });
    return true;
  } catch (error) {
    console.error(error);
    console.error(`play it again: npm run fuzz -- --seed ${seed}`);
    return false;
  }
}

function playFor(seconds: number): boolean {
  const first = Date.now() >>> 0;
  const end = performance.now() + seconds * 1000;
  console.log(`seeds from ${first} on, for ${seconds} s`);
  let report = performance.now() + REPORT_MS;
  let count = 0;
  for (; performance.now() < end; count++) {
    if (!play((first + count) >>> 0)) return false;
    if (performance.now() < report) continue;
    console.log(`${count + 1} episodes`);
    report += REPORT_MS;
  }
  console.log(`${count} episodes, all well`);
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
  return (values.seed === undefined ? playFor(seconds) : play(seed)) ? 0 : 1;
}

process.exitCode = main();
