// Commands given directly, a controller without an admin queue, and doorbells that nobody rings.

import {
  COMMAND_BASE,
  COMMAND_COUNT,
  COMMAND_RESULT_BASE,
  COMMAND_RESULT_BYTES,
} from '../../assembly/abi/memory-map.ts';
import {
  COMMAND_REFUSED,
  COMMAND_RESULT_DATA,
  COMMAND_RESULT_DATA_BYTES,
  COMMAND_RESULT_DW0,
  COMMAND_RESULT_STATUS,
  COMMAND_RESULT_TOKEN,
  COMMAND_SET_ADMIN,
  COMMAND_SQID,
  DEADLINE_NONE,
  DOORBELLS_INTERVAL_MAX,
  DOORBELLS_INTERVAL_MIN,
  DOORBELLS_NONE,
  POLL_OK,
  POLL_PAGE_INVALID,
  POLL_QUEUES_EXIST,
  START_ENABLED,
  START_OK,
} from '../../assembly/abi/records.ts';
import { commandSubmit } from '../../assembly/controller/dispatch.ts';
import {
  deadlineNext,
  doorbellsPoll,
  doorbellWrite,
  queueArm,
  queuePoll,
} from '../../assembly/controller/poll.ts';
import { controllerReset, controllerStart } from '../../assembly/controller/state.ts';
import { commandsTake } from '../../assembly/queue/direct.ts';
import { requestsTake } from '../../assembly/queue/requests.ts';
import { IDCTRL_NN } from '../../assembly/spec/nvme-identify.ts';
import { LID_ERROR, LOG_ERROR_LBA, LOG_ERROR_SQID } from '../../assembly/spec/nvme-logs.ts';
import {
  ADMIN_ASYNC_EVENT_REQUEST,
  ADMIN_CREATE_IO_CQ,
  ADMIN_CREATE_IO_SQ,
  ADMIN_DELETE_IO_SQ,
  ADMIN_DOORBELL_BUFFER_CONFIG,
  ADMIN_GET_LOG_PAGE,
  ADMIN_IDENTIFY,
  ADMIN_SET_FEATURES,
  CSTS_RDY,
  REG_CC,
  REG_CSTS,
  SQE_BYTES,
  SQE_CDW10,
  SQE_CDW11,
  SQE_CID,
  SQE_NSID,
  SQE_PRP1,
  SQE_PRP2,
  STATUS_DNR,
  STATUS_INVALID_FIELD,
  STATUS_INVALID_LOG_PAGE,
  STATUS_INVALID_OPCODE,
} from '../../assembly/spec/nvme.ts';
import { Scheduler, SubmissionQueue } from '../../assembly/wire/queue.ts';
import { registerWrite } from '../../assembly/controller/registers.ts';
import { boot, configFill, MEMORY, namespaceFill, powerOn, reg, takeOver } from './support/machine.ts';

const NO_RESULT: u32 = 0xffffffff;
const SQ: u32 = 0x20000;
const CQ: u32 = 0x21000;
const PAGE: u32 = 0x30000;
const SHADOW: u32 = 0x31000;
const EVENTS: u32 = 0x32000;

function begin(): void {
  configFill();
  namespaceFill(1, 1, 9, 2048, 0);
  assert(powerOn() == 0);
}

/** Submits an entry; its token. */
function submit(opcode: u32, nsid: u32, cdw10: u32, cdw11: u32 = 0, prp1: u64 = 0, prp2: u64 = 0): u32 {
  memory.fill(COMMAND_BASE, 0, SQE_BYTES);
  store<u8>(COMMAND_BASE, <u8>opcode);
  store<u16>(COMMAND_BASE, 77, SQE_CID);
  store<u32>(COMMAND_BASE, nsid, SQE_NSID);
  store<u32>(COMMAND_BASE, cdw10, SQE_CDW10);
  store<u32>(COMMAND_BASE, cdw11, SQE_CDW11);
  store<u64>(COMMAND_BASE, prp1, SQE_PRP1);
  store<u64>(COMMAND_BASE, prp2, SQE_PRP2);
  return commandSubmit(COMMAND_SET_ADMIN);
}

