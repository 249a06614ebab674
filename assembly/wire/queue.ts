// Submission and completion queues as the core keeps them, and the scalars that all queues share.

import {
  COMPLETION_QUEUE_BASE,
  QUEUE_BYTES,
  QUEUE_COUNT,
  SUBMISSION_QUEUE_BASE,
  SUBMISSION_QUEUE_SIZE,
} from '../abi/memory-map.ts';
import {
  COMPLETION_QUEUE_VECTOR,
  SUBMISSION_QUEUE_CQID,
  SUBMISSION_QUEUE_ENTRIES,
  SUBMISSION_QUEUE_HEAD,
  SUBMISSION_QUEUE_OUTSTANDING,
  SUBMISSION_QUEUE_SEQUENCE,
  SUBMISSION_QUEUE_STATE,
  SUBMISSION_QUEUE_TAIL,
} from '../abi/queues.ts';

/** No queue has this number. */
export const QUEUE_ABSENT: u8 = 0;
export const QUEUE_LIVE: u8 = 1;
/** A submission queue that is no longer fetched from and goes when its last command has completed. */
export const QUEUE_DELETING: u8 = 2;
/** Scheduler.shadow: doorbells of I/O queues come by calls. */
export const SHADOW_NONE: u32 = 0;
/** They are in the buffer of Doorbell Buffer Config, or in a page that is polled. */
export const SHADOW_BUFFER: u32 = 1;
/** They are in the page whose writers wake the caller: heads are read as often as tails. */
export const SHADOW_PAGE: u32 = 2;
/** SubmissionQueue.shadowRefused, CompletionQueue.shadowRefused: nothing was refused. */
export const SHADOW_REFUSED_NONE: u32 = 0xffffffff;

@unmanaged
export class SubmissionQueue {
  /** Guest physical address of entry 0. */
  base: u64;
  /** Entry to fetch next. This and the next are one word: a command is fetched when both have moved. */
  head: u32;
  /** Counts the commands ever fetched. */
  sequence: u32;
  /** The guest's tail: entries from head up to it are to be fetched. Always below `size`. */
  tail: u32;
  /** Entries. */
  size: u32;
  /** Commands fetched and not completed. */
  outstanding: u32;
  /** The last shadow tail that was refused: it is ignored until it changes. */
  shadowRefused: u32;
  qid: u16;
  /** Completion queue of its commands. */
  cqid: u16;
  /** Window that showed the last entry fetched: a hint. */
  window: u16;
  /** Slot of the Delete I/O Submission Queue that waits, or SLOT_NONE. */
  deleter: u16;
  /** What the guest was last told in the EventIdx buffer. */
  eventIndex: u16;
  /** QUEUE_*. */
  state: u8;
  reserved0: u8;
  reserved1: u32;
  reserved2: u64;
  reserved3: u64;

  @inline static at(qid: u32): SubmissionQueue {
    return changetype<SubmissionQueue>(<usize>SUBMISSION_QUEUE_BASE + <usize>qid * QUEUE_BYTES);
  }
}

if (offsetof<SubmissionQueue>() != QUEUE_BYTES) ERROR('SubmissionQueue');
if (SUBMISSION_QUEUE_HEAD != 8) ERROR('SUBMISSION_QUEUE_HEAD');
if (offsetof<SubmissionQueue>('head') != SUBMISSION_QUEUE_HEAD) ERROR('SubmissionQueue.head');
if (SUBMISSION_QUEUE_SEQUENCE != 12) ERROR('SUBMISSION_QUEUE_SEQUENCE');
if (offsetof<SubmissionQueue>('sequence') != SUBMISSION_QUEUE_SEQUENCE) ERROR('SubmissionQueue.sequence');
if (offsetof<SubmissionQueue>('tail') != SUBMISSION_QUEUE_TAIL) ERROR('SubmissionQueue.tail');
if (offsetof<SubmissionQueue>('size') != SUBMISSION_QUEUE_ENTRIES) ERROR('SubmissionQueue.size');
if (offsetof<SubmissionQueue>('outstanding') != SUBMISSION_QUEUE_OUTSTANDING) ERROR('outstanding');
if (offsetof<SubmissionQueue>('cqid') != SUBMISSION_QUEUE_CQID) ERROR('SubmissionQueue.cqid');
if (offsetof<SubmissionQueue>('state') != SUBMISSION_QUEUE_STATE) ERROR('SubmissionQueue.state');

