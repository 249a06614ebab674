// A command slot: everything that the core knows about one command, from the moment its SQE was copied out of the
// guest's queue until its CQE is published. The SQE is private memory from then on: the guest cannot change it.

import {
  DATA_BASE,
  DATA_BUFFER_BYTES,
  SEGMENT_BASE,
  SEGMENT_STRIDE,
  SLOT_BASE,
  SLOT_BYTES,
} from '../abi/memory-map.ts';
import { COMMAND_SQID, COMMAND_SQID_NVM } from '../abi/records.ts';
import { Sqe } from './sqe.ts';

/** In no use; on the free list. */
export const SLOT_FREE: u8 = 0;
/** The SQE was copied; the command has not run yet or goes on at the next poll (a window was missing). */
export const SLOT_WALKING: u8 = 1;
/** A request of this slot is with the caller. */
export const SLOT_ISSUED: u8 = 2;
/** Done; its CQE waits to be published (the completion queue's window is missing, or it is full for an AER). */
export const SLOT_COMPLETING: u8 = 3;
/** An Asynchronous Event Request that waits for its event: owns no CQE. */
export const SLOT_PARKED: u8 = 4;
/** A Delete I/O Submission Queue that waits for the commands of that queue. */
export const SLOT_WAITING: u8 = 5;
/** The queue of this command is gone (reset, disable), its request is still with the caller. */
export const SLOT_ORPHAN: u8 = 6;

/** A command given directly that is complete: its result waits to be taken. */
export const SLOT_RESULT: u8 = 7;

/** End of a list that is linked through Slot.next. */
export const SLOT_NONE: u16 = 0xffff;
/** Slot.sqid of a request that no guest asked for (the flush of a shutdown): its completion publishes nothing. */
export const SQID_INTERNAL: u16 = 0xffff;
/** Slot.sqid of a command that came by command_submit: its completion is a record of the caller's. */
export const SQID_DIRECT: u16 = <u16>COMMAND_SQID;
export const SQID_DIRECT_NVM: u16 = <u16>COMMAND_SQID_NVM;
/** Slot.stage: the caches of all namespaces are being flushed, one after the other. */
export const STAGE_FLUSH_ALL: u8 = 0x80;

// What a command's handler returns when the command is not at its end: beyond every status.
/** The slot describes a request: hand it to the caller. */
export const ISSUE: u32 = 0xfffd;
/** A window is missing: run the command again at the next poll. */
export const AGAIN: u32 = 0xfffe;
/** The handler has put the slot where it waits. */
export const PENDING: u32 = 0xffff;

/** 192 bytes, SLOT_BYTES of the memory map. */
@unmanaged
export class Slot {
  /** Private copy of the submission queue entry: bytes 0 to 63. */
  sqe0: u64;
  sqe1: u64;
  sqe2: u64;
  sqe3: u64;
  sqe4: u64;
  sqe5: u64;
  sqe6: u64;
  sqe7: u64;
  /** Bytes of the request: offset in the namespace and length. */
  requestOffset: u64;
  requestLength: u64;
  /** The PRP walker's place: guest physical address of the list entry to read next. */
  walkAddress: u64;
  /** SLOT_*. This and the next three are one word, so that a slot has an owner or has none, never half of one. */
  state: u8;
  /** 1 while the slot owns a place in its completion queue. */
  permit: u8;
  /** Submission queue of the command. */
  sqid: u16;
  /** SubmissionQueue.sequence when the SQE was fetched. */
  sequence: u32;
  /** Bytes that have no segment yet. */
  walkRemaining: u32;
  /** Segments, or ranges, gathered so far. */
  segmentCount: u32;
  /** OPERATION_* of the request, 0 while there is none. */
  operation: u16;
  /** REQUEST_FLAG_*. */
  requestFlags: u16;
  /** State of the walker (dptr/prp.ts). */
  walkState: u8;
  /** Which part of a command in several parts runs, STAGE_* or the handler's own; 0 first. */
  stage: u8;
  /** Status of the completion, SCT << 8 | SC, and DNR in bit 14. */
  status: u16;
  /** Dword 0 of the completion. */
  result: u32;
  /** Completion queue that holds, or will hold, the CQE. */
  cqid: u16;
  /** Namespace of the request; 0 for the two copies. */
  requestNsid: u16;
  /** The slot's own number; with the next it makes the tag. */
  number: u16;
  /** Grows with each use of the slot: a late completion finds a stranger and is dropped. */
  generation: u16;
  /** Link of whatever list the slot is on: another slot's number, SLOT_NONE at the end. */
  next: u16;

  @inline static at(index: u32): Slot {
    return changetype<Slot>(<usize>SLOT_BASE + <usize>index * SLOT_BYTES);
  }

  @inline get index(): u32 {
    return this.number;
  }

  /** Whether the command came by command_submit. */
  @inline get isDirect(): bool {
    return <u32>this.sqid - <u32>SQID_DIRECT_NVM < 2;
  }

  /** Whether the command is of the admin command set. */
  @inline get isAdmin(): bool {
    return this.sqid == 0 || this.sqid == SQID_DIRECT;
  }

  @inline get sqe(): Sqe {
    return changetype<Sqe>(changetype<usize>(this));
  }

  /** What a request and its completion call the slot. */
  @inline get tag(): u32 {
    return load<u32>(changetype<usize>(this), offsetof<Slot>('number'));
  }

  /** Linear address of the slot's segments. */
  @inline get segments(): usize {
    return <usize>SEGMENT_BASE + <usize>this.index * SEGMENT_STRIDE;
  }

  /** Linear address of the slot's private page. */
  @inline get data(): usize {
    return <usize>DATA_BASE + <usize>this.index * DATA_BUFFER_BYTES;
  }
}

if (<u32>SQID_DIRECT != <u32>SQID_DIRECT_NVM + 1) ERROR('Slot.isDirect compares with both at once');
if (offsetof<Slot>() > <usize>SLOT_BYTES) ERROR('Slot is larger than SLOT_BYTES');
if (offsetof<Slot>('state') % 8 != 0) ERROR('the word of Slot.state is not aligned');
if (offsetof<Slot>('sequence') != offsetof<Slot>('state') + 4)
  ERROR('Slot.sequence is not in the word of Slot.state');
if (offsetof<Slot>('walkRemaining') % 8 != 0) ERROR('the words of Slot.walkRemaining are not aligned');
if (offsetof<Slot>('result') != offsetof<Slot>('walkRemaining') + 16) ERROR('Slot.result moved');
if (offsetof<Slot>('number') != offsetof<Slot>('walkRemaining') + 24) ERROR('Slot.number moved');
if (offsetof<Slot>('generation') != offsetof<Slot>('number') + 2) ERROR('Slot.generation is not in the tag');
