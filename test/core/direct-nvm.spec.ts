// Commands of the NVM command set given directly: their data are in guest memory, and they are counted, given up and
// taken as admin commands given directly are.

import {
  COMMAND_BASE,
  COMMAND_RESULT_BASE,
  COMPLETION_BASE,
  CONFIG_BASE,
  REQUEST_BASE,
  WINDOW_BYTES,
  REGION_MAILBOX_BASE,
} from '../../assembly/abi/memory-map.ts';
import {
  BLOCK_MEDIUM_ERROR,
  BLOCK_OK,
  COMMAND_REFUSED,
  COMMAND_RESULT_DATA_BYTES,
  COMMAND_RESULT_STATUS,
  COMMAND_RESULT_TOKEN,
  COMMAND_SET_ADMIN,
  COMMAND_SET_NVM,
  COMMAND_SQID_NVM,
  COMPLETION_RESULT,
  COMPLETION_SLOT,
  CONFIG_SLOTS,
  OPERATION_COPY_IN,
  OPERATION_DEALLOCATE,
  OPERATION_FLUSH,
  OPERATION_READ,
  OPERATION_WRITE,
  REGION_GPA,
  REGION_LENGTH,
  REQUEST_DATA,
  REQUEST_OFFSET,
  REQUEST_OPERATION,
  REQUEST_SEGMENTS,
  REQUEST_SEGMENT_COUNT,
  REQUEST_SLOT,
  REQUEST_SQID,
} from '../../assembly/abi/records.ts';
import { memoryAdd, memoryRemove } from '../../assembly/controller/core.ts';
import { commandSubmit, completionsPost } from '../../assembly/controller/dispatch.ts';
import { queueArm, queuePoll } from '../../assembly/controller/poll.ts';
import { registerWrite } from '../../assembly/controller/registers.ts';
import { controllerFail, controllerReset } from '../../assembly/controller/state.ts';
import { windowFilled, windowsTake } from '../../assembly/guest/windows.ts';
import { commandsTake } from '../../assembly/queue/direct.ts';
import { requestsTake } from '../../assembly/queue/requests.ts';
import { requestsOutstanding } from '../../assembly/queue/slots.ts';
import {
  ADMIN_ABORT,
  ADMIN_GET_LOG_PAGE,
  ADMIN_IDENTIFY,
  CSTS_RDY,
  DSM_DEALLOCATE,
  DSM_RANGE_BLOCKS,
  DSM_RANGE_LBA,
  NVM_DATASET_MANAGEMENT,
  NVM_FLUSH,
  NVM_READ,
  NVM_WRITE,
  REG_CC,
  REG_CSTS,
  SQE_BYTES,
  SQE_CDW10,
  SQE_CDW11,
  SQE_CDW12,
  SQE_CID,
  SQE_NSID,
  SQE_PRP1,
  SQE_PRP2,
  STATUS_DNR,
  STATUS_INVALID_FIELD,
  STATUS_INVALID_OPCODE,
  STATUS_LBA_OUT_OF_RANGE,
  STATUS_UNRECOVERED_READ_ERROR,
} from '../../assembly/spec/nvme.ts';
import { Scheduler } from '../../assembly/wire/queue.ts';
import {
  boot,
  command,
  configFill,
  DATA,
  enable,
  MEMORY,
  namespaceFill,
  powerOn,
  reg,
  sqe,
  submitOnly,
  takeOver,
} from './support/machine.ts';

const NO_RESULT: u32 = 0xffffffff;
const LIST: u32 = 0x200000;
const ACTIVE: u32 = 1;
const CACHED: u32 = 1 | 16;
const DEALLOCATING: u32 = 1 | 8;

function begin(flags: u32 = ACTIVE): void {
  configFill();
  namespaceFill(1, flags, 9, 2048, 0);
  assert(powerOn() == 0);
}

/** Submits an entry of namespace 1; its token. `blocks` from 1. */
function submit(opcode: u32, cdw10: u32, blocks: u32, prp1: u64 = DATA, prp2: u64 = 0): u32 {
  memory.fill(COMMAND_BASE, 0, SQE_BYTES);
  store<u8>(COMMAND_BASE, <u8>opcode);
  store<u16>(COMMAND_BASE, 77, SQE_CID);
  store<u32>(COMMAND_BASE, 1, SQE_NSID);
  store<u32>(COMMAND_BASE, cdw10, SQE_CDW10);
  store<u32>(COMMAND_BASE, blocks - 1, SQE_CDW12);
  store<u64>(COMMAND_BASE, prp1, SQE_PRP1);
  store<u64>(COMMAND_BASE, prp2, SQE_PRP2);
  return commandSubmit(COMMAND_SET_NVM);
}

/** Takes one request, which must be of this operation and such a command. */
function request(operation: u32): void {
  expect<u32>(requestsTake()).toBe(1);
  expect<u32>(load<u16>(REQUEST_BASE, REQUEST_OPERATION)).toBe(operation);
  expect<u32>(load<u16>(REQUEST_BASE, REQUEST_SQID)).toBe(COMMAND_SQID_NVM);
}

