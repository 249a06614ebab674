// The whole path: a client in a process of its own reads through a target in another, from RAM and from a file; the
// file's figures stand beside fio's on the very same file, in turns.

import path from 'node:path';
import { NVM_READ, NVM_WRITE } from '../../assembly/spec/nvme.ts';
import { locateFio } from '../../host/demo/toolchain.ts';
import { TargetProcess } from '../support/target-process.ts';
import { ClientHandle } from './client-handle.ts';
import { compared, figure, type Effort, type Figure, type Section } from './figures.ts';
import { runFio } from './fio.ts';
import { choosePinning, pin } from './pin.ts';
import { processorTime } from './processor-time.ts';
import { fileFill, withScratch } from './scratch.ts';

const DEPTHS = [1, 32, 128];
const MIB = 1024 * 1024;
const WARM_UP_MS = 1000;
/** The file's second namespace must not be taken for its first. */
const OTHER_IDENTIFIERS =
  'uuid=5c8a2b8e-1f6e-4a7b-9a43-60d2a1a0c001,nguid=5c8a2b8e1f6e4a7b9a4360d2a1a0c001,eui64=5c8a2b8e1f6e4a7b';

interface Storage {
  readonly nsid: number;
  readonly name: string;
  readonly bytes: number;
  /** How fio opens the file; undefined: there is none. */
  readonly direct?: boolean;
}

/** Samples of one storage at one depth. */
interface Cell {
  readonly storage: Storage;
  readonly depth: number;
  readonly kiops: number[];
  readonly latencies: number[];
  /** Microseconds of the target's processor time for one command. */
  readonly costs: number[];
  readonly fioKiops: number[];
  readonly fioCosts: number[];
  readonly fioLatencies: number[];
}

export function measurePath(effort: Effort, progress: (line: string) => void): Promise<Section> {
  return withScratch('path', (directory) => measureIn(directory, effort, progress));
}

async function measureIn(
  directory: string,
  effort: Effort,
  progress: (line: string) => void,
): Promise<Section> {
  const file = path.join(directory, 'disk.img');
  const socket = path.join(directory, 's');
  const fio = await locateFio(progress);
  fileFill(file, effort.fileBytes);
  const ramBytes = Math.min(256 * MIB, effort.fileBytes);
  const storages: Storage[] = [
    { nsid: 1, name: 'RAM', bytes: ramBytes },
    { nsid: 2, name: 'file, page cache', bytes: effort.fileBytes, direct: false },
    { nsid: 3, name: 'file, O_DIRECT', bytes: effort.fileBytes, direct: true },
  ];
  const target = await TargetProcess.start(
    ...['--socket', socket, '--log-level', 'warn', '--namespace', `ram:${ramBytes}`],
    ...['--namespace', `file:${file},readonly=on,direct=off`],
    ...['--namespace', `file:${file},readonly=on,direct=on,${OTHER_IDENTIFIERS}`],
  );
  const pinning = await choosePinning();
  await pin(target.pid, pinning?.server);
  let client: ClientHandle | undefined;
  try {
    client = await ClientHandle.connect(socket);
    await pin(client.pid, pinning?.client);
    await warmUp(client, storages);
    const cells = storages.flatMap((storage) => DEPTHS.map((depth) => newCell(storage, depth)));
    for (let round = 1; round <= effort.rounds; round++) {
      progress(`whole path: round ${round} of ${effort.rounds}`);
      for (const cell of cells)
        await sample(cell, { client, target, fio, file, effort, seed: round, processor: pinning?.server });
    }
    return section(cells, effort, pinning !== undefined);
  } finally {
    await client?.stop();
    await target.kill();
  }
}

function newCell(storage: Storage, depth: number): Cell {
  return {
    storage,
    depth,
    kiops: [],
    latencies: [],
    costs: [],
    fioKiops: [],
    fioCosts: [],
    fioLatencies: [],
  };
}

interface Round {
  readonly client: ClientHandle;
  readonly target: TargetProcess;
  readonly fio: string;
  readonly file: string;
  readonly effort: Effort;
  readonly seed: number;
  /** The target's. */
  readonly processor: number | undefined;
}

/** One slice through the target, and one of fio where there is a file. */
async function sample(cell: Cell, round: Round): Promise<void> {
  const { client, target, fio, file, effort, seed, processor } = round;
  const { storage, depth } = cell;
  const { bytes, nsid } = storage;
  const milliseconds = effort.sliceMs;
  const load = { nsid, depth, milliseconds, bytes, opcode: NVM_READ, random: true, commandBytes: 4096, seed };
  const before = processorTime(target.pid);
  const { commands, seconds, latency } = await client.slice(load);
  cell.costs.push(((processorTime(target.pid) - before) * 1000) / commands);
  cell.kiops.push(commands / seconds / 1000);
  if (latency !== undefined) cell.latencies.push(latency);
  if (storage.direct === undefined) return;
  const fioLoad = { file, bytes, depth, direct: storage.direct, milliseconds, seed, processor };
  const result = await runFio(fio, fioLoad);
  cell.fioKiops.push(result.iops / 1000);
  cell.fioLatencies.push(result.latency);
  cell.fioCosts.push(result.cost);
}

/** Every byte of the RAM disk is written, every page of the file is cached, and both sides' code is compiled. */
async function warmUp(client: ClientHandle, storages: readonly Storage[]): Promise<void> {
  for (const { nsid, bytes, direct } of storages) {
    const opcode = direct === undefined ? NVM_WRITE : NVM_READ;
    const commandBytes = 16_384;
    const limit = Math.floor(bytes / commandBytes);
    const milliseconds = direct === true ? WARM_UP_MS : 60_000;
    const load = {
      nsid,
      depth: 32,
      milliseconds,
      bytes,
      opcode,
      random: false,
      commandBytes,
      limit,
      seed: 1,
    };
    await client.slice(load);
  }
}

function section(cells: readonly Cell[], effort: Effort, pinned: boolean): Section {
  const figures = cells.flatMap((cell): Figure[] => {
    const name = `${cell.storage.name}, queue depth ${cell.depth}`;
    const withFio = cell.storage.direct !== undefined;
    const beside = (label: string, unit: string, ours: number[], theirs: number[]): Figure =>
      withFio ? compared(label, unit, ours, { name: 'fio', samples: theirs }) : figure(label, unit, ours);
    const rate = beside(name, 'kIOPS', cell.kiops, cell.fioKiops);
    if (cell.depth === 1)
      return [rate, beside(`${name}: median latency`, 'µs', cell.latencies, cell.fioLatencies)];
    return [rate, beside(`${name}: processor time of a read`, 'µs', cell.costs, cell.fioCosts)];
  });
  const method =
    'Random reads of 4 KiB by a client in its own process over vfio-user: queues and data in shared memory, shadow ' +
    'doorbells, completions polled. fio: io_uring, one thread, the same file. ' +
    (pinned ? 'The client has one processor, the target and fio the other. ' : '') +
    `Slices of ${effort.sliceMs} ms in turns, ${effort.rounds} rounds.`;
  return { title: 'The whole path', method, figures };
}
