// Going on from an image that another process left, between two calls or in the middle of one. What the guest and the
// three commit points say is believed (SubmissionQueue.head with .sequence, CompletionQueue.tail with .posted, and the
// entry that was on its way); everything that follows from it (lists, counts, places) is made anew.
//
// Requests that were with the last caller are lost, so their commands run again from their private SQEs: reads and
// writes of the same blocks may be repeated, since the guest does not know yet that they were done.

import { QUEUE_COUNT } from '../abi/memory-map.ts';
import { ADMIN_DELETE_IO_SQ } from '../spec/nvme.ts';
import {
  CompletionQueue,
  QUEUE_ABSENT,
  QUEUE_DELETING,
  QUEUE_LIVE,
  Scheduler,
  SubmissionQueue,
} from '../wire/queue.ts';
import {
  Slot,
  SLOT_COMPLETING,
  SLOT_FREE,
  SLOT_ISSUED,
  SLOT_NONE,
  SLOT_ORPHAN,
  SLOT_WAITING,
  SLOT_WALKING,
  SQID_INTERNAL,
  STAGE_FLUSH_ALL,
} from '../wire/slot.ts';
import { completionPost, deletionFinish, parkedComplete, tailAdvance } from './completion.ts';
import { directForget } from './direct.ts';
import { ringUsed } from './ring.ts';
import { slotFree, slotsRelist, walkLater } from './slots.ts';

/** Makes lists, counts and places anew, after regions and windows were cleared. */
export function queuesResume(): void {
  const s = Scheduler.get();
  s.requestCount = 0;
  s.requestsOutstanding = 0;
  s.completing = 0;
  s.live = 0;
  for (let qid: u32 = 0; qid < <u32>QUEUE_COUNT; qid++) completionQueueResume(CompletionQueue.at(qid));
  for (let qid: u32 = 0; qid < <u32>QUEUE_COUNT; qid++) submissionQueueResume(s, SubmissionQueue.at(qid));
  slotsRelist();
  directForget();
  for (let qid: u32 = 0; qid < <u32>QUEUE_COUNT; qid++) publishedFree(CompletionQueue.at(qid));
  for (let index: u32 = 0; index < s.slotLimit; index++) ownerCheck(Slot.at(index));
  for (let qid: u32 = 0; qid < <u32>QUEUE_COUNT; qid++) publishingFirst(CompletionQueue.at(qid));
  for (let index: u32 = 0; index < s.slotLimit; index++) slotResume(Slot.at(index));
  for (let qid: u32 = 1; qid < <u32>QUEUE_COUNT; qid++) {
    const sq = SubmissionQueue.at(qid);
    if (sq.state == QUEUE_DELETING && sq.outstanding == 0) deletionFinish(sq);
  }
}

/** Whether the guest was signalled is not known: a needless interrupt does no harm, a lost one does. */
function completionQueueResume(cq: CompletionQueue): void {
  if (cq.state == QUEUE_ABSENT) return;
  const s = Scheduler.get();
  cq.waitingFirst = SLOT_NONE;
  cq.waitingLast = SLOT_NONE;
  cq.submissionQueues = 0;
  const used = ringUsed(cq.head, cq.tail, cq.size);
  cq.places = cq.size - 1 - used;
  if (used == 0 || cq.interrupts == 0) return;
  store<u8>(s.vectors + cq.vector, 1);
  s.interrupts = 1;
}

function submissionQueueResume(s: Scheduler, sq: SubmissionQueue): void {
  sq.outstanding = 0;
  if (sq.state == QUEUE_ABSENT) return;
  CompletionQueue.at(sq.cqid).submissionQueues++;
  if (sq.qid != 0 && sq.state == QUEUE_LIVE) s.live |= (<u64>1) << (sq.qid - 1);
}

