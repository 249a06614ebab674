// A directory below build/bench that is gone when the benchmark ends, however it ends.

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { buildPath } from '../../host/demo/checkout.ts';

/** Runs `work` with a fresh directory on the checkout's file system. */
export async function withScratch<T>(name: string, work: (directory: string) => Promise<T>): Promise<T> {
  mkdirSync(buildPath('bench'), { recursive: true });
  const directory = mkdtempSync(buildPath('bench', `${name}-`));
  const remove = (): void => {
    rmSync(directory, { recursive: true, force: true });
  };
  process.once('exit', remove);
  try {
    return await work(directory);
  } finally {
    process.off('exit', remove);
    remove();
  }
}
