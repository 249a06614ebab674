// A small machine around the core, for the tests that run in Wasm: 4 MiB of guest memory in two windows that are
// always filled, admin queues, and a caller that executes the copies between private pages and guest memory. Storage
// requests are left to each test.
//
//   guest physical   0x01000  admin submission queue, ADMIN_ENTRIES entries
//                    0x02000  admin completion queue
//                    0x10000  the buffer that admin commands write to (DATA)

import {
  COMPLETION_BASE,
  COMPLETION_BYTES,
  CONFIG_BASE,
  CONFIG_SIZE,
  DATA_BUFFER_BYTES,
  EVENT_BASE,
  EVENT_BYTES,
  NAMESPACE_BASE,
  NAMESPACE_BYTES,
  NAMESPACE_SIZE,
  PERSISTENT_BASE,
  PERSISTENT_SIZE,
  REGION_MAILBOX_BASE,
  REQUEST_BASE,
  REQUEST_BYTES,
  SEGMENT_BYTES,
  WINDOW_BASE_MIN,
  WINDOW_BYTES,
} from '../../../assembly/abi/memory-map.ts';
import {
  COMPLETION_RESULT,
  COMPLETION_SLOT,
  CONFIG_CNTLID,
  CONFIG_FIRMWARE,
  CONFIG_FLAGS,
  CONFIG_FLAG_SHADOW_DOORBELLS,
  CONFIG_IEEE_OUI,
  CONFIG_IO_QUEUE_PAIRS,
  CONFIG_MODEL,
  CONFIG_QUEUE_ENTRIES,
  CONFIG_SERIAL,
  CONFIG_SLOTS,
  CONFIG_SSVID,
  CONFIG_SUBNQN,
  CONFIG_VID,
  EVENT_TYPE,
  NAMESPACE_BLOCKS,
  NAMESPACE_EUI64,
  NAMESPACE_FLAGS,
  NAMESPACE_LBA_SHIFT,
  NAMESPACE_NGUID,
  NAMESPACE_OPTIMAL_BLOCKS,
  NAMESPACE_UUID,
  OPERATION_COPY_IN,
  OPERATION_COPY_OUT,
  REGION_FLAGS,
  REGION_FLAG_MAPPED,
  REGION_FLAG_READABLE,
  REGION_FLAG_WRITABLE,
  REGION_GPA,
  REGION_IO_BASE,
  REGION_LENGTH,
  REQUEST_DATA,
  REQUEST_LENGTH,
  REQUEST_OPERATION,
  REQUEST_SEGMENTS,
  REQUEST_SEGMENT_COUNT,
  REQUEST_SLOT,
  SEGMENT_ADDRESS,
  SEGMENT_LENGTH,
} from '../../../assembly/abi/records.ts';
import { coreInit, coreResume, memoryAdd } from '../../../assembly/controller/core.ts';
import { completionsPost } from '../../../assembly/controller/dispatch.ts';
import { eventsTake } from '../../../assembly/queue/event-records.ts';
import { doorbellWrite, queuePoll } from '../../../assembly/controller/poll.ts';
import { registerRead, registerWrite } from '../../../assembly/controller/registers.ts';
import { windowFilled } from '../../../assembly/guest/windows.ts';
import { requestsTake } from '../../../assembly/queue/requests.ts';
import {
  CQE_BYTES,
  CQE_DW0,
  CQE_SHIFT,
  CQE_STATUS,
  CQE_STATUS_SHIFT,
  REG_ACQ,
  REG_ACQ_HIGH,
  REG_AQA,
  REG_ASQ,
  REG_ASQ_HIGH,
  REG_CC,
  REG_DOORBELLS,
  SQE_BYTES,
  SQE_CDW10,
  SQE_CDW11,
  SQE_CDW12,
  SQE_CDW13,
  SQE_CDW14,
  SQE_CID,
  SQE_NSID,
  SQE_PRP1,
  SQE_PRP2,
  SQE_SHIFT,
} from '../../../assembly/spec/nvme.ts';

export const MEMORY: usize = WINDOW_BASE_MIN;
export const MEMORY_BYTES: u32 = 2 * WINDOW_BYTES;
export const ASQ: u32 = 0x1000;
export const ACQ: u32 = 0x2000;
export const DATA: u32 = 0x10000;
export const ADMIN_ENTRIES: u32 = 16;
/** CC: enabled, 64-byte and 16-byte entries. */
export const CC_ENABLED: u32 = 0x00460001;
/** Status of `command` when no completion came. */
export const NO_COMPLETION: u32 = 0xffffffff;

