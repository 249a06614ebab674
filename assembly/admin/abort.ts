// Abort (Base 5.1). A command that is still the core's (it waits for a window, or is an Asynchronous Event Request) is
// completed with Command Abort Requested, before the Abort. A request that is with the caller cannot be called back:
// bit 0 of dword 0 then says that the command was not aborted, and it completes by itself.

import { QUEUE_COUNT } from '../abi/memory-map.ts';
import { asyncEventForget } from './async-events.ts';
import { commandEnd } from './complete.ts';
import { parkedComplete } from '../queue/completion.ts';
import { slotFind, walkRemove } from '../queue/slots.ts';
import {
  ABORT_CID_SHIFT,
  ABORT_NOT_ABORTED,
  ABORT_SQID_SHIFT,
  STATUS_ABORT_REQUESTED,
  STATUS_INVALID_FIELD,
} from '../spec/nvme.ts';
import { QUEUE_ABSENT, SubmissionQueue } from '../wire/queue.ts';
import { Slot, SLOT_PARKED, SLOT_WALKING } from '../wire/slot.ts';
import { DONE, refuse } from '../wire/status.ts';

export function abort(slot: Slot): u32 {
  const sqe = slot.sqe;
  if (sqe.cdw11 | sqe.cdw12 | sqe.cdw13 | sqe.cdw14 | sqe.cdw15) return refuse(STATUS_INVALID_FIELD);
  const sqid = (sqe.cdw10 >>> ABORT_SQID_SHIFT) & 0xffff;
  const cid = (sqe.cdw10 >>> ABORT_CID_SHIFT) & 0xffff;
  if (sqid >= <u32>QUEUE_COUNT || SubmissionQueue.at(sqid).state == QUEUE_ABSENT)
    return refuse(STATUS_INVALID_FIELD);
  const found = slotFind(sqid, cid, slot);
  slot.result = ABORT_NOT_ABORTED;
  if (found === null) return DONE;
  if (found.state == SLOT_WALKING) {
    walkRemove(found);
    commandEnd(found, STATUS_ABORT_REQUESTED);
    slot.result = 0;
  } else if (found.state == SLOT_PARKED && asyncEventForget(found.index)) {
    found.status = <u16>STATUS_ABORT_REQUESTED;
    parkedComplete(found);
    slot.result = 0;
  }
  return DONE;
}
