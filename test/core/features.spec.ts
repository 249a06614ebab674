// Get and Set Features: every feature with SEL 0 to 3, and the status of each wrong request.

import { COMPLETION_BASE, REQUEST_BASE } from '../../assembly/abi/memory-map.ts';
import {
  COMPLETION_RESULT,
  COMPLETION_SLOT,
  NAMESPACE_FLAG_ACTIVE,
  NAMESPACE_FLAG_VOLATILE_CACHE,
  OPERATION_FLUSH,
  REQUEST_NSID,
  REQUEST_OPERATION,
  REQUEST_SLOT,
} from '../../assembly/abi/records.ts';
import { completionsPost } from '../../assembly/controller/dispatch.ts';
import { writeCacheEnabled } from '../../assembly/admin/features.ts';
import { queuePoll } from '../../assembly/controller/poll.ts';
import { registerWrite } from '../../assembly/controller/registers.ts';
import { requestsTake } from '../../assembly/queue/requests.ts';
import {
  ADMIN_CREATE_IO_CQ,
  ADMIN_GET_FEATURES,
  ADMIN_SET_FEATURES,
  REG_CC,
  SQE_CDW10,
  SQE_CDW11,
  SQE_CDW12,
  SQE_CDW13,
  SQE_CDW15,
  STATUS_COMMAND_SEQUENCE_ERROR,
  STATUS_DNR,
  STATUS_FEATURE_NOT_NAMESPACE_SPECIFIC,
  STATUS_FEATURE_NOT_SAVEABLE,
  STATUS_INVALID_FIELD,
  STATUS_INVALID_NAMESPACE,
} from '../../assembly/spec/nvme.ts';
import {
  NO_COMPLETION,
  boot,
  command,
  enable,
  reap,
  result,
  sqe,
  submit,
  submitOnly,
  takeOver,
} from './support/machine.ts';

const INVALID_FIELD: u32 = STATUS_INVALID_FIELD | STATUS_DNR;
const INVALID_NAMESPACE: u32 = STATUS_INVALID_NAMESPACE | STATUS_DNR;
const NOT_NAMESPACE_SPECIFIC: u32 = STATUS_FEATURE_NOT_NAMESPACE_SPECIFIC | STATUS_DNR;
const BROADCAST: u32 = 0xffffffff;
const CACHED: u32 = NAMESPACE_FLAG_ACTIVE | NAMESPACE_FLAG_VOLATILE_CACHE;

function get(fid: u32, select: u32 = 0, cdw11: u32 = 0, nsid: u32 = 0): u32 {
  return command(ADMIN_GET_FEATURES, nsid, fid | (select << 8), cdw11);
}

function set(fid: u32, value: u32, nsid: u32 = 0): u32 {
  return command(ADMIN_SET_FEATURES, nsid, fid, value);
}

/** Sets a value and expects it back with SEL 0, the default with SEL 1 and 2, and what it can with SEL 3. */
function roundTrip(fid: u32, value: u32, initial: u32, supports: u32 = 5): void {
  expect<u32>(get(fid)).toBe(0);
  expect<u32>(result()).toBe(initial, 'at first the default');
  expect<u32>(set(fid, value)).toBe(0);
  expect<u32>(get(fid, 0)).toBe(0);
  expect<u32>(result()).toBe(value, 'current');
  expect<u32>(get(fid, 1)).toBe(0);
  expect<u32>(result()).toBe(initial, 'default');
  expect<u32>(get(fid, 2)).toBe(0);
  expect<u32>(result()).toBe(initial, 'saved: not yet, so the default');
  expect<u32>(get(fid, 3)).toBe(0);
  expect<u32>(result()).toBe(supports, 'changeable, for the whole controller; saveable');
}

