// Rings from the driver's side: entries out, doorbells, completions in. Ring indices go from 0 to entries - 1 and a
// submission queue is full with one entry empty (Base 3.3.1). The rule for shadow doorbells is Base 5.11's: an MMIO
// write is needed when the index passed EventIdx since the last write.

import {
  DOORBELL_NONE,
  DRIVER_COMMANDS_MAX,
  DRIVER_COMPLETIONS,
  DRIVER_COMPLETION_BYTES,
  DRIVER_DATA_ADDRESS,
  DRIVER_DATA_BYTES,
  DRIVER_DATA_LIST_OFFSET,
  DRIVER_DATA_PAGES,
  DRIVER_INVALID,
  DRIVER_OK,
  DRIVER_QUEUE_COUNT,
  DRIVER_SQE,
  DRIVER_TAG,
  REAPED_CID,
  REAPED_FLAGS,
  REAPED_FLAG_STRANGER,
  REAPED_RESULT,
  REAPED_SQID,
  REAPED_STATUS,
  REAPED_TAG,
  SUBMIT_FULL,
  SUBMIT_INVALID,
} from '../abi/driver.ts';
import {
  CQE_BYTES,
  CQE_CID,
  CQE_DW0,
  CQE_SHIFT,
  CQE_SQHD,
  CQE_SQID,
  DOORBELL_BYTES,
  PAGE_BYTES,
  PAGE_SHIFT,
  QUEUE_ENTRIES_MIN,
  SQE_BYTES,
  SQE_CID,
  SQE_SHIFT,
} from '../spec/nvme.ts';
import { prpBuild } from './prp.ts';
import { Command, COMMAND_NONE, Completion, Driver, guestAt, Submission, u64Of } from './state.ts';

/** Bits of the dword that holds CID, phase tag and status. */
const PHASE_SHIFT: u32 = 16;
const STATUS_SHIFT: u32 = 17;

export function completionQueueCreate(state: u32, cqid: u32, low: u32, high: u32, entries: u32): u32 {
  if (cqid >= <u32>DRIVER_QUEUE_COUNT || entries < <u32>QUEUE_ENTRIES_MIN || entries > 0xffff)
    return DRIVER_INVALID;
  const ring = guestAt(Driver.at(state), u64Of(low, high), entries << CQE_SHIFT);
  if (ring == 0) return DRIVER_INVALID;
  memory.fill(ring, 0, entries << CQE_SHIFT);
  const queue = Completion.at(state, cqid);
  queue.entries = <u16>entries;
  queue.head = 0;
  queue.rung = 0;
  queue.phase = 1;
  queue.ring = ring;
  return DRIVER_OK;
}

export function submissionQueueCreate(
  state: u32,
  sqid: u32,
  cqid: u32,
  low: u32,
  high: u32,
  entries: u32,
  depth: u32,
  listsLow: u32,
  listsHigh: u32,
  listPages: u32,
): u32 {
  if (sqid >= <u32>DRIVER_QUEUE_COUNT || cqid >= <u32>DRIVER_QUEUE_COUNT) return DRIVER_INVALID;
  if (entries < <u32>QUEUE_ENTRIES_MIN || entries > 0xffff) return DRIVER_INVALID;
  if (depth == 0 || depth > <u32>DRIVER_COMMANDS_MAX) return DRIVER_INVALID;
  if (listPages != 0 && listPages < 2 * depth) return DRIVER_INVALID;
  const driver = Driver.at(state);
  const ring = guestAt(driver, u64Of(low, high), entries << SQE_SHIFT);
  const lists = guestAt(driver, u64Of(listsLow, listsHigh), listPages << PAGE_SHIFT);
  if (ring == 0 || (listPages != 0 && lists == 0)) return DRIVER_INVALID;
  const queue = Submission.at(state, sqid);
  queue.entries = <u16>entries;
  queue.depth = <u16>depth;
  queue.tail = 0;
  queue.head = 0;
  queue.rung = 0;
  queue.cqid = <u16>cqid;
  queue.outstanding = 0;
  queue.ring = ring;
  queue.lists = lists;
  queue.listsAddress = u64Of(listsLow, listsHigh);
  queue.listPages = listPages;
  commandsFree(state, sqid, depth);
  return DRIVER_OK;
}

