// Portable: compiled by asc into the core and by tsc into the target. Constants only.
//
// The records that cross between a core and its caller: byte offsets, codes and flags. README.md beside this file
// draws each of them; a test compares the two. All numbers are little-endian.

// ---- Image header (HEADER_BASE), written by core_init --------------------------------------------------------

export const HEADER_MAGIC = 0; // u64
export const HEADER_ABI_VERSION = 8; // u32
export const HEADER_IMAGE_BYTES = 12; // u32: WINDOW_BASE_MIN
export const HEADER_BUILD_HASH = 16; // 32 bytes, written by the caller: SHA-256 of the module
export const HEADER_WINDOW_BASE = 48; // u32
export const HEADER_WINDOW_COUNT = 52; // u32

// ---- Controller configuration (CONFIG_BASE), written by the caller before core_init --------------------------

export const CONFIG_FLAGS = 0; // u32, CONFIG_FLAG_*
export const CONFIG_CNTLID = 4; // u16: controller identifier, unique in the subsystem
export const CONFIG_VID = 6; // u16: PCI vendor id
export const CONFIG_SSVID = 8; // u16: PCI subsystem vendor id
export const CONFIG_IO_QUEUE_PAIRS = 10; // u16, 1 to IO_QUEUE_PAIRS_MAX
export const CONFIG_QUEUE_ENTRIES = 12; // u16, 2 to QUEUE_ENTRIES_MAX
export const CONFIG_SLOTS = 14; // u16, SLOT_ADMIN_RESERVE + 1 to SLOT_COUNT: command slots in use
export const CONFIG_IEEE_OUI = 16; // 3 bytes, least significant first
export const CONFIG_SERIAL = 32; // 20 bytes ASCII, padded with spaces
export const CONFIG_MODEL = 52; // 40 bytes ASCII, padded with spaces
export const CONFIG_FIRMWARE = 92; // 8 bytes ASCII, padded with spaces
export const CONFIG_SUBNQN = 112; // 256 bytes UTF-8, padded with zeros
export const CONFIG_BYTES = 368;

/** Doorbell Buffer Config is offered (OACS bit 8). */
export const CONFIG_FLAG_SHADOW_DOORBELLS = 1 << 0;
/** The subsystem has, or may get, more than this one controller (CMIC bit 1). */
export const CONFIG_FLAG_MULTI_CONTROLLER = 1 << 1;

// ---- Persistent record (PERSISTENT_BASE), kept by the caller over power cycles ---------------------------------

export const PERSISTENT_MAGIC = 0; // u32: PERSISTENT_MAGIC_VALUE; anything else: a record of zeros
export const PERSISTENT_FLAGS = 4; // u32, PERSISTENT_FLAG_*
export const PERSISTENT_SAVED = 8; // u32: bit n: feature n has a saved value
export const PERSISTENT_PROGRESS = 12; // u32: Software Progress Marker (feature 80h)
export const PERSISTENT_UNITS_READ = 16; // u64: units of 512 bytes
export const PERSISTENT_UNITS_WRITTEN = 24; // u64: units of 512 bytes
export const PERSISTENT_COMMANDS_READ = 32; // u64
export const PERSISTENT_COMMANDS_WRITTEN = 40; // u64
export const PERSISTENT_BUSY_TIME = 48; // u64: microseconds
export const PERSISTENT_POWER_CYCLES = 56; // u64
export const PERSISTENT_POWER_ON_TIME = 64; // u64: microseconds
export const PERSISTENT_UNSAFE_SHUTDOWNS = 72; // u64
export const PERSISTENT_MEDIA_ERRORS = 80; // u64
export const PERSISTENT_ERROR_COUNT = 88; // u64: errors that the Error Information log ever told of
export const PERSISTENT_VALUES = 96; // 16 u32: saved value of feature n
export const PERSISTENT_BYTES = 160;

/** "PRS1" in ASCII; changes with the layout. */
export const PERSISTENT_MAGIC_VALUE = 0x31535250;
/** The controller was ready and has not been shut down since: losing power now is an unsafe shutdown. */
export const PERSISTENT_FLAG_RUNNING = 1 << 0;

// ---- Namespace (NAMESPACE_BASE + (nsid - 1) * NAMESPACE_BYTES, and NAMESPACE_MAILBOX_BASE) ---------------------

