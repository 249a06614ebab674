// Queues come and go: the admin queue with CC.EN, I/O queues with their commands, all of them with a reset.

import { COMPLETION_QUEUE_BASE, QUEUE_BYTES, QUEUE_COUNT, SUBMISSION_QUEUE_BASE } from '../abi/memory-map.ts';
import { FAILED_ADMIN_QUEUE, FAILED_MEMORY_NOT_SHARED } from '../abi/records.ts';
import { ACCESS_NOT_SHARED, NEED_READ, NEED_WRITE, rangeCheck } from '../guest/access.ts';
import { Guest } from '../guest/state.ts';
import { CQE_SHIFT, SQE_SHIFT } from '../spec/nvme.ts';
import {
  CompletionQueue,
  QUEUE_ABSENT,
  QUEUE_DELETING,
  QUEUE_LIVE,
  Scheduler,
  SHADOW_REFUSED_NONE,
  SubmissionQueue,
} from '../wire/queue.ts';
import { Slot, SLOT_FREE, SLOT_ISSUED, SLOT_NONE, SLOT_ORPHAN, SLOT_WAITING } from '../wire/slot.ts';
import { directForget } from './direct.ts';
import { doorbellsReset } from './doorbell.ts';
import { requestsWithdraw } from './requests.ts';
import { slotFree, slotsClear } from './slots.ts';
import { submissionForget } from './submission.ts';

/** core_init: no queues, no requests, `slots` free slots. */
export function queuesInit(slots: u32, pairs: u32, entries: u32): void {
  const s = Scheduler.get();
  memory.fill(SUBMISSION_QUEUE_BASE, 0, QUEUE_COUNT * QUEUE_BYTES);
  memory.fill(COMPLETION_QUEUE_BASE, 0, QUEUE_COUNT * QUEUE_BYTES);
  memory.fill(changetype<usize>(s), 0, s.vectors - changetype<usize>(s) + QUEUE_COUNT);
  s.queuePairs = pairs;
  s.queueEntries = entries;
  slotsClear(slots);
  directForget();
}

/** Creates a completion queue. Whoever calls has checked its attributes and memory. */
export function completionQueueCreate(qid: u32, base: u64, size: u32, vector: u32, interrupts: bool): void {
  const cq = CompletionQueue.at(qid);
  memory.fill(changetype<usize>(cq), 0, QUEUE_BYTES);
  cq.base = base;
  cq.phase = 1;
  cq.size = size;
  cq.places = size - 1;
  cq.shadowRefused = SHADOW_REFUSED_NONE;
  cq.qid = <u16>qid;
  cq.vector = <u16>vector;
  cq.interrupts = interrupts ? 1 : 0;
  cq.waitingFirst = SLOT_NONE;
  cq.waitingLast = SLOT_NONE;
  // No entry is on its way, nor was one published last: the note names a count that the queue is far from.
  cq.publishing = 0x80000000;
  cq.state = QUEUE_LIVE;
}

/** Creates a submission queue of a completion queue that exists. Whoever calls has checked the rest as well. */
export function submissionQueueCreate(qid: u32, base: u64, size: u32, cqid: u32): void {
  const sq = SubmissionQueue.at(qid);
  memory.fill(changetype<usize>(sq), 0, QUEUE_BYTES);
  sq.base = base;
  sq.size = size;
  sq.shadowRefused = SHADOW_REFUSED_NONE;
  sq.qid = <u16>qid;
  sq.cqid = <u16>cqid;
  sq.deleter = SLOT_NONE;
  CompletionQueue.at(cqid).submissionQueues++;
  if (qid != 0) Scheduler.get().live |= (<u64>1) << (qid - 1);
  sq.state = QUEUE_LIVE;
}

/** Deletes a completion queue that no submission queue completes to. */
export function completionQueueDelete(cq: CompletionQueue): void {
  assert(cq.waitingFirst == SLOT_NONE);
  cq.state = QUEUE_ABSENT;
}

/**
 * Deletes a submission queue: true when it is gone; false when commands of it are under way, after which `deleter`
 * completes.
 */
export function submissionQueueDelete(sq: SubmissionQueue, deleter: Slot): bool {
  if (sq.outstanding == 0) {
    submissionForget(sq);
    return true;
  }
  sq.deleter = <u16>deleter.index;
  sq.state = QUEUE_DELETING;
  deleter.state = SLOT_WAITING;
  Scheduler.get().live &= ~((<u64>1) << (sq.qid - 1));
  return false;
}

/**
 * Creates the admin queues at CC.EN = 1; sizes in entries, at least 2. 0, or why it cannot be: FAILED_ADMIN_QUEUE (no
 * such memory, or not for this direction), FAILED_MEMORY_NOT_SHARED. Guest.faultAddress then says where.
 */
export function adminQueueCreate(asq: u64, acq: u64, sqEntries: u32, cqEntries: u32): u32 {
  let code = rangeCheck(asq, (<u64>sqEntries) << SQE_SHIFT, NEED_READ);
  if (code == 0) code = rangeCheck(acq, (<u64>cqEntries) << CQE_SHIFT, NEED_WRITE);
  if (code != 0) return code == ACCESS_NOT_SHARED ? FAILED_MEMORY_NOT_SHARED : FAILED_ADMIN_QUEUE;
  completionQueueCreate(0, acq, cqEntries, 0, true);
  submissionQueueCreate(0, asq, sqEntries, 0);
  return 0;
}

/** Whether the guest has created an I/O queue of either kind. */
export function ioQueuesExist(): bool {
  for (let qid: u32 = 1; qid < <u32>QUEUE_COUNT; qid++) {
    if (CompletionQueue.at(qid).state != QUEUE_ABSENT) return true;
  }
  return false;
}

/**
 * Deletes every queue and gives up every command. Requests that nobody has taken are withdrawn; those that are with
 * the caller keep their slots as orphans, and stay counted, until their completions come.
 */
export function queuesReset(): void {
  const s = Scheduler.get();
  requestsWithdraw();
  memory.fill(SUBMISSION_QUEUE_BASE, 0, QUEUE_COUNT * QUEUE_BYTES);
  memory.fill(COMPLETION_QUEUE_BASE, 0, QUEUE_COUNT * QUEUE_BYTES);
  memory.fill(s.vectors, 0, QUEUE_COUNT);
  for (let index: u32 = 0; index < s.slotLimit; index++) {
    const slot = Slot.at(index);
    if (slot.state == SLOT_FREE || slot.state == SLOT_ORPHAN) continue;
    if (slot.state == SLOT_ISSUED) slot.state = SLOT_ORPHAN;
    else slotFree(slot);
  }
  s.walkFirst = SLOT_NONE;
  s.walkLast = SLOT_NONE;
  s.eventFirst = SLOT_NONE;
  s.eventLast = SLOT_NONE;
  s.live = 0;
  s.completing = 0;
  s.interrupts = 0;
  doorbellsReset();
  directForget();
  Guest.get().fault = 0;
}