/** Completes the request that was taken last. */
function complete(result: u32 = BLOCK_OK): void {
  store<u32>(COMPLETION_BASE, load<u32>(REQUEST_BASE, REQUEST_SLOT), COMPLETION_SLOT);
  store<u32>(COMPLETION_BASE, result, COMPLETION_RESULT);
  completionsPost(1);
}

/** The status of the one command that has a result, which is this one. */
function status(token: u32): u32 {
  if (commandsTake() != 1 || load<u32>(COMMAND_RESULT_BASE, COMMAND_RESULT_TOKEN) != token) return NO_RESULT;
  expect<u32>(load<u32>(COMMAND_RESULT_BASE, COMMAND_RESULT_DATA_BYTES)).toBe(0, 'data are in guest memory');
  return load<u16>(COMMAND_RESULT_BASE, COMMAND_RESULT_STATUS);
}

function mailbox(gpa: u64, length: u64): void {
  store<u64>(REGION_MAILBOX_BASE, gpa, REGION_GPA);
  store<u64>(REGION_MAILBOX_BASE, length, REGION_LENGTH);
}

/** Guest memory is shown anew, but for the window in which the PRP list lies. */
function listHide(): void {
  mailbox(0, 2 * WINDOW_BYTES);
  assert(memoryRemove() == 0);
  assert(memoryAdd() == 0);
  windowFilled(0, 0);
}

/** A read of five pages, by a list. */
function listRead(): u32 {
  for (let page: u32 = 0; page < 4; page++) {
    store<u64>(MEMORY + LIST + page * 8, DATA + ((page + 2) << 13));
  }
  return submit(NVM_READ, 0, 40, DATA, LIST);
}

