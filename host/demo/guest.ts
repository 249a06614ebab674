/**
 * A running guest: boots an image in QEMU, runs commands in it, reboots it, stops it. Every wait is bounded, and
 * every failure carries what QEMU and the guest's console last said.
 */
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { AgentParser, type AgentEvent } from './agent-parser.ts';
import { withDeadline } from './deadline.ts';
import type { GuestImage } from './guest-image.ts';
import { SCRIPT_BYTES_MAX } from './guest-init.ts';
import { qemuArguments, type Qemu, type UefiFirmware } from './qemu.ts';
import { GUEST_SERIAL, QemuProcess, type QemuExit } from './qemu-process.ts';
import { QmpClient, type QmpEvent } from './qmp.ts';

const CONSOLE_CHARACTERS_MAX = 4 * 1024 * 1024;
const CONSOLE_LINES_REPORTED = 30;

/** Default limits, in seconds. */
const BOOT_SECONDS = 90;
const COMMAND_SECONDS = 60;
const QMP_SECONDS = 10;

/** The guest kills a command at its limit; it has this long to say so. */
const GRACE_SECONDS = 10;

/** Warnings and worse reach the console; the self-tests of the kernel's ciphers would take a second. */
export const KERNEL_OPTIONS = 'console=ttyS0 loglevel=5 panic=0 cryptomgr.notests';

/** How to start a guest. */
export interface GuestOptions {
  readonly qemu: Pick<Qemu, 'command'>;
  /** What QEMU loads; undefined: the firmware boots from the first of the guest's disks. */
  readonly image: GuestImage | undefined;
  /** Default SeaBIOS. */
  readonly firmware?: UefiFirmware;
  /** vfio-user sockets of controllers for the guest. Default none. */
  readonly socketPaths?: readonly string[];
  /** Guest memory, a multiple of 1 MiB, at least 128 MiB. Default 1 GiB. */
  readonly memoryBytes?: number;
  /** Virtual CPUs. Default 1. */
  readonly cpus?: number;
  readonly accelerator?: 'tcg' | 'kvm';
  /** Added to the kernel's command line, which a disk that boots by itself has of its own. */
  readonly append?: string;
  /** Added to QEMU's command line. */
  readonly extra?: readonly string[];
  /** For `boot`, `reboot` and `waitReboot`. Default 90. */
  readonly bootTimeoutSeconds?: number;
}

/** What a command did. */
export interface GuestResult {
  /** Exit status; 128 plus the signal's number if a signal ended it. */
  readonly status: number;
  /** Standard output and error output together, as UTF-8. */
  readonly output: string;
  /** The same as it came. */
  readonly bytes: Buffer;
}

/** A command that runs while others do. */
export interface BackgroundCommand {
  /**
   * Resolves when it has ended; other commands wait meanwhile. Rejects with GuestError if it does not end within
   * `timeoutSeconds` (default 60); it then goes on, and can be waited for again.
   */
  wait(options?: { readonly timeoutSeconds?: number }): Promise<GuestResult>;
}

/** A guest that did not do as asked. The message ends with QEMU's output and the console's last lines. */
export class GuestError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'GuestError';
  }
}

interface RunningCommand {
  readonly output: Buffer[];
  readonly resolve: (result: GuestResult) => void;
  readonly reject: (error: Error) => void;
}

export class Guest {
  /** Resolves when QEMU has ended, for whatever reason. Never rejects. */
  readonly exited: Promise<QemuExit>;
  readonly #process: QemuProcess;
  readonly #qmp: QmpClient;
  readonly #parser = new AgentParser();
  readonly #bootSeconds: number;
  #console = '';
  /** How often the guest has booted. */
  #boots = 0;
  #bootWaiters: { readonly resolve: () => void; readonly reject: (error: Error) => void }[] = [];
  #command: RunningCommand | undefined;
  #queue: Promise<unknown> = Promise.resolve();
  #failure: GuestError | undefined;
  /** The agent waits for a shell that nobody uses. */
  #shellLeft = false;

