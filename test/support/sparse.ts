// Which parts of a file have blocks behind them.

import { closeSync, openSync } from 'node:fs';
import { native } from '../../host/native.ts';

/** Runs of allocated bytes, ascending: [start, end). */
export function allocatedRuns(file: string): { start: number; end: number }[] {
  const runs: { start: number; end: number }[] = [];
  const fd = openSync(file, 'r');
  try {
    let start = native.fileSeek(fd, 0, 'data');
    while (start !== undefined) {
      // The end of the file is a hole, so there is one behind all data.
      const end = native.fileSeek(fd, start, 'hole') ?? start;
      runs.push({ start, end });
      start = native.fileSeek(fd, end, 'data');
    }
    return runs;
  } finally {
    closeSync(fd);
  }
}
