// A page of doorbells whose writers wake the caller: what is read from it and when, and what it outlives.

import {
  DEADLINE_NONE,
  DOORBELLS_NONE,
  EVENT_DOORBELL_REFUSED,
  POLL_OK,
  POLL_PAGE_INVALID,
  POLL_QUEUES_EXIST,
} from '../../assembly/abi/records.ts';
import {
  deadlineNext,
  doorbellsKick,
  doorbellsPoll,
  doorbellWrite,
  queueArm,
  queuePoll,
} from '../../assembly/controller/poll.ts';
import { registerWrite } from '../../assembly/controller/registers.ts';
import { controllerReset } from '../../assembly/controller/state.ts';
import { windowsTake } from '../../assembly/guest/windows.ts';
import { FID_NUMBER_OF_QUEUES } from '../../assembly/spec/nvme-features.ts';
import {
  ADMIN_ASYNC_EVENT_REQUEST,
  ADMIN_CREATE_IO_CQ,
  ADMIN_GET_FEATURES,
  REG_CC,
  SQE_CDW10,
  SQE_CDW11,
  SQE_PRP1,
} from '../../assembly/spec/nvme.ts';
import { Scheduler } from '../../assembly/wire/queue.ts';
import {
  boot,
  command,
  enable,
  eventsOf,
  MEMORY,
  NO_COMPLETION,
  pageUse,
  reap,
  sqe,
  submit,
  takeOver,
  work,
} from './support/machine.ts';
import {
  begin,
  CQ,
  FAR_PAGE,
  flushEntry,
  HEAD,
  head,
  memorySplit,
  PAGE,
  pair,
  put,
  secondAdd,
  secondFill,
  secondRemove,
  TAIL,
  tail,
  word,
} from './support/kick.ts';

