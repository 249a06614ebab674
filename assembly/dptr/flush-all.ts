// Flushing all namespaces with one command: a request for each that has a volatile write cache, one after the other.
// Used by Flush with the broadcast NSID, by Set Features that switches the cache off, and by a shutdown.

import { NAMESPACE_COUNT } from '../abi/memory-map.ts';
import { NAMESPACE_FLAG_ACTIVE, NAMESPACE_FLAG_VOLATILE_CACHE, OPERATION_FLUSH } from '../abi/records.ts';
import { Namespace } from '../wire/namespace.ts';
import { ISSUE, Slot, STAGE_FLUSH_ALL } from '../wire/slot.ts';
import { DONE } from '../wire/status.ts';

/** ISSUE: the slot describes the first flush; DONE: there is nothing to flush. */
export function flushAllBegin(slot: Slot): u32 {
  slot.stage = STAGE_FLUSH_ALL;
  slot.requestNsid = 0;
  return flushAllNext(slot);
}

/** Goes on after the flush of the slot's request has succeeded. */
export function flushAllNext(slot: Slot): u32 {
  const nsid = nextVolatileNamespace(slot.requestNsid);
  return nsid == 0 ? DONE : flushDescribe(slot, nsid);
}

/** The slot describes a flush of this namespace: ISSUE. */
export function flushDescribe(slot: Slot, nsid: u32): u32 {
  slot.operation = <u16>OPERATION_FLUSH;
  slot.requestFlags = 0;
  slot.requestNsid = <u16>nsid;
  slot.requestOffset = 0;
  slot.requestLength = 0;
  slot.segmentCount = 0;
  return ISSUE;
}

/** The first active namespace after `nsid` that has a volatile write cache; 0 when there is none. */
export function nextVolatileNamespace(nsid: u32): u32 {
  const wanted: u32 = NAMESPACE_FLAG_ACTIVE | NAMESPACE_FLAG_VOLATILE_CACHE;
  for (let next = nsid + 1; next <= <u32>NAMESPACE_COUNT; next++) {
    if ((Namespace.at(next).flags & wanted) == wanted) return next;
  }
  return 0;
}
