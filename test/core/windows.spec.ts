// Regions and windows: what an access finds, what it asks for, who is replaced, and that two windows serve any number
// of waiters.

import {
  REGION_COUNT,
  WINDOW_BYTES,
  WINDOW_COUNT_MAX,
  WINDOW_MISS_BASE,
} from '../../assembly/abi/memory-map.ts';
import {
  REGION_INVALID,
  REGION_OK,
  REGION_OVERLAPS,
  REGION_TABLE_FULL,
  REGION_UNKNOWN,
} from '../../assembly/abi/records.ts';
import {
  ACCESS_CODES,
  ACCESS_MISSING,
  ACCESS_NO_MEMORY,
  ACCESS_NOT_SHARED,
  ACCESS_REFUSED,
  guestAccess,
  NEED_READ,
  NEED_WRITE,
  rangeCheck,
} from '../../assembly/guest/access.ts';
import { regionFind, regionsClear } from '../../assembly/guest/regions.ts';
import { Guest } from '../../assembly/guest/state.ts';
import {
  Window,
  WINDOW_FRESH,
  WINDOW_PENDING,
  WINDOW_UNIFORM,
  WINDOW_VALID,
  WindowMiss,
} from '../../assembly/guest/window.ts';
import { windowFilled, windowsInvalidate, windowsSettle, windowsTake } from '../../assembly/guest/windows.ts';
import {
  APART,
  guestBegin,
  guestFill,
  guestRegion,
  guestShow,
  READ_ONLY,
  READ_WRITE,
  regionWith,
  regionWithout,
  SCRATCH,
  WINDOWS,
} from './support/guest.ts';

/** Linear address of a hint, and of more of them behind it. */
const HINT: usize = SCRATCH;
const MIB: u64 = 1 << 20;

function access(gpa: u64, need: u32 = NEED_READ): usize {
  return guestAccess(gpa, need, HINT);
}

function miss(index: u32): WindowMiss {
  return changetype<WindowMiss>(<usize>WINDOW_MISS_BASE + index * 8);
}

