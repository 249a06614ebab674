// Submission queues: fetching commands. An entry leaves the guest's queue only when its completion queue has a place
// and a slot is free (law: no SQE is consumed without both); otherwise it stays where it is, and the poll after the
// guest consumed completions, or a command ended, finds it again.

import { SLOT_ADMIN_RESERVE } from '../abi/memory-map.ts';
import { ACCESS_CODES, ACCESS_MISSING, guestAccess, NEED_READ } from '../guest/access.ts';
import { PAGE_BYTES, SQE_BYTES, SQE_SHIFT } from '../spec/nvme.ts';
import { entryCopy, storeRelease64 } from '../wire/atomic.ts';
import { CompletionQueue, QUEUE_ABSENT, Scheduler, SubmissionQueue } from '../wire/queue.ts';
import { Slot, SLOT_NONE, SLOT_WALKING } from '../wire/slot.ts';

/** Entries of one page of a queue: all of them are found by one access. */
const ENTRIES_PER_PAGE: u32 = PAGE_BYTES / SQE_BYTES;

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
  if (slotsFor(Scheduler.get(), sq) == 0) return FETCH_NO_SLOT;
  const address = entryAccess(sq, sq.head);
  if (address >= ACCESS_CODES) return FETCH_READY;
  return address == ACCESS_MISSING ? FETCH_MISSING : FETCH_PARKED;
}

/** Slots that this queue may take: the last ones are the admin queue's. */
function slotsFor(s: Scheduler, sq: SubmissionQueue): u32 {
  const kept: u32 = sq.qid == 0 ? 0 : SLOT_ADMIN_RESERVE;
  const free = s.slotsFree;
  return free > kept ? free - kept : 0;
}

function entryAccess(sq: SubmissionQueue, head: u32): usize {
  const hintAt = changetype<usize>(sq) + offsetof<SubmissionQueue>('window');
  return guestAccess(sq.base + ((<u64>head) << SQE_SHIFT), NEED_READ, hintAt);
}

/**
 * Copies the next entries into slots, at most `limit`, and returns the first slot, from which the others are linked by
 * Slot.next; null: fetchState says why there is none. A batch ends with the ring, with its page, with the places and
 * with the slots.
 *
 * The commands are fetched at one moment: when head and sequence move, in one atomic store. Until then the slots' owner
 * words name sequences that the queue has not reached, and whoever takes the image over knows that the entries are
 * still in the queue.
 */
export function submissionFetch(sq: SubmissionQueue, limit: u32): Slot | null {
  const head = sq.head;
  const tail = sq.tail;
  const size = sq.size;
  const cq = CompletionQueue.at(sq.cqid);
  const s = Scheduler.get();
  let count = min<u32>(limit, (tail >= head ? tail : size) - head);
  count = min<u32>(count, ENTRIES_PER_PAGE - (head & (ENTRIES_PER_PAGE - 1)));
  count = min<u32>(count, cq.places);
  count = min<u32>(count, slotsFor(s, sq));
  if (count == 0) return null;
  const entry = entryAccess(sq, head);
  if (entry < ACCESS_CODES) return null;
  cq.places -= count;
  s.slotsFree -= count;
  sq.outstanding += count;
  const first = Slot.at(s.slotFirst);
  const last = entriesTake(sq, first, entry, count);
  s.slotFirst = last.next;
  last.next = SLOT_NONE;
  const next = head + count;
  const place = (<u64>(next == size ? 0 : next)) | ((<u64>(sq.sequence + count)) << 32);
  storeRelease64(changetype<usize>(sq) + offsetof<SubmissionQueue>('head'), place);
  return first;
}

/** Fills `count` slots of the free list from `first` on; returns the last. */
function entriesTake(sq: SubmissionQueue, first: Slot, entry: usize, count: u32): Slot {
  const cqid = (<u64>sq.cqid) << 32;
  let owner = (<u64>SLOT_WALKING) | (1 << 8) | ((<u64>sq.qid) << 16) | ((<u64>(sq.sequence + 1)) << 32);
  let slot = first;
  while (true) {
    entryCopy(changetype<usize>(slot), entry);
    const words = changetype<usize>(slot) + offsetof<Slot>('walkRemaining');
    store<u64>(words, 0);
    store<u64>(words, 0, 8);
    store<u64>(words, cqid, 16);
    store<u64>(changetype<usize>(slot) + offsetof<Slot>('state'), owner);
    if (--count == 0) return slot;
    slot = Slot.at(slot.next);
    entry += SQE_BYTES;
    owner += (<u64>1) << 32;
  }
}

/** The queue exists no more: its number is free, its completion queue has one user less. */
export function submissionForget(sq: SubmissionQueue): void {
  if (sq.qid != 0) Scheduler.get().live &= ~((<u64>1) << (sq.qid - 1));
  CompletionQueue.at(sq.cqid).submissionQueues--;
  sq.state = QUEUE_ABSENT;
}

if (offsetof<Slot>('cqid') != offsetof<Slot>('walkRemaining') + 20) ERROR('Slot.cqid moved');
