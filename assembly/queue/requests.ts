// The request ring: commands on their way to the caller, and back.

import { SLOT_COUNT } from '../abi/memory-map.ts';
import { Scheduler } from '../wire/queue.ts';
import { Completion, Request } from '../wire/request.ts';
import { Slot, SLOT_ISSUED, SLOT_ORPHAN } from '../wire/slot.ts';
import { slotFree } from './slots.ts';

/** Appends the slot's request; the slot is the caller's until its completion comes. */
export function requestIssue(slot: Slot): void {
  const s = Scheduler.get();
  const sqe = slot.sqe;
  const request = Request.at(s.requestCount);
  request.slot = slot.tag;
  request.operation = slot.operation;
  request.flags = slot.requestFlags;
  request.nsid = slot.requestNsid;
  request.segmentCount = slot.segmentCount;
  request.segments = <u32>slot.segments;
  request.data = <u32>slot.data;
  request.offset = slot.requestOffset;
  request.length = slot.requestLength;
  request.sqid = slot.sqid;
  request.cid = sqe.cid;
  slot.state = SLOT_ISSUED;
  s.requestCount++;
  s.requestsOutstanding++;
}

/** Hands the ring to the caller: the number of its records. */
export function requestsTake(): u32 {
  const s = Scheduler.get();
  const count = s.requestCount;
  s.requestCount = 0;
  return count;
}

/**
 * The slot that a record of the completion ring names, or null when it names none that is with the caller: a slot
 * that does not exist, one that was used again since. An orphan ends here.
 */
export function completionSlot(index: u32): Slot | null {
  const tag = Completion.at(index).slot;
  const number = tag & 0xffff;
  if (number >= <u32>SLOT_COUNT) return null;
  const slot = Slot.at(number);
  if (slot.generation != <u16>(tag >>> 16)) return null;
  if (slot.state == SLOT_ISSUED) {
    Scheduler.get().requestsOutstanding--;
    return slot;
  }
  if (slot.state == SLOT_ORPHAN) {
    Scheduler.get().requestsOutstanding--;
    slotFree(slot);
  }
  return null;
}

/** Requests that nobody has taken are withdrawn: their slots can be freed at once. Returns nothing to the guest. */
export function requestsWithdraw(): void {
  const s = Scheduler.get();
  for (let index: u32 = 0; index < s.requestCount; index++) {
    const slot = Slot.at(Request.at(index).slot & 0xffff);
    if (slot.state == SLOT_ISSUED || slot.state == SLOT_ORPHAN) {
      s.requestsOutstanding--;
      slotFree(slot);
    }
  }
  s.requestCount = 0;
}
