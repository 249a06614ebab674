/**
 * Runs the project's checks and tests, two at a time, and adds them up.
 *
 * `check`: format, lint, types of the tools, the Wasm tests and every test file that needs no virtual machine.
 * `e2e`: the test files that boot one. `test`: both. Further arguments select by name: `check tidy host/pci`.
 *
 * One line for each job as it ends, with the details of what failed; the last line is the count. Exit status 1
 * when anything failed.
 */
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { findCheckout } from '../../host/demo/checkout.ts';
import { ensureGuestImage } from '../../host/demo/guest-image.ts';
import { locateQemu } from '../../host/demo/qemu.ts';
import { SetupError } from '../../host/demo/setup-error.ts';
import { asPectJob, deviceQemuJob, programJob, testFileJob, type Job, type JobResult } from './jobs.ts';
import { killEverything } from './processes.ts';

const CONCURRENCY = 2;
const UNIT_TIMEOUT_MS = 180_000;
const E2E_TIMEOUT_MS = 900_000;

const root = findCheckout();

/** Test files below `test`, relative to the checkout, in the order of their names. */
function testFiles(): string[] {
  return readdirSync(path.join(root, 'test'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => path.join('test', name))
    .sort();
}

const isEndToEnd = (file: string): boolean => file.startsWith('test/e2e/');

/** The slow ones first: they decide how long the whole takes. */
function checkJobs(): Job[] {
  const natives = readdirSync(path.join(root, 'native')).filter((name) => /\.(cc|h)$/.test(name));
  const clangFormat = ['--dry-run', '-Werror', ...natives.map((name) => path.join('native', name))];
  return [
    asPectJob(root),
    programJob(root, 'lint', 'node_modules/eslint/bin/eslint.js', ['.', '--max-warnings=0']),
    programJob(root, 'format', 'node_modules/prettier/bin/prettier.cjs', [
      '--check',
      '--log-level=warn',
      '.',
    ]),
    programJob(root, 'types of the tools', 'node_modules/typescript/bin/tsc', ['-p', 'tsconfig.tools.json']),
    programJob(root, 'format of native', 'node_modules/clang-format/index.js', clangFormat),
    ...testFiles()
      .filter((file) => !isEndToEnd(file))
      .map((file) => testFileJob(root, file, UNIT_TIMEOUT_MS)),
  ];
}

function endToEndJobs(): Job[] {
  return testFiles()
    .filter(isEndToEnd)
    .map((file) => testFileJob(root, file, E2E_TIMEOUT_MS));
}

/**
 * Provides QEMU and the guest that the end-to-end tests boot. Returns why these cannot run; undefined when they can.
 * Where everything is required (DOORBELL_REQUIRE_ALL=1) they run in any case, and fail.
 */
async function prepareGuests(): Promise<string | undefined> {
  const progress = (line: string): void => {
    console.log(`...  ${line}`);
  };
  try {
    await locateQemu(progress);
    await ensureGuestImage('test', progress);
    return undefined;
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    console.log(`...  ${error.message}`);
    return process.env['DOORBELL_REQUIRE_ALL'] === '1' ? undefined : error.message;
  }
}

function skipped(job: Job, reason: string): Job {
  const result = { passed: 0, failed: 0, skipped: 1, skips: [reason], detail: '' };
  return { name: job.name, run: () => Promise.resolve(result) };
}

/** Runs the jobs, at most CONCURRENCY at a time, and prints each one's line when it ends. */
async function runJobs(jobs: readonly Job[]): Promise<JobResult[]> {
  const results: JobResult[] = [];
  const queue = [...jobs];
  const worker = async (): Promise<void> => {
    for (let job = queue.shift(); job !== undefined; job = queue.shift()) {
      const begin = performance.now();
      const result = await job.run();
      printResult(job.name, result, (performance.now() - begin) / 1000);
      results.push(result);
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
  return results;
}

function printResult(name: string, result: JobResult, seconds: number): void {
  const verdict = result.failed > 0 ? 'FAIL' : 'ok';
  console.log(`${verdict.padEnd(5)}${name.padEnd(58)} ${counts(result)} (${seconds.toFixed(1)} s)`);
  for (const reason of result.skips) console.log(`     skipped: ${reason}`);
  if (result.failed > 0) console.log(result.detail.trimEnd().replace(/^/gm, '     '));
}

function counts(tally: { passed: number; failed: number; skipped: number }): string {
  const skipped = tally.skipped > 0 ? `, ${tally.skipped} skipped` : '';
  return `${tally.passed} passed, ${tally.failed} failed${skipped}`;
}

async function main([mode = 'test', ...filters]: string[]): Promise<number> {
  const wanted = (job: Job): boolean =>
    filters.length === 0 || filters.some((filter) => job.name.includes(filter));
  const checks = mode === 'e2e' ? [] : checkJobs().filter(wanted);
  const endToEnd = mode === 'check' ? [] : endToEndJobs().filter(wanted);
  if (checks.length + endToEnd.length === 0) {
    console.error(
      `no check or test file is called like ${filters.join(' or ')}: use a part of a file's path`,
    );
    return 2;
  }
  // Downloads take their time, and compiling gives way to everything else: they go on beside the checks.
  const preparation = endToEnd.length > 0 ? prepareGuests() : Promise.resolve(undefined);
  preparation.catch(() => {
    // Reported where it is awaited.
  });
  const device = runJobs(endToEnd.length > 0 ? [deviceQemuJob(root)] : []);
  const results = await runJobs(checks);
  results.push(...(await device));
  const obstacle = await preparation;
  const guests = obstacle === undefined ? endToEnd : endToEnd.map((job) => skipped(job, obstacle));
  results.push(...(await runJobs(guests)));
  const total = { passed: 0, failed: 0, skipped: 0 };
  for (const result of results) {
    total.passed += result.passed;
    total.failed += result.failed;
    total.skipped += result.skipped;
  }
  console.log(counts(total));
  return total.failed > 0 ? 1 : 0;
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    killEverything();
    process.exit(signal === 'SIGINT' ? 130 : 143);
  });
}

process.exitCode = await main(process.argv.slice(2));
