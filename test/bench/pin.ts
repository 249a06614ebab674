// Puts the two sides of the whole path on a processor each. Left alone, the scheduler of a busy machine likes to put
// two processes that wake each other on the same one, where two that poll only take turns.

import { availableParallelism } from 'node:os';
import { findProgram, tryCommand } from '../../host/demo/command.ts';

/** The processors that client and server (the target, or fio) may use. */
export interface Pinning {
  readonly client: number;
  readonly server: number;
}

/** Undefined where there is one processor, or no taskset. */
export async function choosePinning(): Promise<Pinning | undefined> {
  const [client, server] = await allowed();
  if (client === undefined || server === undefined || availableParallelism() < 2) return undefined;
  return { client, server };
}

/** All threads of a process, those that it has now and those to come. */
export async function pin(pid: number, processor: number | undefined): Promise<void> {
  if (processor !== undefined) await tryCommand('taskset', ['-acp', String(processor), String(pid)]);
}

/** Processors that this process may use. */
async function allowed(): Promise<number[]> {
  if ((await findProgram('taskset')) === undefined) return [];
  const { stdout } = await tryCommand('taskset', ['-cp', String(process.pid)]);
  const list = /:\s*([\d,-]+)\s*$/.exec(stdout)?.[1] ?? '';
  return list.split(',').flatMap((range) => {
    const [first = NaN, last = first] = range.split('-').map(Number);
    return Array.from({ length: Math.min(last - first + 1, 2) }, (_, index) => first + index);
  });
}
