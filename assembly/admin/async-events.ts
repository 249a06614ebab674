// Asynchronous events (Base 5.2): the requests that wait, the events that wait, and the types that are masked.
//
//   asyncEventPost ──> pending queue ──(type not masked, a request waits)──> completion, type masked
//   Get Log Page of the event's page with RAE = 0 ──> type no longer masked ──> next pending event of that type
//
// An event that is already pending is not queued twice, so a guest that writes bad doorbells in a loop gets one
// completion and one pending event, not a flood.

import {
  AEN_ERROR_INVALID_DOORBELL_REGISTER,
  AEN_INFO_SHIFT,
  AEN_LID_SHIFT,
  AEN_TYPE_COUNT,
  AEN_TYPE_ERROR,
  AEN_TYPE_SHIFT,
  AEN_TYPE_WIDTH,
} from '../spec/nvme-logs.ts';
import { STATUS_INVALID_FIELD, STATUS_INVALID_QUEUE_ID } from '../spec/nvme.ts';
import { parkedComplete } from '../queue/completion.ts';
import { Slot } from '../wire/slot.ts';
import { errorLogAddEvent } from './error-log.ts';
import {
  AER_LIMIT,
  ControllerRecord,
  PENDING_EVENTS_BASE,
  PENDING_EVENTS_MAX,
  controller,
} from '../wire/controller.ts';

if (AEN_TYPE_COUNT > 4) ERROR('ControllerRecord.eventLid has room for four types');

/** Reports an event (AEN_TYPE_*, AEN_*, LID_*) as soon as the guest has a request outstanding and its type is open. */
export function asyncEventPost(type: u32, info: u32, lid: u32): void {
  const c = controller();
  const result = eventResult(type, info, lid);
  for (let i: u32 = 0; i < <u32>c.pendingEventCount; i++) {
    if (load<u32>(pendingAt(i)) == result) return;
  }
  if (<u32>c.pendingEventCount == PENDING_EVENTS_MAX) return;
  store<u32>(pendingAt(c.pendingEventCount), result);
  c.pendingEventCount += 1;
  if (type == <u32>AEN_TYPE_ERROR) errorLogAddEvent(eventStatus(info));
  deliver(c);
}

/** The guest has learnt of it meanwhile: an event that was not reported yet need not be. */
export function asyncEventDrop(type: u32, info: u32, lid: u32): void {
  const c = controller();
  const result = eventResult(type, info, lid);
  for (let i: u32 = 0; i < <u32>c.pendingEventCount; i++) {
    if (load<u32>(pendingAt(i)) != result) continue;
    pendingRemove(c, i);
    return;
  }
}

/** DW0 of the completion. */
function eventResult(type: u32, info: u32, lid: u32): u32 {
  return (type << AEN_TYPE_SHIFT) | (info << AEN_INFO_SHIFT) | (lid << AEN_LID_SHIFT);
}

/** What the log page says of an error that belongs to no command: the status that comes nearest. */
function eventStatus(info: u32): u32 {
  return info == <u32>AEN_ERROR_INVALID_DOORBELL_REGISTER ? STATUS_INVALID_QUEUE_ID : STATUS_INVALID_FIELD;
}

/** Whether one more Asynchronous Event Request may wait. */
export function asyncEventRoom(): bool {
  return <u32>controller().aerCount < AER_LIMIT;
}

/** The oldest event that may be reported now, as DW0 of its completion; its type is masked. -1: there is none. */
export function asyncEventTake(): i64 {
  const c = controller();
  for (let i: u32 = 0; i < <u32>c.pendingEventCount; i++) {
    const result = load<u32>(pendingAt(i));
    const type = (result >> AEN_TYPE_SHIFT) & ((1 << AEN_TYPE_WIDTH) - 1);
    if (((<u32>c.eventMask) & ((<u32>1) << type)) != 0) continue;
    pendingRemove(c, i);
    c.eventMask |= <u8>((<u32>1) << type);
    store<u8>(lidAt(c, type), <u8>(result >> AEN_LID_SHIFT));
    return result;
  }
  return -1;
}

/** Keeps the slot of a request until its event comes. The caller has checked asyncEventRoom. */
export function asyncEventWait(slot: Slot): void {
  const c = controller();
  store<u16>(aerAt(c, c.aerCount), <u16>slot.index);
  c.aerCount += 1;
}

/** The request of this slot no longer waits (Abort): true if it did. */
export function asyncEventForget(index: u32): bool {
  const c = controller();
  for (let i: u32 = 0; i < <u32>c.aerCount; i++) {
    if (<u32>load<u16>(aerAt(c, i)) != index) continue;
    aerRemove(c, i);
    return true;
  }
  return false;
}

/** The guest has read this log page with RAE = 0: types that it explains are open again. */
export function asyncEventClear(lid: u32): void {
  const c = controller();
  for (let type: u32 = 0; type < <u32>AEN_TYPE_COUNT; type++) {
    const bit: u32 = (<u32>1) << type;
    if (((<u32>c.eventMask) & bit) != 0 && <u32>load<u8>(lidAt(c, type)) == lid) c.eventMask &= ~(<u8>bit);
  }
  deliver(c);
}

/** A reset: nothing waits, nothing is masked. The slots belong to whoever resets the queues. */
export function asyncEventsReset(): void {
  const c = controller();
  c.aerCount = 0;
  c.eventMask = 0;
  c.pendingEventCount = 0;
  c.eventLid = 0;
  c.warningsReported = 0;
}

function deliver(c: ControllerRecord): void {
  while (c.aerCount != 0) {
    const result = asyncEventTake();
    if (result < 0) return;
    const slot = Slot.at(load<u16>(aerAt(c, 0)));
    aerRemove(c, 0);
    slot.result = <u32>result;
    parkedComplete(slot);
  }
}

function pendingRemove(c: ControllerRecord, index: u32): void {
  const last = <u32>c.pendingEventCount - 1;
  memory.copy(pendingAt(index), pendingAt(index + 1), <usize>(last - index) * 4);
  c.pendingEventCount = <u8>last;
}

function aerRemove(c: ControllerRecord, index: u32): void {
  const last = <u32>c.aerCount - 1;
  memory.copy(aerAt(c, index), aerAt(c, index + 1), <usize>(last - index) * 2);
  c.aerCount = <u8>last;
}

function aerAt(c: ControllerRecord, index: u32): usize {
  return changetype<usize>(c) + offsetof<ControllerRecord>('aerSlot0') + <usize>index * 2;
}

function lidAt(c: ControllerRecord, type: u32): usize {
  return changetype<usize>(c) + offsetof<ControllerRecord>('eventLid') + <usize>type;
}

function pendingAt(index: u32): usize {
  return <usize>PENDING_EVENTS_BASE + <usize>index * 4;
}
