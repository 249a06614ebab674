// fio inside of a guest: 4 KiB at random places of a disk, past the guest's page cache.

import type { Guest } from '../../host/demo/guest.ts';

/** What fio does. */
export interface GuestLoad {
  readonly name: string;
  readonly operation: 'read' | 'write';
  readonly depth: number;
}

export interface GuestFioResult {
  readonly commands: number;
  readonly iops: number;
  /** Submission to completion as the guest's program sees it, microseconds. */
  readonly p50: number;
  readonly p99: number;
}

/** Beyond fio's runtime: a guest without virtualization takes its time to start a program. */
const START_SECONDS = 60;

export async function runGuestFio(
  guest: Guest,
  device: string,
  { operation, depth }: GuestLoad,
  options: { readonly bytes: number; readonly milliseconds: number; readonly seed: number },
): Promise<GuestFioResult> {
  const { bytes, milliseconds, seed } = options;
  const text = await guest.check(
    `fio --name=bench --filename=${device} --size=${bytes} --rw=rand${operation} --bs=4k --direct=1 ` +
      `--ioengine=io_uring --iodepth=${depth} --norandommap --randseed=${seed} --time_based ` +
      `--runtime=${milliseconds}ms --lat_percentiles=1 --clat_percentiles=0 --output-format=json`,
    { timeoutSeconds: milliseconds / 1000 + START_SECONDS },
  );
  const { jobs } = JSON.parse(text.slice(text.indexOf('{'))) as GuestFioReport;
  const report = jobs[0]?.[operation];
  if (report === undefined || report.total_ios === 0)
    throw new Error(`fio in the guest did nothing: ${text}`);
  const percentile = (key: string): number => (report.lat_ns.percentile[key] ?? NaN) / 1000;
  return {
    commands: report.total_ios,
    iops: report.iops,
    p50: percentile('50.000000'),
    p99: percentile('99.000000'),
  };
}

/** The part of fio's report that is used. */
interface GuestFioReport {
  readonly jobs: readonly Readonly<Record<'read' | 'write', FioDirection>>[];
}

interface FioDirection {
  readonly iops: number;
  readonly total_ios: number;
  readonly lat_ns: { readonly percentile: Readonly<Record<string, number>> };
}
