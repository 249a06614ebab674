// Physical Region Pages (Base 4.1.1): turns PRP1, PRP2 and PRP lists into segments, one restartable walk a command.
//
//   PRP1                        PRP2: list pointer             list page (4 KiB)          next list page
//   +-------------------+       begins anywhere, 8 aligned     +---------------+          +---------------+
//   | page     | offset |  ...  +----------------------+  -->  :               :    +-->  | page 3        | offset 0
//   +-------------------+       | list page  | offset  |       | page 1        |    |     | page 4        |
//    first, the only one        +----------------------+       | page 2        |    |     :               :
//    with an offset                                            | next list ----|----+     +---------------+
//                                                              +---------------+ last entry of the page, and only
//                                                                where more pages follow than this entry could name
//
// States: WALK_BEGIN -> (all described by PRP1 and PRP2) done
//                    -> WALK_LIST: walkAddress is the list entry to read next -> ... -> done
//
// A list page whose window is missing stops the walk with AGAIN; the next call goes on at the same entry. Each entry is
// read once into a local. Every list page yields at least one data page or, entered at its last entry, is followed by a
// whole one, so that lists that point at themselves end with the command's bytes: at most 2^MDTS + 1 pages.

import { SEGMENT_BYTES } from '../abi/memory-map.ts';
import { ACCESS_CODES, ACCESS_MISSING, addressCheck, guestAccess, NEED_READ } from '../guest/access.ts';
import { Region } from '../guest/region.ts';
import { regionFind } from '../guest/regions.ts';
import { Guest } from '../guest/state.ts';
import {
  PAGE_BYTES,
  PRP_ALIGN_MASK,
  PRP_ENTRY_BYTES,
  PRP_ENTRY_SHIFT,
  STATUS_DATA_TRANSFER_ERROR,
  STATUS_DNR,
  STATUS_PRP_OFFSET_INVALID,
  STATUS_SUCCESS,
} from '../spec/nvme.ts';
import { Segment } from '../wire/request.ts';
import { AGAIN, Slot } from '../wire/slot.ts';

export const WALK_BEGIN: u8 = 0;
export const WALK_LIST: u8 = 1;

const PAGE: u32 = PAGE_BYTES;
const PAGE_MASK: u64 = PAGE_BYTES - 1;
const OFFSET_INVALID: u32 = STATUS_PRP_OFFSET_INVALID | STATUS_DNR;
const TRANSFER_ERROR: u32 = STATUS_DATA_TRANSFER_ERROR | STATUS_DNR;
/** No segment ends here: segments end below it, since addresses of the kernel and files of 2^63 bytes do. */
const NOWHERE: u64 = 0xffffffffffffffff;

/**
 * Walks the data pointer of the slot's command for `bytes` bytes (at least 1, at most 2^MDTS pages) of guest memory
 * that allow NEED_*. STATUS_SUCCESS: the slot has all its segments; AGAIN: call once more after the next poll;
 * PRP Offset Invalid: a misaligned entry; Data Transfer Error: no such memory, or not for this direction.
 */
export function prpWalk(slot: Slot, bytes: u32, need: u32): u32 {
  if (slot.walkState == WALK_LIST) return prpList(slot, need);
  const sqe = slot.sqe;
  const prp1 = sqe.prp1;
  if (prp1 & PRP_ALIGN_MASK) return OFFSET_INVALID;
  const room = PAGE - ((<u32>prp1) & (PAGE - 1));
  const first = bytes < room ? bytes : room;
  slot.segmentCount = 0;
  const status = segmentAppend(slot, prp1, first, need);
  if (status != STATUS_SUCCESS || first == bytes) return status;

  const prp2 = sqe.prp2;
  const remaining = bytes - first;
  if (remaining <= PAGE) {
    if (prp2 & PAGE_MASK) return OFFSET_INVALID;
    return segmentAppend(slot, prp2, remaining, need);
  }
  if (prp2 & (PRP_ENTRY_BYTES - 1)) return OFFSET_INVALID;
  slot.walkAddress = prp2;
  slot.walkRemaining = remaining;
  slot.walkState = WALK_LIST;
  return prpList(slot, need);
}

