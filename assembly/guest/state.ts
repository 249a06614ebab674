// The scalars of guest memory: how many regions and windows there are, what was found last, what is asked for.

import { COMPLETION_QUEUE_BASE, COMPLETION_QUEUE_SIZE, QUEUE_BYTES, QUEUE_COUNT } from '../abi/memory-map.ts';

const GUEST_BASE: usize = <usize>COMPLETION_QUEUE_BASE + QUEUE_COUNT * QUEUE_BYTES;
/** Entries of the table that remembers which window showed a page last. */
export const WINDOW_HINTS = 1024;

/** The scalars of guest memory; lie behind the completion queues. */
@unmanaged
export class Guest {
  /** The address that an access failed on, for the event that tells a person. */
  faultAddress: u64;
  /** ACCESS_* of the last access that failed on its address, 0 = none since the last was told. */
  fault: u32;
  windowBase: u32;
  windowCount: u32;
  windowsFree: u32;
  /** Windows that were filled and not used yet. */
  windowsFresh: u32;
  /** Window at which the search for a victim goes on. */
  clock: u32;
  /** Records in the window-miss ring that were not taken yet. */
  missCount: u32;
  /** 1 when a miss found no victim: whoever waits for it must ask again at the next poll. */
  missRefused: u32;
  regionCount: u32;
  /** Linear address of the region that was found last, or of an empty entry. */
  regionHint: u32;
  /** Window that showed the last PRP list: a hint. */
  listWindow: u16;
  reserved0: u16;

  @inline static get(): Guest {
    return changetype<Guest>(GUEST_BASE);
  }

  /** Which window showed a page last, by the low bits of the page number. */
  @inline static hint(page: u32): usize {
    return GUEST_BASE + GUEST_HINTS + (((<usize>page) & (WINDOW_HINTS - 1)) << 1);
  }
}

const GUEST_HINTS = 64;
if (offsetof<Guest>() > <usize>GUEST_HINTS) ERROR('Guest');
if (QUEUE_COUNT * QUEUE_BYTES + GUEST_HINTS + WINDOW_HINTS * 2 > COMPLETION_QUEUE_SIZE) ERROR('Guest.hint');
