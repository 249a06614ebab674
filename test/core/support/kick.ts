// The small machine (machine.ts) with a page of doorbells, one I/O queue pair, and memory of which half can go away.

import { REGION_MAILBOX_BASE, WINDOW_BYTES, WINDOW_MISS_BASE } from '../../../assembly/abi/memory-map.ts';
import {
  EVENT_CONTROLLER_READY,
  POLL_OK,
  REGION_GPA,
  REGION_LENGTH,
  WINDOW_MISS_PAGE,
} from '../../../assembly/abi/records.ts';
import { memoryAdd, memoryRemove } from '../../../assembly/controller/core.ts';
import { doorbellsKick } from '../../../assembly/controller/poll.ts';
import { registerWrite } from '../../../assembly/controller/registers.ts';
import { windowFilled, windowsTake } from '../../../assembly/guest/windows.ts';
import {
  ADMIN_CREATE_IO_CQ,
  ADMIN_CREATE_IO_SQ,
  ADMIN_DOORBELL_BUFFER_CONFIG,
  REG_CC,
  SQE_BYTES,
  SQE_CDW10,
  SQE_CDW11,
  SQE_CID,
  SQE_NSID,
  SQE_PRP1,
  SQE_PRP2,
} from '../../../assembly/spec/nvme.ts';
import { CompletionQueue, SubmissionQueue } from '../../../assembly/wire/queue.ts';
import { boot, enable, eventsOf, MEMORY, pageUse, reap, sqe, submit } from './machine.ts';

export const SQ: u32 = 0x20000;
export const CQ: u32 = 0x21000;
export const PAGE: u32 = 0x30000;
export const SHADOW: u32 = 0x200000;
export const EVENTS: u32 = 0x201000;
/** In the second window, whose region the tests take away. */
export const FAR_PAGE: u32 = 0x203000;
export const TAIL: u32 = 2;
export const HEAD: u32 = 3;

/** An enabled controller whose doorbells are in the page. */
export function begin(page: u32 = PAGE): void {
  boot(1, 0);
  registerWrite(REG_CC, 0);
  assert(doorbellsKick(page, 0) == POLL_OK);
  pageUse(page);
  enable();
  eventsOf(EVENT_CONTROLLER_READY);
}

/** An admin command with two addresses: its status. */
export function create(opcode: u32, prp1: u64, prp2: u64, cdw10: u32, cdw11: u32): u32 {
  const at = sqe(opcode);
  store<u64>(at, prp1, SQE_PRP1);
  store<u64>(at, prp2, SQE_PRP2);
  store<u32>(at, cdw10, SQE_CDW10);
  store<u32>(at, cdw11, SQE_CDW11);
  submit();
  return reap();
}

/** Queue pair 1 of 8 entries. */
export function pair(): void {
  memory.fill(MEMORY + CQ, 0, 0x1000);
  assert(create(ADMIN_CREATE_IO_CQ, CQ, 0, 0x00070001, 3 | (1 << 16)) == 0);
  assert(create(ADMIN_CREATE_IO_SQ, SQ, 0, 0x00070001, 1 | (1 << 16)) == 0);
}

export function buffersConfigure(): u32 {
  return create(ADMIN_DOORBELL_BUFFER_CONFIG, SHADOW, EVENTS, 0, 0);
}

/** A Flush in entry `index` of queue 1: there is no cache, so it completes at once. */
export function flushEntry(index: u32): void {
  const at = MEMORY + SQ + index * SQE_BYTES;
  memory.fill(at, 0, SQE_BYTES);
  store<u16>(at, <u16>(100 + index), SQE_CID);
  store<u32>(at, 1, SQE_NSID);
}

export function word(base: u32, entry: u32): u32 {
  return load<u32>(MEMORY + base + entry * 4);
}

export function put(base: u32, entry: u32, value: u32): void {
  store<u32>(MEMORY + base + entry * 4, value);
}

export function tail(qid: u32): u32 {
  return SubmissionQueue.at(qid).tail;
}

export function head(qid: u32): u32 {
  return CompletionQueue.at(qid).head;
}

export function mailbox(gpa: u64, length: u64): void {
  store<u64>(REGION_MAILBOX_BASE, gpa, REGION_GPA);
  store<u64>(REGION_MAILBOX_BASE, length, REGION_LENGTH);
}

/** Guest memory as two regions, a window each. */
export function memorySplit(): void {
  mailbox(0, 2 * WINDOW_BYTES);
  assert(memoryRemove() == 0);
  mailbox(0, WINDOW_BYTES);
  assert(memoryAdd() == 0);
  mailbox(WINDOW_BYTES, WINDOW_BYTES);
  assert(memoryAdd() == 0);
  windowFilled(0, 0);
  windowFilled(1, 1);
}

export function secondRemove(): void {
  mailbox(WINDOW_BYTES, WINDOW_BYTES);
  assert(memoryRemove() == 0);
}

export function secondAdd(): void {
  mailbox(WINDOW_BYTES, WINDOW_BYTES);
  assert(memoryAdd() == 0);
}

/** Fills what was asked for, which is the second window if anything: whether it was. */
export function secondFill(): bool {
  const count = windowsTake();
  if (count == 0) return false;
  assert(count == 1 && load<u32>(WINDOW_MISS_BASE, WINDOW_MISS_PAGE) == 1);
  windowFilled(1, 1);
  return true;
}
