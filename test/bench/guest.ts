// Guests in QEMU without virtualization, side by side: fio inside of each on its disk, doorbell's in every way that it
// can be attached and QEMU's own, with what ringing costs and what the disk's thread does when there is nothing to do.

import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ensureGuestImage } from '../../host/demo/guest-image.ts';
import { SetupError, type Progress } from '../../host/demo/setup-error.ts';
import { compared, figure, type Effort, type Figure, type Section } from './figures.ts';
import { DISKS, QEMU_NVME, type DiskKind, type DiskSetting, type GuestDisk } from './guest-disk.ts';
import { runGuestFio, type GuestLoad } from './guest-fio.ts';
import { guestTable, type GuestColumn } from './guest-table.ts';
import { fileFill, withScratch } from './scratch.ts';

const READS: readonly GuestLoad[] = [
  { name: 'read, queue depth 1', operation: 'read', depth: 1 },
  { name: 'read, queue depth 32', operation: 'read', depth: 32 },
];
const WRITES: readonly GuestLoad[] = [
  { name: 'write, queue depth 1', operation: 'write', depth: 1 },
  { name: 'write, queue depth 32', operation: 'write', depth: 32 },
];

/** Samples of one load on one disk, a sample a round; `doorbells` may have fewer. */
interface Cell {
  readonly load: GuestLoad;
  readonly kiops: number[];
  readonly p50: number[];
  readonly p99: number[];
  /** Microseconds of the data plane's processor time for one command. */
  readonly costs: number[];
  /** Exits or messages for one command. */
  readonly doorbells: number[];
}

/** A running disk and what was measured on it. */
interface Subject {
  readonly kind: DiskKind;
  readonly disk: GuestDisk;
  readonly cells: readonly Cell[];
}

export function measureGuest(
  effort: Effort,
  progress: Progress,
  kinds: readonly DiskKind[] = DISKS,
): Promise<Section> {
  return withScratch('guest', async (directory) => {
    const loads = effort.guestWrites ? [...READS, ...WRITES] : READS;
    const image = await ensureGuestImage('test', progress);
    const subjects: Subject[] = [];
    try {
      for (const [index, kind] of kinds.entries()) {
        progress(`guests: boots with ${kind.name}`);
        const own = path.join(directory, String(index));
        mkdirSync(own);
        const setting: DiskSetting = { directory: own, file: path.join(own, 'disk.img'), image, progress };
        fileFill(setting.file, effort.guestFileBytes);
        const disk = await start(kind, setting);
        if (disk !== undefined) subjects.push({ kind, disk, cells: loads.map(newCell) });
      }
      if (subjects.length === 0) throw new SetupError('no guest could be started, for the reasons above');
      for (let round = 1; round <= effort.guestRounds; round++) {
        progress(`guests: round ${round} of ${effort.guestRounds}`);
        for (const index of loads.keys()) await sampleAll(subjects, index, effort, round);
      }
      progress('guests: rest');
      return section(subjects, await rest(subjects, effort), effort);
    } finally {
      for (const { disk } of subjects) await disk.stop();
    }
  });
}

function newCell(load: GuestLoad): Cell {
  return { load, kiops: [], p50: [], p99: [], costs: [], doorbells: [] };
}

/** A booted guest that stands still until its turn comes; undefined if what it needs is not there. */
async function start(kind: DiskKind, setting: DiskSetting): Promise<GuestDisk | undefined> {
  try {
    const disk = await kind.start(setting);
    await disk.guest.qmp('stop');
    return disk;
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    setting.progress(`left out: ${kind.name}: ${error.message}`);
    return undefined;
  }
}

/** One load on each disk, one after the other, while all other guests stand still. */
async function sampleAll(
  subjects: readonly Subject[],
  index: number,
  effort: Effort,
  round: number,
): Promise<void> {
  for (const { disk, cells } of subjects) {
    const cell = cells[index];
    if (cell === undefined) continue;
    await disk.guest.qmp('cont');
    await sample(disk, cell, effort, round);
    await disk.guest.qmp('stop');
  }
}

