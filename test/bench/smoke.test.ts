// The benchmark runs: every part, for a fraction of a second, gives figures. What they are is nobody's business here.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildPath } from '../../host/demo/checkout.ts';
import { findProgram } from '../../host/demo/command.ts';
import { measureCore } from './core.ts';
import { compared, median, SMOKE, type Section } from './figures.ts';
import { measureIdle } from './idle.ts';
import { measurePath } from './path.ts';
import { describeMachine, loadAverage, reportText } from './report.ts';

const quiet = (): void => {};

function check(section: Section, count: number): void {
  assert.equal(section.figures.length, count);
  for (const { name, value, samples } of section.figures) {
    assert.ok(Number.isFinite(value), `${name} is ${value}`);
    assert.ok(samples.length > 0, `${name} has no samples`);
  }
  const report = { taken: '', seconds: 1, machine: describeMachine(loadAverage()), effort: SMOKE };
  const rows = reportText({ ...report, sections: [section] }).match(/^\| (?!what|---)/gm);
  assert.equal(rows?.length, count);
}

test('medians, and the median of ratios', () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 2, 3]), 2.5);
  const { value, ratio, reference } = compared('a', 'ns', [2, 8, 6], { name: 'b', samples: [1, 2, 2] });
  assert.deepEqual([value, ratio, reference?.value], [6, 3, 2]);
});

test('the core and plain C', async () => {
  check(await measureCore(SMOKE), 3);
});

test('a target with nothing to do', async () => {
  check(await measureIdle(SMOKE, quiet), 6);
});

const hasFio = (await findProgram('fio')) ?? (await findProgram(buildPath('guest', 'tools', 'bin', 'fio')));
const skip =
  hasFio === undefined ? 'fio is neither installed nor fetched yet: npm run bench fetches it' : false;

test('the whole path', { skip }, async () => {
  check(await measurePath(SMOKE, quiet), 18);
});
