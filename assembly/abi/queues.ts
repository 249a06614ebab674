// Where the state of queues lies in the image, for whoever looks into a controller. Nothing depends on it that a caller
// has to do; wire/queue.ts asserts each number.

/** Bytes from SUBMISSION_QUEUE_BASE + qid * QUEUE_BYTES: entry to fetch next, u32. */
export const SUBMISSION_QUEUE_HEAD = 8;
/** Commands ever fetched, u32, wraps. */
export const SUBMISSION_QUEUE_SEQUENCE = 12;
/** The guest's tail, u32. */
export const SUBMISSION_QUEUE_TAIL = 16;
/** Entries, u32. */
export const SUBMISSION_QUEUE_ENTRIES = 20;
/** Commands fetched and not completed, u32. */
export const SUBMISSION_QUEUE_OUTSTANDING = 24;
/** Completion queue, u16. */
export const SUBMISSION_QUEUE_CQID = 34;
/** 0: there is no such queue; u8. */
export const SUBMISSION_QUEUE_STATE = 42;

/** Bytes from COMPLETION_QUEUE_BASE + cqid * QUEUE_BYTES: interrupt vector, u16. */
export const COMPLETION_QUEUE_VECTOR = 34;
