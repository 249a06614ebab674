// A directory below build/bench that is gone when the benchmark ends, however it ends, and files in it.

import { randomFillSync } from 'node:crypto';
import { closeSync, fsyncSync, mkdirSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
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

/** Writes a file of random bytes: no file system can store them as a hole. */
export function fileFill(file: string, bytes: number): void {
  const fd = openSync(file, 'w');
  const piece = randomFillSync(new Uint8Array(4 * 1024 * 1024));
  for (let at = 0; at < bytes; at += piece.length)
    writeSync(fd, piece, 0, Math.min(piece.length, bytes - at));
  fsyncSync(fd);
  closeSync(fd);
}
