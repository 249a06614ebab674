/**
 * One process at a time in a directory, also across crashes.
 *
 * The lock is the kernel's (flock), held by a child process for as long as this one keeps a pipe to it open: it
 * cannot outlive either, so there is no stale lock to recognise.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { SetupError, type Progress } from './setup-error.ts';

/** Milliseconds of waiting after which the wait is announced. */
const NOTICE_DELAY_MS = 1000;

/**
 * Runs `work` while holding the lock `file`, which is created with its directory.
 * Waits without limit for another holder, and says so after a second.
 */
export async function withLock<T>(file: string, progress: Progress, work: () => Promise<T>): Promise<T> {
  await mkdir(path.dirname(file), { recursive: true });
  const holder = spawn('flock', ['--exclusive', file, 'sh', '-c', 'echo locked; exec cat'], {
    stdio: ['pipe', 'pipe', 'pipe'],
    // Not in the terminal's foreground group: Ctrl-C must end this process first, then the lock.
    detached: true,
  });
  const errors: Buffer[] = [];
  holder.stderr.on('data', (chunk: Buffer) => errors.push(chunk));
  holder.stdin.on('error', () => {});
  const ended = new Promise<never>((_resolve, reject) => {
    holder.on('error', (cause) =>
      reject(new SetupError('flock is not installed: install util-linux', { cause })),
    );
    holder.on('close', () => {
      reject(new Error(`cannot lock ${file}: ${Buffer.concat(errors).toString().trim() || 'flock ended'}`));
    });
  });
  ended.catch(() => {});
  const notice = setTimeout(() => {
    progress(`waiting for another process that is using ${path.dirname(file)}`);
  }, NOTICE_DELAY_MS);
  try {
    await Promise.race([once(holder.stdout, 'data'), ended]);
  } finally {
    clearTimeout(notice);
  }
  try {
    return await work();
  } finally {
    holder.stdin.end();
    await ended.catch(() => {});
  }
}
