// What a target costs that has nothing to do: memory of each controller, time from its start until it listens, and how
// often it wakes up with a client connected and the controller enabled.

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { TargetProcess } from '../support/target-process.ts';
import { ClientHandle } from './client-handle.ts';
import { figure, type Effort, type Figure, type Section } from './figures.ts';
import { processorTime } from './processor-time.ts';
import { withScratch } from './scratch.ts';

/** Time after which a started process has done what it does once. */
const SETTLE_MS = 1000;

export function measureIdle(effort: Effort, progress: (line: string) => void): Promise<Section> {
  return withScratch('idle', async (directory) => {
    progress('idle target: starts');
    const starts = await startTimes(directory, effort);
    progress('idle target: memory');
    const memory = await memoryFigures(directory, effort);
    progress('idle target: sleep');
    const rest = await restFigures(directory, effort);
    const method =
      'Private memory of the process (smaps_rollup) with one controller and with many, the difference for each; ' +
      'connected: enabled by a client, one I/O queue pair of 1,024 entries. Wake-ups are voluntary context switches ' +
      `of the reactor thread over ${effort.idleMs / 1000} s with such a client, ` +
      `after ${effort.quietMs / 1000} s of rest.`;
    return { title: 'A target with nothing to do', method, figures: [...memory, ...starts, ...rest] };
  });
}

function socketPaths(directory: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => path.join(directory, `${count}-${index}`));
}

function startTarget(sockets: readonly string[]): Promise<TargetProcess> {
  const options = sockets.flatMap((socket) => ['--socket', socket]);
  return TargetProcess.start('--log-level', 'warn', '--namespace', 'ram:1M,share=on', ...options);
}

async function startTimes(directory: string, effort: Effort): Promise<Figure[]> {
  const samples: number[] = [];
  for (let start = 0; start < effort.starts; start++) {
    const begin = performance.now();
    const target = await startTarget(socketPaths(directory, 1));
    samples.push(performance.now() - begin);
    await target.drain();
  }
  return [figure('from start to listening', 'ms', samples)];
}

/** Memory that the process shares with no other, KiB: its mappings of the program's files are not in it. */
function privateOf(pid: number): number {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const lines = [...text.matchAll(/^Private_(?:Clean|Dirty):\s+(\d+) kB$/gm)];
  return lines.reduce((sum, [, amount]) => sum + Number(amount), 0);
}

async function memoryFigures(directory: string, effort: Effort): Promise<Figure[]> {
  const one = await memoryOf(socketPaths(directory, 1));
  const many = await memoryOf(socketPaths(directory, effort.controllers));
  const each = (of: 'alone' | 'connected'): number => (many[of] - one[of]) / (effort.controllers - 1);
  return [
    figure('private memory of a target with one controller', 'MiB', [one.alone / 1024]),
    figure(`each further controller (of ${effort.controllers})`, 'KiB', [each('alone')]),
    figure(`each further controller, connected (of ${effort.controllers})`, 'KiB', [each('connected')]),
  ];
}

/** KiB of a target before any client came, and with a client on each controller. */
async function memoryOf(sockets: readonly string[]): Promise<{ alone: number; connected: number }> {
  const target = await startTarget(sockets);
  let client: ClientHandle | undefined;
  try {
    await sleep(SETTLE_MS);
    const alone = privateOf(target.pid);
    client = await ClientHandle.connect(...sockets);
    await sleep(SETTLE_MS);
    return { alone, connected: privateOf(target.pid) };
  } finally {
    await client?.stop();
    await target.kill();
  }
}

async function restFigures(directory: string, effort: Effort): Promise<Figure[]> {
  const sockets = socketPaths(directory, 1);
  const target = await startTarget(sockets);
  let client: ClientHandle | undefined;
  try {
    client = await ClientHandle.connect(...sockets);
    await sleep(effort.quietMs);
    const [switches, time] = [target.voluntarySwitches(), processorTime(target.pid)];
    await sleep(effort.idleMs);
    const seconds = effort.idleMs / 1000;
    return [
      figure(`wake-ups of the data plane in ${seconds} s`, '', [target.voluntarySwitches() - switches]),
      figure(`processor time in ${seconds} s`, 'ms', [processorTime(target.pid) - time]),
    ];
  } finally {
    await client?.stop();
    await target.kill();
  }
}
