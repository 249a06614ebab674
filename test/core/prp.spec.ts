// The PRP walker against a reference that knows neither windows nor merging in place: it lists the pages of a transfer
// one by one, straight from guest memory, then maps and joins them. Exhaustive over small transfers.

import { SEGMENT_BYTES } from '../../assembly/abi/memory-map.ts';
import { NEED_READ, NEED_WRITE } from '../../assembly/guest/access.ts';
import { regionFind } from '../../assembly/guest/regions.ts';
import { windowsSettle } from '../../assembly/guest/windows.ts';
import { prpWalk } from '../../assembly/dptr/prp.ts';
import {
  STATUS_DATA_TRANSFER_ERROR,
  STATUS_DNR,
  STATUS_PRP_OFFSET_INVALID,
  STATUS_SUCCESS,
} from '../../assembly/spec/nvme.ts';
import { Segment } from '../../assembly/wire/request.ts';
import { AGAIN, Slot } from '../../assembly/wire/slot.ts';
import {
  APART,
  guestBegin,
  guestFill,
  guestRegion,
  guestShow,
  IO_BASE,
  READ_ONLY,
  READ_WRITE,
  regionWith,
  SCRATCH,
  slotWith,
  WINDOWS,
} from './support/guest.ts';

const PAGE: u32 = 4096;
const OFFSET_INVALID: u32 = STATUS_PRP_OFFSET_INVALID | STATUS_DNR;
const TRANSFER_ERROR: u32 = STATUS_DATA_TRANSFER_ERROR | STATUS_DNR;

/** The reference's pieces: address and length, 16 bytes each. */
const PIECES: usize = SCRATCH;

/** Lists the pieces of a transfer: their number, or -1 - status. `memory` is the linear address of guest address 0. */
function reference(memory: u32, prp1: u64, prp2: u64, bytes: u32, need: u32): i32 {
  if (prp1 & 3) return -1 - OFFSET_INVALID;
  let count: i32 = 0;
  let left = bytes;
  let list: u64 = 0;
  let gpa = prp1;
  let inList = false;
  while (true) {
    const room = PAGE - ((<u32>gpa) & (PAGE - 1));
    const length = left < room ? left : room;
    const region = regionFind(gpa);
    if (!region.contains(gpa) || (region.flags & need) != need) return -1 - TRANSFER_ERROR;
    store<u64>(PIECES + count * 16, gpa - region.gpa + region.ioBase);
    store<u64>(PIECES + count * 16, length, 8);
    count++;
    left -= length;
    if (left == 0) return count;
    if (!inList && left <= PAGE) {
      if (prp2 & (PAGE - 1)) return -1 - OFFSET_INVALID;
      gpa = prp2;
      continue;
    }
    if (!inList) {
      if (prp2 & 7) return -1 - OFFSET_INVALID;
      list = prp2;
      inList = true;
    }
    if ((list & (PAGE - 1)) == PAGE - 8 && left > PAGE) {
      if (!readable(list)) return -1 - TRANSFER_ERROR;
      list = load<u64>(memory + <u32>list);
      if (list & (PAGE - 1)) return -1 - OFFSET_INVALID;
    }
    if (!readable(list)) return -1 - TRANSFER_ERROR;
    gpa = load<u64>(memory + <u32>list);
    if (gpa & (PAGE - 1)) return -1 - OFFSET_INVALID;
    list += 8;
  }
}

function readable(gpa: u64): bool {
  const region = regionFind(gpa);
  return region.contains(gpa) && (region.flags & NEED_READ) == NEED_READ;
}

/** Whether the slot's segments are the reference's pieces, joined where they follow each other. */
function same(slot: Slot, pieces: i32): bool {
  let segment: u32 = 0;
  let at: u64 = 0;
  let end: u64 = 0;
  for (let index: i32 = 0; index < pieces; index++) {
    const address = load<u64>(PIECES + index * 16);
    const length = load<u64>(PIECES + index * 16, 8);
    if (index != 0 && address == end) {
      end += length;
      continue;
    }
    if (index != 0 && !segmentIs(slot, segment++, at, end - at)) return false;
    at = address;
    end = address + length;
  }
  return segmentIs(slot, segment, at, end - at) && slot.segmentCount == segment + 1;
}

