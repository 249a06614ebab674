// Doorbell Buffer Config (Base 5.11): PRP1 is the shadow doorbell buffer, PRP2 the EventIdx buffer, a page each. It
// serves the I/O queues that exist and those that are created later; the admin queue keeps its doorbells.

import { EVENT_SHADOW_DOORBELLS } from '../abi/records.ts';
import { eventRecord } from '../queue/event-records.ts';
import { ACCESS_CODES, ACCESS_MISSING, NEED_READ, NEED_WRITE, rangeCheck } from '../guest/access.ts';
import { shadowBegin } from '../queue/doorbell.ts';
import { PAGE_BYTES, STATUS_INVALID_FIELD } from '../spec/nvme.ts';
import { AGAIN, Slot } from '../wire/slot.ts';
import { DONE, refuse } from '../wire/status.ts';

export function doorbellBufferConfig(slot: Slot): u32 {
  const sqe = slot.sqe;
  const shadow = sqe.prp1;
  const events = sqe.prp2;
  if ((shadow | events) & (PAGE_BYTES - 1)) return refuse(STATUS_INVALID_FIELD);
  if (sqe.cdw10 | sqe.cdw11 | sqe.cdw12 | sqe.cdw13 | sqe.cdw14 | sqe.cdw15)
    return refuse(STATUS_INVALID_FIELD);
  if (rangeCheck(shadow, PAGE_BYTES, NEED_READ | NEED_WRITE) != 0) return refuse(STATUS_INVALID_FIELD);
  if (rangeCheck(events, PAGE_BYTES, NEED_WRITE) != 0) return refuse(STATUS_INVALID_FIELD);
  const done = shadowBegin(slot, shadow, events);
  if (done == ACCESS_MISSING) return AGAIN;
  if (done < ACCESS_CODES) return refuse(STATUS_INVALID_FIELD);
  eventRecord(EVENT_SHADOW_DOORBELLS, slot.sqid, sqe.cid, 0, 0, 0, shadow);
  return DONE;
}
