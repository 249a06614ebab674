// Create and Delete I/O Submission and Completion Queue, Abort, Doorbell Buffer Config: a row for each status that the
// specification names. The machine has 4 queue pairs of at most 64 entries and 4 MiB of memory.

import { REGION_MAILBOX_BASE } from '../../assembly/abi/memory-map.ts';
import {
  EVENT_MEMORY_NOT_SHARED,
  EVENT_QUEUE_CREATED,
  EVENT_QUEUE_DELETED,
  EVENT_SHADOW_DOORBELLS,
  NAMESPACE_FLAG_ACTIVE,
  OPERATION_READ,
} from '../../assembly/abi/records.ts';
import { memoryAdd } from '../../assembly/controller/core.ts';
import { completionsPost } from '../../assembly/controller/dispatch.ts';
import { doorbellWrite, queuePoll } from '../../assembly/controller/poll.ts';
import { registerWrite } from '../../assembly/controller/registers.ts';
import { Region } from '../../assembly/guest/region.ts';
import { requestsTake } from '../../assembly/queue/requests.ts';
import {
  ADMIN_ABORT,
  ADMIN_ASYNC_EVENT_REQUEST,
  ADMIN_CREATE_IO_CQ,
  ADMIN_CREATE_IO_SQ,
  ADMIN_DELETE_IO_CQ,
  ADMIN_DELETE_IO_SQ,
  ADMIN_DOORBELL_BUFFER_CONFIG,
  NVM_READ,
  REG_CC,
  SQE_CDW10,
  SQE_CDW11,
  SQE_FLAGS,
  SQE_NSID,
  SQE_PRP1,
  SQE_PRP2,
  STATUS_ABORT_REQUESTED,
  STATUS_CQ_INVALID,
  STATUS_DNR,
  STATUS_INVALID_FIELD,
  STATUS_INVALID_INTERRUPT_VECTOR,
  STATUS_INVALID_OPCODE,
  STATUS_INVALID_QUEUE_DELETION,
  STATUS_INVALID_QUEUE_ID,
  STATUS_INVALID_QUEUE_SIZE,
  STATUS_PRP_OFFSET_INVALID,
} from '../../assembly/spec/nvme.ts';
import { Scheduler, SubmissionQueue } from '../../assembly/wire/queue.ts';
import { Completion, Request } from '../../assembly/wire/request.ts';
import {
  boot,
  DATA,
  eventsOf,
  lastCid,
  MEMORY,
  NO_COMPLETION,
  reap,
  result,
  sqe,
  submit,
} from './support/machine.ts';

const CQ: u32 = 0x40000;
const SQ: u32 = 0x50000;
const INVALID_FIELD: u32 = STATUS_INVALID_FIELD | STATUS_DNR;
const INVALID_ID: u32 = STATUS_INVALID_QUEUE_ID | STATUS_DNR;
const INVALID_SIZE: u32 = STATUS_INVALID_QUEUE_SIZE | STATUS_DNR;
/** CDW11 of a usual completion queue: contiguous, interrupts, vector 1; of a submission queue: contiguous, CQ 1. */
const CQ_CDW11: u32 = 0x10003;
const SQ_CDW11: u32 = 0x10001;

/** One admin command: its status. */
function admin(opcode: u32, prp1: u64, cdw10: u32, cdw11: u32): u32 {
  const at = sqe(opcode);
  store<u64>(at, prp1, SQE_PRP1);
  store<u32>(at, cdw10, SQE_CDW10);
  store<u32>(at, cdw11, SQE_CDW11);
  submit();
  return reap();
}

function createCq(qid: u32, entries: u32, cdw11: u32 = CQ_CDW11, prp1: u64 = CQ): u32 {
  return admin(ADMIN_CREATE_IO_CQ, prp1, qid | ((entries - 1) << 16), cdw11);
}

function createSq(qid: u32, entries: u32, cdw11: u32 = SQ_CDW11, prp1: u64 = SQ): u32 {
  return admin(ADMIN_CREATE_IO_SQ, prp1, qid | ((entries - 1) << 16), cdw11);
}