function commandsFree(state: u32, sqid: u32, depth: u32): void {
  Submission.at(state, sqid).free = 0;
  for (let cid: u32 = 0; cid < depth; cid++) {
    const command = Command.at(state, sqid, cid);
    command.next = cid + 1 < depth ? <u16>(cid + 1) : COMMAND_NONE;
    command.outstanding = 0;
  }
}

/** Puts the prepared entry into the queue; the controller learns of it with the doorbell. */
export function commandSubmit(state: u32, sqid: u32): u32 {
  const queue = Submission.at(state, sqid);
  const tail = <u32>queue.tail;
  const next = tail + 1 == <u32>queue.entries ? 0 : tail + 1;
  const cid = <u32>queue.free;
  if (cid == <u32>COMMAND_NONE || next == <u32>queue.head) return SUBMIT_FULL;
  const prepared = state + DRIVER_SQE;
  if (load<u32>(state, DRIVER_DATA_BYTES) != 0 && !prpBuild(state, queue, cid, prepared))
    return SUBMIT_INVALID;
  store<u16>(prepared, <u16>cid, SQE_CID);
  const entry = queue.ring + (tail << SQE_SHIFT);
  v128.store(entry, v128.load(prepared), 0);
  v128.store(entry, v128.load(prepared, 16), 16);
  v128.store(entry, v128.load(prepared, 32), 32);
  v128.store(entry, v128.load(prepared, 48), 48);
  const command = Command.at(state, sqid, cid);
  queue.free = command.next;
  queue.tail = <u16>next;
  queue.outstanding += 1;
  command.outstanding = 1;
  command.tag = load<u32>(state, DRIVER_TAG);
  prepareClear(state);
  return cid;
}

/** An empty entry and no data, for the next command to be prepared. */
export function prepareClear(state: u32): void {
  memory.fill(state + DRIVER_SQE, 0, SQE_BYTES);
  store<u64>(state, 0, DRIVER_DATA_ADDRESS);
  store<u32>(state, 0, DRIVER_DATA_BYTES);
  store<u32>(state, 0, DRIVER_DATA_PAGES);
  store<u32>(state, 0, DRIVER_DATA_LIST_OFFSET);
  store<u32>(state, 0, DRIVER_TAG);
}

/** Writes the shadow doorbell, if there is one; whether the controller wants to be told by MMIO as well. */
function shadowWrite(driver: Driver, index: u32, value: u32): bool {
  if (driver.shadow == 0) return true;
  const shadow = driver.shadow + index * DOORBELL_BYTES;
  const old = atomic.load<u32>(shadow);
  // The new value must be visible before EventIdx is read: the controller writes EventIdx, then reads the value again.
  // Atomic accesses are sequentially consistent, which is all that is needed.
  atomic.store<u32>(shadow, value);
  const event = atomic.load<u32>(driver.eventIndex + index * DOORBELL_BYTES);
  const passed = (value - event - 1) & 0xffff;
  return passed < ((value - old) & 0xffff);
}

/** The value to write to the queue's tail doorbell, or DOORBELL_NONE. Queue 0 has no shadow doorbell. */
export function submissionDoorbell(state: u32, sqid: u32): u32 {
  const queue = Submission.at(state, sqid);
  if (queue.rung == queue.tail) return DOORBELL_NONE;
  queue.rung = queue.tail;
  return doorbell(Driver.at(state), sqid, 0, <u32>queue.tail);
}

/** The value to write to the queue's head doorbell, or DOORBELL_NONE. */
export function completionDoorbell(state: u32, cqid: u32): u32 {
  const queue = Completion.at(state, cqid);
  if (queue.rung == queue.head) return DOORBELL_NONE;
  queue.rung = queue.head;
  return doorbell(Driver.at(state), cqid, 1, <u32>queue.head);
}