/** The status of a command that is complete at once. */
function command(opcode: u32, nsid: u32, cdw10: u32, cdw11: u32 = 0, prp1: u64 = 0, prp2: u64 = 0): u32 {
  const token = submit(opcode, nsid, cdw10, cdw11, prp1, prp2);
  if (commandsTake() != 1 || load<u32>(COMMAND_RESULT_BASE, COMMAND_RESULT_TOKEN) != token) return NO_RESULT;
  return load<u16>(COMMAND_RESULT_BASE, COMMAND_RESULT_STATUS);
}

/** Queue pair 1 of 8 entries. */
function pair(): void {
  assert(command(ADMIN_CREATE_IO_CQ, 0, 0x00070001, 3 | (1 << 16), CQ) == 0);
  assert(command(ADMIN_CREATE_IO_SQ, 0, 0x00070001, 1 | (1 << 16), SQ) == 0);
}

/** A Flush in entry `index` of queue 1. */
function flushEntry(index: u32): void {
  const at = MEMORY + SQ + index * SQE_BYTES;
  memory.fill(at, 0, SQE_BYTES);
  store<u16>(at, <u16>(100 + index), SQE_CID);
  store<u32>(at, 1, SQE_NSID);
}

function word(base: u32, entry: u32): u32 {
  return load<u32>(MEMORY + base + entry * 4);
}

