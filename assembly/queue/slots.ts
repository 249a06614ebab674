// The command slots: free list, the list of slots that run again at the next poll, and what is given up in a reset.

import { QUEUE_COUNT, SLOT_ADMIN_RESERVE, SLOT_COUNT } from '../abi/memory-map.ts';
import { Scheduler } from '../wire/queue.ts';
import { Slot, SLOT_FREE, SLOT_NONE, SLOT_ORPHAN, SLOT_WALKING, SQID_INTERNAL } from '../wire/slot.ts';

/** All slots free; generations go on, so that no completion of an earlier life is taken for a new one. */
export function slotsClear(limit: u32): void {
  const s = Scheduler.get();
  s.slotLimit = limit;
  s.slotsFree = limit;
  s.slotFirst = 0;
  for (let index: u32 = 0; index < limit; index++) {
    const slot = Slot.at(index);
    slot.number = <u16>index;
    slot.state = SLOT_FREE;
    slot.permit = 0;
    slot.next = index + 1 == limit ? SLOT_NONE : <u16>(index + 1);
  }
  s.walkFirst = SLOT_NONE;
  s.walkLast = SLOT_NONE;
  s.eventFirst = SLOT_NONE;
  s.eventLast = SLOT_NONE;
}

/** After a resume: the free slots are those that say so, and nothing waits. */
export function slotsRelist(): void {
  const s = Scheduler.get();
  s.slotFirst = SLOT_NONE;
  s.slotsFree = 0;
  for (let index = s.slotLimit; index > 0; index--) {
    const slot = Slot.at(index - 1);
    if (slot.state != SLOT_FREE) continue;
    slot.next = s.slotFirst;
    s.slotFirst = <u16>(index - 1);
    s.slotsFree++;
  }
  s.walkFirst = SLOT_NONE;
  s.walkLast = SLOT_NONE;
  s.eventFirst = SLOT_NONE;
  s.eventLast = SLOT_NONE;
}

/** Requests in the ring or with the caller, those of commands that were given up included. */
export function requestsOutstanding(): u32 {
  return Scheduler.get().requestsOutstanding;
}

/** Whether a command of the admin queue, or of an I/O queue, may take a slot now. */
export function slotAvailable(admin: bool): bool {
  return Scheduler.get().slotsFree > (admin ? 0 : <u32>SLOT_ADMIN_RESERVE);
}

/** Takes the first free slot; there must be one. */
export function slotTake(): Slot {
  const s = Scheduler.get();
  assert(s.slotFirst != SLOT_NONE);
  const slot = Slot.at(s.slotFirst);
  s.slotFirst = slot.next;
  s.slotsFree--;
  // walkRemaining to nsid: nothing of the last command is left.
  const words = changetype<usize>(slot) + offsetof<Slot>('walkRemaining');
  store<u64>(words, 0);
  store<u64>(words, 0, 8);
  store<u64>(words, 0, 16);
  return slot;
}

/** The slot's command has ended: nobody may name the slot as it was any more. */
export function slotFree(slot: Slot): void {
  const s = Scheduler.get();
  assert(slot.state != SLOT_FREE);
  slot.state = SLOT_FREE;
  slot.permit = 0;
  slot.generation++;
  slot.next = s.slotFirst;
  s.slotFirst = <u16>slot.index;
  s.slotsFree++;
}

/** Runs again at the next poll, after those that wait already. */
export function walkLater(slot: Slot): void {
  const s = Scheduler.get();
  slot.state = SLOT_WALKING;
  slot.next = SLOT_NONE;
  if (s.walkFirst == SLOT_NONE) s.walkFirst = <u16>slot.index;
  else Slot.at(s.walkLast).next = <u16>slot.index;
  s.walkLast = <u16>slot.index;
}

/** Takes the first slot that waits to run again; there must be one. */
export function walkNext(): Slot {
  const s = Scheduler.get();
  const slot = Slot.at(s.walkFirst);
  s.walkFirst = slot.next;
  if (slot.next == SLOT_NONE) s.walkLast = SLOT_NONE;
  return slot;
}

/** How many slots wait to run again. */
export function walksCount(): u32 {
  let count: u32 = 0;
  for (let index = Scheduler.get().walkFirst; index != SLOT_NONE; index = Slot.at(index).next) count++;
  return count;
}

/** Takes one slot out of the list of those that run again. */
export function walkRemove(slot: Slot): void {
  const s = Scheduler.get();
  const wanted = <u16>slot.index;
  let previous = SLOT_NONE;
  for (let index = s.walkFirst; index != SLOT_NONE; index = Slot.at(index).next) {
    if (index == wanted) {
      if (previous == SLOT_NONE) s.walkFirst = slot.next;
      else Slot.at(previous).next = slot.next;
      if (s.walkLast == wanted) s.walkLast = previous;
      return;
    }
    previous = index;
  }
}

/** The command of this queue and CID, other than `self`, or null. */
export function slotFind(sqid: u32, cid: u32, self: Slot): Slot | null {
  const limit = Scheduler.get().slotLimit;
  for (let index: u32 = 0; index < limit; index++) {
    const slot = Slot.at(index);
    if (slot.state == SLOT_FREE || slot.state == SLOT_ORPHAN || slot == self) continue;
    if (<u32>slot.sqid == sqid && <u32>slot.sqe.cid == cid) return slot;
  }
  return null;
}

/** Guest memory changed: walks that are under way begin anew, since their segments may name what is gone. */
export function walksRestart(): void {
  for (let index = Scheduler.get().walkFirst; index != SLOT_NONE; index = Slot.at(index).next) {
    Slot.at(index).walkState = 0;
  }
}

if (SLOT_COUNT >= <i32>SLOT_NONE || QUEUE_COUNT >= <i32>SQID_INTERNAL)
  ERROR('numbers of slots and queues must fit 16 bits');
