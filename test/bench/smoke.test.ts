// The benchmark runs: every part, for a fraction of a second, gives figures. What they are is nobody's business here.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { buildPath } from '../../host/demo/checkout.ts';
import { findProgram } from '../../host/demo/command.ts';
import { measureCore } from './core.ts';
import { VFIO_USER } from '../support/attachment.ts';
import { compared, figure, median, SMOKE, type Section } from './figures.ts';
import { doorbellDisk, QEMU_NVME } from './guest-disk.ts';
import { guestTable } from './guest-table.ts';
import { measureGuest } from './guest.ts';
import { measureIdle } from './idle.ts';
import { measurePath } from './path.ts';
import { describeMachine, loadAverage, reportText } from './report.ts';

const quiet = (): void => {};

/** A section with so many figures, each a line of the report where it has no table of its own. */
function check(section: Section, count: number): void {
  assert.equal(section.figures.length, count);
  for (const { name, value, samples } of section.figures) {
    assert.ok(Number.isFinite(value), `${name} is ${value}`);
    assert.ok(samples.length > 0, `${name} has no samples`);
  }
  const report = { taken: '', seconds: 1, machine: describeMachine(loadAverage()), effort: SMOKE };
  const rows = reportText({ ...report, sections: [section] }).match(/^\| (?!what|---| )/gm);
  assert.equal(rows?.length, section.table?.rows.length ?? count);
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

test('the table of the guests: a column for each disk, and what a disk lacks is left out', () => {
  const rate = [
    compared('read', 'kIOPS', [2, 3], { name: 'b', samples: [1, 1] }),
    figure('read: p50', 'µs', [7]),
  ];
  const columns = [
    { name: 'a', figures: rate },
    { name: 'b', figures: [figure('read', 'kIOPS', [1, 1])] },
  ];
  assert.deepEqual(guestTable(columns), {
    head: ['', 'a', 'b'],
    rows: [
      ['read, kIOPS', '2.50 (3)', '1 (1)'],
      ['read: ratio', '2.50', '1'],
      ['read: p50, µs', '7', '–'],
    ],
  });
});

const noGuest =
  existsSync(buildPath('guest', 'test', 'image.json')) && existsSync(buildPath('qemu', 'stamp.json'))
    ? false
    : "QEMU or the guest's image is not fetched yet: npm run e2e fetches them";

test('guests', { skip: noGuest, timeout: 240_000 }, async () => {
  // Two loads of five figures each, and two of the rest, for each of two disks.
  check(await measureGuest(SMOKE, quiet, [doorbellDisk(VFIO_USER, 'on'), QEMU_NVME]), 24);
});
