// Keep Alive: the command, the timer (feature 0Fh), when the core wants to be called, and what happens at the end.

import { DEADLINE_NONE, EVENT_CONTROLLER_FAILED, NAMESPACE_FLAG_ACTIVE } from '../../assembly/abi/records.ts';
import { deadlineNext, queuePoll } from '../../assembly/controller/poll.ts';
import { registerWrite } from '../../assembly/controller/registers.ts';
import {
  ADMIN_GET_FEATURES,
  ADMIN_GET_LOG_PAGE,
  ADMIN_KEEP_ALIVE,
  ADMIN_SET_FEATURES,
  CSTS_CFS,
  CSTS_RDY,
  REG_CC,
  REG_CSTS,
  SQE_CDW10,
  STATUS_DNR,
  STATUS_INVALID_FIELD,
  STATUS_KEEP_ALIVE_EXPIRED,
} from '../../assembly/spec/nvme.ts';
import {
  NO_COMPLETION,
  boot,
  command,
  data16,
  data64,
  enable,
  eventsOf,
  reap,
  reg,
  result,
  sqe,
  submit,
  takeOver,
  timeSet,
} from './support/machine.ts';

const SECOND: u64 = 1000000;
const BEGIN: u64 = 5000 * SECOND;

function timeout(milliseconds: u32): u32 {
  return command(ADMIN_SET_FEATURES, 0, 0x0f, milliseconds);
}

function keepAlive(): u32 {
  return command(ADMIN_KEEP_ALIVE, 0, 0);
}

describe('Keep Alive', () => {
  beforeEach(() => {
    boot(NAMESPACE_FLAG_ACTIVE, NAMESPACE_FLAG_ACTIVE);
    timeSet(BEGIN);
    queuePoll(8, BEGIN);
  });

  test('is a success with and without a timer; its dwords are reserved', () => {
    expect<u32>(keepAlive()).toBe(0);
    expect<u32>(timeout(1000)).toBe(0);
    expect<u32>(keepAlive()).toBe(0);
    for (let dword: usize = 0; dword < 6; dword++) {
      const at = sqe(ADMIN_KEEP_ALIVE);
      store<u32>(at + SQE_CDW10 + dword * 4, 0x80000000);
      submit();
      expect<u32>(reap()).toBe(STATUS_INVALID_FIELD | STATUS_DNR);
    }
  });

  test('the timeout is rounded up to whole seconds (KAS)', () => {
    const asked: u32[] = [0, 1, 1000, 1001, 60000, 0xffffffff];
    const given: u32[] = [0, 1000, 1000, 2000, 60000, 4294967000];
    for (let i = 0; i < asked.length; i++) {
      expect<u32>(timeout(asked[i])).toBe(0);
      expect<u32>(command(ADMIN_GET_FEATURES, 0, 0x0f)).toBe(0);
      expect<u32>(result()).toBe(given[i]);
    }
    expect<u32>(deadlineNext()).toBe(DEADLINE_NONE - 1, 'more than 71 minutes: as late as can be said');
    expect<u32>(command(ADMIN_GET_FEATURES, 0, 0x0f | (1 << 8))).toBe(0);
    expect<u32>(result()).toBe(0, 'default: off');
    expect<u32>(command(ADMIN_GET_FEATURES, 0, 0x0f | (3 << 8))).toBe(0);
    expect<u32>(result()).toBe(4, 'changeable, not saveable');
  });

  test('deadline_next follows the timer, and a Keep Alive starts it anew', () => {
    expect<u32>(deadlineNext()).toBe(DEADLINE_NONE);
    expect<u32>(timeout(3000)).toBe(0);
    expect<u32>(deadlineNext()).toBe(3000000);
    timeSet(BEGIN + SECOND);
    queuePoll(8, BEGIN + SECOND);
    expect<u32>(deadlineNext()).toBe(2000000);
    expect<u32>(keepAlive()).toBe(0);
    expect<u32>(deadlineNext()).toBe(3000000);
    expect<u32>(timeout(0)).toBe(0);
    expect<u32>(deadlineNext()).toBe(DEADLINE_NONE);
    queuePoll(8, BEGIN + 100 * SECOND);
    expect<u32>(reg(REG_CSTS)).toBe(CSTS_RDY);
  });

  test('expires at its time and no microsecond before: CSTS.CFS, an error entry, nothing is fetched', () => {
    expect<u32>(timeout(2000)).toBe(0);
    eventsOf(0);
    queuePoll(8, BEGIN + 2 * SECOND - 1);
    expect<u32>(reg(REG_CSTS)).toBe(CSTS_RDY);
    expect<u32>(deadlineNext()).toBe(1);
    timeSet(BEGIN + 2 * SECOND);
    queuePoll(8, BEGIN + 2 * SECOND);
    expect<u32>(reg(REG_CSTS)).toBe(CSTS_RDY | CSTS_CFS);
    expect<u32>(eventsOf(EVENT_CONTROLLER_FAILED)).toBe(1);
    expect<u32>(deadlineNext()).toBe(DEADLINE_NONE);
    expect<u32>(keepAlive()).toBe(NO_COMPLETION);
    // A reset is a new life, without a timer; the error is remembered.
    registerWrite(REG_CC, 0);
    enable();
    expect<u32>(reg(REG_CSTS)).toBe(CSTS_RDY);
    expect<u32>(command(ADMIN_GET_FEATURES, 0, 0x0f)).toBe(0);
    expect<u32>(result()).toBe(0);
    expect<u32>(command(ADMIN_GET_LOG_PAGE, 0, 1 | (15 << 16))).toBe(0);
    expect<u64>(data64(0)).toBe(1);
    expect<u32>(data16(8)).toBe(0xffff);
    expect<u32>(data16(12)).toBe(STATUS_KEEP_ALIVE_EXPIRED << 1);
  });

  test('a Keep Alive that is in the queue when the time is over counts', () => {
    expect<u32>(timeout(2000)).toBe(0);
    timeSet(BEGIN + 2 * SECOND);
    expect<u32>(keepAlive()).toBe(0);
    expect<u32>(reg(REG_CSTS)).toBe(CSTS_RDY);
  });

  test('a caller that was stopped for longer gives the guest its time again', () => {
    expect<u32>(timeout(2000)).toBe(0);
    queuePoll(8, BEGIN + 60 * SECOND);
    expect<u32>(reg(REG_CSTS)).toBe(CSTS_RDY);
    expect<u32>(deadlineNext()).toBe(2000000);
    queuePoll(8, BEGIN + 62 * SECOND);
    expect<u32>(reg(REG_CSTS)).toBe(CSTS_RDY | CSTS_CFS);
  });

  test('another process begins the time anew', () => {
    expect<u32>(timeout(2000)).toBe(0);
    takeOver();
    queuePoll(8, 7);
    expect<u32>(reg(REG_CSTS)).toBe(CSTS_RDY);
    queuePoll(8, 6 + 2 * SECOND);
    expect<u32>(reg(REG_CSTS)).toBe(CSTS_RDY);
    queuePoll(8, 7 + 2 * SECOND);
    expect<u32>(reg(REG_CSTS)).toBe(CSTS_RDY | CSTS_CFS);
  });

  test('a shutdown stops the timer', () => {
    expect<u32>(timeout(2000)).toBe(0);
    registerWrite(REG_CC, 0x00460001 | (1 << 14));
    expect<u32>(deadlineNext()).toBe(DEADLINE_NONE);
    queuePoll(8, BEGIN + 2 * SECOND);
    expect<u32>(reg(REG_CSTS) & CSTS_CFS).toBe(0);
  });
});
