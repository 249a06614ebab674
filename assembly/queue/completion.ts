// Completion queues: places are reserved before a command is fetched, and each reservation ends in exactly one entry
// or is given back. The invariant of every queue, where used = entries the guest has not consumed:
//
//     places + reserved + used = size - 1
//
// so that an entry always finds room. A queue whose window is missing keeps its slots waiting, in order.

import { QUEUE_COUNT } from '../abi/memory-map.ts';
import { ACCESS_CODES, guestAccess, NEED_WRITE } from '../guest/access.ts';
import { CQE_SHIFT } from '../spec/nvme.ts';
import { storeRelease } from '../wire/atomic.ts';
import { Cqe } from '../wire/cqe.ts';
import { CompletionQueue, QUEUE_DELETING, QUEUE_LIVE, Scheduler, SubmissionQueue } from '../wire/queue.ts';
import { Slot, SLOT_COMPLETING, SLOT_NONE, SLOT_PARKED } from '../wire/slot.ts';
import { ringUsed } from './ring.ts';
import { directComplete } from './direct.ts';
import { slotFree } from './slots.ts';
import { submissionForget } from './submission.ts';

/** Takes a place; false when the queue is full. */
export function placeReserve(cq: CompletionQueue): bool {
  const places = cq.places;
  if (places == 0) return false;
  cq.places = places - 1;
  return true;
}

/** Gives a place back: the command was not fetched, or is an Asynchronous Event Request that parks. */
export function placeRelease(cq: CompletionQueue): void {
  cq.places++;
  assert(cq.places < cq.size);
}

/** The guest has consumed entries up to `head`, which is below `size`; false when it was never that far. */
export function headMove(cq: CompletionQueue, head: u32): bool {
  const consumed = ringUsed(cq.head, head, cq.size);
  const used = ringUsed(cq.head, cq.tail, cq.size);
  if (consumed > used && (consumed != used + 1 || !entrySeen(cq))) return false;
  cq.head = head;
  cq.places += consumed;
  return true;
}

/**
 * After a resume the entry that was on its way waits for its window, to be written once more. Where the guest has
 * consumed it already, that is done: true.
 */
function entrySeen(cq: CompletionQueue): bool {
  if (cq.waitingFirst == SLOT_NONE || <u32>cq.publishing != cq.posted) return false;
  const slot = Slot.at(cq.waitingFirst);
  if (slot.tag != <u32>(cq.publishing >> 32)) return false;
  waitingRemove(cq, slot);
  published(cq, slot);
  return true;
}

/** Ends a command: its status and result are in the slot, its place is reserved. Publishes its entry now or later. */
export function completionPost(slot: Slot): void {
  assert(slot.permit != 0);
  if (slot.isDirect) {
    directComplete(slot);
    return;
  }
  const cq = CompletionQueue.at(slot.cqid);
  slot.state = SLOT_COMPLETING;
  if (cq.waitingFirst == SLOT_NONE && publish(cq, slot)) return;
  slot.next = SLOT_NONE;
  if (cq.waitingFirst == SLOT_NONE) cq.waitingFirst = <u16>slot.index;
  else Slot.at(cq.waitingLast).next = <u16>slot.index;
  cq.waitingLast = <u16>slot.index;
  Scheduler.get().completing++;
}

/**
 * Writes the entry. The guest may look at any moment, so DW0 to DW2 go first and DW3, whose phase tag makes the entry
 * valid, last and atomically. What was published is noted before and the tail moves after: a process that takes over
 * the image in between writes the same entry in the same place again, which a guest cannot tell.
 */
function publish(cq: CompletionQueue, slot: Slot): bool {
  const tail: u32 = cq.tail;
  const hintAt = changetype<usize>(cq) + offsetof<CompletionQueue>('window');
  const address = guestAccess(cq.base + ((<u64>tail) << CQE_SHIFT), NEED_WRITE, hintAt);
  if (address < ACCESS_CODES) return false;
  const sq = SubmissionQueue.at(slot.sqid);
  const cqe = Cqe.at(address);
  const phase: u32 = cq.phase;
  cq.publishing = (<u64>cq.posted) | ((<u64>slot.tag) << 32);
  cqe.dw0 = slot.result;
  cqe.dw1 = 0;
  cqe.sqhd = <u16>sq.head;
  cqe.sqid = slot.sqid;
  storeRelease(address + offsetof<Cqe>('cid'), Cqe.last(slot.sqe.cid, slot.status, phase));
  published(cq, slot);
  return true;
}

