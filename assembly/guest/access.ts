// Access to one piece of guest memory through the windows: a software TLB of 2 MiB entries.
//
// An access is for one naturally aligned object that does not cross a 4 KiB page: an SQE, a CQE, a doorbell, the rest
// of a PRP list's page. Regions are whole pages, so the region of its first byte is the region of all of it. The
// result is a linear address, or one of the codes below, which are smaller than any address of a window.
//
// The address stays good until the core returns to its caller: windows change between calls only. Nothing that a
// later call uses may be kept from it.

import { WINDOW_BYTES, WINDOW_SHIFT } from '../abi/memory-map.ts';
import { REGION_FLAG_MAPPED, REGION_FLAG_READABLE, REGION_FLAG_WRITABLE } from '../abi/records.ts';
import { regionFind } from './regions.ts';
import { Guest } from './state.ts';
import { Window, WINDOW_FRESH, WINDOW_NONE, WINDOW_READY } from './window.ts';
import { windowAsk, windowFind } from './windows.ts';

/** The window is missing; it was asked for, or will be at the next try. */
export const ACCESS_MISSING: usize = 0;
/** No region contains the address. */
export const ACCESS_NO_MEMORY: usize = 1;
/** The region is not readable, or not writable. */
export const ACCESS_REFUSED: usize = 2;
/** The region has no file behind it. */
export const ACCESS_NOT_SHARED: usize = 3;
/** Codes lie below, addresses above. */
export const ACCESS_CODES: usize = 4;

/** What an access needs of its region. */
export const NEED_READ: u32 = REGION_FLAG_MAPPED | REGION_FLAG_READABLE;
export const NEED_WRITE: u32 = REGION_FLAG_MAPPED | REGION_FLAG_WRITABLE;

/** Finds `gpa` for an access that needs NEED_*; `hintAt` holds the number of the window that the last one used. */
export function guestAccess(gpa: u64, need: u32, hintAt: usize): usize {
  const index: u32 = load<u16>(hintAt);
  const window = Window.at(index);
  if (window.word == (WINDOW_READY | (gpa >> WINDOW_SHIFT))) {
    window.used = 1;
    return windowAddress(index, gpa);
  }
  return accessSlow(gpa, need, hintAt);
}

function windowAddress(index: u32, gpa: u64): usize {
  return (
    <usize>Guest.get().windowBase + ((<usize>index) << WINDOW_SHIFT) + ((<usize>gpa) & (WINDOW_BYTES - 1))
  );
}

function accessSlow(gpa: u64, need: u32, hintAt: usize): usize {
  const code = addressCheck(gpa, need);
  if (code != 0) return code;
  const page = <u32>(gpa >> WINDOW_SHIFT);
  const index = windowFind(page);
  if (index == WINDOW_NONE) {
    windowAsk(page);
    return ACCESS_MISSING;
  }
  const window = Window.at(index);
  if (window.flags & WINDOW_FRESH) {
    window.flags &= ~WINDOW_FRESH;
    Guest.get().windowsFresh--;
  }
  window.used = 1;
  store<u16>(hintAt, <u16>index);
  return windowAddress(index, gpa);
}

/** 0 when the region of this address allows what is needed, else ACCESS_*, which is noted as the last fault. */
export function addressCheck(gpa: u64, need: u32): usize {
  const region = regionFind(gpa);
  let code: usize = 0;
  if (!region.contains(gpa)) code = ACCESS_NO_MEMORY;
  else if (!(region.flags & REGION_FLAG_MAPPED)) code = ACCESS_NOT_SHARED;
  else if ((region.flags & need) != need) code = ACCESS_REFUSED;
  if (code != 0) {
    const guest = Guest.get();
    guest.fault = <u32>code;
    guest.faultAddress = gpa;
  }
  return code;
}

/**
 * 0 when guest memory from `gpa` on, `bytes` long, lies in regions that all allow what is needed, be they one or many;
 * else ACCESS_* of the first address that does not. Total: an address that wraps lies in no region.
 */
export function rangeCheck(gpa: u64, bytes: u64, need: u32): usize {
  let at = gpa;
  let left = bytes;
  while (true) {
    const code = addressCheck(at, need);
    if (code != 0) return code;
    const region = regionFind(at);
    const covered = region.length - (at - region.gpa);
    if (covered >= left) return 0;
    at += covered;
    left -= covered;
  }
}