describe('a page of doorbells whose writers ring', () => {
  it('is chosen before there are I/O queues; the one in use may be named again', () => {
    begin();
    expect(doorbellsKick(PAGE + 8, 0)).toBe(POLL_PAGE_INVALID);
    expect(doorbellsKick(PAGE, 0)).toBe(POLL_OK);
    pair();
    expect(doorbellsKick(PAGE, 0)).toBe(POLL_OK);
    expect(doorbellsKick(PAGE, 1)).toBe(POLL_QUEUES_EXIST);
    expect(doorbellsKick(PAGE + 0x1000, 0)).toBe(POLL_QUEUES_EXIST);
    expect(doorbellsKick(DOORBELLS_NONE, DOORBELLS_NONE)).toBe(POLL_QUEUES_EXIST);
    boot(1, 0);
    pageUse(0);
    enable();
    pair();
    expect(doorbellsKick(DOORBELLS_NONE, DOORBELLS_NONE)).toBe(POLL_OK, 'there is none');
    expect(doorbellsKick(PAGE, 0)).toBe(POLL_QUEUES_EXIST);
  });

  it('has the doorbells of the admin queue, whose register is a kick', () => {
    begin();
    for (let lap = 0; lap < 40; lap++) expect(command(ADMIN_GET_FEATURES, 0, FID_NUMBER_OF_QUEUES)).toBe(0);
    expect(tail(0)).toBe(40 % 16);
    doorbellWrite(0x1000, 3);
    doorbellWrite(0x1004, 1);
    expect(tail(0)).toBe(40 % 16);
    queuePoll(8, 0);
    expect(head(0)).toBe(40 % 16);
    doorbellWrite(0x1000, 16);
    expect(eventsOf(EVENT_DOORBELL_REFUSED)).toBe(1, 'the values of a kick are checked all the same');
  });

  it('is looked at once more before the caller sleeps, and needs no polling', () => {
    begin();
    pair();
    queuePoll(8, 0);
    expect(queueArm()).toBe(0);
    expect(deadlineNext()).toBe(DEADLINE_NONE);
    store<u32>(sqe(ADMIN_GET_FEATURES), FID_NUMBER_OF_QUEUES, SQE_CDW10);
    put(PAGE, 0, 3);
    expect(queueArm()).toBe(1);
    work();
    expect(reap()).toBe(0);
    flushEntry(0);
    put(PAGE, TAIL, 1);
    queuePoll(0, 0);
    expect(queueArm()).toBe(1);
    queuePoll(8, 0);
    expect(queueArm()).toBe(0);
    put(PAGE, HEAD, 1);
    expect(queueArm()).toBe(1, 'a head');
    expect(queueArm()).toBe(0);
  });

  it('begins the entries of an I/O queue with 0, and has its doorbells then', () => {
    begin();
    put(PAGE, TAIL, 5);
    put(PAGE, HEAD, 6);
    pair();
    expect(word(PAGE, TAIL)).toBe(0);
    expect(word(PAGE, HEAD)).toBe(0);
    for (let count: u32 = 1; count < 30; count++) {
      flushEntry((count - 1) & 7);
      put(PAGE, TAIL, count & 7);
      expect(queuePoll(8, 0)).not.toBe(0);
      expect(load<u16>(MEMORY + CQ + ((count - 1) & 7) * 16, 12)).toBe(100 + <u16>((count - 1) & 7));
      doorbellWrite(0x1008, (count + 3) & 7);
      expect(tail(1)).toBe(count & 7);
      put(PAGE, HEAD, count & 7);
      queuePoll(8, 0);
      expect(head(1)).toBe(count & 7, 'heads are read at every look');
    }
  });

  it('outlives disable, reset and another process', () => {
    begin();
    pair();
    flushEntry(0);
    put(PAGE, TAIL, 1);
    queuePoll(8, 0);
    registerWrite(REG_CC, 0);
    put(PAGE, TAIL, 4);
    put(PAGE, 0, 4);
    enable();
    pair();
    flushEntry(0);
    put(PAGE, TAIL, 1);
    queuePoll(8, 0);
    expect(load<u16>(MEMORY + CQ, 12)).toBe(100);
    controllerReset();
    enable();
    pair();
    flushEntry(0);
    flushEntry(1);
    put(PAGE, TAIL, 1);
    queuePoll(8, 0);
    put(PAGE, TAIL, 2);
    takeOver();
    put(PAGE, HEAD, 1);
    queuePoll(8, 0);
    expect(tail(1)).toBe(2);
    expect(head(1)).toBe(1);
    expect(load<u16>(MEMORY + CQ + 16, 12)).toBe(101);
    expect(doorbellsKick(PAGE, 0)).toBe(POLL_OK);
    expect(command(ADMIN_GET_FEATURES, 0, FID_NUMBER_OF_QUEUES)).toBe(0);
  });

  it('ends with no page: the values in use go on by calls', () => {
    begin();
    expect(command(ADMIN_GET_FEATURES, 0, FID_NUMBER_OF_QUEUES)).toBe(0);
    expect(doorbellsKick(DOORBELLS_NONE, DOORBELLS_NONE)).toBe(POLL_OK);
    pageUse(0);
    expect(command(ADMIN_GET_FEATURES, 0, FID_NUMBER_OF_QUEUES)).toBe(0);
    pair();
    flushEntry(0);
    doorbellWrite(0x1008, 1);
    queuePoll(8, 0);
    expect(load<u16>(MEMORY + CQ, 12)).toBe(100);
    expect(word(PAGE, TAIL)).toBe(0);
  });

  it('and a page that is polled end each other', () => {
    begin();
    expect(doorbellsPoll(PAGE, 0)).toBe(POLL_OK);
    expect(Scheduler.get().kicked).toBe(0);
    expect(doorbellsKick(PAGE, 0)).toBe(POLL_OK);
    expect(Scheduler.get().polled).toBe(0);
    pair();
    flushEntry(0);
    put(PAGE, TAIL, 1);
    queuePoll(8, 0);
    expect(load<u16>(MEMORY + CQ, 12)).toBe(100);
    expect(deadlineNext()).toBe(DEADLINE_NONE);
  });

  it('lets an event go that waited for a place in the admin completion queue', () => {
    begin();
    sqe(ADMIN_ASYNC_EVENT_REQUEST);
    submit();
    for (let count = 0; count < 15; count++) {
      store<u32>(sqe(ADMIN_GET_FEATURES), FID_NUMBER_OF_QUEUES, SQE_CDW10);
      submit();
    }
    doorbellWrite(0x1000 + 8 * 60, 1);
    queuePoll(8, 0);
    expect(Scheduler.get().eventFirst).not.toBe(0xffff, 'all places are taken');
    put(PAGE, 1, 15);
    queuePoll(8, 0);
    expect(Scheduler.get().eventFirst).toBe(0xffff);
  });
});

