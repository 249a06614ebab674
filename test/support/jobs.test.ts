/**
 * The test runner's own tests: what it must count, and what it must not miss.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { asPectResult, deviceQemuResult, testFileJob, type JobResult } from './jobs.ts';

const directory = mkdtempSync(path.join(tmpdir(), 'doorbell-runner-'));
after(() => {
  rmSync(directory, { recursive: true });
});

const TIMEOUT_MS = 60_000;

/** Runs a test file with these contents, as the runner would. */
async function run(code: string, timeoutMs = TIMEOUT_MS): Promise<JobResult> {
  const folder = path.join(directory, 'build/dist/test');
  mkdirSync(folder, { recursive: true });
  const name = 'sample.test';
  writeFileSync(path.join(folder, `${name}.js`), code);
  writeFileSync(path.join(directory, 'package.json'), '{"type":"module"}');
  return await testFileJob(directory, `test/${name}.ts`, timeoutMs).run();
}

const IMPORT = "import { describe, it, test } from 'node:test';\n";

test('passed, failed and skipped tests are counted, suites are not', async () => {
  const result = await run(`${IMPORT}
    describe('suite', () => { it('one', () => {}); it('two', () => { throw new Error('broken'); }); });
    test('three', (t) => t.skip('a reason'));
    test('four', () => {});`);
  assert.deepEqual([result.passed, result.failed, result.skipped], [2, 1, 1]);
  assert.match(result.detail, /suite > two\n[^]*broken/);
  assert.deepEqual(result.skips, ['three: a reason']);
});

test('a hook that fails is a failure', async () => {
  const result = await run(`${IMPORT}import { after } from 'node:test';
    describe('suite', () => { after(() => { throw new Error('broken'); }); it('one', () => {}); });`);
  assert.ok(result.failed >= 1, result.detail);
  assert.match(result.detail, /broken/);
});

test('a file without a test fails', async () => {
  const result = await run('export {};');
  assert.deepEqual([result.passed, result.failed], [0, 1]);
  assert.match(result.detail, /no test in this file/);
});

test('a file that does not load fails', async () => {
  const result = await run("import './absent.js';");
  assert.deepEqual([result.passed, result.failed], [0, 1]);
  assert.match(result.detail, /absent/);
});

test('a process that dies after its tests passed fails', async () => {
  const result = await run(`${IMPORT}test('one', () => {});
    process.on('exit', () => process.kill(process.pid, 'SIGKILL'));`);
  assert.equal(result.failed, 1, result.detail);
});

test('a file that takes too long is stopped and fails', async () => {
  const result = await run(
    `${IMPORT}test('one', () => new Promise(() => setInterval(() => {}, 1000)));`,
    2000,
  );
  assert.equal(result.failed, 1);
  assert.match(result.detail, /longer than 2 s/);
});

test('a process that is left behind is a failure, and is stopped', async () => {
  const result = await run(`${IMPORT}import { spawn } from 'node:child_process';
    test('one', () => { spawn('sleep', ['1000'], { detached: true, stdio: 'ignore' }).unref(); });`);
  assert.deepEqual([result.passed, result.failed], [1, 1]);
  const pid = /left processes running:\n(\d+) sleep 1000/.exec(result.detail)?.[1];
  assert.ok(pid !== undefined, result.detail);
  // A process that nobody has waited for yet has no command line any more.
  const commandLine = `/proc/${pid}/cmdline`;
  assert.equal(existsSync(commandLine) ? readFileSync(commandLine, 'utf8') : '', '');
});

test('the summary of as-pect is read, and its absence is a failure', () => {
  const summary = (line: string, status: number): JobResult =>
    asPectResult({ status, stdout: `[Summary]\n${line}\n`, stderr: '' });
  const good = summary('    [Tests]: \u001b[32m4\u001b[39m / 4', 0);
  assert.deepEqual([good.passed, good.failed], [4, 0]);
  const bad = summary('    [Tests]: 3 / 4', 1);
  assert.deepEqual([bad.passed, bad.failed], [3, 1]);
  const broken = summary('ERROR TS2304: Cannot find name', 1);
  assert.deepEqual([broken.passed, broken.failed], [0, 1]);
  const empty = summary('    [Tests]: 0 / 0', 0);
  assert.deepEqual([empty.passed, empty.failed], [0, 1]);
});

test('a QEMU that cannot be compiled here is skipped with the reason, one that does not compile fails', () => {
  const stderr = 'fetching\napt-get install ninja-build\n';
  const missing = deviceQemuResult({ status: 1, stderr }, false);
  assert.deepEqual([missing.skipped, missing.failed, missing.skips], [1, 0, ['apt-get install ninja-build']]);
  const required = deviceQemuResult({ status: 1, stderr }, true);
  assert.deepEqual([required.failed, required.detail], [1, stderr]);
  assert.equal(deviceQemuResult({ status: 2, stderr }, false).failed, 1);
  assert.equal(deviceQemuResult({ status: undefined, stderr: '' }, false).failed, 1);
  assert.equal(deviceQemuResult({ status: 0, stderr }, true).passed, 1);
});
