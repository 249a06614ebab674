// Portable: compiled by asc into the driver and by tsc into the target. Constants only.
//
// What the driver's module (assembly/driver) and its caller agree on: the areas of a driver's state, the records in
// it, the codes that its exports return. Offsets count from the state's base, which is an argument of every export.

/** Queue pairs, commands of one queue and pages of one transfer that a state has room for. */
export const DRIVER_QUEUE_COUNT = 65;
export const DRIVER_COMMANDS_MAX = 1024;
export const DRIVER_PAGES_MAX = 512;

// ---- The command to be submitted next: helpers and callers fill it, command_submit takes and clears it ---------

/** 64 bytes: the submission queue entry. command_submit chooses the CID and, if DATA_BYTES is not 0, the PRPs. */
export const DRIVER_SQE = 0x100;
/** Guest physical address of the data (u64); with DATA_PAGES the offset in the first page counts only. */
export const DRIVER_DATA_ADDRESS = 0x140;
/** u32: bytes of the data; 0: PRP1 and PRP2 stay as they are in the entry. */
export const DRIVER_DATA_BYTES = 0x148;
/** u32: 1: the data lies in the pages listed at DRIVER_PAGES, one after the other, not in one piece. */
export const DRIVER_DATA_PAGES = 0x14c;
/** u32: where in its page a PRP list begins, a multiple of 8; the list must fit behind it. */
export const DRIVER_DATA_LIST_OFFSET = 0x150;
/** u32: handed back with the completion. */
export const DRIVER_TAG = 0x154;

// ---- Counters ------------------------------------------------------------------------------------------------

/** u32: completions for a CID that had no command outstanding. */
export const DRIVER_STRANGERS = 0x40;
/** u32: doorbells that had to be written as MMIO, and those that shadow doorbells spared. */
export const DRIVER_DOORBELLS_RUNG = 0x44;
export const DRIVER_DOORBELLS_SPARED = 0x48;

// ---- The load generator: filled by the caller before load_start, counters read after load_step -----------------

export const DRIVER_LOAD = 0x200;
export const LOAD_SQID = 0x00; // u32
export const LOAD_NSID = 0x04; // u32
export const LOAD_OPCODE = 0x08; // u32: Read, Write, Flush or Write Zeroes
export const LOAD_DEPTH = 0x0c; // u32: commands kept outstanding, at most the queue's
export const LOAD_BLOCKS = 0x10; // u32: logical blocks of a command
export const LOAD_BLOCK_BYTES = 0x14; // u32: bytes of a logical block
export const LOAD_FLAGS = 0x18; // u32, LOAD_FLAG_*
export const LOAD_CDW12 = 0x1c; // u32: or'ed into CDW12 (FUA)
export const LOAD_FIRST_LBA = 0x20; // u64
export const LOAD_UNITS = 0x28; // u64: commands that fit: the range is FIRST_LBA to FIRST_LBA + UNITS * BLOCKS
export const LOAD_SEED = 0x30; // u64: state of the generator of random numbers, not 0
export const LOAD_NEXT = 0x38; // u64: next unit, where sequential
export const LOAD_BUFFER = 0x40; // u64: guest physical address; CID n's buffer is n commands' bytes further
export const LOAD_LIMIT = 0x48; // u64: commands to submit in all; 0 = no limit
export const LOAD_SUBMITTED = 0x50; // u64
export const LOAD_COMPLETED = 0x58; // u64
export const LOAD_FAILED = 0x60; // u64: completed with another status than success

/** LBAs are drawn at random; without it they go up one command at a time and begin anew at the end. */
export const LOAD_FLAG_RANDOM = 1 << 0;
/** Pages of a buffer are listed in descending order, so that no two make one segment. */
export const LOAD_FLAG_SCATTERED = 1 << 1;

// ---- Areas ---------------------------------------------------------------------------------------------------

/** u64 each: guest physical addresses of pages for DATA_PAGES. */
export const DRIVER_PAGES = 0x1000;
/** Records of completions_reap. */
export const DRIVER_COMPLETIONS = 0x2000;
export const DRIVER_SUBMISSION_QUEUES = 0x8000;
export const DRIVER_COMPLETION_QUEUES = 0xa000;
export const DRIVER_COMMANDS = 0x10000;

/** Bytes of one record. */
export const DRIVER_QUEUE_BYTES = 64;
export const DRIVER_COMMAND_BYTES = 16;
export const DRIVER_COMPLETION_BYTES = 16;

/** Bytes of a driver's state. */
export const DRIVER_STATE_BYTES =
  DRIVER_COMMANDS + DRIVER_QUEUE_COUNT * DRIVER_COMMANDS_MAX * DRIVER_COMMAND_BYTES;

/** A completion as completions_reap reports it. */
export const REAPED_CID = 0; // u16
export const REAPED_SQID = 2; // u16
export const REAPED_STATUS = 4; // u16: the status field without the phase: SCT << 8 | SC, and DNR in bit 14
export const REAPED_FLAGS = 6; // u16, REAPED_FLAG_*
export const REAPED_RESULT = 8; // u32: dword 0
export const REAPED_TAG = 12; // u32

/** No command with this CID was outstanding. */
export const REAPED_FLAG_STRANGER = 1 << 0;

// ---- Codes ---------------------------------------------------------------------------------------------------

export const DRIVER_OK = 0;
/** A queue number, size or address that cannot be. */
export const DRIVER_INVALID = 1;

/** command_submit: no free CID, or the queue is full. Anything else it returns is the CID. */
export const SUBMIT_FULL = 0xffffffff;
/** command_submit: the data cannot be described (too long, outside guest memory, no page for a list). */
export const SUBMIT_INVALID = 0xfffffffe;
/** sq_doorbell and cq_doorbell: nothing is to be written; anything else is the value for the doorbell register. */
export const DOORBELL_NONE = 0xffffffff;
