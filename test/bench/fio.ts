// fio with io_uring on the same file: what the storage gives to a program that does nothing else.

import { runCommand } from '../../host/demo/command.ts';

export interface FioOptions {
  readonly file: string;
  readonly bytes: number;
  readonly depth: number;
  readonly direct: boolean;
  readonly milliseconds: number;
  readonly seed: number;
  /** The processor that it has to stay on. */
  readonly processor: number | undefined;
}

export interface FioResult {
  readonly iops: number;
  /** Median latency in microseconds, submission to completion. */
  readonly latency: number;
  /** Microseconds of processor time for one read. */
  readonly cost: number;
}

/** Random 4 KiB reads for a while, by one thread. */
export async function runFio(fio: string, options: FioOptions): Promise<FioResult> {
  const text = await runCommand(fio, [
    ...[
      '--name=bench',
      '--output-format=json',
      '--thread',
      '--ioengine=io_uring',
      '--rw=randread',
      '--bs=4k',
    ],
    // As the target does: what was read before stays in the page cache, and up to a batch goes into one system call.
    ...['--invalidate=0', '--norandommap', `--iodepth_batch_submit=${Math.min(options.depth, 32)}`],
    ...['--iodepth_batch_complete_max=32', '--time_based', `--runtime=${options.milliseconds}ms`],
    ...(options.processor === undefined ? [] : [`--cpus_allowed=${options.processor}`]),
    ...[`--filename=${options.file}`, `--size=${options.bytes}`, `--iodepth=${options.depth}`],
    ...[`--direct=${options.direct ? 1 : 0}`, `--randseed=${options.seed}`],
  ]);
  const { jobs } = JSON.parse(text.slice(text.indexOf('{'))) as FioReport;
  const [job] = jobs;
  if (job === undefined) throw new Error('fio reported no job');
  const { iops, clat_ns } = job.read;
  const latency = (clat_ns.percentile['50.000000'] ?? NaN) / 1000;
  return { iops, latency, cost: ((job.usr_cpu + job.sys_cpu) / 100 / iops) * 1e6 };
}

/** The part of fio's report that is used. */
interface FioReport {
  readonly jobs: readonly {
    /** Percent of one processor. */
    readonly usr_cpu: number;
    readonly sys_cpu: number;
    readonly read: {
      readonly iops: number;
      readonly clat_ns: { readonly percentile: Readonly<Record<string, number>> };
    };
  }[];
}
