// The EVENT area: what a person may want to know about this controller, as records that the caller takes. The area
// holds EVENT_COUNT records between two takes; what comes beyond is counted in the first one, so a guest that
// provokes events without end costs nothing but a number.

import { EVENT_BASE, EVENT_BYTES, EVENT_COUNT } from '../abi/memory-map.ts';
import {
  EVENT_ARGUMENT,
  EVENT_CID,
  EVENT_CONTROLLER_DISABLED,
  EVENT_CONTROLLER_FAILED,
  EVENT_CONTROLLER_READY,
  EVENT_CONTROLLER_SHUTDOWN,
  EVENT_DROPPED,
  EVENT_NSID,
  EVENT_QID,
  EVENT_STATUS,
  EVENT_TYPE,
  EVENT_VALUE,
} from '../abi/records.ts';
import { controller } from '../wire/controller.ts';

/**
 * Appends a record of this type (EVENT_*). Fields that a type does not use are 0; records.ts says what `argument` and
 * `value` mean. The four life cycle events always find a place: they overwrite the newest record of a full area.
 */
export function eventRecord(
  type: u32,
  qid: u32,
  cid: u32,
  status: u32,
  nsid: u32,
  argument: u32,
  value: u64,
): void {
  const c = controller();
  let index = c.eventCount;
  if (index == EVENT_COUNT) {
    c.eventDropped += 1;
    if (!isLifeCycle(type)) return;
    index = EVENT_COUNT - 1;
  } else {
    c.eventCount = index + 1;
  }
  const at = <usize>EVENT_BASE + <usize>index * EVENT_BYTES;
  memory.fill(at, 0, EVENT_BYTES);
  store<u16>(at, <u16>type, EVENT_TYPE);
  store<u16>(at, <u16>qid, EVENT_QID);
  store<u16>(at, <u16>cid, EVENT_CID);
  store<u16>(at, <u16>status, EVENT_STATUS);
  store<u32>(at, nsid, EVENT_NSID);
  store<u32>(at, argument, EVENT_ARGUMENT);
  store<u64>(at, value, EVENT_VALUE);
}

/** Hands the records to the caller: their number. The area is valid until the next call into the core. */
export function eventsTake(): u32 {
  const c = controller();
  const count = c.eventCount;
  if (count != 0) store<u32>(EVENT_BASE, c.eventDropped, EVENT_DROPPED);
  c.eventCount = 0;
  c.eventDropped = 0;
  return count;
}

function isLifeCycle(type: u32): bool {
  return (
    type == EVENT_CONTROLLER_READY ||
    type == EVENT_CONTROLLER_DISABLED ||
    type == EVENT_CONTROLLER_SHUTDOWN ||
    type == EVENT_CONTROLLER_FAILED
  );
}