describe('regions', () => {
  beforeEach(() => {
    guestBegin(4, 2);
    store<u64>(HINT, 0);
  });

  it('refuse what is no whole page, nothing, or beyond the end', () => {
    expect(guestRegion(0x800, 0x1000, READ_WRITE)).toBe(REGION_INVALID);
    expect(guestRegion(0, 0x800, READ_WRITE)).toBe(REGION_INVALID);
    expect(guestRegion(0, 0, READ_WRITE)).toBe(REGION_INVALID);
    expect(guestRegion(1 << 53, 0x1000, READ_WRITE)).toBe(REGION_INVALID);
    expect(guestRegion((1 << 53) - 0x1000, 0x2000, READ_WRITE)).toBe(REGION_INVALID);
    expect(guestRegion(0x1000, 0xfffffffffffff000, READ_WRITE)).toBe(REGION_INVALID);
    expect(guestRegion(0xfffffffffffff000, 0x1000, READ_WRITE)).toBe(REGION_INVALID);
    expect(guestRegion((1 << 53) - 0x1000, 0x1000, READ_WRITE)).toBe(REGION_OK);
  });

  it('never overlap, in any order and by a single page', () => {
    // Regions of 1 to 3 pages at each place among 8 pages: a second one fits exactly where no page is shared.
    let wrong = 0;
    for (let first: u64 = 0; first < 8; first++) {
      for (let pages: u64 = 1; pages <= 3; pages++) {
        for (let second: u64 = 0; second < 8; second++) {
          for (let more: u64 = 1; more <= 3; more++) {
            regionsClear();
            guestRegion(first << 12, pages << 12, READ_WRITE);
            const overlaps = second < first + pages && first < second + more;
            if (guestRegion(second << 12, more << 12, READ_WRITE) != (overlaps ? REGION_OVERLAPS : REGION_OK))
              wrong++;
          }
        }
      }
    }
    expect(wrong).toBe(0);
  });

  it('are removed by their exact address and length', () => {
    guestRegion(0x2000, 0x2000, READ_WRITE);
    expect(regionWithout(0x2000, 0x1000)).toBe(REGION_UNKNOWN);
    expect(regionWithout(0x3000, 0x1000)).toBe(REGION_UNKNOWN);
    expect(regionWithout(0x4000, 0x2000)).toBe(REGION_UNKNOWN);
    expect(regionWithout(0x2000, 0x2000)).toBe(REGION_OK);
    expect(regionWithout(0x2000, 0x2000)).toBe(REGION_UNKNOWN);
    expect(regionFind(0x2000).contains(0x2000)).toBe(false);
  });

  it('fill the table, are all found, and leave in any order', () => {
    for (let index: u64 = 0; index < <u64>REGION_COUNT; index++) {
      // Added from both ends: 0, last, 1, last - 1, ...
      const place = index & 1 ? REGION_COUNT - 1 - (index >> 1) : index >> 1;
      if (guestRegion(place << 13, 0x1000, READ_WRITE) != REGION_OK) expect(index).toBe(0);
    }
    expect(guestRegion(1 << 40, 0x1000, READ_WRITE)).toBe(REGION_TABLE_FULL);
    let wrong = 0;
    for (let index: u64 = 0; index < <u64>REGION_COUNT; index++) {
      if (regionFind((index << 13) + 0xfff).gpa != index << 13) wrong++;
      if (regionFind((index << 13) + 0x1000).contains((index << 13) + 0x1000)) wrong++;
    }
    for (let index: u64 = 0; index < <u64>REGION_COUNT; index++) {
      const place = (index * 1021) % REGION_COUNT;
      if (regionWithout(place << 13, 0x1000) != REGION_OK) wrong++;
    }
    expect(wrong).toBe(0);
    expect(Guest.get().regionCount).toBe(0);
  });

  it('contain no address near 2^64, nor any when there are none', () => {
    expect(regionFind(0).contains(0)).toBe(false);
    expect(regionFind(u64.MAX_VALUE).contains(u64.MAX_VALUE)).toBe(false);
    guestRegion(0, MIB, READ_WRITE);
    expect(regionFind(u64.MAX_VALUE).contains(u64.MAX_VALUE)).toBe(false);
  });

  it('allow a range in one piece, in several, and not with a hole', () => {
    guestRegion(0, MIB, READ_WRITE);
    guestRegion(MIB, MIB, READ_ONLY);
    guestRegion(3 * MIB, MIB, 0x3);
    expect(rangeCheck(0, MIB, NEED_WRITE)).toBe(0);
    expect(rangeCheck(0, 2 * MIB, NEED_READ)).toBe(0);
    expect(rangeCheck(0, MIB + 1, NEED_WRITE)).toBe(ACCESS_REFUSED);
    expect(rangeCheck(MIB, MIB + 1, NEED_READ)).toBe(ACCESS_NO_MEMORY);
    expect(rangeCheck(3 * MIB, 64, NEED_READ)).toBe(ACCESS_NOT_SHARED);
    expect(Guest.get().faultAddress).toBe(3 * MIB);
    expect(rangeCheck(0xfffffffffffff000, 0x2000, NEED_READ)).toBe(ACCESS_NO_MEMORY);
  });
});