function segmentIs(slot: Slot, index: u32, address: u64, length: u64): bool {
  const segment = Segment.at(slot.segments + index * SEGMENT_BYTES);
  return index < slot.segmentCount && segment.address == address && segment.length == length;
}

/** Walks, filling windows as often as asked; every wait must have asked for something. */
function walk(slot: Slot, bytes: u32, need: u32): u32 {
  for (let turn = 0; turn < 100; turn++) {
    const status = prpWalk(slot, bytes, need);
    if (status != AGAIN) return status;
    guestFill();
  }
  return AGAIN;
}

/** One walk of a slot begun anew, compared with the reference; false when they differ. */
function agrees(slot: Slot, memory: u32, prp1: u64, prp2: u64, bytes: u32, need: u32): bool {
  const expected = reference(memory, prp1, prp2, bytes, need);
  slot.sqe.prp1 = prp1;
  slot.sqe.prp2 = prp2;
  slot.walkState = 0;
  slot.segmentCount = 77;
  const status = walk(slot, bytes, need);
  if (expected < 0) return status == <u32>(-1 - expected);
  return status == STATUS_SUCCESS && same(slot, expected);
}

/** The pages that a list names, by pattern: ascending, descending, pairs, all the same, scattered. */
function pageOf(pattern: u32, index: u32): u64 {
  switch (pattern) {
    case 0:
      return 0x100000 + <u64>index * PAGE;
    case 1:
      return 0x180000 - <u64>index * PAGE;
    case 2:
      return 0x100000 + <u64>(index ^ 1) * PAGE;
    case 3:
      return 0x100000;
    default:
      return 0x100000 + <u64>((index * 7) % 64) * PAGE;
  }
}

/**
 * Writes a list of `entries` entries that begins at `at`, with its chain pages at `chain` and the pages behind. Entry
 * numbers count data pages; `odd` gets the bits `bits` into its lower half.
 */
function listWrite(memory: u32, at: u64, chain: u64, entries: u32, pattern: u32, odd: u32, bits: u64): void {
  let place = at;
  let next = chain;
  for (let index: u32 = 0; index < entries; index++) {
    if ((place & (PAGE - 1)) == PAGE - 8 && index + 1 < entries) {
      store<u64>(memory + <u32>place, next);
      place = next;
      next += PAGE;
    }
    store<u64>(memory + <u32>place, pageOf(pattern, index + 1) | (index == odd ? bits : 0));
    place += 8;
  }
}

