// Abort (Base 5.1). A command that is still ours (it waits for a window, or is an Asynchronous Event Request) is
// completed with Command Abort Requested, before the Abort. A request that is with the caller cannot be called back:
// bit 0 of dword 0 then says that the command was not aborted, and it completes by itself.

import { QUEUE_COUNT } from '../abi/memory-map.ts';
import { walkRemove } from '../queue/slots.ts';
import {
  ABORT_CID_SHIFT,
  ABORT_NOT_ABORTED,
  ABORT_SQID_SHIFT,
  STATUS_ABORT_REQUESTED,
  STATUS_INVALID_FIELD,
} from '../spec/nvme.ts';
import { QUEUE_ABSENT, Scheduler, SubmissionQueue } from '../wire/queue.ts';
import { Slot, SLOT_FREE, SLOT_ORPHAN, SLOT_PARKED, SLOT_WALKING } from '../wire/slot.ts';
import { DONE, refuse } from '../wire/status.ts';

/** Ends another command than the one that is executed; the controller's. */
export type CommandEnd = (slot: Slot, status: u32) => void;
