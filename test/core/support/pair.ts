// A queue pair without a controller, for tests of the queues alone.

import { completionPost } from '../../../assembly/queue/completion.ts';
import { completionQueueCreate, submissionQueueCreate } from '../../../assembly/queue/lifecycle.ts';
import { ringUsed } from '../../../assembly/queue/ring.ts';
import { submissionFetch } from '../../../assembly/queue/submission.ts';
import { Cqe } from '../../../assembly/wire/cqe.ts';
import { CompletionQueue, SubmissionQueue } from '../../../assembly/wire/queue.ts';
import { Slot, SLOT_FREE, SLOT_ORPHAN } from '../../../assembly/wire/slot.ts';
import { guestBegin, guestRegion, guestShow, READ_WRITE, WINDOWS } from './guest.ts';

export const SQ_BASE: u32 = 0x10000;
export const CQ_BASE: u32 = 0x20000;
export const SLOTS: u32 = 64;

/** One pair, queue 1, with interrupts on vector 3, in memory that is always there. */
export function pair(size: u32): void {
  guestBegin(2, SLOTS);
  guestRegion(0, 4 << 20, READ_WRITE);
  guestShow(2);
  memory.fill(WINDOWS, 0, 0x40000);
  completionQueueCreate(1, CQ_BASE, size, 3, true);
  submissionQueueCreate(1, SQ_BASE, size, 1);
}

/** Writes entry `index` with this CID, wherever guest memory begins. */
export function entry(index: u32, cid: u32, at: u32 = WINDOWS): void {
  memory.fill(at + SQ_BASE + index * 64, <u8>cid, 64);
  store<u16>(at + SQ_BASE + index * 64, <u16>cid, 2);
}

export function cqe(index: u32): Cqe {
  return Cqe.at(WINDOWS + CQ_BASE + index * 16);
}

/** places + reserved + used = size - 1, where reserved = slots that hold a permit. */
export function invariant(cqid: u32): bool {
  const cq = CompletionQueue.at(cqid);
  let reserved: u32 = 0;
  for (let index: u32 = 0; index < SLOTS; index++) {
    const slot = Slot.at(index);
    if (slot.state != SLOT_FREE && slot.state != SLOT_ORPHAN && <u32>slot.cqid == cqid)
      reserved += slot.permit;
  }
  return cq.places + reserved + ringUsed(cq.head, cq.tail, cq.size) == cq.size - 1;
}

/** Fetches one command and completes it with success; false when there was none. */
export function serve(sq: SubmissionQueue): bool {
  const slot = submissionFetch(sq, 1);
  if (slot === null) return false;
  completionPost(slot);
  return true;
}

export function serveAll(sq: SubmissionQueue): void {
  let more = true;
  while (more) more = serve(sq);
}