/** One piece of at most a page. It never crosses a region, because regions are whole pages. */
function segmentAppend(slot: Slot, gpa: u64, bytes: u32, need: u32): u32 {
  const region = regionFind(gpa);
  if (!region.contains(gpa) || (region.flags & need) != need) {
    addressCheck(gpa, need);
    return TRANSFER_ERROR;
  }
  const address = gpa - region.gpa + region.ioBase;
  const count = slot.segmentCount;
  const at = slot.segments + <usize>count * SEGMENT_BYTES;
  if (count != 0) {
    const last = Segment.at(at - SEGMENT_BYTES);
    if (last.address + last.length == address && begins(last, region)) {
      last.length += bytes;
      return STATUS_SUCCESS;
    }
  }
  const segment = Segment.at(at);
  segment.address = address;
  segment.length = bytes;
  slot.segmentCount = count + 1;
  return STATUS_SUCCESS;
}

/** Whether a segment begins in this region too: only then may it grow by a piece of it. */
function begins(segment: Segment, region: Region): bool {
  return segment.address - region.ioBase < region.length;
}

/** Where a segment ends that a piece of this region may continue. */
function endIn(segment: Segment, region: Region): u64 {
  return begins(segment, region) ? segment.address + segment.length : NOWHERE;
}

/** List pages from walkAddress on, as far as their windows are there. */
function prpList(slot: Slot, need: u32): u32 {
  const hintAt = changetype<usize>(Guest.get()) + offsetof<Guest>('listWindow');
  while (true) {
    const list = slot.walkAddress;
    const entries = guestAccess(list, NEED_READ, hintAt);
    if (entries < ACCESS_CODES) return entries == ACCESS_MISSING ? AGAIN : TRANSFER_ERROR;
    const room = (PAGE - ((<u32>list) & (PAGE - 1))) >>> PRP_ENTRY_SHIFT;
    const pages = (slot.walkRemaining + PAGE - 1) / PAGE;
    const chained = pages > room;
    const taken = chained ? room - 1 : pages;
    const status = entriesAppend(slot, entries, taken, need);
    if (status != STATUS_SUCCESS || !chained) return status;
    const next = load<u64>(entries + ((<usize>taken) << PRP_ENTRY_SHIFT));
    if (next & PAGE_MASK) return OFFSET_INVALID;
    slot.walkAddress = next;
  }
}

/** The pages that `count` entries of a list name; the segments grow in locals, since this is the inner loop. */
function entriesAppend(slot: Slot, entries: usize, count: u32, need: u32): u32 {
  let region = Region.at(Guest.get().regionHint);
  let regionGpa: u64 = 0;
  let regionLength: u64 = 0;
  let delta: u64 = 0;
  let remaining = slot.walkRemaining;
  const base = slot.segments;
  let at = base + <usize>slot.segmentCount * SEGMENT_BYTES;
  let end = NOWHERE;
  if (at != base) {
    const last = Segment.at(at - SEGMENT_BYTES);
    if (begins(last, region) && (region.flags & need) == need) {
      end = last.address + last.length;
      regionGpa = region.gpa;
      regionLength = region.length;
      delta = region.ioBase - regionGpa;
    }
  }
  const stop = entries + ((<usize>count) << PRP_ENTRY_SHIFT);
  for (; entries < stop; entries += PRP_ENTRY_BYTES) {
    const gpa = load<u64>(entries);
    if (gpa & PAGE_MASK) return OFFSET_INVALID;
    if (gpa - regionGpa >= regionLength) {
      region = regionFind(gpa);
      if (!region.contains(gpa) || (region.flags & need) != need) {
        addressCheck(gpa, need);
        return TRANSFER_ERROR;
      }
      regionGpa = region.gpa;
      regionLength = region.length;
      delta = region.ioBase - regionGpa;
      end = at != base ? endIn(Segment.at(at - SEGMENT_BYTES), region) : NOWHERE;
    }
    const bytes = remaining < PAGE ? remaining : PAGE;
    remaining -= bytes;
    const address = gpa + delta;
    if (address == end) {
      Segment.at(at - SEGMENT_BYTES).length += bytes;
    } else {
      Segment.at(at).address = address;
      Segment.at(at).length = bytes;
      at += SEGMENT_BYTES;
    }
    end = address + bytes;
  }
  slot.walkRemaining = remaining;
  slot.segmentCount = <u32>((at - base) / SEGMENT_BYTES);
  return STATUS_SUCCESS;
}
