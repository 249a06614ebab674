// The regions of guest memory: a table sorted by guest physical address, searched by halves, with the last hit tried
// first. Regions never overlap. Entries behind the last one are all zeros: they contain no address.

import { REGION_BASE, REGION_BYTES, REGION_COUNT, REGION_MAILBOX_BASE } from '../abi/memory-map.ts';
import {
  REGION_INVALID,
  REGION_OK,
  REGION_OVERLAPS,
  REGION_TABLE_FULL,
  REGION_UNKNOWN,
} from '../abi/records.ts';
import { PAGE_BYTES } from '../spec/nvme.ts';
import { Region } from './region.ts';
import { Guest } from './state.ts';
import { windowsInvalidate } from './windows.ts';

/** End of the guest physical addresses that a region may have: window pages are numbers of 32 bits. */
export const GUEST_ADDRESS_END: u64 = 1 << 53;

/** The region that contains the address; where none does, a region that does not contain it. */
export function regionFind(gpa: u64): Region {
  const guest = Guest.get();
  const hint = Region.at(guest.regionHint);
  if (hint.contains(gpa)) return hint;
  const index = regionsBelow(gpa + 1);
  if (index == 0) return hint;
  const region = Region.entry(index - 1);
  if (region.contains(gpa)) guest.regionHint = <u32>changetype<usize>(region);
  return region;
}

/** How many regions begin below the address. */
function regionsBelow(gpa: u64): u32 {
  let low: u32 = 0;
  let high = Guest.get().regionCount;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (Region.entry(middle).gpa < gpa) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** No regions at all. */
export function regionsClear(): void {
  const guest = Guest.get();
  memory.fill(REGION_BASE, 0, <usize>REGION_COUNT * REGION_BYTES);
  guest.regionCount = 0;
  guest.regionHint = REGION_BASE;
}

/** Adds the region in the mailbox: REGION_*. Windows that overlap it are dropped. */
export function regionAdd(): u32 {
  const guest = Guest.get();
  const region = Region.at(REGION_MAILBOX_BASE);
  const gpa = region.gpa;
  const length = region.length;
  if ((gpa | length) & (PAGE_BYTES - 1)) return REGION_INVALID;
  if (length == 0 || gpa >= GUEST_ADDRESS_END || length > GUEST_ADDRESS_END - gpa) return REGION_INVALID;
  const index = regionsBelow(gpa + length);
  if (index > 0 && Region.entry(index - 1).gpa + Region.entry(index - 1).length > gpa) return REGION_OVERLAPS;
  const count = guest.regionCount;
  if (count == REGION_COUNT) return REGION_TABLE_FULL;
  const at = changetype<usize>(Region.entry(index));
  memory.copy(at + REGION_BYTES, at, <usize>(count - index) * REGION_BYTES);
  memory.copy(at, REGION_MAILBOX_BASE, REGION_BYTES);
  guest.regionCount = count + 1;
  guest.regionHint = <u32>at;
  windowsInvalidate(gpa, length);
  return REGION_OK;
}

/** Removes the region whose address and length are in the mailbox: REGION_*. Windows that overlap it are dropped. */
export function regionRemove(): u32 {
  const guest = Guest.get();
  const wanted = Region.at(REGION_MAILBOX_BASE);
  const gpa = wanted.gpa;
  const length = wanted.length;
  const index = regionsBelow(gpa);
  const count = guest.regionCount;
  if (index == count) return REGION_UNKNOWN;
  const region = Region.entry(index);
  if (region.gpa != gpa || region.length != length) return REGION_UNKNOWN;
  const at = changetype<usize>(region);
  memory.copy(at, at + REGION_BYTES, <usize>(count - index - 1) * REGION_BYTES);
  memory.fill(changetype<usize>(Region.entry(count - 1)), 0, REGION_BYTES);
  guest.regionCount = count - 1;
  guest.regionHint = REGION_BASE;
  windowsInvalidate(gpa, length);
  return REGION_OK;
}