describe('values', () => {
  beforeEach(() => boot(CACHED, NAMESPACE_FLAG_ACTIVE));

  test('Arbitration (01h)', () => {
    roundTrip(1, 0x01020305, 7);
    expect<u32>(set(1, 1 << 3)).toBe(INVALID_FIELD);
    expect<u32>(set(1, 1 << 7)).toBe(INVALID_FIELD);
  });

  test('Power Management (02h): one state', () => {
    roundTrip(2, 1 << 5, 0);
    expect<u32>(set(2, 1)).toBe(INVALID_FIELD);
    expect<u32>(set(2, 31)).toBe(INVALID_FIELD);
    expect<u32>(set(2, 1 << 8)).toBe(INVALID_FIELD);
  });

  test('Temperature Threshold (04h): composite, over and under', () => {
    roundTrip(4, 350, 343);
    expect<u32>(set(4, 280 | (1 << 20))).toBe(0);
    expect<u32>(get(4, 0, 1 << 20)).toBe(0);
    expect<u32>(result()).toBe(280);
    expect<u32>(get(4, 1, 1 << 20)).toBe(0);
    expect<u32>(result()).toBe(0);
    expect<u32>(set(4, 360 | (15 << 16))).toBe(0, 'all sensors');
    expect<u32>(get(4)).toBe(0);
    expect<u32>(result()).toBe(360);
    for (let sensor: u32 = 1; sensor < 15; sensor++) {
      expect<u32>(set(4, 300 | (sensor << 16))).toBe(INVALID_FIELD);
      expect<u32>(get(4, 0, sensor << 16)).toBe(INVALID_FIELD);
    }
    expect<u32>(get(4, 0, 15 << 16)).toBe(INVALID_FIELD);
    expect<u32>(set(4, 300 | (2 << 20))).toBe(INVALID_FIELD);
    expect<u32>(get(4, 0, 3 << 20)).toBe(INVALID_FIELD);
    expect<u32>(set(4, 1 << 22)).toBe(INVALID_FIELD);
  });

  test('Error Recovery (05h) belongs to a namespace', () => {
    expect<u32>(set(5, 77, 1)).toBe(0);
    expect<u32>(get(5, 0, 0, 1)).toBe(0);
    expect<u32>(result()).toBe(77);
    expect<u32>(get(5, 0, 0, 3)).toBe(0);
    expect<u32>(result()).toBe(0);
    expect<u32>(set(5, 99, BROADCAST)).toBe(0);
    expect<u32>(get(5, 0, 0, 3)).toBe(0);
    expect<u32>(result()).toBe(99);
    expect<u32>(get(5, 3, 0, 1)).toBe(0);
    expect<u32>(result()).toBe(6);
    expect<u32>(set(5, 1 << 16, 1)).toBe(INVALID_FIELD, 'DULBE');
    expect<u32>(set(5, 1 << 17, 1)).toBe(INVALID_FIELD);
    expect<u32>(set(5, 0, 2)).toBe(INVALID_FIELD);
    expect<u32>(set(5, 0, 0)).toBe(INVALID_NAMESPACE);
    expect<u32>(set(5, 0, 257)).toBe(INVALID_NAMESPACE);
    expect<u32>(get(5, 0, 0, 0)).toBe(INVALID_NAMESPACE);
    expect<u32>(get(5, 0, 0, 2)).toBe(INVALID_FIELD);
    expect<u32>(get(5, 0, 0, BROADCAST)).toBe(INVALID_NAMESPACE);
  });

  test('Number of Queues (07h)', () => {
    expect<u32>(get(7)).toBe(0);
    expect<u32>(result()).toBe(0x00030003);
    expect<u32>(set(7, 0x00010000)).toBe(0);
    expect<u32>(result()).toBe(0x00030003);
    expect<u32>(set(7, 0xfffefffe)).toBe(0);
    expect<u32>(result()).toBe(0x00030003);
    expect<u32>(set(7, 0x0000ffff)).toBe(INVALID_FIELD);
    expect<u32>(set(7, 0xffff0000)).toBe(INVALID_FIELD);
    const cq = sqe(ADMIN_CREATE_IO_CQ);
    store<u32>(cq, 1 | (7 << 16), SQE_CDW10);
    store<u32>(cq, 1, SQE_CDW11);
    submit();
    expect<u32>(reap()).toBe(0);
    expect<u32>(set(7, 0)).toBe(STATUS_COMMAND_SEQUENCE_ERROR | STATUS_DNR);
    expect<u32>(get(7)).toBe(0);
  });

  test('Interrupt Coalescing (08h) is kept', () => {
    roundTrip(8, 0xffff, 0);
    expect<u32>(set(8, 1 << 16)).toBe(INVALID_FIELD);
  });

  test('Interrupt Vector Configuration (09h): vectors that exist', () => {
    expect<u32>(set(9, 4 | (1 << 16))).toBe(0);
    expect<u32>(get(9, 0, 4)).toBe(0);
    expect<u32>(result()).toBe(4 | (1 << 16));
    expect<u32>(get(9, 1, 4)).toBe(0);
    expect<u32>(result()).toBe(4);
    expect<u32>(get(9, 0, 3)).toBe(0);
    expect<u32>(result()).toBe(3);
    expect<u32>(set(9, 4)).toBe(0);
    expect<u32>(get(9, 0, 4)).toBe(0);
    expect<u32>(result()).toBe(4);
    expect<u32>(set(9, 5)).toBe(INVALID_FIELD);
    expect<u32>(get(9, 0, 5)).toBe(INVALID_FIELD);
    expect<u32>(get(9, 0, 0xffff)).toBe(INVALID_FIELD);
    expect<u32>(set(9, 1 << 17)).toBe(INVALID_FIELD);
  });

  test('Write Atomicity Normal (0Ah) and Asynchronous Event Configuration (0Bh)', () => {
    roundTrip(10, 1, 0);
    expect<u32>(set(10, 2)).toBe(INVALID_FIELD);
    roundTrip(11, 0x11d, 0, 4);
    expect<u32>(set(11, 1 << 9)).toBe(INVALID_FIELD, 'a notice that OAES does not offer');
    expect<u32>(set(11, 1 << 5)).toBe(INVALID_FIELD);
  });
});

