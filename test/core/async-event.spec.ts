// Asynchronous events: requests that wait, events that wait, types that are masked until their page was read.

import { NAMESPACE_FLAG_ACTIVE } from '../../assembly/abi/records.ts';
import { asyncEventPost } from '../../assembly/admin/async-events.ts';
import { doorbellWrite } from '../../assembly/controller/poll.ts';
import { registerWrite } from '../../assembly/controller/registers.ts';
import { AEN_TYPE_NOTICE, LID_ERROR, LID_SMART } from '../../assembly/spec/nvme-logs.ts';
import {
  ADMIN_ABORT,
  ADMIN_ASYNC_EVENT_REQUEST,
  ADMIN_GET_LOG_PAGE,
  ADMIN_IDENTIFY,
  ADMIN_SET_FEATURES,
  REG_CC,
  REG_CSTS,
  REG_DOORBELLS,
  STATUS_ABORT_REQUESTED,
  STATUS_AER_LIMIT_EXCEEDED,
  STATUS_DNR,
  STATUS_INVALID_FIELD,
} from '../../assembly/spec/nvme.ts';
import {
  ADMIN_ENTRIES,
  NO_COMPLETION,
  boot,
  command,
  enable,
  lastCid,
  reap,
  reg,
  result,
  sqe,
  submit,
  work,
} from './support/machine.ts';

const RAE: u32 = 1 << 15;
const NO_QUEUE: u32 = REG_DOORBELLS + 0x80;
const EVENT_NO_QUEUE: u32 = 0x010000;
const EVENT_VALUE: u32 = 0x010100;
const EVENT_TEMPERATURE: u32 = 0x020101;

function request(): u32 {
  return command(ADMIN_ASYNC_EVENT_REQUEST, 0, 0);
}

function readLog(lid: u32, flags: u32 = 0): u32 {
  return command(ADMIN_GET_LOG_PAGE, 0xffffffff, lid | flags | (15 << 16));
}

function start(): void {
  boot(NAMESPACE_FLAG_ACTIVE, NAMESPACE_FLAG_ACTIVE);
}

describe('requests', () => {
  beforeEach(start);

  test('a request waits, the other commands do not', () => {
    expect<u32>(request()).toBe(NO_COMPLETION);
    expect<u32>(command(ADMIN_IDENTIFY, 0, 1)).toBe(0);
  });

  test('its dwords are all reserved', () => {
    expect<u32>(command(ADMIN_ASYNC_EVENT_REQUEST, 0, 1)).toBe(STATUS_INVALID_FIELD | STATUS_DNR);
    expect<u32>(command(ADMIN_ASYNC_EVENT_REQUEST, 0, 0, 1)).toBe(STATUS_INVALID_FIELD | STATUS_DNR);
    expect<u32>(command(ADMIN_ASYNC_EVENT_REQUEST, 0, 0, 0, 1)).toBe(STATUS_INVALID_FIELD | STATUS_DNR);
  });

  test('four wait, the fifth is one too many', () => {
    for (let i = 0; i < 4; i++) expect<u32>(request()).toBe(NO_COMPLETION);
    for (let i = 0; i < 8; i++) expect<u32>(request()).toBe(STATUS_AER_LIMIT_EXCEEDED | STATUS_DNR);
    doorbellWrite(NO_QUEUE, 1);
    expect<u32>(reap()).toBe(0);
    expect<u32>(request()).toBe(NO_COMPLETION);
  });

  test('Abort ends a request that waits', () => {
    expect<u32>(request()).toBe(NO_COMPLETION);
    const cid = lastCid();
    expect<u32>(command(ADMIN_ABORT, 0, cid << 16)).toBe(STATUS_ABORT_REQUESTED);
    expect<u32>(reap()).toBe(0, 'the Abort itself');
    expect<u32>(result() & 1).toBe(0);
    doorbellWrite(NO_QUEUE, 1);
    expect<u32>(reap()).toBe(NO_COMPLETION, 'nobody waits any more');
    expect<u32>(command(ADMIN_ABORT, 0, cid << 16)).toBe(0);
    expect<u32>(result() & 1).toBe(1, 'there is nothing to abort');
  });

  test('requests own no entry: a queue full of other completions still works', () => {
    for (let i = 0; i < 4; i++) expect<u32>(request()).toBe(NO_COMPLETION);
    for (let i: u32 = 0; i < ADMIN_ENTRIES - 1; i++) {
      const at = sqe(ADMIN_IDENTIFY);
      store<u32>(at, 1, 40);
      submit();
    }
    doorbellWrite(NO_QUEUE, 1);
    for (let i: u32 = 0; i < ADMIN_ENTRIES - 1; i++) expect<u32>(reap()).toBe(0);
    work();
    expect<u32>(reap()).toBe(0, 'the event comes when there is a place');
    expect<u32>(result()).toBe(EVENT_NO_QUEUE);
  });

  test('a reset forgets requests, events and masks', () => {
    expect<u32>(request()).toBe(NO_COMPLETION);
    doorbellWrite(NO_QUEUE, 1);
    expect<u32>(reap()).toBe(0);
    doorbellWrite(REG_DOORBELLS, 999);
    registerWrite(REG_CC, 0);
    expect<u32>(reg(REG_CSTS)).toBe(0);
    enable();
    for (let i = 0; i < 4; i++) expect<u32>(request()).toBe(NO_COMPLETION);
    doorbellWrite(NO_QUEUE, 1);
    expect<u32>(reap()).toBe(0);
    expect<u32>(result()).toBe(EVENT_NO_QUEUE);
  });
});

