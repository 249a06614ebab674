// The laboratory of the end-to-end tests: disks on the checkout's file system, targets as processes, guests in QEMU.
// One per test file; `close` leaves nothing behind, and a test that failed has the target's log in its error.

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import path from 'node:path';
import { buildPath } from '../../host/demo/checkout.ts';
import { ensureGuestImage } from '../../host/demo/guest-image.ts';
import { Guest, type GuestOptions } from '../../host/demo/guest.ts';
import { locateQemu } from '../../host/demo/qemu.ts';
import { silent } from '../../host/demo/setup-error.ts';
import { TargetProcess } from './target-process.ts';

export const MIB = 1024 * 1024;
export const GIB = 1024 * MIB;
/** Disks of the tests: large enough for a file system, small enough to hash. */
export const DISK_BYTES = 512 * MIB;

export class Lab {
  readonly directory: string;
  readonly #targets: TargetProcess[] = [];
  readonly #guests: Guest[] = [];

  constructor() {
    mkdirSync(buildPath('tmp'), { recursive: true });
    this.directory = mkdtempSync(buildPath('tmp', 'e2e-'));
  }

  path(name: string): string {
    return path.join(this.directory, name);
  }

  /** `file:` specification of a disk of this laboratory, 512 MiB unless it says otherwise. */
  disk(name: string, more = ''): string {
    return `file:${this.path(name)},size=${String(DISK_BYTES)}${more}`;
  }

  async target(...args: string[]): Promise<TargetProcess> {
    const target = await TargetProcess.start(...args);
    this.#targets.push(target);
    return target;
  }

  /** Boots the test image: 1 GiB and 2 virtual CPUs unless `options` say otherwise. */
  async guest(options: Partial<GuestOptions> & { socketPaths?: readonly string[] }): Promise<Guest> {
    const guest = await Guest.boot({
      qemu: await locateQemu(silent),
      image: await ensureGuestImage('test', silent),
      memoryBytes: GIB,
      cpus: 2,
      ...options,
    });
    this.#guests.push(guest);
    return guest;
  }

  /** Runs a part of a test; what goes wrong there tells what the targets logged. */
  async step<T>(part: () => Promise<T>): Promise<T> {
    try {
      return await part();
    } catch (error) {
      const logs = this.#targets
        .map((target) => target.errors.split('\n').slice(-20).join('\n'))
        .join('\n---\n');
      if (error instanceof Error) error.message += `\nthe targets logged:\n${logs}`;
      throw error;
    }
  }

  async close(): Promise<void> {
    for (const guest of this.#guests) await guest.kill();
    for (const target of this.#targets) await target.kill();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
