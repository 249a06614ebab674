// A guest's memory in its two views: the addon's, which maps files and checks segments, and the core's, which
// translates addresses. Both change together or not at all.

import { constants } from 'node:os';
import * as abi from '../../assembly/abi/records.ts';
import { errnoName, errnoOf } from '../block/errors.ts';
import type { Core } from '../core/core.ts';
import type { NativeController, RegionAdded } from '../native.ts';
import { DeviceError, type MemoryRegion } from '../transport/device.ts';

/** A region that was taken out of use; requests submitted before may still touch it. */
export interface RemovedRegion {
  isDrained(): boolean;
  /** Late I/O hits nobody any more. */
  abandon(): void;
}

const { errno } = constants;

/** What the core's refusals are as errno. */
const CORE_ERRNO = new Map<number, number>([
  [abi.REGION_INVALID, errno.EINVAL],
  [abi.REGION_OVERLAPS, errno.EEXIST],
  [abi.REGION_TABLE_FULL, errno.ENOSPC],
]);

/** What refusals mean to the VMM, whichever of the two views refused. */
const REFUSALS = new Map<number, { code: string; message: string }>([
  [errno.EINVAL, { code: 'MEMORY_INVALID', message: 'is empty, wraps, or is not a multiple of 4 KiB' }],
  [errno.EEXIST, { code: 'MEMORY_OVERLAPS', message: 'overlaps another region' }],
  [errno.ENOSPC, { code: 'MEMORY_TABLE_FULL', message: 'is one region too many' }],
  [errno.ENXIO, { code: 'MEMORY_REFUSED', message: 'ends beyond the end of its file' }],
  [errno.EACCES, { code: 'MEMORY_REFUSED', message: 'is writable, its file is not' }],
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
    const mapped = fd !== undefined;
    let added: RegionAdded;
    try {
      added = this.#native.regionAdd({ gpa, length, offset, fd, readable, writable });
    } catch (cause) {
      throw refusal(errnoOf(cause), gpa, length);
    }
    const result = this.#core.regionAdd({ ...added, gpa, length, offset, readable, writable, mapped });
    // A core that trapped takes part in nothing; the VMM must not end for that.
    if (result !== abi.REGION_OK && this.#core.failure === undefined) {
      this.#native.regionRemove(gpa, length);
      throw refusal(CORE_ERRNO.get(result) ?? errno.EINVAL, gpa, length);
    }
    this.#regions.set(gpa, length);
  }

  get isEmpty(): boolean {
    return this.#regions.size === 0;
  }

  /** Whether a region is exactly this one. */
  has(gpa: bigint, length: bigint): boolean {
    return this.#regions.get(gpa) === length;
  }

  /** Throws DeviceError ENOENT unless a region is exactly this one. */
  remove(gpa: bigint, length: bigint): RemovedRegion {
    if (!this.has(gpa, length)) {
      throw new DeviceError('MEMORY_UNKNOWN', errno.ENOENT, `no region is exactly ${describe(gpa, length)}`);
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

function refusal(number: number, gpa: bigint, length: bigint): DeviceError {
  const { code, message } = REFUSALS.get(number) ?? {
    code: 'MEMORY_REFUSED',
    message: `cannot be mapped: ${errnoName(number)}`,
  };
  return new DeviceError(code, number, `the region ${describe(gpa, length)} ${message}`);
}

function describe(gpa: bigint, length: bigint): string {
  return `0x${gpa.toString(16)}+0x${length.toString(16)}`;
}
