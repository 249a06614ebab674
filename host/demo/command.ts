/**
 * Running other programs to their end, with their output as text.
 */
import { spawn } from 'node:child_process';
import { access, constants } from 'node:fs/promises';
import path from 'node:path';
import { SetupError } from './setup-error.ts';

export interface CommandOptions {
  readonly cwd?: string;
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** An open file that takes standard output instead of `stdout`. */
  readonly outputFd?: number;
  /** Fed to standard input, which is empty otherwise. */
  readonly input?: string;
}

export interface CommandResult {
  /** The exit status; 128 plus the signal's number is not used: a signal is reported as -1. */
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `file` to its end. Throws SetupError when it is not installed; a failing status is a result. */
export function tryCommand(
  file: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, {
      stdio: ['pipe', options.outputFd ?? 'pipe', 'pipe'],
      env: { ...process.env, LC_ALL: 'C', ...options.env },
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    const output: Buffer[] = [];
    const errors: Buffer[] = [];
    child.stdout?.on('data', (chunk: Buffer) => output.push(chunk));
    child.stderr?.on('data', (chunk: Buffer) => errors.push(chunk));
    // A program that ends without reading its input is judged by its status.
    child.stdin?.on('error', () => {});
    child.stdin?.end(options.input ?? '');
    child.on('error', (error: NodeJS.ErrnoException) => {
      reject(error.code === 'ENOENT' ? new SetupError(`${file} is not installed`, { cause: error }) : error);
    });
    child.on('close', (status) => {
      const text = (chunks: Buffer[]): string => Buffer.concat(chunks).toString();
      resolve({ status: status ?? -1, stdout: text(output), stderr: text(errors) });
    });
  });
}

/** A program ended with a status other than 0. The message has the end of what it said. */
export class CommandError extends Error {
  constructor(
    file: string,
    readonly result: CommandResult,
  ) {
    const reason = result.stderr.trim().split('\n').slice(-3).join(' / ');
    super(`${path.basename(file)} failed with status ${result.status}: ${reason}`);
    this.name = 'CommandError';
  }
}

/** As tryCommand, but a status other than 0 throws CommandError. Resolves to the standard output. */
export async function runCommand(
  file: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  const result = await tryCommand(file, args, options);
  if (result.status !== 0) throw new CommandError(file, result);
  return result.stdout;
}

/** Absolute path of a program in PATH (or of `file` itself if it has a slash), or undefined. */
export async function findProgram(file: string): Promise<string | undefined> {
  const directories = file.includes('/') ? [''] : (process.env['PATH'] ?? '').split(':').filter(Boolean);
  for (const directory of directories) {
    const candidate = path.resolve(directory, file);
    try {
      await access(candidate, constants.X_OK);
      return candidate;
    } catch {
      continue;
    }
  }
  return undefined;
}