/** The entry that was published last is not written again, even where its slot did not come to be free. */
function publishedFree(cq: CompletionQueue): void {
  if (cq.state == QUEUE_ABSENT || <u32>cq.publishing + 1 != cq.posted) return;
  const tag = <u32>(cq.publishing >> 32);
  const slot = Slot.at(tag & 0xffff);
  // A generation comes round again, but not in a queue that has published nothing since.
  if (slot.tag == tag && slot.cqid == cq.qid && slot.state == SLOT_COMPLETING) slotFree(slot);
}

/** A queue whose deletion was given directly goes on being deleted, by nobody's command. */
function directGiveUp(slot: Slot): void {
  for (let qid: u32 = 1; qid < <u32>QUEUE_COUNT; qid++) {
    const sq = SubmissionQueue.at(qid);
    if (sq.state == QUEUE_DELETING && sq.deleter == <u16>slot.index) sq.deleter = SLOT_NONE;
  }
  slotFree(slot);
}

/** Frees slots whose command was not fetched yet or is no queue's any more; counts the others where they belong. */
function ownerCheck(slot: Slot): void {
  if (slot.state == SLOT_FREE) return;
  if (slot.sqid == SQID_INTERNAL) {
    if (slot.state == SLOT_ORPHAN) slotFree(slot);
    return;
  }
  // Whoever gave it has gone, and with it who waited for the result.
  if (slot.isDirect) {
    directGiveUp(slot);
    return;
  }
  const sq = SubmissionQueue.at(slot.sqid);
  // The sequence runs ahead of the queue's when the store that fetches the entry was never made.
  const fetched =
    <u32>slot.sqid < <u32>QUEUE_COUNT && sq.state != QUEUE_ABSENT && <i32>(sq.sequence - slot.sequence) >= 0;
  if (slot.state == SLOT_ORPHAN || !fetched) {
    slotFree(slot);
    return;
  }
  sq.outstanding++;
  if (slot.permit) CompletionQueue.at(slot.cqid).places--;
}

/**
 * The entry that was on its way is written first, in the same place: the guest may have seen it already. Where its
 * slot is free by now the entry was written, and only the tail did not come to move.
 */
function publishingFirst(cq: CompletionQueue): void {
  if (cq.state == QUEUE_ABSENT || <u32>cq.publishing != cq.posted) return;
  const tag = <u32>(cq.publishing >> 32);
  const slot = Slot.at(tag & 0xffff);
  if (slot.tag == tag && slot.state == SLOT_COMPLETING) {
    completionPost(slot);
  } else {
    tailAdvance(cq);
    cq.places--;
  }
}

function slotResume(slot: Slot): void {
  switch (slot.state) {
    case SLOT_WAITING:
      // The queue it waited for is gone, and that was all it had to do.
      if (!deletes(slot)) completionPost(slot);
      return;
    case SLOT_WALKING:
    case SLOT_ISSUED:
      if (deletes(slot)) slot.state = SLOT_WAITING;
      else runAgain(slot);
      return;
    case SLOT_COMPLETING:
      if (!slot.permit) parkedComplete(slot);
      else if (!waits(slot)) completionPost(slot);
  }
}

/** Whether a submission queue that is being deleted completes this command when it is gone. */
function deletes(slot: Slot): bool {
  const qid = slot.sqe.cdw10;
  if (slot.sqid != 0 || slot.sqe.opcode != <u8>ADMIN_DELETE_IO_SQ || qid >= <u32>QUEUE_COUNT) return false;
  const sq = SubmissionQueue.at(qid);
  return sq.state == QUEUE_DELETING && sq.deleter == <u16>slot.index;
}

function runAgain(slot: Slot): void {
  slot.walkState = 0;
  if (slot.stage != STAGE_FLUSH_ALL) slot.stage = 0;
  walkLater(slot);
}

/** Whether publishingFirst has put the slot where it waits. */
function waits(slot: Slot): bool {
  return CompletionQueue.at(slot.cqid).waitingFirst == <u16>slot.index;
}