async function sample(disk: GuestDisk, cell: Cell, effort: Effort, round: number): Promise<void> {
  const { guest, device, dataPlane, doorbells } = disk;
  const options = { bytes: effort.guestFileBytes, milliseconds: effort.guestSliceMs, seed: round };
  let commands = 0;
  const slice = async (): Promise<void> => {
    const { milliseconds, result } = await dataPlane.during(() =>
      runGuestFio(guest, device, cell.load, options),
    );
    commands = result.commands;
    cell.kiops.push(result.iops / 1000);
    cell.p50.push(result.p50);
    cell.p99.push(result.p99);
    cell.costs.push((milliseconds * 1000) / commands);
  };
  const countOnly = async (): Promise<void> => {
    ({ commands } = await runGuestFio(guest, device, cell.load, options));
  };
  if (!doorbells.free) await slice();
  if (!doorbells.free && round > 1) return;
  const count = await doorbells.during(doorbells.free ? slice : countOnly);
  if (count !== undefined) cell.doorbells.push(count / commands);
}

/** What each data plane does while all guests run and none does anything. */
async function rest(subjects: readonly Subject[], effort: Effort): Promise<Figure[][]> {
  for (const { disk } of subjects) await disk.guest.qmp('cont');
  await sleep(effort.quietMs);
  const sums = await Promise.all(
    subjects.map(({ disk }) => disk.dataPlane.during(() => sleep(effort.idleMs))),
  );
  const seconds = effort.idleMs / 1000;
  return sums.map(({ sleeps, milliseconds }) => [
    figure(`idle: wake-ups in ${seconds} s`, '', [sleeps]),
    figure(`idle: processor time in ${seconds} s`, 'ms', [milliseconds]),
  ]);
}

function section(subjects: readonly Subject[], rests: readonly Figure[][], effort: Effort): Section {
  const reference = subjects.find(({ kind }) => kind === QEMU_NVME);
  const columns = subjects.map(({ kind, cells }, index): GuestColumn => {
    const figures = cells.flatMap((cell, at) => cellFigures(cell, reference?.cells[at]));
    return { name: kind.name, figures: [...figures, ...(rests[index] ?? [])] };
  });
  const loads = effort.guestWrites ? 'Random reads and writes' : 'Random reads';
  const method =
    `${loads} of 4 KiB by fio (io_uring, direct) in guests with two virtual CPUs under TCG; each disk is a file of ` +
    `its own of ${effort.guestFileBytes / 1024 / 1024} MiB, O_DIRECT and io_uring at both doorbell and QEMU. Slices ` +
    `of ${effort.guestSliceMs} ms in turns, ${effort.guestRounds} rounds; all other guests stand still meanwhile. ` +
    "Median (best); latency is submission to completion in the guest; a ratio is that of kIOPS to QEMU's nvme.";
  const figures = columns.flatMap(({ name, figures: own }) =>
    own.map((each) => ({ ...each, name: `${name}: ${each.name}` })),
  );
  return { title: 'Guests', method, figures, table: guestTable(columns) };
}

function cellFigures(cell: Cell, reference: Cell | undefined): Figure[] {
  const { name } = cell.load;
  const rate =
    reference === undefined || reference === cell
      ? figure(name, 'kIOPS', cell.kiops)
      : compared(name, 'kIOPS', cell.kiops, { name: QEMU_NVME.name, samples: reference.kiops });
  const figures = [
    rate,
    figure(`${name}: p50`, 'µs', cell.p50),
    figure(`${name}: p99`, 'µs', cell.p99),
    figure(`${name}: data plane's time for a command`, 'µs', cell.costs),
  ];
  if (cell.doorbells.length > 0) figures.push(figure(`${name}: doorbells for a command`, '', cell.doorbells));
  return figures;
}