/** An admin command with one bit set in a reserved place. */
function withBit(opcode: u32, prp1: u64, cdw10: u32, cdw11: u32, dword: u32, bit: u32): u32 {
  const at = sqe(opcode);
  store<u64>(at, prp1, SQE_PRP1);
  store<u32>(at, cdw10, SQE_CDW10);
  store<u32>(at, cdw11, SQE_CDW11);
  const place = at + dword * 4;
  store<u32>(place, load<u32>(place) | (1 << bit));
  submit();
  return reap();
}

/** Reads of one block, put at entry `index` of queue 1. */
function ioRead(index: u32, cid: u32): void {
  const at = MEMORY + SQ + index * 64;
  memory.fill(at, 0, 64);
  store<u8>(at, NVM_READ);
  store<u16>(at, <u16>cid, 2);
  store<u32>(at, 1, SQE_NSID);
  store<u64>(at, DATA, SQE_PRP1);
}

function start(): void {
  boot(NAMESPACE_FLAG_ACTIVE, 0);
}

describe('Create I/O Completion Queue', () => {
  beforeEach(start);

  it('creates queues 1 to 4 of 2 to 64 entries, once', () => {
    expect(createCq(1, 2)).toBe(0);
    expect(createCq(4, 64)).toBe(0);
    expect(createCq(1, 2)).toBe(INVALID_ID);
  });

  it('Invalid Queue Identifier: 0, beyond the number of queues', () => {
    expect(createCq(0, 16)).toBe(INVALID_ID);
    expect(createCq(5, 16)).toBe(INVALID_ID);
    expect(createCq(65, 16)).toBe(INVALID_ID);
    expect(createCq(0xffff, 16)).toBe(INVALID_ID);
  });

  it('Invalid Queue Size: one entry, more than MQES, entry sizes not set', () => {
    expect(createCq(1, 1)).toBe(INVALID_SIZE);
    expect(createCq(1, 65)).toBe(INVALID_SIZE);
    expect(createCq(1, 0x10000)).toBe(INVALID_SIZE);
    registerWrite(REG_CC, 0x00060001);
    expect(createCq(1, 16)).toBe(INVALID_SIZE);
    registerWrite(REG_CC, 0x00400001);
    expect(createCq(1, 16)).toBe(INVALID_SIZE);
  });

  it('Invalid Field: not contiguous', () => {
    expect(createCq(1, 16, CQ_CDW11 & ~1)).toBe(INVALID_FIELD);
  });

  it('PRP Offset Invalid: not on a page', () => {
    expect(createCq(1, 16, CQ_CDW11, CQ + 16)).toBe(STATUS_PRP_OFFSET_INVALID | STATUS_DNR);
  });

  it('Invalid Interrupt Vector: beyond the admin vector and one for each pair', () => {
    expect(createCq(1, 16, 3 | (5 << 16))).toBe(STATUS_INVALID_INTERRUPT_VECTOR | STATUS_DNR);
    expect(createCq(1, 16, 3 | (0xffff << 16))).toBe(STATUS_INVALID_INTERRUPT_VECTOR | STATUS_DNR);
    expect(createCq(1, 16, 3 | (4 << 16))).toBe(0);
  });

  it('Invalid Field: memory that is not there, ends too early, is not writable or not shared', () => {
    expect(createCq(1, 16, CQ_CDW11, 0x400000)).toBe(INVALID_FIELD);
    expect(createCq(1, 64, CQ_CDW11, 0xfffffffffffff000)).toBe(INVALID_FIELD);
    const region = Region.at(REGION_MAILBOX_BASE);
    region.gpa = 0x400000;
    region.length = 0x1000;
    region.flags = 5;
    expect(memoryAdd()).toBe(0);
    expect(createCq(1, 16, CQ_CDW11, 0x400000)).toBe(INVALID_FIELD);
    region.gpa = 0x500000;
    region.flags = 3;
    expect(memoryAdd()).toBe(0);
    eventsOf(0);
    expect(createCq(1, 16, CQ_CDW11, 0x500000)).toBe(INVALID_FIELD);
    expect(eventsOf(EVENT_MEMORY_NOT_SHARED)).toBe(1);
  });

  it('Invalid Field: each reserved bit', () => {
    for (let bit: u32 = 2; bit < 16; bit++) {
      expect(withBit(ADMIN_CREATE_IO_CQ, CQ, 0xf0001, CQ_CDW11, 11, bit)).toBe(INVALID_FIELD);
    }
    for (let dword: u32 = 12; dword < 16; dword++) {
      for (let bit: u32 = 0; bit < 32; bit++) {
        expect(withBit(ADMIN_CREATE_IO_CQ, CQ, 0xf0001, CQ_CDW11, dword, bit)).toBe(INVALID_FIELD);
      }
    }
  });
});