describe('Volatile Write Cache (06h)', () => {
  test('where there is none, there is no such feature', () => {
    boot(NAMESPACE_FLAG_ACTIVE, NAMESPACE_FLAG_ACTIVE);
    for (let select: u32 = 0; select < 4; select++) expect<u32>(get(6, select)).toBe(INVALID_FIELD);
    expect<u32>(set(6, 0)).toBe(INVALID_FIELD);
  });

  test('switching it off flushes what is cached first', () => {
    boot(NAMESPACE_FLAG_ACTIVE, CACHED);
    expect<u32>(get(6)).toBe(0);
    expect<u32>(result()).toBe(1);
    const at = sqe(ADMIN_SET_FEATURES);
    store<u32>(at, 6, SQE_CDW10);
    submitOnly();
    expect<u32>(requestsTake()).toBe(1);
    expect<u32>(load<u16>(REQUEST_BASE, REQUEST_OPERATION)).toBe(OPERATION_FLUSH);
    expect<u32>(load<u32>(REQUEST_BASE, REQUEST_NSID)).toBe(3);
    expect<u32>(reap()).toBe(NO_COMPLETION);
    expect<bool>(writeCacheEnabled()).toBe(false);
    store<u32>(COMPLETION_BASE, load<u32>(REQUEST_BASE, REQUEST_SLOT), COMPLETION_SLOT);
    store<u32>(COMPLETION_BASE, 0, COMPLETION_RESULT);
    completionsPost(1);
    expect<u32>(reap()).toBe(0);
    expect<u32>(get(6)).toBe(0);
    expect<u32>(result()).toBe(0);
    expect<u32>(set(6, 1)).toBe(0, 'on again: nothing to flush');
    expect<u32>(set(6, 2)).toBe(INVALID_FIELD);
    expect<u32>(get(6, 3)).toBe(0);
    expect<u32>(result()).toBe(5);
  });
});

describe('Volatile Write Cache (06h) over a take-over', () => {
  test('the flush that was lost is made again', () => {
    boot(NAMESPACE_FLAG_ACTIVE, CACHED);
    const at = sqe(ADMIN_SET_FEATURES);
    store<u32>(at, 6, SQE_CDW10);
    submitOnly();
    expect<u32>(requestsTake()).toBe(1);
    takeOver();
    queuePoll(8, 0);
    expect<u32>(reap()).toBe(NO_COMPLETION);
    expect<u32>(requestsTake()).toBe(1);
    expect<u32>(load<u16>(REQUEST_BASE, REQUEST_OPERATION)).toBe(OPERATION_FLUSH);
    store<u32>(COMPLETION_BASE, load<u32>(REQUEST_BASE, REQUEST_SLOT), COMPLETION_SLOT);
    store<u32>(COMPLETION_BASE, 0, COMPLETION_RESULT);
    completionsPost(1);
    expect<u32>(reap()).toBe(0);
    expect<bool>(writeCacheEnabled()).toBe(false);
  });
});

