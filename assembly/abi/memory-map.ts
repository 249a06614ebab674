// Portable: compiled by asc into the core and by tsc into the target. Constants only.
//
// The memory map of a core: every area of linear memory, each derived from the one before it. All that lies
// below WINDOW_BASE_MIN is the state image, the whole controller; what lies above are windows onto guest memory.
// README.md beside this file says who writes and who reads each area; a test compares the two.

/** Commands that one controller can own at a time. */
export const SLOT_COUNT = 1024;
/** Slots kept for the admin queue, so that a flood of I/O never starves Abort or a log page. */
export const SLOT_ADMIN_RESERVE = 16;
/** Maximum Data Transfer Size (MDTS) as a power of two of 4 KiB pages: 2^8 pages = 1 MiB. */
export const MDTS = 8;
/** Segments of one request: the pages of MDTS and one more for a first page entered in the middle. */
export const SEGMENTS_PER_SLOT = 257;
/** I/O queue pairs of one controller; queue 0 is the admin queue. */
export const IO_QUEUE_PAIRS_MAX = 64;
export const QUEUE_COUNT = IO_QUEUE_PAIRS_MAX + 1;
/** Entries of one queue (CAP.MQES + 1). */
export const QUEUE_ENTRIES_MAX = 1024;
export const NAMESPACE_COUNT = 256;
export const REGION_COUNT = 4096;
/** A window shows 2 MiB of guest memory. */
export const WINDOW_SHIFT = 21;
export const WINDOW_BYTES = 1 << WINDOW_SHIFT;
export const WINDOW_COUNT_MIN = 2;
export const WINDOW_COUNT_MAX = 1024;
/** Windows a controller gets where nobody chose a number: 128 MiB of address space. */
export const WINDOW_COUNT_DEFAULT = 64;

/** Bytes of one record in each area (records.ts describes the public ones). */
export const REQUEST_BYTES = 64;
export const COMPLETION_BYTES = 16;
export const INTERRUPT_BYTES = 4;
export const EVENT_BYTES = 32;
export const WINDOW_MISS_BYTES = 8;
export const REGION_BYTES = 48;
export const NAMESPACE_BYTES = 128;
export const SEGMENT_BYTES = 16;
export const QUEUE_BYTES = 64;
export const SLOT_BYTES = 192;
export const WINDOW_RECORD_BYTES = 16;
export const DATA_BUFFER_BYTES = 4096;
export const EVENT_COUNT = 256;
export const INTERRUPT_COUNT = 128;
/** Commands given directly that the core holds at a time, results that were not taken included. */
export const COMMAND_COUNT = 16;
export const COMMAND_RESULT_BYTES = 32;

/** Static data of the core's own module (written again at each instantiation, constant). */
export const STATIC_BASE = 0x400;
/** Static data of the driver's module, where driver and core share one memory. */
export const DRIVER_STATIC_BASE = 0x8000;

export const HEADER_BASE = 0x10000;
export const HEADER_SIZE = 0x1000;

/** What the caller fills in before `core_init`: records.ts, CONFIG_*. */
export const CONFIG_BASE = HEADER_BASE + HEADER_SIZE;
export const CONFIG_SIZE = 0x1000;

/** The caller's own area: PCI config space, interrupt state. The core never touches it. */
export const CALLER_BASE = CONFIG_BASE + CONFIG_SIZE;
export const CALLER_SIZE = 0x6000;

/** Registers of BAR0, features, events, logs: the controller's scalar state. */
export const CONTROLLER_BASE = CALLER_BASE + CALLER_SIZE;
export const CONTROLLER_SIZE = 0x7000;

/** What outlives power: counters of the health log, saved features. records.ts, PERSISTENT_*. */
export const PERSISTENT_BASE = CONTROLLER_BASE + CONTROLLER_SIZE;
export const PERSISTENT_SIZE = 0x1000;

export const NAMESPACE_BASE = PERSISTENT_BASE + PERSISTENT_SIZE;
export const NAMESPACE_SIZE = NAMESPACE_COUNT * NAMESPACE_BYTES;

