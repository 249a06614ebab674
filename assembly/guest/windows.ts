// The windows onto guest memory: which of them shows which 2 MiB, who is replaced next, and what the caller is asked
// to fill.
//
// A window that was filled stays *fresh* until it is used once or a whole poll has passed, and a fresh one is no
// victim: whoever waited for it has had its turn before it can be lost again. So two windows are enough for any number
// of waiters, each of which needs one window at a time.

import {
  WINDOW_COUNT_MAX,
  WINDOW_MISS_BASE,
  WINDOW_MISS_BYTES,
  WINDOW_SHIFT,
  WINDOW_BYTES,
} from '../abi/memory-map.ts';
import { REGION_FLAG_MAPPED, REGION_FLAG_READABLE, REGION_FLAG_WRITABLE } from '../abi/records.ts';
import { regionFind } from './regions.ts';
import { Guest } from './state.ts';
import {
  Window,
  WINDOW_FRESH,
  WindowMiss,
  WINDOW_NONE,
  WINDOW_PENDING,
  WINDOW_UNIFORM,
  WINDOW_VALID,
} from './window.ts';

const UNIFORM_NEEDS: u32 = REGION_FLAG_MAPPED | REGION_FLAG_READABLE | REGION_FLAG_WRITABLE;

/** All windows free, none asked for. */
export function windowsClear(base: u32, count: u32): void {
  const guest = Guest.get();
  memory.fill(
    changetype<usize>(Window.at(0)),
    0,
    changetype<usize>(Window.at(WINDOW_COUNT_MAX)) - changetype<usize>(Window.at(0)),
  );
  guest.windowBase = base;
  guest.windowCount = count;
  guest.windowsFree = count;
  guest.windowsFresh = 0;
  guest.clock = 0;
  guest.missCount = 0;
  guest.missRefused = 0;
}

/** The window that shows a page, or WINDOW_NONE. */
export function windowFind(page: u32): u32 {
  const hintAt = Guest.hint(page);
  const hint: u32 = load<u16>(hintAt);
  const guessed = Window.at(hint);
  if (guessed.page == page && guessed.flags & WINDOW_VALID) return hint;
  const count = Guest.get().windowCount;
  for (let index: u32 = 0; index < count; index++) {
    const window = Window.at(index);
    if (window.page == page && window.flags & WINDOW_VALID) {
      store<u16>(hintAt, <u16>index);
      return index;
    }
  }
  return WINDOW_NONE;
}

/** Asks the caller for a page, unless that was done before or every window is busy. */
export function windowAsk(page: u32): void {
  const guest = Guest.get();
  const count = guest.windowCount;
  for (let index: u32 = 0; index < count; index++) {
    const window = Window.at(index);
    if (window.page == page && window.flags & WINDOW_PENDING) return;
  }
  const index = victim(guest, count);
  if (index == WINDOW_NONE) {
    guest.missRefused = 1;
    return;
  }
  const window = Window.at(index);
  if (window.flags == 0) guest.windowsFree--;
  window.page = page;
  window.flags = WINDOW_PENDING;
  const miss = changetype<WindowMiss>(<usize>WINDOW_MISS_BASE + <usize>guest.missCount * WINDOW_MISS_BYTES);
  miss.window = index;
  miss.page = page;
  guest.missCount++;
}

/** A free window, or else one that was not used for the longest time, as far as two rounds of the clock can tell. */
function victim(guest: Guest, count: u32): u32 {
  const free = guest.windowsFree != 0;
  let index = guest.clock;
  for (let tries: u32 = 0; tries <= 2 * count; tries++) {
    const at = index;
    index = at + 1 == count ? 0 : at + 1;
    const window = Window.at(at);
    if (window.flags & (WINDOW_PENDING | WINDOW_FRESH)) continue;
    if (free ? window.flags == 0 : window.used == 0) {
      guest.clock = index;
      return at;
    }
    if (!free) window.used = 0;
  }
  return WINDOW_NONE;
}

/** The caller has filled a window with a page, asked or not. Numbers that are no window's are ignored. */
export function windowFilled(index: u32, page: u32): void {
  const guest = Guest.get();
  if (index >= guest.windowCount) return;
  const window = Window.at(index);
  if (window.flags == 0) guest.windowsFree--;
  if (!(window.flags & WINDOW_FRESH)) guest.windowsFresh++;
  window.page = page;
  window.flags = WINDOW_VALID | WINDOW_FRESH | (pageIsUniform(page) ? WINDOW_UNIFORM : 0);
  window.used = 0;
  store<u16>(Guest.hint(page), <u16>index);
}

function pageIsUniform(page: u32): bool {
  const gpa = (<u64>page) << WINDOW_SHIFT;
  const region = regionFind(gpa);
  if (!region.contains(gpa) || (region.flags & UNIFORM_NEEDS) != UNIFORM_NEEDS) return false;
  return region.length - (gpa - region.gpa) >= <u64>WINDOW_BYTES;
}

/**
 * Guest memory changed: windows that show some of it are free again. Those that were asked for stay so: the caller
 * fills them from the regions as they are then.
 */
export function windowsInvalidate(gpa: u64, length: u64): void {
  const guest = Guest.get();
  const first = <u32>(gpa >> WINDOW_SHIFT);
  const last = <u32>((gpa + length - 1) >> WINDOW_SHIFT);
  const count = guest.windowCount;
  for (let index: u32 = 0; index < count; index++) {
    const window = Window.at(index);
    if (!(window.flags & WINDOW_VALID) || window.page < first || window.page > last) continue;
    if (window.flags & WINDOW_FRESH) guest.windowsFresh--;
    window.flags = 0;
    window.used = 0;
    guest.windowsFree++;
  }
}

/** At the end of a poll: every waiter had its turn at the windows that were filled before. */
export function windowsSettle(): void {
  const guest = Guest.get();
  if (guest.windowsFresh == 0) return;
  const count = guest.windowCount;
  for (let index: u32 = 0; index < count; index++) Window.at(index).flags &= ~WINDOW_FRESH;
  guest.windowsFresh = 0;
}

/** Hands the window-miss ring to the caller: the number of its records. */
export function windowsTake(): u32 {
  const guest = Guest.get();
  const count = guest.missCount;
  guest.missCount = 0;
  return count;
}