describe('PRP walker', () => {
  beforeEach(() => {
    guestBegin(8, 4);
    guestRegion(0, 16 << 20, READ_WRITE);
    guestShow(8);
  });

  it('agrees with the reference for every small transfer', () => {
    const slot = slotWith();
    let wrong: u32 = 0;
    let walks: u32 = 0;
    for (let pattern: u32 = 0; pattern < 5; pattern++) {
      for (let offset: u32 = 0; offset < PAGE; offset += 1020) {
        for (let behind: u32 = 1; behind <= 9; behind++) {
          // The list begins so that 1 to 9 entries fit into its first page; 9 also stands for "plenty".
          const list: u64 = 0x40000 + PAGE - 8 * behind;
          for (let pages: u32 = 0; pages <= 12; pages++) {
            for (let tail: u32 = 4; tail <= PAGE; tail += 1364) {
              const bytes = pages * PAGE + tail;
              listWrite(WINDOWS, list, 0x50000, 14, pattern, 99, 0);
              const prp2 = bytes <= 2 * PAGE - offset ? pageOf(pattern, 1) : list;
              walks++;
              if (!agrees(slot, WINDOWS, pageOf(pattern, 0) + offset, prp2, bytes, NEED_WRITE)) wrong++;
            }
          }
        }
      }
    }
    expect(wrong).toBe(0);
    expect(walks).toBeGreaterThan(9000);
  });

  it('joins pages that follow each other into one segment, from PRP1 to the end of the list', () => {
    const slot = slotWith();
    listWrite(WINDOWS, 0x40ff0, 0x50000, 256, 0, 999, 0);
    slot.sqe.prp1 = pageOf(0, 0) + 0x200;
    slot.sqe.prp2 = 0x40ff0;
    expect(walk(slot, 256 * PAGE, NEED_WRITE)).toBe(STATUS_SUCCESS);
    expect(slot.segmentCount).toBe(1);
    const segment = Segment.at(slot.segments);
    expect(segment.address).toBe(IO_BASE + 0x100200);
    expect(segment.length).toBe(256 * PAGE);
  });

  it('needs 257 segments for MDTS in scattered pages entered in the middle', () => {
    const slot = slotWith();
    listWrite(WINDOWS, 0x40000, 0x50000, 256, 1, 999, 0);
    slot.sqe.prp1 = pageOf(1, 0) + 4;
    slot.sqe.prp2 = 0x40000;
    expect(walk(slot, 256 * PAGE, NEED_WRITE)).toBe(STATUS_SUCCESS);
    expect(slot.segmentCount).toBe(257);
  });

  it('refuses misaligned entries, wherever they are', () => {
    const slot = slotWith();
    let wrong: u32 = 0;
    for (let bits: u64 = 1; bits < PAGE; bits <<= 1) {
      for (let odd: u32 = 0; odd < 9; odd++) {
        for (let behind: u32 = 1; behind <= 9; behind++) {
          const list: u64 = 0x40000 + PAGE - 8 * behind;
          listWrite(WINDOWS, list, 0x50000, 9, 0, odd, bits);
          if (!agrees(slot, WINDOWS, 0x100000, list, 10 * PAGE, NEED_WRITE)) wrong++;
          slot.walkState = 0;
          if (walk(slot, 10 * PAGE, NEED_WRITE) != OFFSET_INVALID) wrong++;
        }
      }
    }
    expect(wrong).toBe(0);
  });

  it('refuses a misaligned PRP1, PRP2, list pointer and chain pointer', () => {
    const slot = slotWith();
    const sqe = slot.sqe;
    sqe.prp1 = 0x100002;
    expect(walk(slot, 4, NEED_WRITE)).toBe(OFFSET_INVALID);
    sqe.prp1 = 0x100001;
    expect(walk(slot, PAGE, NEED_READ)).toBe(OFFSET_INVALID);
    sqe.prp1 = 0x100004;
    sqe.prp2 = 0x101004;
    expect(walk(slot, PAGE, NEED_READ)).toBe(OFFSET_INVALID);
    sqe.prp2 = 0x40004;
    expect(walk(slot, 3 * PAGE, NEED_READ)).toBe(OFFSET_INVALID);
    listWrite(WINDOWS, 0x40ff8, 0x50008, 5, 0, 99, 0);
    sqe.prp2 = 0x40ff8;
    slot.walkState = 0;
    expect(walk(slot, 5 * PAGE, NEED_READ)).toBe(OFFSET_INVALID);
  });

  it('does not look at PRP2 when PRP1 names it all', () => {
    const slot = slotWith();
    slot.sqe.prp1 = 0x100e00;
    slot.sqe.prp2 = 0xffffffffffffffff;
    expect(walk(slot, 512, NEED_WRITE)).toBe(STATUS_SUCCESS);
    expect(slot.segmentCount).toBe(1);
  });

  it('takes address 0 for what it is', () => {
    const slot = slotWith();
    slot.sqe.prp1 = 0;
    slot.sqe.prp2 = 0;
    expect(walk(slot, 2 * PAGE, NEED_WRITE)).toBe(STATUS_SUCCESS);
    expect(Segment.at(slot.segments).address).toBe(IO_BASE);
    expect(slot.segmentCount).toBe(2);
  });

  it('ends with lists that point at themselves', () => {
    const slot = slotWith();
    // All 512 entries name the list itself, the last of them as the next list.
    for (let entry: u32 = 0; entry < 512; entry++) store<u64>(WINDOWS + 0x40000 + entry * 8, 0x40000);
    slot.sqe.prp1 = 0x100000;
    for (let at: u64 = 0x40000; at < 0x41000; at += 8) {
      slot.sqe.prp2 = at;
      slot.walkState = 0;
      const status = walk(slot, 256 * PAGE, NEED_WRITE);
      if (status != STATUS_SUCCESS || slot.segmentCount != 256) {
        expect(at).toBe(0);
        return;
      }
    }
    expect(true).toBe(true);
  });
});

