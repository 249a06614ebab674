// Guest memory in tests, and how a core sees it. Either guest memory *is* the window area of the core's memory: every
// window is filled beforehand and never missed. Or it lies elsewhere and windows are copies, filled on a miss and
// brought up to date around each call, as a stand-in for mapping: so a core can be driven with two windows.

import assert from 'node:assert/strict';
import { WINDOW_BYTES, WINDOW_SHIFT } from '../../assembly/abi/memory-map.ts';
import { REGION_OK } from '../../assembly/abi/records.ts';
import { Core, type CoreRegion } from '../../host/core/core.ts';
import type { ModuleBuild } from '../../host/core/load.ts';

/** A region as a test describes it: a part of guest memory. */
export interface RegionOptions {
  /** Guest physical address; offset in guest memory is `address - guestAddress` unless told otherwise. */
  address: number;
  bytes: number;
  readable?: boolean;
  writable?: boolean;
  mapped?: boolean;
  /** Offset in guest memory that backs it. */
  offset?: number;
}

export interface GuestMemoryOptions {
  /** A multiple of 2 MiB. */
  bytes: number;
  /** A multiple of 2 MiB. */
  address: number;
  /** Number of copying windows; 0: guest memory is the window area. */
  copyingWindows: number;
  regions: readonly RegionOptions[];
  /** Another build of the core. */
  build?: ModuleBuild | undefined;
}

export class GuestMemory {
  readonly options: GuestMemoryOptions;
  /** All of the linear memory that guest memory lies in; segments' addresses are offsets in it. */
  linear: Uint8Array;
  /** Linear address of guest memory. */
  base: number;
  readonly regions: CoreRegion[] = [];
  /** Memory of the driver: the core's own, or one of its own. */
  driverMemory: WebAssembly.Memory;
  core: Core;
  /** Page that each copying window shows. */
  readonly #shown = new Map<number, number>();

  constructor(options: GuestMemoryOptions) {
    this.options = options;
    assert.equal((options.bytes + options.address) % WINDOW_BYTES, 0);
    this.core = this.#coreCreate();
    if (options.copyingWindows > 0) {
      const pages = (DRIVER_ROOM + options.bytes) / 65536;
      this.driverMemory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
      this.linear = new Uint8Array(this.driverMemory.buffer);
      this.base = DRIVER_ROOM;
    } else {
      this.driverMemory = this.core.memory;
      this.linear = this.core.bytes;
      this.base = this.core.windowBase;
    }
  }

  get copying(): boolean {
    return this.options.copyingWindows > 0;
  }

  /** The guest's memory itself. */
  get bytes(): Uint8Array {
    return this.linear.subarray(this.base, this.base + this.options.bytes);
  }

  /** `bytes` of guest memory at a guest physical address. */
  at(address: number, bytes: number): Uint8Array {
    const offset = address - this.options.address;
    assert.ok(offset >= 0 && offset + bytes <= this.options.bytes, 'outside guest memory');
    return this.linear.subarray(this.base + offset, this.base + offset + bytes);
  }

  view(address: number, bytes: number): DataView {
    const part = this.at(address, bytes);
    return new DataView(part.buffer, part.byteOffset, bytes);
  }

  /** A new core in place of the one before, whose guest memory goes on; for restarts. Regions are to be added anew. */
  coreReplace(): Core {
    const before = this.core;
    this.core = this.#coreCreate();
    this.#shown.clear();
    this.regions.length = 0;
    if (!this.copying) {
      this.core.bytes.set(before.bytes.subarray(before.windowBase), this.core.windowBase);
      this.driverMemory = this.core.memory;
      this.linear = this.core.bytes;
      this.base = this.core.windowBase;
    }
    return this.core;
  }

  /** The regions of the options, or one for all of guest memory. */
  regionsAdd(): void {
    const all = { address: this.options.address, bytes: this.options.bytes };
    const regions = this.options.regions.length > 0 ? this.options.regions : [all];
    for (const region of regions) assert.equal(this.regionAdd(region), REGION_OK);
  }

  /** REGION_*. */
  regionAdd(options: RegionOptions): number {
    const offset = options.offset ?? options.address - this.options.address;
    const region: CoreRegion = {
      gpa: BigInt(options.address),
      length: BigInt(options.bytes),
      ioBase: BigInt(this.base + offset),
      offset: BigInt(offset),
      file: 0,
      readable: options.readable ?? true,
      writable: options.writable ?? true,
      mapped: options.mapped ?? true,
    };
    const code = this.call((core) => core.regionAdd(region));
    if (code === REGION_OK) this.regions.push(region);
    this.#windowsFill();
    return code;
  }

  /** REGION_*. */
  regionRemove(address: number, bytes: number): number {
    const code = this.call((core) => core.regionRemove(BigInt(address), BigInt(bytes)));
    const at = this.regions.findIndex((region) => region.gpa === BigInt(address));
    if (code === REGION_OK) this.regions.splice(at, 1);
    this.#windowsFill();
    return code;
  }

  /** A call into the core, with windows up to date before it and guest memory after it. */
  call<T>(action: (core: Core) => T): T {
    for (const [window, page] of this.#shown) this.#copy(window, page, true);
    const result = action(this.core);
    for (const [window, page] of this.#shown) this.#copy(window, page, false);
    return result;
  }

  /** Answers a window miss. */
  windowFill(window: number, page: number): void {
    assert.ok(
      this.copying,
      `window ${window} was missed for page ${page.toString(16)}, though all are filled`,
    );
    const at = this.core.windowAddress(window);
    this.core.bytes.fill(0, at, at + WINDOW_BYTES);
    this.#shown.set(window, page);
    this.call((core) => core.windowFilled(window, page));
  }

  #coreCreate(): Core {
    const { copyingWindows, bytes, build } = this.options;
    const windowCount = copyingWindows > 0 ? copyingWindows : Math.max(2, bytes / WINDOW_BYTES);
    return new Core(build ? { windowCount, build } : { windowCount });
  }

  /** Where guest memory is the window area: every change of regions forgets windows, so all are filled again. */
  #windowsFill(): void {
    if (this.copying) return;
    const first = this.options.address / WINDOW_BYTES;
    for (let window = 0; window < this.options.bytes >>> WINDOW_SHIFT; window++) {
      this.core.windowFilled(window, first + window);
    }
  }

  #copy(window: number, page: number, intoCore: boolean): void {
    const at = this.core.windowAddress(window);
    const pageStart = page * WINDOW_BYTES;
    for (const region of this.regions) {
      const from = Math.max(pageStart, Number(region.gpa));
      const to = Math.min(pageStart + WINDOW_BYTES, Number(region.gpa + region.length));
      if (from >= to || !region.mapped || (!intoCore && !region.writable)) continue;
      const guestAt = Number(region.ioBase) + from - Number(region.gpa);
      const shown = this.core.bytes.subarray(at + from - pageStart, at + to - pageStart);
      if (intoCore) shown.set(this.linear.subarray(guestAt, guestAt + to - from));
      else this.linear.set(shown, guestAt);
    }
  }
}

/** Room for the driver's state below guest memory, where it has a memory of its own. */
const DRIVER_ROOM = 0x200000;
export const DRIVER_STATE_APART = 0x10000;