describe('commands given directly', () => {
  it('are answered before the controller is enabled, their data stay in the core', () => {
    begin();
    expect(command(ADMIN_IDENTIFY, 0, 1)).toBe(0);
    expect(load<u32>(COMMAND_RESULT_BASE, COMMAND_RESULT_DATA_BYTES)).toBe(4096);
    const data: usize = load<u32>(COMMAND_RESULT_BASE, COMMAND_RESULT_DATA);
    expect(load<u32>(data, IDCTRL_NN)).toBe(256);
    expect(load<u8>(data, 4)).toBe(0x53);
    expect(requestsTake()).toBe(0);
    expect(commandsTake()).toBe(0);
  });

  it('have dword 0 and their status, and no data when they fail', () => {
    begin();
    expect(command(ADMIN_SET_FEATURES, 0, 7, 0x00010001)).toBe(0);
    expect(load<u32>(COMMAND_RESULT_BASE, COMMAND_RESULT_DW0)).toBe(0x00030003);
    expect(load<u32>(COMMAND_RESULT_BASE, COMMAND_RESULT_DATA_BYTES)).toBe(0);
    expect(command(ADMIN_IDENTIFY, 0, 0x55)).toBe(STATUS_INVALID_FIELD | STATUS_DNR);
    expect(load<u32>(COMMAND_RESULT_BASE, COMMAND_RESULT_DATA_BYTES)).toBe(0);
  });

  it('name no block in the error log', () => {
    begin();
    expect(command(ADMIN_GET_LOG_PAGE, 0xffffffff, 0x55, 7)).toBe(STATUS_INVALID_LOG_PAGE | STATUS_DNR);
    expect(command(ADMIN_GET_LOG_PAGE, 0xffffffff, LID_ERROR | (15 << 16))).toBe(0);
    const entry: usize = load<u32>(COMMAND_RESULT_BASE, COMMAND_RESULT_DATA);
    expect(load<u16>(entry, LOG_ERROR_SQID)).toBe(<u16>COMMAND_SQID);
    expect(load<u64>(entry, LOG_ERROR_LBA)).toBe(0);
  });

  it('can have a log page up to the size of a private page', () => {
    begin();
    expect(command(ADMIN_GET_LOG_PAGE, 0xffffffff, 2 | (127 << 16))).toBe(0);
    expect(load<u32>(COMMAND_RESULT_BASE, COMMAND_RESULT_DATA_BYTES)).toBe(512);
    expect(command(ADMIN_GET_LOG_PAGE, 0xffffffff, 2 | (1024 << 16))).toBe(STATUS_INVALID_FIELD | STATUS_DNR);
  });

  it('cannot be Asynchronous Event Requests', () => {
    begin();
    expect(command(ADMIN_ASYNC_EVENT_REQUEST, 0, 0)).toBe(STATUS_INVALID_OPCODE | STATUS_DNR);
  });

  it('are bounded in number, and have their results in order', () => {
    begin();
    const free = Scheduler.get().slotsFree;
    const first = submit(ADMIN_IDENTIFY, 0, 1);
    for (let i: u32 = 1; i < <u32>COMMAND_COUNT; i++) {
      expect(submit(ADMIN_IDENTIFY, 1, 0)).not.toBe(COMMAND_REFUSED);
    }
    expect(submit(ADMIN_IDENTIFY, 1, 0)).toBe(COMMAND_REFUSED);
    expect(commandsTake()).toBe(COMMAND_COUNT);
    expect(load<u32>(COMMAND_RESULT_BASE, COMMAND_RESULT_TOKEN)).toBe(first);
    const second = <usize>COMMAND_RESULT_BASE + COMMAND_RESULT_BYTES;
    expect(load<u32>(second, COMMAND_RESULT_DATA)).not.toBe(
      load<u32>(COMMAND_RESULT_BASE, COMMAND_RESULT_DATA),
    );
    expect(Scheduler.get().slotsFree).toBe(free);
    expect(submit(ADMIN_IDENTIFY, 1, 0)).not.toBe(COMMAND_REFUSED);
  });

  it('are given up by a reset and by whoever takes over', () => {
    begin();
    const free = Scheduler.get().slotsFree;
    submit(ADMIN_IDENTIFY, 0, 1);
    controllerReset();
    expect(commandsTake()).toBe(0);
    expect(Scheduler.get().slotsFree).toBe(free);
    submit(ADMIN_IDENTIFY, 0, 1);
    takeOver();
    expect(commandsTake()).toBe(0);
    expect(Scheduler.get().slotsFree).toBe(free);
  });

  it('wait for the commands of a queue that they delete, also after a takeover', () => {
    begin();
    controllerStart();
    pair();
    flushEntry(0);
    doorbellWrite(0x1008, 1);
    queuePoll(32, 0);
    expect(SubmissionQueue.at(1).outstanding).toBe(0, 'no cache: a Flush completes at once');
    store<u8>(MEMORY + SQ + SQE_BYTES, 2);
    store<u32>(MEMORY + SQ + SQE_BYTES, 1, SQE_NSID);
    store<u64>(MEMORY + SQ + SQE_BYTES, 0x40000, SQE_PRP1);
    doorbellWrite(0x1008, 2);
    queuePoll(32, 0);
    expect(requestsTake()).toBe(1);
    expect(submit(ADMIN_DELETE_IO_SQ, 0, 1)).not.toBe(COMMAND_REFUSED);
    expect(commandsTake()).toBe(0);
    takeOver();
    queuePoll(32, 0);
    expect(SubmissionQueue.at(1).state).toBe(2, 'the read runs again');
    expect(requestsTake()).toBe(1);
  });
});

describe('a controller without an admin queue', () => {
  it('is enabled by its caller, once, and disabled as any other', () => {
    begin();
    expect(controllerStart()).toBe(START_OK);
    expect(reg(REG_CSTS) & CSTS_RDY).toBe(CSTS_RDY);
    expect(controllerStart()).toBe(START_ENABLED);
    pair();
    registerWrite(REG_CC, 0);
    expect(reg(REG_CSTS) & CSTS_RDY).toBe(0);
    expect(SubmissionQueue.at(1).state).toBe(0);
    expect(controllerStart()).toBe(START_OK);
  });

  it('is not what a guest gets that enables one itself', () => {
    boot(1, 1);
    expect(controllerStart()).toBe(START_ENABLED);
    registerWrite(REG_CC, 0);
    expect(controllerStart()).toBe(START_OK);
    registerWrite(REG_CC, 0);
    registerWrite(0x24, 0);
    registerWrite(REG_CC, 0x00460001);
    expect(reg(REG_CSTS) & CSTS_RDY).toBe(0, 'AQA of zeros cannot work');
  });
});

