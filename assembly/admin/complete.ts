// The end of a command: what it says in the logs, then its completion queue entry.

import { EVENT_COMMAND_FAILED, EVENT_MEMORY_NOT_SHARED } from '../abi/records.ts';
import { ACCESS_NOT_SHARED } from '../guest/access.ts';
import { Guest } from '../guest/state.ts';
import { completionPost } from '../queue/completion.ts';
import { STATUS_DNR } from '../spec/nvme.ts';
import { Slot } from '../wire/slot.ts';
import { DONE } from '../wire/status.ts';
import { errorLogAdd } from './error-log.ts';
import { eventRecord } from '../queue/event-records.ts';

/** Completes a command with a status; its result is in the slot. */
export function commandEnd(slot: Slot, status: u32): void {
  slot.status = <u16>status;
  if (status != DONE) commandFailed(slot, status);
  completionPost(slot);
}

function commandFailed(slot: Slot, status: u32): void {
  const sqe = slot.sqe;
  errorLogAdd(slot);
  eventRecord(EVENT_COMMAND_FAILED, slot.sqid, sqe.cid, status & ~STATUS_DNR, sqe.nsid, sqe.opcode, 0);
  faultReport(slot.sqid, sqe.cid);
}

/** Tells of memory that has no file behind it, where an access failed on it; says so once. */
export function faultReport(sqid: u32, cid: u32): void {
  const guest = Guest.get();
  if (guest.fault == <u32>ACCESS_NOT_SHARED) {
    eventRecord(EVENT_MEMORY_NOT_SHARED, sqid, cid, 0, 0, 0, guest.faultAddress);
  }
  guest.fault = 0;
}
