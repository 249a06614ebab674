// The last part of a shutdown (Base 3.6.1): what was written becomes durable before CSTS.SHST says 10b. The flushes
// are requests like any other, of a slot that belongs to no queue; its completion publishes nothing.

import { requestIssue } from '../queue/requests.ts';
import { slotAvailable, slotFree, slotTake } from '../queue/slots.ts';
import { SQE_BYTES } from '../spec/nvme.ts';
import { ISSUE, SQID_INTERNAL, Slot } from '../wire/slot.ts';
import { flushAllBegin, flushAllNext, nextVolatileNamespace } from '../dptr/flush-all.ts';
import { controller } from '../wire/controller.ts';

/** No namespace has a cache. */
export const SHUTDOWN_NOTHING: u32 = 0;
/** The first flush is on its way. */
export const SHUTDOWN_FLUSHING: u32 = 1;
/** No slot is free: to be tried again. */
export const SHUTDOWN_LATER: u32 = 2;

/** Begins the flushes of a shutdown: SHUTDOWN_*. */
export function shutdownFlushBegin(): u32 {
  if (nextVolatileNamespace(0) == 0) return SHUTDOWN_NOTHING;
  if (!slotAvailable(true)) return SHUTDOWN_LATER;
  const slot = slotTake();
  memory.fill(changetype<usize>(slot), 0, SQE_BYTES);
  slot.sqid = SQID_INTERNAL;
  slot.permit = 0;
  flushAllBegin(slot);
  requestIssue(slot);
  return SHUTDOWN_FLUSHING;
}

/** A flush has completed, well or not: the next one, or the end. True when it was the last: the slot is free. */
export function shutdownFlushNext(slot: Slot): bool {
  if (flushAllNext(slot) == ISSUE) {
    requestIssue(slot);
    return false;
  }
  slotFree(slot);
  return controller().shutdownFlushing != 0;
}