// The guest's side of the admin queue, in memory that the core does not know (behind the windows).
const GUEST: usize = MEMORY + MEMORY_BYTES;
const TAIL: usize = 0;
const HEAD: usize = 4;
const PHASE: usize = 8;
const CID: usize = 12;
const RESULT: usize = 16;
const PAGE: usize = 20;
const NOW: usize = 24;

/** Writes a configuration that core_init accepts: 4 queue pairs of 64 entries, 64 slots. */
export function configFill(): void {
  memory.fill(CONFIG_BASE, 0, CONFIG_SIZE);
  memory.fill(NAMESPACE_BASE, 0, NAMESPACE_SIZE);
  memory.fill(PERSISTENT_BASE, 0, PERSISTENT_SIZE);
  store<u32>(CONFIG_BASE, CONFIG_FLAG_SHADOW_DOORBELLS, CONFIG_FLAGS);
  store<u16>(CONFIG_BASE, 3, CONFIG_CNTLID);
  store<u16>(CONFIG_BASE, 0x1234, CONFIG_VID);
  store<u16>(CONFIG_BASE, 0x5678, CONFIG_SSVID);
  store<u16>(CONFIG_BASE, 4, CONFIG_IO_QUEUE_PAIRS);
  store<u16>(CONFIG_BASE, 64, CONFIG_QUEUE_ENTRIES);
  store<u16>(CONFIG_BASE, 64, CONFIG_SLOTS);
  store<u8>(CONFIG_BASE, 0x01, CONFIG_IEEE_OUI);
  store<u8>(CONFIG_BASE, 0x02, CONFIG_IEEE_OUI + 1);
  store<u8>(CONFIG_BASE, 0x03, CONFIG_IEEE_OUI + 2);
  memory.fill(CONFIG_BASE + CONFIG_SERIAL, 0x53, 20);
  memory.fill(CONFIG_BASE + CONFIG_MODEL, 0x4d, 40);
  memory.fill(CONFIG_BASE + CONFIG_FIRMWARE, 0x46, 8);
  memory.fill(CONFIG_BASE + CONFIG_SUBNQN, 0x6e, 40);
}

/** Writes a namespace record with recognisable identifiers. */
export function namespaceFill(nsid: u32, flags: u32, lbaShift: u32, blocks: u64, optimalBlocks: u32): void {
  const at = <usize>NAMESPACE_BASE + <usize>(nsid - 1) * NAMESPACE_BYTES;
  store<u32>(at, flags, NAMESPACE_FLAGS);
  store<u32>(at, lbaShift, NAMESPACE_LBA_SHIFT);
  store<u64>(at, blocks, NAMESPACE_BLOCKS);
  memory.fill(at + NAMESPACE_NGUID, 0x10 + <u8>nsid, 16);
  memory.fill(at + NAMESPACE_EUI64, 0x20 + <u8>nsid, 8);
  memory.fill(at + NAMESPACE_UUID, 0x30 + <u8>nsid, 16);
  store<u32>(at, optimalBlocks, NAMESPACE_OPTIMAL_BLOCKS);
}

/** core_init with the configuration as it is, memory present, controller not enabled. INIT_*. */
export function powerOn(): u32 {
  memory.fill(MEMORY, 0, MEMORY_BYTES);
  memory.fill(GUEST, 0, 64);
  const result = coreInit(<u32>MEMORY, 2);
  if (result == 0) memoryShow();
  return result;
}

/** core_resume in the image as it is: another process has taken over. */
export function takeOver(): void {
  assert(coreResume(<u32>MEMORY, 2) == 0);
  memoryShow();
}

function memoryShow(): void {
  store<u64>(REGION_MAILBOX_BASE, 0, REGION_GPA);
  store<u64>(REGION_MAILBOX_BASE, MEMORY_BYTES, REGION_LENGTH);
  store<u64>(REGION_MAILBOX_BASE, 0, REGION_IO_BASE);
  store<u32>(
    REGION_MAILBOX_BASE,
    REGION_FLAG_READABLE | REGION_FLAG_WRITABLE | REGION_FLAG_MAPPED,
    REGION_FLAGS,
  );
  assert(memoryAdd() == 0);
  windowFilled(0, 0);
  windowFilled(1, 1);
}