describe('windows', () => {
  beforeEach(() => {
    guestBegin(4, 2);
    store<u64>(HINT, 0);
  });

  it('ask once for a page, and show it when it was filled', () => {
    guestRegion(0, 64 * MIB, READ_WRITE);
    expect(access(5 * MIB)).toBe(ACCESS_MISSING);
    expect(access(5 * MIB + 8)).toBe(ACCESS_MISSING);
    expect(windowsTake()).toBe(1);
    expect(miss(0).page).toBe(2);
    const window = miss(0).window;
    expect(Window.at(window).flags).toBe(WINDOW_PENDING);
    expect(access(5 * MIB)).toBe(ACCESS_MISSING);
    expect(windowsTake()).toBe(0);
    windowFilled(window, 2);
    expect(access(5 * MIB)).toBe(WINDOWS + window * WINDOW_BYTES + <u32>MIB);
    expect(Window.at(window).flags).toBe(WINDOW_VALID | WINDOW_UNIFORM);
  });

  it('do not ask for what is no memory', () => {
    guestRegion(0, MIB, READ_WRITE);
    guestRegion(MIB, MIB, READ_ONLY);
    guestRegion(2 * MIB, MIB, 0x3);
    expect(access(3 * MIB)).toBe(ACCESS_NO_MEMORY);
    expect(access(1 << 53)).toBe(ACCESS_NO_MEMORY);
    expect(access(u64.MAX_VALUE - 7)).toBe(ACCESS_NO_MEMORY);
    expect(access(MIB, NEED_WRITE)).toBe(ACCESS_REFUSED);
    expect(access(2 * MIB)).toBe(ACCESS_NOT_SHARED);
    expect(windowsTake()).toBe(0);
  });

  it('check the region at each access where not all of the 2 MiB is alike', () => {
    guestRegion(0, MIB, READ_WRITE);
    guestRegion(MIB, 0x1000, READ_ONLY);
    windowFilled(0, 0);
    expect(access(0x1000, NEED_WRITE)).toBe(WINDOWS + 0x1000);
    expect(access(MIB, NEED_READ)).toBe(WINDOWS + <u32>MIB);
    expect(access(MIB, NEED_WRITE)).toBe(ACCESS_REFUSED);
    expect(access(MIB + 0x1000)).toBe(ACCESS_NO_MEMORY);
    expect(Window.at(0).flags & WINDOW_UNIFORM).toBe(0);
  });

  it('are found by whole page numbers: no address looks like a flag', () => {
    guestRegion(0, 2 * MIB, READ_WRITE);
    windowFilled(0, 0);
    expect(access(0)).toBe(WINDOWS);
    let found = 0;
    for (let bit = 21; bit < 64; bit++) {
      const gpa = (<u64>1) << bit;
      if (access(gpa) >= ACCESS_CODES) found++;
      if (access(gpa | (3 << 62)) >= ACCESS_CODES) found++;
    }
    expect(found).toBe(0);
    expect(access(0)).toBe(WINDOWS);
  });

  it("that are pending or fresh are nobody's victims; a miss without a victim is said", () => {
    guestRegion(0, 64 * MIB, READ_WRITE);
    const guest = Guest.get();
    for (let page: u64 = 0; page < 4; page++) expect(access(page << 21)).toBe(ACCESS_MISSING);
    expect(guest.missRefused).toBe(0);
    expect(access((<u64>9) << 21)).toBe(ACCESS_MISSING);
    expect(guest.missRefused).toBe(1);
    expect(guestFill()).toBe(4);
    expect(access((<u64>9) << 21)).toBe(ACCESS_MISSING);
    expect(windowsTake()).toBe(0);
    // One is used: it may go, the three others may not.
    expect(access((<u64>2) << 21)).toBeGreaterThan(ACCESS_CODES);
    expect(access((<u64>9) << 21)).toBe(ACCESS_MISSING);
    expect(windowsTake()).toBe(1);
    expect(miss(0).page).toBe(9);
    expect(access((<u64>2) << 21)).toBe(ACCESS_MISSING);
    expect(windowsTake()).toBe(0);
    // After a whole poll the turn of the fresh ones is over.
    windowsSettle();
    expect(guest.windowsFresh).toBe(0);
    expect(access((<u64>2) << 21)).toBe(ACCESS_MISSING);
    expect(windowsTake()).toBe(1);
  });

  it('that were used lately outlive those that were not', () => {
    guestRegion(0, 64 * MIB, READ_WRITE);
    guestShow(4);
    for (let page: u64 = 0; page < 4; page++) access(page << 21);
    // All were used: the clock goes around once, and window 0 goes. Then 1 and 3 are used again.
    expect(access((<u64>9) << 21)).toBe(ACCESS_MISSING);
    expect(miss(0).window).toBe(0);
    access((<u64>1) << 21);
    access((<u64>3) << 21);
    expect(access((<u64>8) << 21)).toBe(ACCESS_MISSING);
    expect(miss(1).window).toBe(2);
  });

  it('are free again when their memory changes, unless they were asked for', () => {
    guestRegion(0, 64 * MIB, READ_WRITE);
    guestShow(3);
    expect(access((<u64>20) << 20)).toBe(ACCESS_MISSING);
    expect(access(0)).toBe(WINDOWS);
    expect(access(2 * MIB)).toBe(WINDOWS + WINDOW_BYTES);
    windowsInvalidate(MIB, 2 * MIB);
    expect(Window.at(0).flags).toBe(0);
    expect(Window.at(1).flags).toBe(0);
    expect(Window.at(2).flags & WINDOW_VALID).toBe(WINDOW_VALID);
    expect(Window.at(3).flags).toBe(WINDOW_PENDING);
    expect(Guest.get().windowsFree).toBe(2);
    expect(access(0)).toBe(ACCESS_MISSING);
    windowsInvalidate(0, 64 * MIB);
    expect(Guest.get().windowsFresh).toBe(0);
    expect(Guest.get().windowsFree).toBe(2);
  });

  it('lose a region that is removed, and see its flags anew when it comes back', () => {
    guestRegion(0, 4 * MIB, READ_WRITE);
    guestShow(2);
    expect(access(MIB, NEED_WRITE)).toBe(WINDOWS + <u32>MIB);
    regionWithout(0, 4 * MIB);
    expect(access(MIB, NEED_WRITE)).toBe(ACCESS_NO_MEMORY);
    guestRegion(0, 4 * MIB, READ_ONLY);
    expect(access(MIB, NEED_READ)).toBe(ACCESS_MISSING);
    guestShow(2);
    expect(access(MIB, NEED_WRITE)).toBe(ACCESS_REFUSED);
    expect(access(MIB, NEED_READ)).toBe(WINDOWS + <u32>MIB);
  });

  it('ignore a fill of a window that does not exist', () => {
    windowFilled(4, 0);
    windowFilled(WINDOW_COUNT_MAX, 0);
    windowFilled(0xffffffff, 0);
    expect(Guest.get().windowsFree).toBe(4);
    expect(Guest.get().windowsFresh).toBe(0);
  });

  it('see a page in a window that a new region shares with others', () => {
    regionWith(0, 0x1000, READ_WRITE, 0);
    windowFilled(0, 0);
    expect(access(0)).toBe(WINDOWS);
    regionWith(0x1000, 0x1000, READ_WRITE, 0x100000);
    expect(access(0)).toBe(ACCESS_MISSING);
    expect(Window.at(0).flags & WINDOW_FRESH).toBe(0);
  });
});