describe('PRP walker and regions', () => {
  it('agrees with the reference across regions of every kind', () => {
    guestBegin(8, 4);
    // Seven regions of 8 pages from 1 MiB on: read-write, then read-only, not mapped, absent, and so on; at 0x140000
    // two whose I/O addresses follow each other, at 0x150000 two that share them.
    guestRegion(0, 0x100000, READ_WRITE);
    guestRegion(0x100000, 0x8000, READ_WRITE);
    guestRegion(0x108000, 0x8000, READ_ONLY);
    guestRegion(0x110000, 0x8000, 0x3);
    regionWith(0x140000, 0x4000, READ_WRITE, 0x10000);
    regionWith(0x144000, 0x4000, READ_WRITE, 0x14000);
    regionWith(0x150000, 0x4000, READ_WRITE, 0x20000);
    regionWith(0x154000, 0x4000, READ_WRITE, 0x20000);
    guestShow(8);
    const slot = slotWith();
    let wrong: u32 = 0;
    for (let first: u64 = 0xfe000; first < 0x15a000; first += PAGE) {
      for (let second: u64 = 0xfe000; second < 0x15a000; second += 3 * PAGE) {
        for (let third: u64 = 0; third < 3; third++) {
          store<u64>(WINDOWS + 0x40000, second);
          store<u64>(WINDOWS + 0x40008, second + third * PAGE);
          for (let need: u32 = 0; need < 2; need++) {
            const allowed = need ? NEED_WRITE : NEED_READ;
            if (!agreesApart(slot, first, 0x40000, 3 * PAGE, allowed)) wrong++;
            if (!agreesApart(slot, first + 512, second, PAGE, allowed)) wrong++;
          }
        }
      }
    }
    expect(wrong).toBe(0);
  });

  it('never joins across regions, though their I/O addresses follow each other', () => {
    guestBegin(8, 4);
    regionWith(0x0, 0x100000, READ_WRITE, 0);
    regionWith(0x100000, 0x100000, READ_WRITE, 0x100000);
    guestShow(8);
    const slot = slotWith();
    slot.sqe.prp1 = 0xff000;
    slot.sqe.prp2 = 0x100000;
    expect(walk(slot, 2 * PAGE, NEED_WRITE)).toBe(STATUS_SUCCESS);
    expect(slot.segmentCount).toBe(2);
    listWrite(WINDOWS, 0x40000, 0x50000, 3, 0, 99, 0);
    slot.sqe.prp2 = 0x40000;
    store<u64>(WINDOWS + 0x40000, 0x100000);
    slot.walkState = 0;
    expect(walk(slot, 3 * PAGE, NEED_WRITE)).toBe(STATUS_SUCCESS);
    expect(Segment.at(slot.segments).length).toBe(PAGE);
  });

  it('refuses lists in no memory, at the end of memory, and addresses near 2^64', () => {
    guestBegin(8, 4);
    guestRegion(0, 0x200000, READ_WRITE);
    guestShow(8);
    const slot = slotWith();
    slot.sqe.prp1 = 0x1000;
    const lists: u64[] = [
      0x200000,
      0x200008,
      1 << 53,
      0x8000000000000000,
      0xfffffffffffffff8,
      0xfffffffffffff000,
    ];
    for (let index = 0; index < lists.length; index++) {
      slot.sqe.prp2 = lists[index];
      slot.walkState = 0;
      expect(walk(slot, 4 * PAGE, NEED_WRITE)).toBe(TRANSFER_ERROR);
      store<u64>(WINDOWS + 0x40000, lists[index] & ~(<u64>0xfff));
      slot.sqe.prp2 = 0x40000;
      slot.walkState = 0;
      expect(walk(slot, 4 * PAGE, NEED_WRITE)).toBe(TRANSFER_ERROR);
    }
    // The last entry of memory is the next list, which is beyond.
    store<u64>(WINDOWS + 0x1ffff8, 0x200000);
    slot.sqe.prp2 = 0x1ffff8;
    slot.walkState = 0;
    expect(walk(slot, 4 * PAGE, NEED_WRITE)).toBe(TRANSFER_ERROR);
  });
});

