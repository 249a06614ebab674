/**
 * What the test runner runs: a program that passes or fails as a whole (lint, format), the Wasm tests, a file of
 * node:test tests. Each gives counts, and a text for people when something failed.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { runNode, type Ended } from './processes.ts';
import type { Report } from './report-lines.ts';

/** How long lint, format and the Wasm tests may take, in milliseconds. */
const PROGRAM_TIMEOUT_MS = 300_000;

/** How long compiling QEMU may take, beside the checks. */
const DEVICE_QEMU_TIMEOUT_MS = 1_200_000;

export interface JobResult {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** A line for each skipped test. */
  readonly skips: readonly string[];
  /** What to show when `failed` is not 0. */
  readonly detail: string;
}

export interface Job {
  readonly name: string;
  readonly run: () => Promise<JobResult>;
}

/** A Node program that counts as one test. */
export function programJob(root: string, name: string, program: string, args: readonly string[]): Job {
  return {
    name,
    run: async () => {
      const ended = await runNode(root, [program, ...args], PROGRAM_TIMEOUT_MS);
      const failed = ended.status === 0 ? 0 : 1;
      return { passed: 1 - failed, failed, skipped: 0, skips: [], detail: ended.stdout + ended.stderr };
    },
  };
}

/** The tests that run inside Wasm: as-pect over test/core. */
export function asPectJob(root: string): Job {
  return {
    name: 'test/core (as-pect)',
    run: async () => {
      const program = 'node_modules/@as-pect/cli/bin/asp.js';
      const ended = await runNode(root, [program, '--summary', '--no-logo'], PROGRAM_TIMEOUT_MS);
      return asPectResult(ended);
    },
  };
}

/** as-pect's summary has the line `[Tests]: passed / all`; without one its compiler failed. */
export function asPectResult(ended: Pick<Ended, 'status' | 'stdout' | 'stderr'>): JobResult {
  // eslint-disable-next-line no-control-regex -- as-pect colours its output whatever one asks it
  const plain = (text: string): string => text.replace(/\u001b\[[0-9;]*m/g, '');
  const stdout = plain(ended.stdout);
  const summary = /\[Tests\]:\s*(\d+)\s*\/\s*(\d+)/.exec(stdout);
  const passed = Number(summary?.[1] ?? 0);
  const failed = Number(summary?.[2] ?? 0) - passed;
  const broken = (ended.status !== 0 && failed === 0) || passed + failed === 0;
  return {
    passed,
    failed: broken ? failed + 1 : failed,
    skipped: 0,
    skips: [],
    detail: plain(ended.stderr) + stdout,
  };
}

/**
 * QEMU with the device vhost-user-nvme, compiled if it is not there. It is skipped where something is missing for
 * that, unless everything is required.
 */
export function deviceQemuJob(root: string): Job {
  return {
    name: 'QEMU with vhost-user-nvme',
    run: async () => {
      const program = path.join(root, 'build/dist/host/demo/qemu-build.js');
      const ended = await runNode(root, [program, '--if-missing'], DEVICE_QEMU_TIMEOUT_MS);
      return deviceQemuResult(ended, process.env['DOORBELL_REQUIRE_ALL'] === '1');
    },
  };
}

/** The program ends with status 1 where something is missing, and its last line says what. */
export function deviceQemuResult(ended: Pick<Ended, 'status' | 'stderr'>, required: boolean): JobResult {
  const reason = ended.stderr.trimEnd().split('\n').at(-1) ?? '';
  if (ended.status === 0) return { passed: 1, failed: 0, skipped: 0, skips: [], detail: '' };
  if (ended.status === 1 && !required) {
    return { passed: 0, failed: 0, skipped: 1, skips: [reason], detail: '' };
  }
  return { passed: 0, failed: 1, skipped: 0, skips: [], detail: ended.stderr };
}

/** A compiled file of node:test tests, given by its source's path. */
export function testFileJob(root: string, source: string, timeoutMs: number): Job {
  return {
    name: source,
    run: async () => {
      const compiled = path.join(root, 'build/dist', source.replace(/\.ts$/, '.js'));
      if (!existsSync(compiled)) return failure(`${source} is not compiled: run "npm run build"`);
      const reporter = path.join(import.meta.dirname, 'report-lines.js');
      const args = ['--enable-source-maps', '--test', `--test-reporter=${reporter}`, compiled];
      const ended = await runNode(root, args, timeoutMs);
      return testFileResult(ended, timeoutMs);
    },
  };
}

function failure(detail: string): JobResult {
  return { passed: 0, failed: 1, skipped: 0, skips: [], detail };
}

/** Adds up the reporter's lines; a file that ended badly without saying so is a failure of its own. */
function testFileResult(ended: Ended, timeoutMs: number): JobResult {
  const reports = ended.stdout
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Report);
  const named = (verdict: Report['verdict']): Report[] =>
    reports.filter((report) => report.verdict === verdict);
  const failures = named('failed').map((report) => `${report.name}\n${report.text}\n`);
  if (ended.timedOut) failures.push(`stopped: it took longer than ${timeoutMs / 1000} s\n`);
  else if (ended.status !== 0 && failures.length === 0)
    failures.push('the process of this file ended badly\n');
  if (ended.leftBehind.length > 0) {
    failures.push(`left processes running:\n${ended.leftBehind.join('\n')}\n`);
  }
  const output = named('output').map((report) => report.text);
  return {
    passed: named('passed').length,
    failed: failures.length,
    skipped: named('skipped').length,
    skips: named('skipped').map((report) => `${report.name}${report.text === '' ? '' : `: ${report.text}`}`),
    detail: [...failures, ...(output.length > 0 ? ['output:\n', ...output] : []), ended.stderr].join(''),
  };
}