describe('Create I/O Submission Queue', () => {
  beforeEach(() => {
    start();
    createCq(1, 64);
  });

  it('creates queues of 2 to 64 entries, many on one completion queue, and ignores the priority', () => {
    expect(createSq(1, 2)).toBe(0);
    expect(createSq(2, 64, SQ_CDW11 | 2)).toBe(0);
    expect(createSq(3, 64, SQ_CDW11 | 4)).toBe(0);
    expect(createSq(4, 64, SQ_CDW11 | 6)).toBe(0);
    expect(createSq(1, 2)).toBe(INVALID_ID);
    expect(eventsOf(EVENT_QUEUE_CREATED)).toBe(4);
  });

  it('Invalid Queue Identifier: 0, beyond the number of queues, completion queue 0 or beyond', () => {
    expect(createSq(0, 16)).toBe(INVALID_ID);
    expect(createSq(5, 16)).toBe(INVALID_ID);
    expect(createSq(0xffff, 16)).toBe(INVALID_ID);
    expect(createSq(1, 16, 1)).toBe(INVALID_ID);
    expect(createSq(1, 16, 1 | (5 << 16))).toBe(INVALID_ID);
    expect(createSq(1, 16, 1 | (0xffff << 16))).toBe(INVALID_ID);
  });

  it('Completion Queue Invalid: one that could be and is not', () => {
    expect(createSq(1, 16, 1 | (2 << 16))).toBe(STATUS_CQ_INVALID | STATUS_DNR);
  });

  it('Invalid Queue Size: one entry, more than MQES', () => {
    expect(createSq(1, 1)).toBe(INVALID_SIZE);
    expect(createSq(1, 65)).toBe(INVALID_SIZE);
    expect(createSq(1, 0x10000)).toBe(INVALID_SIZE);
  });

  it('Invalid Field: not contiguous; PRP Offset Invalid: not on a page', () => {
    expect(createSq(1, 16, SQ_CDW11 & ~1)).toBe(INVALID_FIELD);
    expect(createSq(1, 16, SQ_CDW11, SQ + 64)).toBe(STATUS_PRP_OFFSET_INVALID | STATUS_DNR);
  });

  it('Invalid Field: memory that is not there or ends too early', () => {
    expect(createSq(1, 16, SQ_CDW11, 0x400000)).toBe(INVALID_FIELD);
    expect(createSq(1, 16, SQ_CDW11, 0xfffffffffffff000)).toBe(INVALID_FIELD);
  });

  it('Invalid Field: each reserved bit, but for the NVM Set Identifier', () => {
    for (let bit: u32 = 3; bit < 16; bit++) {
      expect(withBit(ADMIN_CREATE_IO_SQ, SQ, 0xf0001, SQ_CDW11, 11, bit)).toBe(INVALID_FIELD);
    }
    for (let bit: u32 = 16; bit < 32; bit++) {
      expect(withBit(ADMIN_CREATE_IO_SQ, SQ, 0xf0001, SQ_CDW11, 12, bit)).toBe(INVALID_FIELD);
    }
    for (let dword: u32 = 13; dword < 16; dword++) {
      expect(withBit(ADMIN_CREATE_IO_SQ, SQ, 0xf0001, SQ_CDW11, dword, 31)).toBe(INVALID_FIELD);
    }
    expect(withBit(ADMIN_CREATE_IO_SQ, SQ, 0xf0001, SQ_CDW11, 12, 0)).toBe(0);
  });
});