export const NAMESPACE_FLAGS = 0; // u32, NAMESPACE_FLAG_*
export const NAMESPACE_LBA_SHIFT = 4; // u32: 9 or 12
export const NAMESPACE_BLOCKS = 8; // u64: size in logical blocks (NSZE, NCAP)
export const NAMESPACE_NGUID = 16; // 16 bytes, big-endian as in Identify
export const NAMESPACE_EUI64 = 32; // 8 bytes, big-endian as in Identify
export const NAMESPACE_UUID = 40; // 16 bytes, big-endian (RFC 9562)
export const NAMESPACE_OPTIMAL_BLOCKS = 56; // u32: preferred I/O size in logical blocks, 0 = not reported

export const NAMESPACE_FLAG_ACTIVE = 1 << 0;
/** More than one controller may be attached (NMIC bit 0). */
export const NAMESPACE_FLAG_SHARED = 1 << 1;
/** Writes are refused with Namespace is Write Protected; NSATTR bit 0. */
export const NAMESPACE_FLAG_READ_ONLY = 1 << 2;
/** Deallocated blocks read as zeros (DLFEAT 001b) and Deallocate really frees them. */
export const NAMESPACE_FLAG_DEALLOCATE = 1 << 3;
/** The backend has a volatile write cache: Flush and FUA mean something (VWC). */
export const NAMESPACE_FLAG_VOLATILE_CACHE = 1 << 4;

/** The subsystem has this namespace, though it is not attached to this controller: Identify 10h and 11h show it. */
export const NAMESPACE_FLAG_ALLOCATED = 1 << 5;

/** Results of namespace_update. */
export const NAMESPACE_OK = 0;
/** No such namespace id, or a record that core_init would refuse. */
export const NAMESPACE_INVALID = 1;

// ---- Region (REGION_MAILBOX_BASE, and the table at REGION_BASE) ----------------------------------------------

export const REGION_GPA = 0; // u64: guest physical address, a multiple of 4 KiB
export const REGION_LENGTH = 8; // u64: bytes, a multiple of 4 KiB, not 0
export const REGION_IO_BASE = 16; // u64: what a segment's address counts from
export const REGION_OFFSET = 24; // u64: opaque to the core: offset in the caller's file
export const REGION_FILE = 32; // u32: opaque to the core: the caller's number for that file
export const REGION_FLAGS = 36; // u32, REGION_FLAG_*

export const REGION_FLAG_READABLE = 1 << 0;
export const REGION_FLAG_WRITABLE = 1 << 1;
/** Backed by a file that the caller has mapped; without it the region can hold neither queues nor data. */
export const REGION_FLAG_MAPPED = 1 << 2;

// ---- Window miss (WINDOW_MISS_BASE): fill this window with these 2 MiB ---------------------------------------

export const WINDOW_MISS_WINDOW = 0; // u32: window number
export const WINDOW_MISS_PAGE = 4; // u32: guest physical address >> WINDOW_SHIFT

// ---- Request (REQUEST_BASE) ----------------------------------------------------------------------------------

export const REQUEST_SLOT = 0; // u32: slot number | generation << 16; echoed in the completion
export const REQUEST_OPERATION = 4; // u16, OPERATION_*
export const REQUEST_FLAGS = 6; // u16, REQUEST_FLAG_*
export const REQUEST_NSID = 8; // u32; 0 for the two copies
export const REQUEST_SEGMENT_COUNT = 12; // u32: segments, or ranges of OPERATION_DEALLOCATE
export const REQUEST_SEGMENTS = 16; // u32: linear address of the array
export const REQUEST_DATA = 20; // u32: linear address of the slot's data buffer (the two copies)
export const REQUEST_OFFSET = 24; // u64: bytes from the start of the namespace
export const REQUEST_LENGTH = 32; // u64: bytes
export const REQUEST_SQID = 40; // u16, for traces
export const REQUEST_CID = 42; // u16, for traces