  private constructor(process: QemuProcess, bootSeconds: number) {
    this.#process = process;
    this.#bootSeconds = bootSeconds;
    this.#qmp = new QmpClient(process.qmp);
    process.console.on('data', (chunk: Buffer) => this.#hearConsole(chunk.toString('latin1')));
    process.agent.on('data', (chunk: Buffer) => {
      for (const event of this.#parser.push(chunk)) this.#hearAgent(event);
    });
    this.exited = process.exited.then((exit) => {
      this.#fail(`QEMU ended ${describeExit(exit)}`);
      return exit;
    });
  }

  /** Starts a guest and waits until it takes commands. A guest that does not is killed; throws GuestError. */
  static async boot(options: GuestOptions): Promise<Guest> {
    const guest = await Guest.start(options);
    try {
      await guest.#waitBoot(1);
    } catch (error) {
      await guest.kill();
      throw error;
    }
    return guest;
  }

  /** Starts a guest without waiting for it to boot; `waitReboot` waits for that. */
  static async start(options: GuestOptions): Promise<Guest> {
    const args = qemuArguments({
      ...options,
      socketPaths: options.socketPaths ?? [],
      memoryBytes: options.memoryBytes ?? 1024 ** 3,
      ...(options.image === undefined ? { bootable: true } : kernelOptions(options.image, options.append)),
      serial: GUEST_SERIAL,
    });
    const process = await QemuProcess.start(options.qemu.command, args);
    return new Guest(process, options.bootTimeoutSeconds ?? BOOT_SECONDS);
  }

  /** QEMU's process id. */
  get pid(): number | undefined {
    return this.#process.pid;
  }

  /** True until QEMU ends or the guest's kernel panics. */
  get alive(): boolean {
    return this.#failure === undefined;
  }

  /** What the guest's console (firmware, kernel, shell) has shown so far; at most the last 4 MiB. */
  console(): string {
    return this.#console;
  }

  /** What QEMU has printed so far. */
  qemuOutput(): string {
    return this.#process.errors;
  }

  /** QMP events so far, oldest first. */
  events(): readonly QmpEvent[] {
    return this.#qmp.events;
  }

  /**
   * Runs a shell script in the guest, as root, in /root, with empty standard input. Commands run one after the
   * other, in the order of the calls. What a script leaves running in the background must not write to its output.
   *
   * A script that takes longer than `timeoutSeconds` (default 60) is killed with its process group, and the call
   * rejects with GuestError, as it does when QEMU ends, the kernel panics or the guest reboots meanwhile. Throws
   * RangeError for a script of more than 32 KiB.
   */
  run(script: string, options: { readonly timeoutSeconds?: number } = {}): Promise<GuestResult> {
    if (Buffer.byteLength(script) > SCRIPT_BYTES_MAX) {
      throw new RangeError(`a script for the guest has at most ${SCRIPT_BYTES_MAX} bytes`);
    }
    const result = this.#queue.then(() => this.#execute(script, options.timeoutSeconds ?? COMMAND_SECONDS));
    this.#queue = result.catch(() => {});
    return result;
  }

  /** As `run`, but resolves to the output, and a status other than 0 rejects with GuestError. */
  async check(script: string, options: { readonly timeoutSeconds?: number } = {}): Promise<string> {
    const { status, output } = await this.run(script, options);
    if (status !== 0)
      throw this.#error(`the guest's command failed with status ${status}: ${script}\n${output}`);
    return output;
  }

  /**
   * Starts a shell script in the guest and leaves it running, so that other commands can run meanwhile. It is not
   * killed at any limit.
   */
  async background(script: string): Promise<BackgroundCommand> {
    const job = `/run/job.${randomBytes(8).toString('hex')}`;
    await this.check(`cat >${job} <<'${path.basename(job)}'
${script}
${path.basename(job)}
{ /bin/sh ${job} >${job}.output 2>&1 </dev/null; echo $? >${job}.new; mv ${job}.new ${job}.status; } >/dev/null 2>&1 &
`);
    return {
      wait: async (options) => {
        const waiting = `until [ -e ${job}.status ]; do sleep 0.1; done; cat ${job}.output; exit $(cat ${job}.status)`;
        return this.run(waiting, options);
      },
    };
  }

  /** Runs a QMP command; resolves to its return value. Rejects with QmpError, or GuestError after 10 seconds. */
  qmp(command: string, args?: object): Promise<unknown> {
    const late = (): Error => this.#error(`QEMU did not answer QMP ${command} within ${QMP_SECONDS} s`);
    return withDeadline(this.#qmp.execute(command, args), QMP_SECONDS, late);
  }

  /** Reboots the guest (`reboot -f`: no shutdown of its controllers) and waits until it takes commands again. */
  async reboot(): Promise<void> {
    const next = this.waitReboot();
    const command = this.run('reboot -f', { timeoutSeconds: this.#bootSeconds }).catch(() => {});
    await Promise.all([next, command]);
  }

  /**
   * Resolves when the guest has booted once more than at the time of the call. Call it first, then do what
   * reboots the guest, then await it.
   */
  waitReboot(): Promise<void> {
    return this.#waitBoot(this.#boots + 1);
  }

  /**
   * Powers the guest off from inside and waits for QEMU's end; kills it if that takes more than 20 seconds, or at
   * once if a shell that was left with Ctrl-] still occupies it.
   */
  async shutdown(): Promise<QemuExit> {
    if (this.#shellLeft) return this.kill();
    this.run('sync; poweroff -f', { timeoutSeconds: 15 }).catch(() => {});
    await withDeadline(this.exited, 20, () => this.#error('the guest did not power off')).catch(() => {});
    return this.kill();
  }

  /** Kills QEMU (SIGKILL) and waits for its end. Harmless when it has ended. */
  async kill(): Promise<QemuExit> {
    this.#process.kill('SIGKILL');
    return this.exited;
  }

  /**
   * Connects a terminal to a shell on the guest's console until the shell ends or QEMU does. `input` is put into
   * raw mode meanwhile. Ctrl-] leaves at once, with the shell still there: all that remains then is to stop the
   * guest.
   */
  async interactive(
    input: NodeJS.ReadStream = process.stdin,
    output: NodeJS.WriteStream = process.stdout,
  ): Promise<void> {
    const size = output.isTTY ? `stty rows ${output.rows} cols ${output.columns} </dev/ttyS0; ` : '';
    const shell = `${size}setsid -c /bin/sh -l </dev/ttyS0 >/dev/ttyS0 2>&1`;
    const ended = this.run(shell, { timeoutSeconds: 7 * 24 * 3600 }).catch(() => {});
    let leave = (): void => {};
    const left = new Promise<void>((resolve) => (leave = resolve)).then(() => {
      this.#shellLeft = true;
    });
    const type = (chunk: Buffer): void => {
      if (chunk.includes(ESCAPE_BYTE)) leave();
      else this.#process.console.write(chunk);
    };
    input.on('data', type);
    const show = (chunk: Buffer): void => void output.write(chunk);
    this.#process.console.on('data', show);
    if (input.isTTY) input.setRawMode(true);
    try {
      await Promise.race([ended, left, this.exited]);
    } finally {
      if (input.isTTY) input.setRawMode(false);
      this.#process.console.off('data', show);
      input.off('data', type).pause();
    }
  }

  #execute(script: string, timeoutSeconds: number): Promise<GuestResult> {
    const id = randomBytes(8).toString('hex');
    const limit = Math.max(1, Math.ceil(timeoutSeconds));
    const started = performance.now();
    const output: Buffer[] = [];
    const finished = new Promise<GuestResult>((resolve, reject) => {
      if (this.#failure !== undefined) {
        reject(this.#failure);
        return;
      }
      this.#command = { output, resolve, reject };
      this.#parser.expect(id);
      this.#process.agent.write(`${id} ${limit} ${Buffer.from(script).toString('base64')}\n`);
    });
    const late = (): GuestError =>
      this.#error(
        `the guest's command did not end within ${limit} s: ${script}\n${Buffer.concat(output).toString()}`,
      );
    return withDeadline(finished, limit + GRACE_SECONDS, late)
      .then((result) => {
        if (result.status === KILLED_STATUS && performance.now() - started >= limit * 1000) throw late();
        return result;
      })
      .finally(() => {
        this.#command = undefined;
        this.#parser.expect(undefined);
      });
  }

  #waitBoot(count: number): Promise<void> {
    const booted = new Promise<void>((resolve, reject) => {
      if (this.#failure !== undefined) reject(this.#failure);
      else if (this.#boots >= count) resolve();
      else this.#bootWaiters.push({ resolve, reject });
    });
    const late = (): GuestError => this.#error(`the guest did not boot within ${this.#bootSeconds} s`);
    return withDeadline(booted, this.#bootSeconds, late);
  }

  #hearConsole(text: string): void {
    this.#console = (this.#console + text).slice(-CONSOLE_CHARACTERS_MAX);
    if (this.#console.slice(-text.length - PANIC_TEXT.length).includes(PANIC_TEXT)) {
      // Its reason follows on the next lines.
      setTimeout(() => this.#fail("the guest's kernel panicked"), 500).unref();
    }
  }

  #hearAgent(event: AgentEvent): void {
    if (event.kind === 'output') {
      this.#command?.output.push(event.bytes);
    } else if (event.kind === 'end') {
      const bytes = Buffer.concat(this.#command?.output ?? []);
      this.#command?.resolve({ status: event.status, output: bytes.toString(), bytes });
    } else if (event.kind === 'ready') {
      this.#boots++;
      this.#command?.reject(this.#error('the guest rebooted while a command was running'));
      for (const { resolve } of this.#bootWaiters.splice(0)) resolve();
    }
  }

  #fail(reason: string): void {
    if (this.#failure !== undefined) return;
    this.#failure = this.#error(reason);
    this.#qmp.close(this.#failure);
    this.#command?.reject(this.#failure);
    for (const { reject } of this.#bootWaiters.splice(0)) reject(this.#failure);
  }

  #error(reason: string): GuestError {
    const lines = this.#console.trimEnd().split(/\r*\n/).slice(-CONSOLE_LINES_REPORTED);
    const parts = [reason];
    if (this.#process.errors.trim() !== '') parts.push(`QEMU said:\n${this.#process.errors.trim()}`);
    if (this.#console.trim() !== '') parts.push(`the guest's console ends:\n${lines.join('\n')}`);
    return new GuestError(parts.join('\n'));
  }
}

/** Ctrl-]. */
const ESCAPE_BYTE = 0x1d;

/** The status of a command that SIGKILL ended. */
const KILLED_STATUS = 128 + 9;

const PANIC_TEXT = 'Kernel panic - not syncing';

function kernelOptions(
  { kernel, initramfs }: GuestImage,
  more = '',
): { kernel: string; initramfs: string; append: string } {
  return { kernel, initramfs, append: `${KERNEL_OPTIONS} ${more}`.trim() };
}

function describeExit({ status, signal }: QemuExit): string {
  if (signal !== null) return `by signal ${signal}`;
  return status === null ? 'before it started' : `with status ${status}`;
}