/** The caller's clock, microseconds, for polls from now on; 0 again after `enable`. */
export function timeSet(now: u64): void {
  store<u64>(GUEST, now, NOW);
}

/** From now on the guest's doorbells are stores into the page at this address, and kicks; 0: calls. */
export function pageUse(address: u32): void {
  store<u32>(GUEST, address, PAGE);
}

function doorbell(offset: u32, value: u32): void {
  const page = load<u32>(GUEST, PAGE);
  if (page != 0) store<u32>(MEMORY + page + (offset - REG_DOORBELLS), value);
  else doorbellWrite(offset, value);
}

/** Writes the admin queue's registers and CC.EN; clears the page of doorbells before, as a front end does. */
export function enable(): void {
  const page = load<u32>(GUEST, PAGE);
  memory.fill(GUEST, 0, 64);
  store<u32>(GUEST, page, PAGE);
  if (page != 0) memory.fill(MEMORY + page, 0, 0x1000);
  store<u32>(GUEST, 1, PHASE);
  memory.fill(MEMORY + ASQ, 0, ADMIN_ENTRIES << SQE_SHIFT);
  memory.fill(MEMORY + ACQ, 0, ADMIN_ENTRIES << CQE_SHIFT);
  registerWrite(REG_AQA, (ADMIN_ENTRIES - 1) | ((ADMIN_ENTRIES - 1) << 16));
  registerWrite(REG_ASQ, ASQ);
  registerWrite(REG_ASQ_HIGH, 0);
  registerWrite(REG_ACQ, ACQ);
  registerWrite(REG_ACQ_HIGH, 0);
  registerWrite(REG_CC, CC_ENABLED);
}

/** The usual machine: two namespaces (1: 512 bytes, 1 MiB; 3: 4,096 bytes), enabled. */
export function boot(flags1: u32, flags3: u32): void {
  configFill();
  namespaceFill(1, flags1, 9, 2048, 0);
  namespaceFill(3, flags3, 12, 4096, 8);
  assert(powerOn() == 0);
  enable();
  eventsTake();
}

/** Clears the next submission queue entry, gives it an opcode, a CID and DATA as PRP1, and returns its address. */
export function sqe(opcode: u32): usize {
  const at = MEMORY + ASQ + ((<usize>load<u32>(GUEST, TAIL)) << SQE_SHIFT);
  memory.fill(at, 0, SQE_BYTES);
  store<u8>(at, <u8>opcode);
  const cid = load<u32>(GUEST, CID) + 1;
  store<u32>(GUEST, cid, CID);
  store<u16>(at, <u16>cid, SQE_CID);
  store<u64>(at, DATA, SQE_PRP1);
  store<u64>(at, DATA + 0x1000, SQE_PRP2);
  return at;
}

/** Rings the admin queue's tail doorbell for the entry that `sqe` gave, and lets the core work. */
export function submit(): void {
  ring();
  work();
}

/** Rings the admin queue's tail doorbell; nobody executes what the core then wants. */
export function submitOnly(): void {
  ring();
  queuePoll(32, load<u64>(GUEST, NOW));
}

function ring(): void {
  const tail = (load<u32>(GUEST, TAIL) + 1) % ADMIN_ENTRIES;
  store<u32>(GUEST, tail, TAIL);
  doorbell(REG_DOORBELLS, tail);
}

/** Polls, and executes copies, until nothing is left; other requests stay in `storageRequest`. */
export function work(): void {
  let done: u32;
  do {
    queuePoll(32, load<u64>(GUEST, NOW));
    const count = requestsTake();
    done = 0;
    for (let i: u32 = 0; i < count; i++) {
      const request = <usize>REQUEST_BASE + <usize>i * REQUEST_BYTES;
      if (!copy(request)) continue;
      const completion = <usize>COMPLETION_BASE + <usize>done * COMPLETION_BYTES;
      store<u32>(completion, load<u32>(request, REQUEST_SLOT), COMPLETION_SLOT);
      store<u32>(completion, 0, COMPLETION_RESULT);
      done++;
    }
    completionsPost(done);
  } while (done != 0);
  queuePoll(32, load<u64>(GUEST, NOW));
}