describe('two windows', () => {
  it('serve any number of waiters, each of which needs many pages one after the other', () => {
    guestBegin(2, 2);
    guestRegion(0, 16 * MIB, READ_WRITE);
    // 24 waiters, each with its own hint, walk 8 pages in an order of their own.
    const waiters: u32 = 24;
    const places = SCRATCH + 0x1000;
    memory.fill(SCRATCH, 0, 0x2000);
    for (let page: u32 = 0; page < 8; page++) store<u32>(APART + (page << 21), 0x1000 + page);
    let done: u32 = 0;
    let polls: u32 = 0;
    while (done < waiters * 8 && polls < 2000) {
      Guest.get().missRefused = 0;
      for (let waiter: u32 = 0; waiter < waiters; waiter++) {
        const step = load<u8>(places + waiter);
        if (step == 8) continue;
        const page = (waiter * 5 + <u32>step * 3) & 7;
        const at = guestAccess((<u64>page) << 21, NEED_READ, HINT + waiter * 2);
        if (at < ACCESS_CODES) continue;
        expect(load<u32>(at)).toBe(0x1000 + page);
        store<u8>(places + waiter, step + 1);
        done++;
      }
      windowsSettle();
      guestFill();
      polls++;
    }
    expect(done).toBe(waiters * 8);
    expect(polls).toBeLessThan(200);
  });
});