/** Storage to guest memory: segments of `length` bytes in all. */
export const OPERATION_READ = 1;
/** Guest memory to storage. */
export const OPERATION_WRITE = 2;
/** All that was completed before becomes durable. */
export const OPERATION_FLUSH = 3;
/** `length` bytes from `offset` read as zeros afterwards. */
export const OPERATION_WRITE_ZEROES = 4;
/** Segments are ranges: address = offset in the namespace, length = bytes. */
export const OPERATION_DEALLOCATE = 5;
/** Data buffer to guest memory; bytes beyond DATA_BUFFER_BYTES are zeros. */
export const OPERATION_COPY_OUT = 6;
/** Guest memory to data buffer, at most DATA_BUFFER_BYTES. */
export const OPERATION_COPY_IN = 7;

/** Storage against guest memory: BLOCK_MISCOMPARE where a byte differs. */
export const OPERATION_COMPARE = 8;
/** `length` bytes from `offset` can be read; nobody gets them. */
export const OPERATION_VERIFY = 9;
/** One segment, a range: address = offset of the source in the namespace; its `length` bytes go to `offset`. */
export const OPERATION_COPY = 10;
/** `length` bytes from `offset` cannot be read until they are written again. */
export const OPERATION_WRITE_UNCORRECTABLE = 11;

/** Durable before it completes (FUA, or the volatile write cache is off). */
export const REQUEST_FLAG_FUA = 1 << 0;
/** Write Zeroes with DEAC: freeing the blocks is welcome. */
export const REQUEST_FLAG_DEALLOCATE = 1 << 1;

export const SEGMENT_ADDRESS = 0; // u64
export const SEGMENT_LENGTH = 8; // u64

// ---- Completion (COMPLETION_BASE), written by the caller before completions_post -----------------------------

export const COMPLETION_SLOT = 0; // u32, as in the request
export const COMPLETION_RESULT = 4; // u32, BLOCK_*

/** Results of a request: what became of it, in the block layer's own words. */
export const BLOCK_OK = 0;
/** The range does not lie inside the namespace. */
export const BLOCK_OUT_OF_RANGE = 1;
/** The medium failed (EIO, and whatever has no better name). */
export const BLOCK_MEDIUM_ERROR = 2;
/** No space to store the data (ENOSPC, EDQUOT, EFBIG). */
export const BLOCK_NO_SPACE = 3;
/** The storage does not take writes (EROFS, EPERM, EBADF). */
export const BLOCK_READ_ONLY = 4;
/** A segment is not in the guest's memory, or not for this direction (EFAULT). */
export const BLOCK_MEMORY_FAULT = 5;
/** The storage cannot do this operation (EOPNOTSUPP). */
export const BLOCK_NOT_SUPPORTED = 6;
/** Given up before it was done (ECANCELED). */
export const BLOCK_CANCELED = 7;
/** No resources at this moment; trying again may help (EAGAIN, ENOMEM). */
export const BLOCK_BUSY = 8;
/** OPERATION_COMPARE: storage and guest memory differ. */
export const BLOCK_MISCOMPARE = 9;
/** OPERATION_COPY: the medium failed to give the source. */
export const BLOCK_SOURCE_ERROR = 10;

// ---- Interrupt (INTERRUPT_BASE): one u32, the vector ---------------------------------------------------------

// ---- Command result (COMMAND_RESULT_BASE): what became of a command given directly ----------------------------

export const COMMAND_RESULT_TOKEN = 0; // u32, as command_submit returned it
export const COMMAND_RESULT_STATUS = 4; // u16: SCT << 8 | SC, Do Not Retry in bit 14
export const COMMAND_RESULT_DW0 = 8; // u32: dword 0 of the completion
export const COMMAND_RESULT_DATA = 12; // u32: linear address of the data that the guest's buffer would have got
export const COMMAND_RESULT_DATA_BYTES = 16; // u32: 0 to DATA_BUFFER_BYTES

/** Which command set the entry in the mailbox is of: the argument of command_submit. */
export const COMMAND_SET_ADMIN = 0;
export const COMMAND_SET_NVM = 1;

/** The queue of a command given directly, in EVENT_QID and REQUEST_SQID: one for each command set. */
export const COMMAND_SQID = 0xfffe;
export const COMMAND_SQID_NVM = 0xfffd;

// ---- Event (EVENT_BASE): what a person may want to know ------------------------------------------------------

