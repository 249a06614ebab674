// Guest memory for tests inside Wasm, where nothing can be mapped. Either it *is* the window area, window n showing
// page n from the start; or it lies apart and `guestFill` copies a page into the window that the core asked for.

import {
  REGION_MAILBOX_BASE,
  WINDOW_BYTES,
  WINDOW_MISS_BASE,
  WINDOW_SHIFT,
} from '../../../assembly/abi/memory-map.ts';
import {
  REGION_FLAG_MAPPED,
  REGION_FLAG_READABLE,
  REGION_FLAG_WRITABLE,
} from '../../../assembly/abi/records.ts';
import { Region } from '../../../assembly/guest/region.ts';
import { regionAdd, regionRemove, regionsClear } from '../../../assembly/guest/regions.ts';
import { WindowMiss } from '../../../assembly/guest/window.ts';
import { windowFilled, windowsClear, windowsTake } from '../../../assembly/guest/windows.ts';
import { queuesInit } from '../../../assembly/queue/lifecycle.ts';
import { Slot } from '../../../assembly/wire/slot.ts';
import { slotTake } from '../../../assembly/queue/slots.ts';

/** Linear address of window 0. */
export const WINDOWS: u32 = 16 << 20;
/** Linear address of guest memory that lies apart. */
export const APART: u32 = 32 << 20;
/** Linear address of memory that tests use as they like; as-pect's own begins at 64 MiB. */
export const SCRATCH: u32 = 48 << 20;

export const READ_WRITE: u32 = REGION_FLAG_MAPPED | REGION_FLAG_READABLE | REGION_FLAG_WRITABLE;
export const READ_ONLY: u32 = REGION_FLAG_MAPPED | REGION_FLAG_READABLE;
/** Where segments of `guestRegion` count from: far from every guest physical address, so that a mix-up shows. */
export const IO_BASE: u64 = 0x7f0000000000;

/** No queues, no regions, `windows` windows, `slots` slots. */
export function guestBegin(windows: u32, slots: u32): void {
  regionsClear();
  windowsClear(WINDOWS, windows);
  queuesInit(slots, 64, 1024);
  regionsClear();
  windowsClear(WINDOWS, windows);
}

/** Adds a region, of which address 0 would be at IO_BASE: REGION_*. */
export function guestRegion(gpa: u64, length: u64, flags: u32): u32 {
  return regionWith(gpa, length, flags, IO_BASE + gpa);
}

export function regionWith(gpa: u64, length: u64, flags: u32, ioBase: u64): u32 {
  const region = Region.at(REGION_MAILBOX_BASE);
  region.gpa = gpa;
  region.length = length;
  region.ioBase = ioBase;
  region.offset = 0;
  region.file = 0;
  region.flags = flags;
  return regionAdd();
}

export function regionWithout(gpa: u64, length: u64): u32 {
  const region = Region.at(REGION_MAILBOX_BASE);
  region.gpa = gpa;
  region.length = length;
  return regionRemove();
}

/** Window n shows page n, for `count` windows. */
export function guestShow(count: u32): void {
  for (let index: u32 = 0; index < count; index++) windowFilled(index, index);
}

/** Fills every window that was asked for from memory that lies apart; how many there were. */
export function guestFill(): u32 {
  const count = windowsTake();
  for (let index: u32 = 0; index < count; index++) {
    const miss = changetype<WindowMiss>(<usize>WINDOW_MISS_BASE + index * 8);
    memory.copy(WINDOWS + (miss.window << WINDOW_SHIFT), APART + (miss.page << WINDOW_SHIFT), WINDOW_BYTES);
    windowFilled(miss.window, miss.page);
  }
  return count;
}

/** A slot with an empty command. */
export function slotWith(): Slot {
  const slot = slotTake();
  memory.fill(changetype<usize>(slot), 0, 64);
  slot.state = 1;
  return slot;
}