function copy(request: usize): bool {
  const operation: u32 = load<u16>(request, REQUEST_OPERATION);
  if (operation != OPERATION_COPY_OUT && operation != OPERATION_COPY_IN) return false;
  const data: usize = load<u32>(request, REQUEST_DATA);
  const count = load<u32>(request, REQUEST_SEGMENT_COUNT);
  let segment: usize = load<u32>(request, REQUEST_SEGMENTS);
  let done: u64 = 0;
  for (let i: u32 = 0; i < count; i++, segment += SEGMENT_BYTES) {
    const address = MEMORY + <usize>load<u64>(segment, SEGMENT_ADDRESS);
    const length = load<u64>(segment, SEGMENT_LENGTH);
    for (let byte: u64 = 0; byte < length; byte++, done++) {
      const inPage = done < <u64>DATA_BUFFER_BYTES;
      if (operation == OPERATION_COPY_IN) store<u8>(data + <usize>done, load<u8>(address + <usize>byte));
      else store<u8>(address + <usize>byte, inPage ? load<u8>(data + <usize>done) : 0);
    }
  }
  return done == load<u64>(request, REQUEST_LENGTH);
}

/** Consumes one completion: its status without the phase, or NO_COMPLETION; DW0 is then in `result`. */
export function reap(): u32 {
  const head = load<u32>(GUEST, HEAD);
  const at = MEMORY + ACQ + ((<usize>head) << CQE_SHIFT);
  const status: u32 = load<u16>(at, CQE_STATUS);
  if ((status & 1) != load<u32>(GUEST, PHASE)) return NO_COMPLETION;
  store<u32>(GUEST, load<u32>(at, CQE_DW0), RESULT);
  const next = (head + 1) % ADMIN_ENTRIES;
  store<u32>(GUEST, next, HEAD);
  if (next == 0) store<u32>(GUEST, load<u32>(GUEST, PHASE) ^ 1, PHASE);
  doorbell(REG_DOORBELLS + 4, next);
  return status >> CQE_STATUS_SHIFT;
}

/** DW0 of the completion that was reaped last. */
export function result(): u32 {
  return load<u32>(GUEST, RESULT);
}

/** CID of the command that was submitted last. */
export function lastCid(): u32 {
  return load<u32>(GUEST, CID);
}

/** One admin command from its dwords: its status. The buffer is filled with EEh before. */
export function command(opcode: u32, nsid: u32, cdw10: u32, cdw11: u32 = 0, cdw14: u32 = 0): u32 {
  return commandAt(opcode, nsid, cdw10, cdw11, 0, cdw14);
}

/** The same with CDW12 and CDW13. */
export function commandAt(opcode: u32, nsid: u32, cdw10: u32, cdw11: u32, cdw12: u64, cdw14: u32): u32 {
  const at = sqe(opcode);
  store<u32>(at, nsid, SQE_NSID);
  store<u32>(at, cdw10, SQE_CDW10);
  store<u32>(at, cdw11, SQE_CDW11);
  store<u32>(at, <u32>cdw12, SQE_CDW12);
  store<u32>(at, <u32>(cdw12 >> 32), SQE_CDW13);
  store<u32>(at, cdw14, SQE_CDW14);
  memory.fill(MEMORY + DATA, 0xee, 0x3000);
  submit();
  return reap();
}

/** Bytes of the buffer that admin commands write to. */
export function data8(offset: u32): u32 {
  return load<u8>(MEMORY + DATA + offset);
}

export function data16(offset: u32): u32 {
  return load<u16>(MEMORY + DATA + offset);
}

export function data32(offset: u32): u32 {
  return load<u32>(MEMORY + DATA + offset);
}

export function data64(offset: u32): u64 {
  return load<u64>(MEMORY + DATA + offset);
}

/** Whether `bytes` bytes of the buffer from `offset` all have this value. */
export function dataAll(offset: u32, bytes: u32, value: u8): bool {
  for (let i: u32 = 0; i < bytes; i++) if (load<u8>(MEMORY + DATA + offset + i) != value) return false;
  return true;
}

/** Takes the events: how many of this type there were. */
export function eventsOf(type: u32): u32 {
  const count = eventsTake();
  let found: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    if (<u32>load<u16>(<usize>EVENT_BASE + <usize>i * EVENT_BYTES, EVENT_TYPE) == type) found++;
  }
  return found;
}

/** A register, for short. */
export function reg(offset: u32): u32 {
  return registerRead(offset);
}

if (CQE_BYTES != 1 << CQE_SHIFT) ERROR('CQE_BYTES');