describe('a page of doorbells: what cannot be', () => {
  it('is told once, until it changes', () => {
    begin();
    pair();
    put(PAGE, TAIL, 8);
    put(PAGE, HEAD, 1);
    for (let polls = 0; polls < 4; polls++) {
      queuePoll(8, 0);
      queueArm();
    }
    expect(eventsOf(EVENT_DOORBELL_REFUSED)).toBe(2);
    put(PAGE, TAIL, 0x10000);
    queuePoll(8, 0);
    queuePoll(8, 0);
    expect(eventsOf(EVENT_DOORBELL_REFUSED)).toBe(1);
    expect(tail(1)).toBe(0);
    expect(head(1)).toBe(0);
    put(PAGE, HEAD, 0);
    flushEntry(0);
    put(PAGE, TAIL, 1);
    queuePoll(8, 0);
    expect(load<u16>(MEMORY + CQ, 12)).toBe(100);
  });

  it('is told of the admin queue too', () => {
    begin();
    put(PAGE, 0, 16);
    put(PAGE, 1, 2);
    for (let polls = 0; polls < 4; polls++) {
      queuePoll(8, 0);
      queueArm();
    }
    expect(eventsOf(EVENT_DOORBELL_REFUSED)).toBe(2);
    put(PAGE, 1, 0);
    expect(command(ADMIN_GET_FEATURES, 0, FID_NUMBER_OF_QUEUES)).toBe(0);
  });
});

describe('a page of doorbells and its window', () => {
  it('is waited for, and nothing moves while its memory is gone', () => {
    begin(FAR_PAGE);
    memorySplit();
    pair();
    secondRemove();
    flushEntry(0);
    put(FAR_PAGE, TAIL, 1);
    store<u32>(sqe(ADMIN_GET_FEATURES), FID_NUMBER_OF_QUEUES, SQE_CDW10);
    put(FAR_PAGE, 0, 3);
    queuePoll(8, 0);
    queuePoll(8, 0);
    expect(windowsTake()).toBe(0);
    expect(queueArm()).toBe(0, 'only new memory can help');
    expect(tail(0)).toBe(2);
    expect(tail(1)).toBe(0);
    secondAdd();
    expect(queueArm()).toBe(1);
    queuePoll(8, 0);
    expect(tail(0)).toBe(2);
    expect(queueArm()).toBe(1, 'its window is asked for');
    expect(secondFill()).toBe(true);
    work();
    expect(reap()).toBe(0);
    expect(load<u16>(MEMORY + CQ, 12)).toBe(100);
    queuePoll(8, 0);
    expect(queueArm()).toBe(0);
  });

  it('is waited for by the creation of a queue', () => {
    begin(FAR_PAGE);
    memorySplit();
    store<u32>(MEMORY + FAR_PAGE + HEAD * 4, 7);
    const at = sqe(ADMIN_CREATE_IO_CQ);
    store<u64>(at, CQ, SQE_PRP1);
    store<u32>(at, 0x00070001, SQE_CDW10);
    store<u32>(at, 3 | (1 << 16), SQE_CDW11);
    put(FAR_PAGE, 0, 1);
    queuePoll(0, 0);
    expect(tail(0)).toBe(1);
    secondRemove();
    secondAdd();
    queuePoll(8, 0);
    expect(reap()).toBe(NO_COMPLETION);
    expect(secondFill()).toBe(true);
    work();
    expect(reap()).toBe(0);
    expect(word(FAR_PAGE, HEAD)).toBe(0);
  });
});