/** The entry is in the ring: the guest is to be interrupted, and the slot's command has ended. */
function published(cq: CompletionQueue, slot: Slot): void {
  tailAdvance(cq);
  const s = Scheduler.get();
  s.published++;
  if (cq.interrupts) {
    store<u8>(s.vectors + cq.vector, 1);
    s.interrupts = 1;
  }
  const sq = SubmissionQueue.at(slot.sqid);
  slotFree(slot);
  sq.outstanding--;
  if (sq.state == QUEUE_DELETING && sq.outstanding == 0) deletionFinish(sq);
}

/** Takes the first slot off the list of those that wait for their window. */
function waitingRemove(cq: CompletionQueue, slot: Slot): void {
  cq.waitingFirst = slot.next;
  if (cq.waitingFirst == SLOT_NONE) cq.waitingLast = SLOT_NONE;
  Scheduler.get().completing--;
}

/** The entry at the tail is published: the next place, of the other phase once around. One store moves all. */
export function tailAdvance(cq: CompletionQueue): void {
  const tail: u64 = cq.tail;
  const phase: u64 = cq.phase;
  const place = tail + 1 == <u64>cq.size ? (phase ^ 1) << 16 : (tail + 1) | (phase << 16);
  store<u64>(
    changetype<usize>(cq) + offsetof<CompletionQueue>('tail'),
    place | ((<u64>(cq.posted + 1)) << 32),
  );
}

/** The last command of a queue that is to be deleted has completed: the queue is gone, and the Delete completes. */
export function deletionFinish(sq: SubmissionQueue): void {
  const deleter = sq.deleter;
  submissionForget(sq);
  if (deleter != SLOT_NONE) completionPost(Slot.at(deleter));
}

/** Tries again to publish what waits for windows; at each poll. */
export function completionsRetry(): void {
  const s = Scheduler.get();
  for (let qid: u32 = 0; qid < <u32>QUEUE_COUNT && s.completing != 0; qid++) {
    const cq = CompletionQueue.at(qid);
    if (cq.state != QUEUE_LIVE) continue;
    while (cq.waitingFirst != SLOT_NONE) {
      const slot = Slot.at(cq.waitingFirst);
      const next = slot.next;
      if (!publish(cq, slot)) break;
      cq.waitingFirst = next;
      if (next == SLOT_NONE) cq.waitingLast = SLOT_NONE;
      s.completing--;
    }
  }
}

/** An Asynchronous Event Request parks: it may wait for days, and must not hold a place of its queue meanwhile. */
export function parkedBegin(slot: Slot): void {
  slot.permit = 0;
  slot.state = SLOT_PARKED;
  placeRelease(CompletionQueue.at(slot.cqid));
}

/** A parked request's event has come: its entry is published as soon as the queue has a place again. */
export function parkedComplete(slot: Slot): void {
  const s = Scheduler.get();
  slot.state = SLOT_COMPLETING;
  slot.next = SLOT_NONE;
  if (s.eventFirst == SLOT_NONE) s.eventFirst = <u16>slot.index;
  else Slot.at(s.eventLast).next = <u16>slot.index;
  s.eventLast = <u16>slot.index;
  eventsRetry();
}

/** Publishes completed Asynchronous Event Requests as far as there are places. */
export function eventsRetry(): void {
  const s = Scheduler.get();
  while (s.eventFirst != SLOT_NONE) {
    const slot = Slot.at(s.eventFirst);
    if (!placeReserve(CompletionQueue.at(slot.cqid))) return;
    slot.permit = 1;
    s.eventFirst = slot.next;
    if (s.eventFirst == SLOT_NONE) s.eventLast = SLOT_NONE;
    completionPost(slot);
  }
}
