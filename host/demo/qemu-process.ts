/**
 * A QEMU process with three connections: the guest's console, its agent, and QMP. They are socket pairs made at
 * the start, so there are no paths, nothing is lost before somebody listens, and a name is never taken.
 *
 * The process does not outlive this one: it is killed on exit and, where setpriv is installed, by the kernel when
 * this process dies without a chance to do so.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import type { Duplex } from 'node:stream';
import { findProgram } from './command.ts';

/** Descriptors of the connections in QEMU. */
const CONSOLE_FD = 3;
const AGENT_FD = 4;
const QMP_FD = 5;

/** For QEMU's `-serial`: the ports of the console (ttyS0) and the agent (ttyS1). */
export const GUEST_SERIAL = ['chardev:console', 'chardev:agent'] as const;

const CONNECTION_OPTIONS = [
  ...['-chardev', `socket,id=console,fd=${CONSOLE_FD}`, '-chardev', `socket,id=agent,fd=${AGENT_FD}`],
  ...['-chardev', `socket,id=qmp,fd=${QMP_FD}`, '-qmp', 'chardev:qmp'],
];

/** How QEMU ended. One of the two is null, or both if it could not be started. */
export interface QemuExit {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** Ends with this process at the latest. */
const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

export class QemuProcess {
  readonly console: Duplex;
  readonly agent: Duplex;
  readonly qmp: Duplex;
  readonly exited: Promise<QemuExit>;
  readonly #child: ChildProcess;
  readonly #errors: Buffer[] = [];

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.console = connection(child, CONSOLE_FD);
    this.agent = connection(child, AGENT_FD);
    this.qmp = connection(child, QMP_FD);
    child.stderr?.on('data', (chunk: Buffer) => this.#errors.push(chunk));
    child.stdout?.on('data', (chunk: Buffer) => this.#errors.push(chunk));
    running.add(child);
    this.exited = new Promise((resolve) => {
      child.on('error', (error) => {
        this.#errors.push(Buffer.from(error.message));
        running.delete(child);
        resolve({ status: null, signal: null });
      });
      child.on('close', (status, signal) => {
        running.delete(child);
        resolve({ status, signal });
      });
    });
  }

  /** Starts `command` with `args` and the three connections. A program that cannot be started is an exit. */
  static async start(command: string, args: readonly string[]): Promise<QemuProcess> {
    const setpriv = await findProgram('setpriv');
    const file = setpriv ?? command;
    const prefix = setpriv === undefined ? [] : ['--pdeathsig', 'KILL', command];
    const child = spawn(file, [...prefix, ...CONNECTION_OPTIONS, ...args], {
      stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe', 'pipe'],
    });
    return new QemuProcess(child);
  }

  /** Process id; undefined if it could not be started. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** What QEMU printed. */
  get errors(): string {
    return Buffer.concat(this.#errors).toString();
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }
}

function connection(child: ChildProcess, fd: number): Duplex {
  // Node types the entries beyond stderr as one-way; each is a socket.
  const stream = child.stdio[fd] as unknown as Duplex;
  stream.on('error', () => {});
  return stream;
}