export const EVENT_TYPE = 0; // u16, EVENT_*
export const EVENT_QID = 2; // u16
export const EVENT_CID = 4; // u16
export const EVENT_STATUS = 6; // u16: SCT << 8 | SC
export const EVENT_NSID = 8; // u32
export const EVENT_ARGUMENT = 12; // u32: depends on the type
export const EVENT_VALUE = 16; // u64: depends on the type
export const EVENT_DROPPED = 24; // u32: events lost since the last take, in the first record only

/** CC.EN became 1 and CSTS.RDY was set; value: CC. */
export const EVENT_CONTROLLER_READY = 1;
/** CC.EN became 0 and CSTS.RDY was cleared. */
export const EVENT_CONTROLLER_DISABLED = 2;
/** Shutdown processing is complete; argument: CC.SHN. */
export const EVENT_CONTROLLER_SHUTDOWN = 3;
/** CSTS.CFS was set; argument: FAILED_*, value: guest physical address where one is meant. */
export const EVENT_CONTROLLER_FAILED = 4;
/** A command completed with an error; status, qid, cid, nsid; argument: opcode. */
export const EVENT_COMMAND_FAILED = 5;
/** A doorbell of no queue, or a value beyond its ring; argument: BAR0 offset, value: what was written. */
export const EVENT_DOORBELL_REFUSED = 6;
/** Memory that has no file behind it was asked for; value: guest physical address. The cure is share=on. */
export const EVENT_MEMORY_NOT_SHARED = 7;
/** Doorbell Buffer Config succeeded; value: address of the shadow doorbells. */
export const EVENT_SHADOW_DOORBELLS = 8;
/** An I/O submission queue was created; qid; argument: entries; value: CQ id. */
export const EVENT_QUEUE_CREATED = 9;
/** An I/O submission queue was deleted; qid. */
export const EVENT_QUEUE_DELETED = 10;
/** A register access that the specification does not define; argument: BAR0 offset, value: what was written. */
export const EVENT_REGISTER_REFUSED = 11;

/** Why a controller failed: the admin queue's attributes or addresses cannot work. */
export const FAILED_ADMIN_QUEUE = 1;
/** CC asks for what CAP does not offer (page size, command set, arbitration, entry sizes). */
export const FAILED_CONFIGURATION = 2;
/** The admin queue lies in memory that has no file behind it. */
export const FAILED_MEMORY_NOT_SHARED = 3;
/** The caller said so (`controller_fail`). */
export const FAILED_BY_CALLER = 4;
/** The guest set the Keep Alive Timer (feature 0Fh) and let it expire; value: milliseconds. */
export const FAILED_KEEP_ALIVE = 5;

// ---- Results of calls ----------------------------------------------------------------------------------------

/** Results of core_init and core_resume. */
export const INIT_OK = 0;
export const INIT_CONFIG_INVALID = 1;
export const INIT_NAMESPACE_INVALID = 2;
export const INIT_WINDOWS_INVALID = 3;
export const INIT_IMAGE_FOREIGN = 4;

/** Results of region_add and region_remove. */
export const REGION_OK = 0;
/** Not a multiple of 4 KiB, empty, or beyond guest physical address 2^53: window pages are numbers of 32 bits. */
export const REGION_INVALID = 1;
export const REGION_OVERLAPS = 2;
export const REGION_TABLE_FULL = 3;
/** region_remove: no region has exactly this address and length. */
export const REGION_UNKNOWN = 4;

/** deadline_next: the core does not ask to be called. */
export const DEADLINE_NONE = 0xffffffff;

/** command_submit: the core holds COMMAND_COUNT commands given directly, no slot is free, or no such command set. */
export const COMMAND_REFUSED = 0xffffffff;

/** Results of controller_start. */
export const START_OK = 0;
/** The controller is enabled or has failed: it is to be disabled or reset first. */
export const START_ENABLED = 1;

/** Results of doorbells_poll and doorbells_kick. */
export const POLL_OK = 0;
/** I/O queues exist. */
export const POLL_QUEUES_EXIST = 1;
/** The page is not 4 KiB aligned. */
export const POLL_PAGE_INVALID = 2;
/** doorbells_poll, doorbells_kick: there is no page, doorbells come by doorbell_write. */
export const DOORBELLS_NONE = 0xffffffff;
/** Least and greatest microseconds between two polls of doorbells that nobody rings. */
export const DOORBELLS_INTERVAL_MIN = 50;
export const DOORBELLS_INTERVAL_MAX = 10000;
