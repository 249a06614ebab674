// A guest's memory in its two views: the addon's, which maps files and checks segments, and the core's, which
// translates addresses. Both change together or not at all.

import { constants } from 'node:os';
import * as abi from '../../assembly/abi/records.ts';
import { errnoName, errnoOf } from '../block/errors.ts';
import type { Core } from '../core/core.ts';
import type { NativeController } from '../native.ts';
import { DeviceError, type MemoryRegion } from '../transport/device.ts';

/** A region that was taken out of use; requests submitted before may still touch it. */
export interface RemovedRegion {
  isDrained(): boolean;
  /** Late I/O hits nobody any more. */
  abandon(): void;
}

/** What the core's refusals mean to the VMM. */
const REFUSALS = new Map<number, { code: string; errno: number; message: string }>([
  [
    abi.REGION_INVALID,
    {
      code: 'MEMORY_INVALID',
      errno: constants.errno.EINVAL,
      message: 'is empty, wraps, or is not a multiple of 4 KiB',
    },
  ],
  [
    abi.REGION_OVERLAPS,
    { code: 'MEMORY_OVERLAPS', errno: constants.errno.EEXIST, message: 'overlaps another region' },
  ],
  [
    abi.REGION_TABLE_FULL,
    { code: 'MEMORY_TABLE_FULL', errno: constants.errno.ENOSPC, message: 'is one region too many' },
  ],
]);

export class GuestMemory {
  readonly #core: Core;
  readonly #native: NativeController;
  /** Lengths by guest physical address: what `removeAll` walks. */
  readonly #regions = new Map<bigint, bigint>();

  constructor(core: Core, native: NativeController) {
    this.#core = core;
    this.#native = native;
  }

  /** Throws DeviceError; then neither view has changed. */
  add(region: MemoryRegion): void {
    const { gpa, length, offset, fd, readable, writable } = region;
    const added = attempt(`map the region ${describe(gpa, length)}`, 'MEMORY_REFUSED', () =>
      this.#native.regionAdd({ gpa, length, offset, fd, readable, writable }),
    );
    const mapped = fd !== undefined;
    const result = this.#core.regionAdd({ ...added, gpa, length, offset, readable, writable, mapped });
    if (result !== abi.REGION_OK) {
      this.#native.regionRemove(gpa, length);
      const refusal = REFUSALS.get(result);
      throw new DeviceError(
        refusal?.code ?? 'MEMORY_REFUSED',
        refusal?.errno ?? constants.errno.EINVAL,
        `the region ${describe(gpa, length)} ${refusal?.message ?? 'was refused'}`,
      );
    }
    this.#regions.set(gpa, length);
  }

  /** Throws DeviceError ENOENT unless a region is exactly this one. */
  remove(gpa: bigint, length: bigint): RemovedRegion {
    if (this.#regions.get(gpa) !== length) {
      throw new DeviceError(
        'MEMORY_UNKNOWN',
        constants.errno.ENOENT,
        `no region is exactly ${describe(gpa, length)}`,
      );
    }
    // The core first: from here on it names no segment there, and the addon refuses those it named before.
    this.#core.regionRemove(gpa, length);
    const ticket = this.#native.regionRemove(gpa, length);
    this.#regions.delete(gpa);
    return {
      isDrained: () => this.#native.regionDrained(ticket),
      abandon: () => {
        this.#native.regionAbandon(ticket);
      },
    };
  }

  removeAll(): RemovedRegion[] {
    return [...this.#regions].map(([gpa, length]) => this.remove(gpa, length));
  }

  /** Takes all memory away at once, whatever still runs. */
  abandonAll(): void {
    for (const region of this.removeAll()) region.abandon();
  }
}

function attempt<T>(what: string, code: string, call: () => T): T {
  try {
    return call();
  } catch (cause) {
    const errno = errnoOf(cause);
    throw new DeviceError(code, errno, `cannot ${what}: ${errnoName(errno)}`);
  }
}

function describe(gpa: bigint, length: bigint): string {
  return `0x${gpa.toString(16)}+0x${length.toString(16)}`;
}