describe('NVM commands given directly', () => {
  it('move data of guest memory before the controller is enabled', () => {
    begin(CACHED);
    let token = submit(NVM_READ, 5, 8);
    expect(commandsTake()).toBe(0);
    request(OPERATION_READ);
    expect<u64>(load<u64>(REQUEST_BASE, REQUEST_OFFSET)).toBe(5 * 512);
    const segment: usize = load<u32>(REQUEST_BASE, REQUEST_SEGMENTS);
    expect<u32>(load<u32>(REQUEST_BASE, REQUEST_SEGMENT_COUNT)).toBe(1);
    expect<u64>(load<u64>(segment)).toBe(DATA);
    expect<u64>(load<u64>(segment, 8)).toBe(4096);
    complete();
    expect<u32>(status(token)).toBe(0);
    token = submit(NVM_WRITE, 5, 8);
    request(OPERATION_WRITE);
    complete();
    expect<u32>(status(token)).toBe(0);
    token = submit(NVM_FLUSH, 0, 1);
    request(OPERATION_FLUSH);
    complete();
    expect<u32>(status(token)).toBe(0);
    expect<u32>(requestsOutstanding()).toBe(0);
  });

  it('run beside those of an enabled controller', () => {
    boot(ACTIVE, 0);
    const token = submit(NVM_READ, 0, 8);
    request(OPERATION_READ);
    const taken = load<u32>(REQUEST_BASE, REQUEST_SLOT);
    expect<u32>(command(ADMIN_IDENTIFY, 0, 1)).toBe(0);
    expect<u32>(commandsTake()).toBe(0);
    expect<u32>(requestsOutstanding()).toBe(1);
    store<u32>(REQUEST_BASE, taken, REQUEST_SLOT);
    complete();
    expect<u32>(status(token)).toBe(0);
  });

  it('have the status of what became of them', () => {
    begin();
    expect<u32>(status(submit(NVM_READ, 2048, 1))).toBe(STATUS_LBA_OUT_OF_RANGE | STATUS_DNR);
    expect<u32>(status(submit(ADMIN_IDENTIFY, 1, 1))).toBe(STATUS_INVALID_OPCODE | STATUS_DNR);
    const token = submit(NVM_READ, 0, 8);
    request(OPERATION_READ);
    complete(BLOCK_MEDIUM_ERROR);
    expect<u32>(status(token)).toBe(STATUS_UNRECOVERED_READ_ERROR);
  });

  it('can deallocate, with ranges that are read from guest memory', () => {
    begin(DEALLOCATING);
    store<u32>(MEMORY + DATA, 16, DSM_RANGE_BLOCKS);
    store<u64>(MEMORY + DATA, 32, DSM_RANGE_LBA);
    memory.fill(COMMAND_BASE, 0, SQE_BYTES);
    store<u8>(COMMAND_BASE, NVM_DATASET_MANAGEMENT);
    store<u32>(COMMAND_BASE, 1, SQE_NSID);
    store<u32>(COMMAND_BASE, DSM_DEALLOCATE, SQE_CDW11);
    store<u64>(COMMAND_BASE, DATA, SQE_PRP1);
    const token = commandSubmit(COMMAND_SET_NVM);
    request(OPERATION_COPY_IN);
    memory.copy(load<u32>(REQUEST_BASE, REQUEST_DATA), MEMORY + DATA, 16);
    complete();
    request(OPERATION_DEALLOCATE);
    complete();
    expect<u32>(status(token)).toBe(0);
  });

  it('are of a command set that there is', () => {
    begin();
    submit(NVM_READ, 0, 8);
    expect(commandSubmit(2)).toBe(COMMAND_REFUSED);
    expect(commandSubmit(0xffffffff)).toBe(COMMAND_REFUSED);
  });

  it('leave the admin queue its slots', () => {
    configFill();
    namespaceFill(1, ACTIVE, 9, 2048, 0);
    store<u16>(CONFIG_BASE, 17, CONFIG_SLOTS);
    assert(powerOn() == 0);
    expect(submit(NVM_READ, 0, 8)).not.toBe(COMMAND_REFUSED);
    expect(submit(NVM_READ, 0, 8)).toBe(COMMAND_REFUSED);
    expect(commandSubmit(COMMAND_SET_ADMIN)).not.toBe(COMMAND_REFUSED);
  });

  it('wait for the window of a PRP list, whether or not the controller is enabled, or has failed', () => {
    for (let life = 0; life < 3; life++) {
      begin();
      if (life != 0) enable();
      if (life == 2) controllerFail();
      listHide();
      const token = listRead();
      expect<u32>(requestsTake()).toBe(0);
      expect<u32>(queueArm()).toBe(1);
      expect<u32>(windowsTake()).toBe(1);
      windowFilled(1, 1);
      expect<u32>(queuePoll(8, 0)).toBe(1);
      request(OPERATION_READ);
      expect<u32>(load<u32>(REQUEST_BASE, REQUEST_SEGMENT_COUNT)).toBe(5);
      complete();
      expect<u32>(status(token)).toBe(0);
    }
  });

  it('go on alone when the controller has failed', () => {
    boot(ACTIVE, 0);
    listHide();
    // An admin command that waits for the same window: its buffer's list is the one of the read.
    const entry = sqe(ADMIN_GET_LOG_PAGE);
    store<u32>(entry, 0xffffffff, SQE_NSID);
    store<u32>(entry, 2 | (4095 << 16), SQE_CDW10);
    store<u64>(entry, LIST, SQE_PRP2);
    submitOnly();
    listRead();
    controllerFail();
    expect<u32>(windowsTake()).toBe(1);
    windowFilled(1, 1);
    expect<u32>(queuePoll(8, 0)).toBe(1);
    request(OPERATION_READ);
    expect<u32>(queuePoll(8, 0)).toBe(0);
  });

  it('are given up by a reset, which waits for those that the caller has', () => {
    begin();
    const free = Scheduler.get().slotsFree;
    submit(NVM_READ, 0, 8);
    submit(NVM_FLUSH, 0, 1);
    request(OPERATION_READ);
    const taken = load<u32>(REQUEST_BASE, REQUEST_SLOT);
    submit(NVM_READ, 0, 8);
    controllerReset();
    store<u32>(REQUEST_BASE, taken, REQUEST_SLOT);
    expect<u32>(commandsTake()).toBe(0);
    expect<u32>(requestsOutstanding()).toBe(1, 'what was not taken is withdrawn');
    enable();
    expect<u32>(reg(REG_CSTS) & CSTS_RDY).toBe(0);
    complete();
    expect<u32>(reg(REG_CSTS) & CSTS_RDY).toBe(CSTS_RDY);
    expect<u32>(commandsTake()).toBe(0);
    expect<u32>(Scheduler.get().slotsFree).toBe(free);
    submit(NVM_READ, 0, 8);
    request(OPERATION_READ);
    registerWrite(REG_CC, 0);
    expect<u32>(reg(REG_CSTS) & CSTS_RDY).toBe(CSTS_RDY, 'a disable waits as well');
    complete();
    expect<u32>(reg(REG_CSTS) & CSTS_RDY).toBe(0);
  });

  it('are forgotten by whoever takes over', () => {
    begin();
    const free = Scheduler.get().slotsFree;
    submit(NVM_READ, 0, 8);
    request(OPERATION_READ);
    listHide();
    listRead();
    takeOver();
    queuePoll(8, 0);
    expect<u32>(requestsTake()).toBe(0);
    expect<u32>(requestsOutstanding()).toBe(0);
    expect<u32>(commandsTake()).toBe(0);
    expect<u32>(Scheduler.get().slotsFree).toBe(free);
    complete();
    expect<u32>(commandsTake()).toBe(0, 'a late completion names nobody');
  });

  it('are out of reach of Abort', () => {
    boot(ACTIVE, 0);
    listHide();
    const token = listRead();
    expect<u32>(command(ADMIN_ABORT, 0, COMMAND_SQID_NVM | (77 << 16))).toBe(
      STATUS_INVALID_FIELD | STATUS_DNR,
    );
    expect<u32>(windowsTake()).toBe(1);
    windowFilled(1, 1);
    queuePoll(8, 0);
    request(OPERATION_READ);
    complete();
    expect<u32>(status(token)).toBe(0);
  });
});