describe('wrong requests', () => {
  beforeEach(() => boot(CACHED, NAMESPACE_FLAG_ACTIVE));

  test('features that do not exist', () => {
    for (let fid: u32 = 0; fid < 256; fid++) {
      const known = fid == 1 || fid == 2 || (fid >= 4 && fid <= 11) || fid == 14 || fid == 15;
      if (known || fid == 0x16 || fid == 0x80) continue;
      expect<u32>(get(fid)).toBe(INVALID_FIELD);
      expect<u32>(get(fid, 3)).toBe(INVALID_FIELD);
      expect<u32>(set(fid, 0)).toBe(INVALID_FIELD);
    }
  });

  test('SEL beyond 3, reserved bits, UUID index', () => {
    for (let select: u32 = 4; select < 8; select++) expect<u32>(get(1, select)).toBe(INVALID_FIELD);
    expect<u32>(command(ADMIN_GET_FEATURES, 0, 1 | (1 << 11))).toBe(INVALID_FIELD);
    expect<u32>(command(ADMIN_GET_FEATURES, 0, 1 | (1 << 31))).toBe(INVALID_FIELD);
    expect<u32>(command(ADMIN_GET_FEATURES, 0, 1, 0, 1)).toBe(INVALID_FIELD);
    expect<u32>(command(ADMIN_SET_FEATURES, 0, 1 | (1 << 8))).toBe(INVALID_FIELD);
    expect<u32>(command(ADMIN_SET_FEATURES, 0, 1 | (1 << 30))).toBe(INVALID_FIELD);
    expect<u32>(command(ADMIN_SET_FEATURES, 0, 1, 0, 1)).toBe(INVALID_FIELD);
  });

  test('dwords that no feature here uses', () => {
    const places: usize[] = [SQE_CDW12, SQE_CDW13, SQE_CDW15];
    for (let i = 0; i < places.length; i++) {
      for (let opcode: u32 = ADMIN_SET_FEATURES; opcode <= <u32>ADMIN_GET_FEATURES; opcode++) {
        const at = sqe(opcode);
        store<u32>(at, 1, SQE_CDW10);
        store<u32>(at + places[i], 0x80000000);
        submit();
        expect<u32>(reap()).toBe(INVALID_FIELD);
      }
    }
  });

  test('saving what is not saveable', () => {
    const fids: u32[] = [5, 7, 9, 11, 14, 15, 0x16];
    for (let i = 0; i < fids.length; i++) {
      const status = command(ADMIN_SET_FEATURES, 1, fids[i] | (1 << 31));
      expect<u32>(status).toBe(STATUS_FEATURE_NOT_SAVEABLE | STATUS_DNR);
    }
    expect<u32>(command(ADMIN_SET_FEATURES, 0, 3 | (1 << 31))).toBe(INVALID_FIELD, 'not even supported');
  });

  test('a namespace for a feature of the whole controller', () => {
    expect<u32>(set(1, 0, 1)).toBe(NOT_NAMESPACE_SPECIFIC);
    expect<u32>(set(1, 0, 256)).toBe(NOT_NAMESPACE_SPECIFIC);
    expect<u32>(set(1, 0, 257)).toBe(INVALID_NAMESPACE);
    expect<u32>(set(1, 0, BROADCAST)).toBe(0);
    expect<u32>(get(1, 0, 0, 1)).toBe(0, 'reading is harmless');
  });

  test('a Controller Reset brings the defaults back', () => {
    expect<u32>(set(1, 5)).toBe(0);
    expect<u32>(set(9, 1 | (1 << 16))).toBe(0);
    expect<u32>(set(5, 77, 1)).toBe(0);
    registerWrite(REG_CC, 0);
    enable();
    expect<u32>(get(1)).toBe(0);
    expect<u32>(result()).toBe(7);
    expect<u32>(get(9, 0, 1)).toBe(0);
    expect<u32>(result()).toBe(1);
    expect<u32>(get(5, 0, 0, 1)).toBe(0);
    expect<u32>(result()).toBe(0);
  });
});
