// What Create I/O Submission Queue and Create I/O Completion Queue have in common: CDW10, CDW11.PC and PRP1.

import { rangeCheck } from '../guest/access.ts';
import {
  CREATE_QUEUE_PC,
  CREATE_QUEUE_QID_SHIFT,
  CREATE_QUEUE_QID_WIDTH,
  CREATE_QUEUE_QSIZE_Z_SHIFT,
  CREATE_QUEUE_QSIZE_Z_WIDTH,
  PAGE_BYTES,
  QUEUE_ENTRIES_MIN,
  STATUS_INVALID_FIELD,
  STATUS_INVALID_QUEUE_ID,
  STATUS_INVALID_QUEUE_SIZE,
  STATUS_PRP_OFFSET_INVALID,
} from '../spec/nvme.ts';
import { Scheduler } from '../wire/queue.ts';
import { Sqe } from '../wire/sqe.ts';
import { DONE, refuse } from '../wire/status.ts';

/** Queue Identifier (QID). */
export function queueId(sqe: Sqe): u32 {
  return (sqe.cdw10 >>> CREATE_QUEUE_QID_SHIFT) & ((1 << CREATE_QUEUE_QID_WIDTH) - 1);
}

/** Queue Size (QSIZE) in entries. */
export function queueEntries(sqe: Sqe): u32 {
  return ((sqe.cdw10 >>> CREATE_QUEUE_QSIZE_Z_SHIFT) & ((1 << CREATE_QUEUE_QSIZE_Z_WIDTH) - 1)) + 1;
}

/** Whether the id can be that of an I/O queue: 1 to the number of queues that were granted. */
export function queueIdInRange(qid: u32): bool {
  return qid - 1 < Scheduler.get().queuePairs;
}

/**
 * The checks in the order of the specification: the id is in range and free, the size is 2 to MQES + 1 and CC has told
 * the entry size, the queue is contiguous and begins on a page.
 */
export function queueAttributesCheck(sqe: Sqe, exists: bool, sizesSet: bool): u32 {
  if (!queueIdInRange(queueId(sqe)) || exists) return refuse(STATUS_INVALID_QUEUE_ID);
  const entries = queueEntries(sqe);
  if (entries < <u32>QUEUE_ENTRIES_MIN || entries > Scheduler.get().queueEntries || !sizesSet) {
    return refuse(STATUS_INVALID_QUEUE_SIZE);
  }
  if (!(sqe.cdw11 & CREATE_QUEUE_PC)) return refuse(STATUS_INVALID_FIELD);
  if (sqe.prp1 & (PAGE_BYTES - 1)) return refuse(STATUS_PRP_OFFSET_INVALID);
  return DONE;
}

/** The queue's memory must be there, shared, and allow what is needed: the core reads and writes it in place. */
export function queueMemoryCheck(base: u64, bytes: u32, need: u32): u32 {
  return rangeCheck(base, bytes, need) == 0 ? DONE : refuse(STATUS_INVALID_FIELD);
}