describe('Delete I/O queues', () => {
  beforeEach(() => {
    start();
    createCq(1, 64);
    createSq(1, 64);
  });

  it('deletes the submission queue, then the completion queue, and both can be created again', () => {
    expect(admin(ADMIN_DELETE_IO_CQ, 0, 1, 0)).toBe(STATUS_INVALID_QUEUE_DELETION | STATUS_DNR);
    expect(admin(ADMIN_DELETE_IO_SQ, 0, 1, 0)).toBe(0);
    expect(eventsOf(EVENT_QUEUE_DELETED)).toBe(1);
    expect(admin(ADMIN_DELETE_IO_CQ, 0, 1, 0)).toBe(0);
    expect(createCq(1, 16)).toBe(0);
    expect(createSq(1, 16)).toBe(0);
    expect(SubmissionQueue.at(1).head).toBe(0);
  });

  it('Invalid Queue Identifier: 0, one that is not, beyond', () => {
    const queues: u32[] = [0, 2, 5, 65, 0xffff];
    for (let index = 0; index < queues.length; index++) {
      expect(admin(ADMIN_DELETE_IO_SQ, 0, queues[index], 0)).toBe(INVALID_ID);
      expect(admin(ADMIN_DELETE_IO_CQ, 0, queues[index], 0)).toBe(INVALID_ID);
    }
  });

  it('Invalid Field: reserved bits', () => {
    for (let bit: u32 = 16; bit < 32; bit++) {
      expect(withBit(ADMIN_DELETE_IO_SQ, 0, 1, 0, 10, bit)).toBe(INVALID_FIELD);
      expect(withBit(ADMIN_DELETE_IO_CQ, 0, 1, 0, 10, bit)).toBe(INVALID_FIELD);
    }
    for (let dword: u32 = 11; dword < 16; dword++) {
      expect(withBit(ADMIN_DELETE_IO_SQ, 0, 1, 0, dword, 0)).toBe(INVALID_FIELD);
      expect(withBit(ADMIN_DELETE_IO_CQ, 0, 1, 0, dword, 0)).toBe(INVALID_FIELD);
    }
  });

  it('completes after the commands of the queue, whose entries come first', () => {
    ioRead(0, 0x77);
    doorbellWrite(0x1008, 1);
    queuePoll(8, 0);
    expect(requestsTake()).toBe(1);
    expect(Request.at(0).operation).toBe(<u16>OPERATION_READ);
    const tag = Request.at(0).slot;
    expect(admin(ADMIN_DELETE_IO_SQ, 0, 1, 0)).toBe(NO_COMPLETION);
    expect(admin(ADMIN_DELETE_IO_SQ, 0, 1, 0)).toBe(INVALID_ID);
    expect(createSq(1, 16)).toBe(INVALID_ID);
    Completion.at(0).slot = tag;
    Completion.at(0).result = 0;
    completionsPost(1);
    expect(load<u16>(MEMORY + CQ, 12)).toBe(0x77);
    expect(reap()).toBe(0);
    expect(createSq(1, 16)).toBe(0);
  });
});

