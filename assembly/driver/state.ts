// The driver's state: everything it knows lies at the base that the caller hands to each export, so that a process
// may drive many controllers with one instance, and a saved state goes on elsewhere. Offsets that callers use too are
// in abi/driver.ts.

import {
  DRIVER_COMMANDS,
  DRIVER_COMMANDS_MAX,
  DRIVER_COMMAND_BYTES,
  DRIVER_COMPLETION_QUEUES,
  DRIVER_QUEUE_BYTES,
  DRIVER_STRANGERS,
  DRIVER_SUBMISSION_QUEUES,
  DRIVER_LOAD,
  LOAD_FAILED,
} from '../abi/driver.ts';

/** End of a list of commands. */
export const COMMAND_NONE: u16 = 0xffff;

/** The head of a state. */
@unmanaged
export class Driver {
  /** Linear address at which guest memory begins, its bytes, and its guest physical address. */
  guestBase: u32;
  guestBytes: u32;
  guestAddress: u64;
  /** Linear addresses of the shadow doorbells and of the EventIdx page; 0 while the controller has none. */
  shadow: u32;
  eventIndex: u32;
  reserved0: u64;
  reserved1: u64;
  reserved2: u64;
  reserved3: u64;
  reserved4: u64;
  strangers: u32;
  doorbellsRung: u32;
  doorbellsSpared: u32;

  @inline static at(state: u32): Driver {
    return changetype<Driver>(<usize>state);
  }
}

/** The driver's view of one submission queue: 64 bytes. */
@unmanaged
export class Submission {
  /** Slots of the ring; 0: there is no such queue. */
  entries: u16;
  /** CIDs in use: 0 to depth - 1. */
  depth: u16;
  /** Where the next entry goes, and how far the controller got as its completions told. */
  tail: u16;
  head: u16;
  /** Tail that the controller knows of. */
  rung: u16;
  /** Completion queue of this queue. */
  cqid: u16;
  /** First free CID. */
  free: u16;
  outstanding: u16;
  /** Linear address of the ring. */
  ring: u32;
  /** Two pages a CID for PRP lists: linear and guest physical address; 0 bytes of them where listPages is 0. */
  lists: u32;
  listsAddress: u64;
  listPages: u32;

  @inline static at(state: u32, sqid: u32): Submission {
    return changetype<Submission>(<usize>state + DRIVER_SUBMISSION_QUEUES + <usize>sqid * DRIVER_QUEUE_BYTES);
  }
}

/** The driver's view of one completion queue: 64 bytes. */
@unmanaged
export class Completion {
  entries: u16;
  /** Where the next completion is looked for. */
  head: u16;
  /** Head that the controller knows of. */
  rung: u16;
  /** Phase tag of entries that are new. */
  phase: u16;
  ring: u32;

  @inline static at(state: u32, cqid: u32): Completion {
    return changetype<Completion>(<usize>state + DRIVER_COMPLETION_QUEUES + <usize>cqid * DRIVER_QUEUE_BYTES);
  }
}

/** One CID of a submission queue: 16 bytes. */
@unmanaged
export class Command {
  /** Next free CID. */
  next: u16;
  outstanding: u16;
  tag: u32;

  @inline static at(state: u32, sqid: u32, cid: u32): Command {
    return changetype<Command>(
      <usize>state +
        DRIVER_COMMANDS +
        (<usize>sqid * DRIVER_COMMANDS_MAX + <usize>cid) * DRIVER_COMMAND_BYTES,
    );
  }
}

/**
 * Linear address of `bytes` of guest memory, or 0 where they do not all lie in it. No guest memory begins at linear
 * address 0, so 0 means nothing else.
 */
export function guestAt(driver: Driver, address: u64, bytes: u32): u32 {
  const offset = address - driver.guestAddress;
  if (address < driver.guestAddress || offset > <u64>driver.guestBytes) return 0;
  if (<u64>bytes > <u64>driver.guestBytes - offset) return 0;
  return driver.guestBase + <u32>offset;
}

/** An address or number of 64 bits from the two words of a call. */
export function u64Of(low: u32, high: u32): u64 {
  return ((<u64>high) << 32) | (<u64>low);
}

if (<i32>offsetof<Driver>('strangers') != DRIVER_STRANGERS) ERROR('Driver does not match abi/driver.ts');
if (<i32>offsetof<Submission>() > DRIVER_QUEUE_BYTES) ERROR('Submission is larger than its record');
if (<i32>offsetof<Completion>() > DRIVER_QUEUE_BYTES) ERROR('Completion is larger than its record');
if (<i32>offsetof<Command>() > DRIVER_COMMAND_BYTES) ERROR('Command is larger than its record');
if (DRIVER_LOAD + LOAD_FAILED > 0x1000) ERROR('The load generator does not fit before the pages');