export const SUBMISSION_QUEUE_BASE = NAMESPACE_BASE + NAMESPACE_SIZE;
export const SUBMISSION_QUEUE_SIZE = 0x2000;

export const COMPLETION_QUEUE_BASE = SUBMISSION_QUEUE_BASE + SUBMISSION_QUEUE_SIZE;
export const COMPLETION_QUEUE_SIZE = 0x2000;

/** One region record, the argument of `region_add` and `region_remove`. */
export const REGION_MAILBOX_BASE = COMPLETION_QUEUE_BASE + COMPLETION_QUEUE_SIZE;
export const REGION_MAILBOX_SIZE = 0x800;

/** One submission queue entry, the argument of `command_submit`. */
export const COMMAND_BASE = REGION_MAILBOX_BASE + REGION_MAILBOX_SIZE;
export const COMMAND_SIZE = 0x200;

/** One namespace record, the argument of `namespace_update`. */
export const NAMESPACE_MAILBOX_BASE = COMMAND_BASE + COMMAND_SIZE;
export const NAMESPACE_MAILBOX_SIZE = 0x200;

/** Results of commands given directly. */
export const COMMAND_RESULT_BASE = NAMESPACE_MAILBOX_BASE + NAMESPACE_MAILBOX_SIZE;
export const COMMAND_RESULT_SIZE = 0x400;

export const REGION_BASE = COMMAND_RESULT_BASE + COMMAND_RESULT_SIZE;
export const REGION_SIZE = REGION_COUNT * REGION_BYTES;

export const WINDOW_TABLE_BASE = REGION_BASE + REGION_SIZE;
export const WINDOW_TABLE_SIZE = WINDOW_COUNT_MAX * WINDOW_RECORD_BYTES;

export const WINDOW_MISS_BASE = WINDOW_TABLE_BASE + WINDOW_TABLE_SIZE;
export const WINDOW_MISS_SIZE = WINDOW_COUNT_MAX * WINDOW_MISS_BYTES;

export const REQUEST_BASE = WINDOW_MISS_BASE + WINDOW_MISS_SIZE;
export const REQUEST_SIZE = SLOT_COUNT * REQUEST_BYTES;

export const COMPLETION_BASE = REQUEST_BASE + REQUEST_SIZE;
export const COMPLETION_SIZE = SLOT_COUNT * COMPLETION_BYTES;

export const INTERRUPT_BASE = COMPLETION_BASE + COMPLETION_SIZE;
export const INTERRUPT_SIZE = 0x1000;

export const EVENT_BASE = INTERRUPT_BASE + INTERRUPT_SIZE;
export const EVENT_SIZE = EVENT_COUNT * EVENT_BYTES;

export const SLOT_BASE = EVENT_BASE + EVENT_SIZE;
export const SLOT_SIZE = SLOT_COUNT * SLOT_BYTES;

/** Segments of the slots, SEGMENTS_PER_SLOT each: a slot's request is one contiguous array. */
export const SEGMENT_BASE = SLOT_BASE + SLOT_SIZE;
export const SEGMENT_STRIDE = SEGMENTS_PER_SLOT * SEGMENT_BYTES;
export const SEGMENT_SIZE = SLOT_COUNT * SEGMENT_STRIDE;

/** One private page for each slot: identify data, log pages, ranges read from the guest once. */
export const DATA_BASE = SEGMENT_BASE + SEGMENT_SIZE;
export const DATA_SIZE = SLOT_COUNT * DATA_BUFFER_BYTES;

/** State of the driver's module (assembly/driver), where driver and core share one memory. */
export const DRIVER_BASE = DATA_BASE + DATA_SIZE;
export const DRIVER_SIZE = 0x180000;

export const IMAGE_END = DRIVER_BASE + DRIVER_SIZE;
/** Lowest address of the windows; the caller aligns the real base so that windows lie on 2 MiB of its own addresses. */
export const WINDOW_BASE_MIN = (IMAGE_END + 0xffff) & ~0xffff;