describe('Abort', () => {
  beforeEach(() => {
    start();
    createCq(1, 64);
    createSq(1, 64);
  });

  it('ends an Asynchronous Event Request with Command Abort Requested, before its own completion', () => {
    sqe(ADMIN_ASYNC_EVENT_REQUEST);
    submit();
    expect(reap()).toBe(NO_COMPLETION);
    const cid = lastCid();
    expect(admin(ADMIN_ABORT, 0, cid << 16, 0)).toBe(STATUS_ABORT_REQUESTED);
    expect(reap()).toBe(0);
    expect(result()).toBe(0);
  });

  it('does not call back a request: bit 0 of the result says so, and the command completes by itself', () => {
    ioRead(0, 0x55);
    doorbellWrite(0x1008, 1);
    queuePoll(8, 0);
    expect(requestsTake()).toBe(1);
    const tag = Request.at(0).slot;
    expect(admin(ADMIN_ABORT, 0, (0x55 << 16) | 1, 0)).toBe(0);
    expect(result()).toBe(1);
    Completion.at(0).slot = tag;
    Completion.at(0).result = 0;
    completionsPost(1);
    expect(load<u16>(MEMORY + CQ, 12)).toBe(0x55);
  });

  it('finds nothing: not aborted; a queue that does not exist: Invalid Field; reserved dwords: Invalid Field', () => {
    expect(admin(ADMIN_ABORT, 0, (0x99 << 16) | 1, 0)).toBe(0);
    expect(result()).toBe(1);
    expect(admin(ADMIN_ABORT, 0, 2, 0)).toBe(INVALID_FIELD);
    expect(admin(ADMIN_ABORT, 0, 0xffff, 0)).toBe(INVALID_FIELD);
    expect(withBit(ADMIN_ABORT, 0, 1, 0, 11, 0)).toBe(INVALID_FIELD);
  });

  it('does not abort itself', () => {
    const at = sqe(ADMIN_ABORT);
    store<u32>(at, lastCid() << 16, SQE_CDW10);
    submit();
    expect(reap()).toBe(0);
    expect(result()).toBe(1);
  });
});

describe('Doorbell Buffer Config', () => {
  beforeEach(start);

  it('takes two pages and tells the operator', () => {
    eventsOf(0);
    expect(admin(ADMIN_DOORBELL_BUFFER_CONFIG, 0x60000, 0, 0)).toBe(0);
    expect(Scheduler.get().shadow).toBe(1);
    expect(Scheduler.get().shadowBase).toBe(0x60000);
    expect(eventsOf(EVENT_SHADOW_DOORBELLS)).toBe(1);
  });

  it('Invalid Field: not on a page, no memory, reserved dwords', () => {
    expect(admin(ADMIN_DOORBELL_BUFFER_CONFIG, 0x60008, 0, 0)).toBe(INVALID_FIELD);
    expect(admin(ADMIN_DOORBELL_BUFFER_CONFIG, 0x400000, 0, 0)).toBe(INVALID_FIELD);
    const at = sqe(ADMIN_DOORBELL_BUFFER_CONFIG);
    store<u64>(at, 0x60800, SQE_PRP2);
    submit();
    expect(reap()).toBe(INVALID_FIELD);
    for (let dword: u32 = 10; dword < 16; dword++) {
      expect(withBit(ADMIN_DOORBELL_BUFFER_CONFIG, 0x60000, 0, 0, dword, 5)).toBe(INVALID_FIELD);
    }
    expect(Scheduler.get().shadow).toBe(0);
  });
});

describe('every command', () => {
  beforeEach(() => {
    start();
    createCq(1, 64);
    createSq(1, 64);
  });

  it('Invalid Field: fused, with SGLs, or with reserved bits between', () => {
    for (let bit: u32 = 0; bit < 8; bit++) {
      const at = sqe(ADMIN_ABORT);
      store<u8>(at, <u8>((<u32>1) << bit), SQE_FLAGS);
      submit();
      expect(reap()).toBe(INVALID_FIELD);
    }
  });

  it('Invalid Opcode: each one without a handler, whatever its flags', () => {
    const known: u32[] = [0x00, 0x01, 0x02, 0x04, 0x05, 0x06, 0x08, 0x09, 0x0a, 0x0c, 0x18, 0x7c];
    for (let opcode: u32 = 0; opcode < 256; opcode++) {
      if (known.includes(opcode)) continue;
      const at = sqe(opcode);
      store<u8>(at, <u8>(opcode & 0xc3), SQE_FLAGS);
      submit();
      expect(reap()).toBe(STATUS_INVALID_OPCODE | STATUS_DNR);
    }
  });
});
