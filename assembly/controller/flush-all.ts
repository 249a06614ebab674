// Flushes every namespace that has a volatile write cache, one after the other: Flush with the broadcast NSID (VWC
// bits 2:1 = 11b), the volatile write cache switched off, and the end of a shutdown. Slot.nsid is the place in the row.

import { OPERATION_FLUSH } from '../abi/records.ts';
import { ISSUE, Slot } from '../wire/slot.ts';
import { DONE } from '../wire/status.ts';
import { nextVolatileNamespace } from './namespaces.ts';

/** Begins with the first: ISSUE, or DONE where no namespace has a cache. */
export function flushAllBegin(slot: Slot): u32 {
  slot.nsid = 0;
  return flushAllNext(slot);
}

/** Goes on with the next namespace once the one before is flushed: ISSUE or DONE. */
export function flushAllNext(slot: Slot): u32 {
  const nsid = nextVolatileNamespace(slot.nsid);
  if (nsid == 0) return DONE;
  slot.operation = <u16>OPERATION_FLUSH;
  slot.nsid = <u16>nsid;
  return ISSUE;
}