describe('doorbells that nobody rings', () => {
  it('are chosen before there are queues, in a page that is aligned', () => {
    begin();
    controllerStart();
    expect(doorbellsPoll(PAGE + 4, 0)).toBe(POLL_PAGE_INVALID);
    expect(doorbellsPoll(PAGE, 0)).toBe(POLL_OK);
    pair();
    expect(doorbellsPoll(PAGE, 0)).toBe(POLL_QUEUES_EXIST);
  });

  it('are read from the page; what was there before the queue does not count', () => {
    begin();
    memory.fill(MEMORY + PAGE, 5, 64);
    controllerStart();
    doorbellsPoll(PAGE, 0);
    pair();
    expect(word(PAGE, 2)).toBe(0);
    expect(word(PAGE, 3)).toBe(0);
    expect(queuePoll(32, 0)).toBe(0);
    flushEntry(0);
    store<u32>(MEMORY + PAGE + 8, 1);
    expect(queueArm()).toBe(1, 'something moved');
    expect(queuePoll(32, 10)).not.toBe(0);
    expect(load<u16>(MEMORY + CQ, 12)).toBe(100);
    expect(queueArm()).toBe(0);
  });

  it('pass to the buffers of Doorbell Buffer Config with what stands in the page; EventIdx is parked', () => {
    begin();
    memory.fill(MEMORY + SHADOW, 7, 0x2000);
    controllerStart();
    doorbellsPoll(PAGE, 0);
    pair();
    flushEntry(0);
    store<u32>(MEMORY + PAGE + 8, 1);
    expect(command(ADMIN_DOORBELL_BUFFER_CONFIG, 0, 0, 0, SHADOW, EVENTS)).toBe(0);
    expect(word(SHADOW, 2)).toBe(1, 'the tail that the page had');
    expect(word(EVENTS, 2)).toBe(0, 'one behind');
    expect(word(EVENTS, 3)).toBe(0xffff, 'one behind 0');
    queuePoll(32, 10);
    expect(load<u16>(MEMORY + CQ, 12)).toBe(100);
    for (let tail: u32 = 2; tail < 20; tail++) {
      flushEntry((tail - 1) & 7);
      store<u32>(MEMORY + SHADOW + 8, tail & 7);
      store<u32>(MEMORY + SHADOW + 12, (tail - 1) & 7);
      expect(queueArm()).toBe(1);
      queuePoll(32, 10);
      // Once more where it has just seen the head move.
      queueArm();
      expect(queueArm()).toBe(0);
      expect(word(EVENTS, 2)).not.toBe(tail & 7, 'never armed');
    }
  });

  it('are looked at again ever more rarely, and not at all without queues', () => {
    begin();
    controllerStart();
    doorbellsPoll(PAGE, 0);
    queuePoll(32, 1000);
    expect(deadlineNext()).toBe(DEADLINE_NONE);
    pair();
    flushEntry(0);
    store<u32>(MEMORY + PAGE + 8, 1);
    queuePoll(32, 2000);
    expect(deadlineNext()).toBe(DOORBELLS_INTERVAL_MIN);
    queuePoll(32, 6000);
    expect(deadlineNext()).toBe(1000);
    queuePoll(32, 90000000);
    expect(deadlineNext()).toBe(DOORBELLS_INTERVAL_MAX);
  });

  it('without a page come by calls, and need no polling', () => {
    begin();
    controllerStart();
    expect(doorbellsPoll(DOORBELLS_NONE, DOORBELLS_NONE)).toBe(POLL_OK);
    pair();
    flushEntry(0);
    doorbellWrite(0x1008, 1);
    expect(queuePoll(32, 0)).not.toBe(0);
    expect(deadlineNext()).toBe(DEADLINE_NONE);
    expect(queueArm()).toBe(0);
  });

  it('end with the controller: the next guest rings', () => {
    begin();
    controllerStart();
    doorbellsPoll(PAGE, 0);
    registerWrite(REG_CC, 0);
    expect(Scheduler.get().polled).toBe(0);
  });
});
