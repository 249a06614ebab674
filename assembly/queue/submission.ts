// Submission queues: fetching commands. An entry leaves the guest's queue only when its completion queue has a place
// and a slot is free (law: no SQE is consumed without both); otherwise it stays where it is, and the poll after the
// guest consumed completions, or a command ended, finds it again.

import { SLOT_ADMIN_RESERVE } from '../abi/memory-map.ts';
import { ACCESS_CODES, ACCESS_MISSING, guestAccess, NEED_READ } from '../guest/access.ts';
import { PAGE_BYTES, SQE_SHIFT } from '../spec/nvme.ts';
import { entryCopy, storeRelease64 } from '../wire/atomic.ts';
import { CompletionQueue, QUEUE_ABSENT, QUEUE_LIVE, Scheduler, SubmissionQueue } from '../wire/queue.ts';
import { Slot, SLOT_WALKING } from '../wire/slot.ts';
import { ringNext } from './ring.ts';
import { slotTake } from './slots.ts';

/** Why a queue with work is not fetched from; FETCH_READY: nothing stands in the way. */
export const FETCH_READY: u32 = 0;
export const FETCH_EMPTY: u32 = 1;
/** The completion queue has no place. */
export const FETCH_CORKED: u32 = 2;
/** No slot is free. */
export const FETCH_NO_SLOT: u32 = 3;
/** The window of the entry is missing. */
export const FETCH_MISSING: u32 = 4;
/** The queue's memory is in no region now: it is parked until it is again. */
export const FETCH_PARKED: u32 = 5;

/** Whether the next entry could be fetched. Asks for its window where that is missing. */
export function fetchState(sq: SubmissionQueue): u32 {
  if (sq.head == sq.tail) return FETCH_EMPTY;
  if (CompletionQueue.at(sq.cqid).places == 0) return FETCH_CORKED;
  if (Scheduler.get().slotsFree <= (sq.qid == 0 ? 0 : <u32>SLOT_ADMIN_RESERVE)) return FETCH_NO_SLOT;
  const address = entryAccess(sq, sq.head);
  if (address >= ACCESS_CODES) return FETCH_READY;
  return address == ACCESS_MISSING ? FETCH_MISSING : FETCH_PARKED;
}

function entryAccess(sq: SubmissionQueue, head: u32): usize {
  const hintAt = changetype<usize>(sq) + offsetof<SubmissionQueue>('window');
  return guestAccess(sq.base + ((<u64>head) << SQE_SHIFT), NEED_READ, hintAt);
}

/**
 * Copies the next entry into a slot, or returns null (fetchState says why). The command is fetched at one moment: when
 * head and sequence move, in one atomic store. Until then the slot's owner word names a sequence that the queue has
 * not reached, and whoever takes the image over knows that the entry is still in the queue.
 */
export function submissionFetch(sq: SubmissionQueue): Slot | null {
  const head = sq.head;
  if (head == sq.tail) return null;
  const cq = CompletionQueue.at(sq.cqid);
  const places = cq.places;
  if (places == 0) return null;
  const s = Scheduler.get();
  if (s.slotsFree <= (sq.qid == 0 ? 0 : <u32>SLOT_ADMIN_RESERVE)) return null;
  const entry = entryAccess(sq, head);
  if (entry < ACCESS_CODES) return null;
  cq.places = places - 1;
  const slot = slotTake();
  entryCopy(changetype<usize>(slot), entry);
  const sequence = sq.sequence + 1;
  slot.cqid = sq.cqid;
  const owner = (<u64>SLOT_WALKING) | (1 << 8) | ((<u64>sq.qid) << 16) | ((<u64>sequence) << 32);
  store<u64>(changetype<usize>(slot) + offsetof<Slot>('state'), owner);
  const place = (<u64>ringNext(head, sq.size)) | ((<u64>sequence) << 32);
  storeRelease64(changetype<usize>(sq) + offsetof<SubmissionQueue>('head'), place);
  sq.outstanding++;
  return slot;
}

/** The queue exists no more: its number is free, its completion queue has one user less. */
export function submissionForget(sq: SubmissionQueue): void {
  if (sq.qid != 0) Scheduler.get().live &= ~((<u64>1) << (sq.qid - 1));
  CompletionQueue.at(sq.cqid).submissionQueues--;
  sq.state = QUEUE_ABSENT;
}

/** Whether commands of this queue are fetched. */
export function submissionLive(sq: SubmissionQueue): bool {
  return sq.state == QUEUE_LIVE;
}

if (PAGE_BYTES % (1 << SQE_SHIFT) != 0) ERROR('an entry must not cross a page');
