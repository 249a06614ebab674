/**
 * Child processes of the test runner: each is the leader of a process group and carries a mark in its environment,
 * which its descendants inherit. So a test that hangs is stopped whole, and one that leaves a process behind is found.
 */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const MARK = 'DOORBELL_TEST_RUN';

/** How long a process may take to be gone after its parent ended, in milliseconds. */
const GRACE_MS = 2000;
const POLL_MS = 50;

const running = new Set<number>();

/** How a child ended, and what it wrote. */
export interface Ended {
  /** Exit status; undefined when a signal ended it. */
  readonly status: number | undefined;
  readonly timedOut: boolean;
  readonly stdout: string;
  readonly stderr: string;
  /** Processes that were still there afterwards, as `pid command line`; they are stopped now. */
  readonly leftBehind: readonly string[];
}

/** Runs `node args...` in `directory` to its end, or until `timeoutMs` milliseconds have passed. */
export async function runNode(
  directory: string,
  args: readonly string[],
  timeoutMs: number,
  environment: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  const mark = randomUUID();
  const { NODE_TEST_CONTEXT: _ofThisProcess, ...inherited } = process.env;
  const child = spawn(process.execPath, args, {
    cwd: directory,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...inherited, ...environment, [MARK]: mark },
  });
  const output: Buffer[] = [];
  const errors: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => output.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => errors.push(chunk));
  const { pid } = child;
  if (pid !== undefined) running.add(pid);
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    if (pid !== undefined) killGroup(pid);
  }, timeoutMs);
  // Not 'close': a process that was left behind may hold the pipes open for ever.
  const status = await new Promise<number | undefined>((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code) => {
      resolve(code ?? undefined);
    });
  });
  clearTimeout(timer);
  const leftBehind = await stopMarked(mark);
  if (pid !== undefined) running.delete(pid);
  const text = (chunks: Buffer[]): string => Buffer.concat(chunks).toString();
  return { status, timedOut, stdout: text(output), stderr: text(errors), leftBehind };
}

/** Stops every child with its descendants; for the runner's own end. */
export function killEverything(): void {
  for (const pid of running) killGroup(pid);
  running.clear();
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // The group is gone already.
  }
}

/** Waits until no process carries the mark; stops those that stay and names them. */
async function stopMarked(mark: string): Promise<string[]> {
  const found = await waitForMarked(mark);
  for (const { pid } of found) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It ended by itself in the meantime.
    }
  }
  if (found.length > 0) await waitForMarked(mark);
  return found.map(({ pid, command }) => `${pid} ${command}`);
}

/** The processes that carry the mark after all had their time to end. */
async function waitForMarked(mark: string): Promise<{ pid: number; command: string }[]> {
  const deadline = performance.now() + GRACE_MS;
  let found = markedProcesses(mark);
  while (found.length > 0 && performance.now() < deadline) {
    await sleep(POLL_MS);
    found = markedProcesses(mark);
  }
  return found;
}

function markedProcesses(mark: string): { pid: number; command: string }[] {
  const needle = `${MARK}=${mark}`;
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => readProcFile(name, 'environ').includes(needle))
    .map((name) => ({
      pid: Number(name),
      command: readProcFile(name, 'cmdline').replaceAll('\0', ' ').trim(),
    }));
}

/** A file of /proc; empty when the process is gone or somebody else's. */
function readProcFile(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1');
  } catch {
    return '';
  }
}