@unmanaged
export class CompletionQueue {
  /** Guest physical address of entry 0. */
  base: u64;
  /** Entry to write next. This and the next two are one word: an entry is published when all have moved. */
  tail: u16;
  /** Phase tag of the entry to write next: 1 in the first lap. */
  phase: u16;
  /** Counts the entries ever published. */
  posted: u32;
  /** The guest's head: entries from it up to the tail are not consumed. */
  head: u32;
  /** Entries. */
  size: u32;
  /** Places that are neither reserved nor hold an entry the guest has not consumed. */
  places: u32;
  /** The last shadow head that was refused: it is ignored until it changes. */
  shadowRefused: u32;
  qid: u16;
  vector: u16;
  /** Window that showed the last entry written: a hint. */
  window: u16;
  /** Interrupts Enabled (IEN). */
  interrupts: u8;
  /** QUEUE_*. */
  state: u8;
  /** Slots that wait to be published (the window is missing): first and last, in order. */
  waitingFirst: u16;
  waitingLast: u16;
  /** Submission queues that complete here. */
  submissionQueues: u16;
  /** What the guest was last told in the EventIdx buffer. */
  eventIndex: u16;
  /** The entry on its way: `posted` then, and the slot's tag. After a crash it is written again, not another. */
  publishing: u64;
  reserved0: u64;

  @inline static at(qid: u32): CompletionQueue {
    return changetype<CompletionQueue>(<usize>COMPLETION_QUEUE_BASE + <usize>qid * QUEUE_BYTES);
  }
}

if (offsetof<CompletionQueue>() != QUEUE_BYTES) ERROR('CompletionQueue');
if (offsetof<CompletionQueue>('vector') != COMPLETION_QUEUE_VECTOR) ERROR('CompletionQueue.vector');
if (offsetof<CompletionQueue>('tail') != 8) ERROR('CompletionQueue.tail');
if (offsetof<CompletionQueue>('posted') != 12) ERROR('CompletionQueue.posted');
if (offsetof<CompletionQueue>('publishing') % 8 != 0) ERROR('CompletionQueue.publishing');

const SCHEDULER_BASE: usize = <usize>SUBMISSION_QUEUE_BASE + QUEUE_COUNT * QUEUE_BYTES;

/** What all queues share; lies behind the submission queues. */
@unmanaged
export class Scheduler {
  /** Bit n: I/O submission queue n + 1 is live. */
  live: u64;
  /** Guest physical addresses of the shadow doorbell and EventIdx buffers. */
  shadowBase: u64;
  eventBase: u64;
  /** SHADOW_*: where the doorbells of I/O queues are. */
  shadow: u32;
  /** Windows of the two buffers: hints. */
  shadowWindow: u16;
  eventWindow: u16;
  /** Records in the request ring that were not taken yet. */
  requestCount: u32;
  /** Requests in the ring or with the caller. */
  requestsOutstanding: u32;
  /** I/O queue pairs that the guest may create, and entries of one queue. */
  queuePairs: u32;
  queueEntries: u32;
  /** Slots that may be in use, all in all. */
  slotLimit: u32;
  slotsFree: u32;
  slotFirst: u16;
  /** Slots in SLOT_WALKING that go on at the next poll, in order. */
  walkFirst: u16;
  walkLast: u16;
  /** Completed Asynchronous Event Requests that wait for a place in the admin completion queue, in order. */
  eventFirst: u16;
  eventLast: u16;
  /** Where the next poll begins its round: I/O submission queue number - 1. */
  round: u16;
  /** Slots on the waiting lists of all completion queues. */
  completing: u32;
  /** 1 when `vectors` is not all zeros. */
  interrupts: u32;
  /** Entries published, all in all: the difference tells what a poll has done. */
  published: u32;
  /** 1 when the guest's side never rings: the doorbells in memory are looked at from time to time. */
  polled: u16;
  /** 1 when there is an EventIdx buffer beside the doorbells in memory. */
  events: u16;
  /** Commands given directly whose results were not taken; those that are complete, in order. */
  directCount: u32;
  directFirst: u16;
  directLast: u16;
  /** Time of the last poll that found something to do, while `polled`. */
  activeAt: u64;
  /** Guest physical address of the page whose writers wake the caller. Outlives resets: it is the caller's wiring. */
  kickBase: u64;
  /** 1 when there is such a page: the admin queue's doorbells are there, and those of I/O queues at first. */
  kicked: u16;
  /** Window of the page: a hint. */
  kickWindow: u16;

  @inline static get(): Scheduler {
    return changetype<Scheduler>(SCHEDULER_BASE);
  }

  /** One byte for each vector: 1 = signal it. */
  @inline get vectors(): usize {
    return SCHEDULER_BASE + SCHEDULER_VECTORS;
  }
}

const SCHEDULER_VECTORS = 128;
if (offsetof<Scheduler>() > <usize>SCHEDULER_VECTORS) ERROR('Scheduler');
if (QUEUE_COUNT * QUEUE_BYTES + SCHEDULER_VECTORS + QUEUE_COUNT > SUBMISSION_QUEUE_SIZE)
  ERROR('Scheduler.vectors');
