// Asynchronous Event Request (Base 5.2): completes at once when an event is pending, else waits without an entry of
// the admin completion queue. At most AERL + 1 wait; they end with an event, an Abort or a reset.

import { asyncEventForget, asyncEventRoom, asyncEventTake, asyncEventWait } from './async-events.ts';
import { parkedBegin } from '../queue/completion.ts';
import { STATUS_AER_LIMIT_EXCEEDED, STATUS_INVALID_FIELD } from '../spec/nvme.ts';
import { PENDING, Slot } from '../wire/slot.ts';
import { DONE, refuse } from '../wire/status.ts';

export function asyncEventRequest(slot: Slot): u32 {
  const sqe = slot.sqe;
  if ((sqe.cdw10 | sqe.cdw11 | sqe.cdw12 | sqe.cdw13 | sqe.cdw14 | sqe.cdw15) != 0) {
    return refuse(STATUS_INVALID_FIELD);
  }
  // It may wait already: a process that takes over runs a command again that was not seen to park.
  asyncEventForget(slot.index);
  if (!asyncEventRoom()) return refuse(STATUS_AER_LIMIT_EXCEEDED);
  const event = asyncEventTake();
  if (event >= 0) {
    slot.result = <u32>event;
    return DONE;
  }
  asyncEventWait(slot);
  parkedBegin(slot);
  return PENDING;
}
