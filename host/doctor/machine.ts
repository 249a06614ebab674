// What `doorbell doctor` looks at, as one interface, so that its judgement can be tested on machines that there are
// not.

import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import os from 'node:os';
import process from 'node:process';
import { directAlignment } from '../block/direct.ts';
import { native } from '../native.ts';

export interface Machine {
  readonly platform: string;
  readonly architecture: string;
  /** `20.20.2` */
  readonly node: string;
  /** `6.1.0-18-amd64` */
  readonly kernel: string;
  /** Bytes of memory that are free or can be made so. */
  readonly availableMemory: number;
  /** A file's text without blanks at its ends; undefined where it cannot be read. */
  read(file: string): string | undefined;
  /** What a program prints; undefined where it is not there. */
  run(program: string, ...args: readonly string[]): string | undefined;
  /** Whether this user may read and write the file. */
  mayOpen(file: string): boolean;
  /** The code of the system error that a ring of io_uring meets; undefined: it works. */
  uringError(): string | undefined;
  /** The same for a sealed memfd. */
  memfdError(): string | undefined;
  /** Why direct I/O does not work on an existing file; undefined: it does. Throws what opening it throws. */
  directFault(file: string): string | undefined;
}

/** The machine that this process runs on. */
export const thisMachine: Machine = {
  platform: process.platform,
  architecture: process.arch,
  node: process.versions.node,
  kernel: os.release(),
  availableMemory: os.freemem(),
  read: (file) => {
    try {
      return fs.readFileSync(file, 'utf8').trim();
    } catch {
      return undefined;
    }
  },
  run: (program, ...args) => {
    const { status, stdout } = spawnSync(program, args, { encoding: 'utf8', timeout: 10_000 });
    return status === 0 ? stdout : undefined;
  },
  mayOpen: (file) => {
    try {
      fs.accessSync(file, fs.constants.R_OK | fs.constants.W_OK);
      return true;
    } catch {
      return false;
    }
  },
  uringError: () => errorOf(() => native.uring(8).close()),
  memfdError: () => errorOf(() => native.fdClose(native.memfdSealed('doorbell-doctor', 4096))),
  directFault: (file) => {
    const fd = fs.openSync(file, fs.constants.O_RDONLY);
    try {
      const direct = directAlignment(fd, {
        realPath: fs.realpathSync(file),
        device: fs.fstatSync(fd).isBlockDevice(),
        readOnly: true,
        blockSize: 4096,
      });
      if (typeof direct === 'string') return direct;
      fs.closeSync(direct.fd);
      return undefined;
    } finally {
      fs.closeSync(fd);
    }
  },
};

function errorOf(body: () => void): string | undefined {
  try {
    body();
    return undefined;
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error);
  }
}