function doorbell(driver: Driver, qid: u32, side: u32, value: u32): u32 {
  if (qid != 0 && !shadowWrite(driver, 2 * qid + side, value)) {
    driver.doorbellsSpared += 1;
    return DOORBELL_NONE;
  }
  driver.doorbellsRung += 1;
  return value;
}

/** From now on I/O doorbells go to these two pages. Both addresses 0: MMIO again. */
export function doorbellBuffersUse(state: u32, shadow: u64, eventIndex: u64): u32 {
  const driver = Driver.at(state);
  if (shadow == 0 && eventIndex == 0) {
    driver.shadow = 0;
    driver.eventIndex = 0;
    return DRIVER_OK;
  }
  const shadowAt = guestAt(driver, shadow, PAGE_BYTES);
  const eventAt = guestAt(driver, eventIndex, PAGE_BYTES);
  if (shadowAt == 0 || eventAt == 0) return DRIVER_INVALID;
  driver.shadow = shadowAt;
  driver.eventIndex = eventAt;
  return DRIVER_OK;
}

/** Takes up to `max` completions off a queue into DRIVER_COMPLETIONS. */
export function completionsReap(state: u32, cqid: u32, max: u32): u32 {
  let record = state + DRIVER_COMPLETIONS;
  const limit = min<u32>(max, DRIVER_COMMANDS_MAX);
  let count: u32 = 0;
  while (count < limit && completionTake(state, cqid, record)) {
    record += DRIVER_COMPLETION_BYTES;
    count++;
  }
  return count;
}

/** Takes one completion into `record`; false: there is none. */
export function completionTake(state: u32, cqid: u32, record: u32): bool {
  const queue = Completion.at(state, cqid);
  if (queue.entries == 0) return false;
  const entry = queue.ring + ((<u32>queue.head) << CQE_SHIFT);
  const word = atomic.load<u32>(entry, CQE_CID);
  if (((word >> PHASE_SHIFT) & 1) != <u32>queue.phase) return false;
  const sqid = <u32>load<u16>(entry, CQE_SQID);
  const cid = word & 0xffff;
  store<u16>(record, <u16>cid, REAPED_CID);
  store<u16>(record, <u16>sqid, REAPED_SQID);
  store<u16>(record, <u16>(word >> STATUS_SHIFT), REAPED_STATUS);
  store<u32>(record, load<u32>(entry, CQE_DW0), REAPED_RESULT);
  commandEnd(state, sqid, cid, <u32>load<u16>(entry, CQE_SQHD), record);
  const next = <u32>queue.head + 1;
  if (next == <u32>queue.entries) {
    queue.head = 0;
    queue.phase ^= 1;
  } else {
    queue.head = <u16>next;
  }
  return true;
}

function commandEnd(state: u32, sqid: u32, cid: u32, head: u32, record: u32): void {
  const queue = Submission.at(state, sqid < <u32>DRIVER_QUEUE_COUNT ? sqid : 0);
  const known = sqid < <u32>DRIVER_QUEUE_COUNT && head < <u32>queue.entries && cid < <u32>queue.depth;
  if (!known || Command.at(state, sqid, cid).outstanding == 0) {
    Driver.at(state).strangers += 1;
    store<u16>(record, REAPED_FLAG_STRANGER, REAPED_FLAGS);
    store<u32>(record, 0, REAPED_TAG);
    return;
  }
  const command = Command.at(state, sqid, cid);
  command.outstanding = 0;
  command.next = queue.free;
  queue.free = <u16>cid;
  queue.outstanding -= 1;
  queue.head = <u16>head;
  store<u16>(record, 0, REAPED_FLAGS);
  store<u32>(record, command.tag, REAPED_TAG);
}

if (CQE_BYTES != 16) ERROR('A completion queue entry is not 16 bytes');