describe('events', () => {
  beforeEach(start);

  test('an event before the request completes it at once', () => {
    doorbellWrite(REG_DOORBELLS, 999);
    expect<u32>(request()).toBe(0);
    expect<u32>(result()).toBe(EVENT_VALUE);
  });

  test('a type is masked until its page is read without RAE', () => {
    expect<u32>(request()).toBe(NO_COMPLETION);
    expect<u32>(request()).toBe(NO_COMPLETION);
    doorbellWrite(NO_QUEUE, 1);
    doorbellWrite(REG_DOORBELLS, 999);
    expect<u32>(reap()).toBe(0);
    expect<u32>(result()).toBe(EVENT_NO_QUEUE);
    expect<u32>(reap()).toBe(NO_COMPLETION);
    expect<u32>(readLog(LID_ERROR, RAE)).toBe(0);
    expect<u32>(reap()).toBe(NO_COMPLETION, 'RAE retains it');
    expect<u32>(readLog(LID_SMART)).toBe(0);
    expect<u32>(reap()).toBe(NO_COMPLETION, 'another page');
    expect<u32>(command(ADMIN_GET_LOG_PAGE, 1, LID_ERROR)).toBe(STATUS_INVALID_FIELD | STATUS_DNR);
    expect<u32>(reap()).toBe(NO_COMPLETION, 'a page that was refused');
    readLog(LID_ERROR);
    const first = result();
    expect<u32>(reap()).toBe(0);
    expect<u32>(first | result()).toBe(EVENT_VALUE, 'the next one and the log page, in either order');
  });

  test('types are masked one by one', () => {
    for (let i = 0; i < 3; i++) expect<u32>(request()).toBe(NO_COMPLETION);
    doorbellWrite(NO_QUEUE, 1);
    expect<u32>(reap()).toBe(0);
    asyncEventPost(AEN_TYPE_NOTICE, 0, 4);
    expect<u32>(reap()).toBe(0);
    expect<u32>(result()).toBe(0x040002);
  });

  test('a flood of the same mistake is one event', () => {
    for (let i: u32 = 0; i < 1000; i++) doorbellWrite(NO_QUEUE, i);
    for (let i: u32 = 0; i < 1000; i++) doorbellWrite(REG_DOORBELLS, 1000 + i);
    expect<u32>(request()).toBe(0);
    expect<u32>(result()).toBe(EVENT_NO_QUEUE);
    expect<u32>(readLog(LID_ERROR)).toBe(0);
    expect<u32>(request()).toBe(0);
    expect<u32>(result()).toBe(EVENT_VALUE);
    expect<u32>(readLog(LID_ERROR)).toBe(0);
    expect<u32>(request()).toBe(NO_COMPLETION);
  });

  test('a temperature threshold that is passed, where the guest wants to know', () => {
    expect<u32>(request()).toBe(NO_COMPLETION);
    expect<u32>(command(ADMIN_SET_FEATURES, 0, 4, 300)).toBe(0);
    expect<u32>(reap()).toBe(NO_COMPLETION, 'not configured');
    expect<u32>(command(ADMIN_SET_FEATURES, 0, 11, 2)).toBe(0);
    // The event and the Set Features complete in either order.
    const dw0 = result();
    expect<u32>(reap()).toBe(0);
    expect<u32>(dw0 | result()).toBe(EVENT_TEMPERATURE);
    expect<u32>(request()).toBe(NO_COMPLETION);
    expect<u32>(command(ADMIN_SET_FEATURES, 0, 4, 301)).toBe(0, 'reported already');
    expect<u32>(reap()).toBe(NO_COMPLETION);
    expect<u32>(readLog(LID_SMART)).toBe(0);
    expect<u32>(reap()).toBe(NO_COMPLETION);
    expect<u32>(command(ADMIN_SET_FEATURES, 0, 4, 400 | (1 << 20))).toBe(0, 'under as well');
    const next = result();
    expect<u32>(reap()).toBe(0);
    expect<u32>(next | result()).toBe(EVENT_TEMPERATURE);
  });
});