/** As agrees, but a join across regions that share or continue I/O addresses is no difference: it must not happen. */
function agreesApart(slot: Slot, prp1: u64, prp2: u64, bytes: u32, need: u32): bool {
  const expected = reference(WINDOWS, prp1, prp2, bytes, need);
  slot.sqe.prp1 = prp1;
  slot.sqe.prp2 = prp2;
  slot.walkState = 0;
  const status = walk(slot, bytes, need);
  if (expected < 0) return status == <u32>(-1 - expected);
  if (status != STATUS_SUCCESS) return false;
  let piece: i32 = 0;
  for (let index: u32 = 0; index < slot.segmentCount; index++) {
    const segment = Segment.at(slot.segments + index * SEGMENT_BYTES);
    let used: u64 = 0;
    while (used < segment.length) {
      if (piece == expected || load<u64>(PIECES + piece * 16) != segment.address + used) return false;
      used += load<u64>(PIECES + piece * 16, 8);
      piece++;
    }
    if (used != segment.length) return false;
  }
  return piece == expected;
}

describe('PRP walker and two windows', () => {
  it('goes on where a missing window stopped it, at each list page', () => {
    let wrong: u32 = 0;
    for (let at: u32 = 0; at < 8; at++) {
      for (let chain: u32 = 0; chain < 8; chain++) {
        guestBegin(2, 4);
        guestRegion(0, 16 << 20, READ_WRITE);
        const slot = slotWith();
        // List pages in any of eight windows, the second and third in the ones behind it.
        const list: u64 = ((<u64>at) << 21) + 0x3ff0;
        const next: u64 = ((<u64>chain) << 21) + 0x8000;
        const far: u64 = ((<u64>((chain + 3) & 7)) << 21) + 0xa000;
        store<u64>(APART + <u32>list, 0x300000);
        store<u64>(APART + <u32>list + 8, next);
        for (let entry: u32 = 0; entry < 511; entry++)
          store<u64>(APART + <u32>next + entry * 8, pageOf(4, entry));
        store<u64>(APART + <u32>next + 4088, far);
        for (let bytes: u32 = 3 * PAGE; bytes < 20 * PAGE; bytes += 5 * PAGE) {
          if (!agrees(slot, APART, 0x200200, list, bytes, NEED_READ)) wrong++;
          windowsSettle();
        }
      }
    }
    expect(wrong).toBe(0);
  });

  it('does not merge differently when it stopped in between', () => {
    guestBegin(2, 4);
    guestRegion(0, 16 << 20, READ_WRITE);
    const slot = slotWith();
    // Ascending pages; the list has nothing but its chain pointer in its first window.
    store<u64>(APART + 0x200ff8, 0x600000);
    store<u64>(APART + 0x600000, 0x101000);
    store<u64>(APART + 0x600008, 0x102000);
    slot.sqe.prp1 = 0x100000;
    slot.sqe.prp2 = 0x200ff8;
    expect(walk(slot, 3 * PAGE, NEED_READ)).toBe(STATUS_SUCCESS);
    expect(slot.segmentCount).toBe(1);
  });
});
