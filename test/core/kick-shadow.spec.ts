// A page of doorbells whose writers wake the caller: how it passes on to shadow doorbells and comes back; and the INTx
// pin, which follows heads wherever they are.

import { DOORBELLS_NONE, EVENT_DOORBELL_REFUSED, POLL_OK } from '../../assembly/abi/records.ts';
import { doorbellsKick, interruptAsserted, queueArm, queuePoll } from '../../assembly/controller/poll.ts';
import { registerWrite } from '../../assembly/controller/registers.ts';
import { FID_NUMBER_OF_QUEUES } from '../../assembly/spec/nvme-features.ts';
import {
  ADMIN_DOORBELL_BUFFER_CONFIG,
  ADMIN_GET_FEATURES,
  REG_CC,
  SQE_CDW10,
  SQE_PRP1,
  SQE_PRP2,
} from '../../assembly/spec/nvme.ts';
import {
  command,
  enable,
  eventsOf,
  MEMORY,
  NO_COMPLETION,
  pageUse,
  reap,
  sqe,
  submitOnly,
  work,
} from './support/machine.ts';
import {
  begin,
  buffersConfigure,
  CQ,
  EVENTS,
  flushEntry,
  HEAD,
  memorySplit,
  PAGE,
  pair,
  put,
  secondAdd,
  secondFill,
  secondRemove,
  SHADOW,
  TAIL,
  tail,
  word,
} from './support/kick.ts';

describe('a page of doorbells and Doorbell Buffer Config', () => {
  it('passes what it has on, and I/O queues leave it until the next disable', () => {
    begin();
    pair();
    memory.fill(MEMORY + SHADOW, 0xee, 0x2000);
    flushEntry(0);
    flushEntry(1);
    put(PAGE, TAIL, 1);
    queuePoll(8, 0);
    put(PAGE, TAIL, 2);
    put(PAGE, HEAD, 1);
    expect(buffersConfigure()).toBe(0);
    expect(word(SHADOW, TAIL)).toBe(2);
    expect(word(SHADOW, HEAD)).toBe(1);
    work();
    expect(load<u16>(MEMORY + CQ + 16, 12)).toBe(101);
    put(PAGE, TAIL, 5);
    queuePoll(8, 0);
    queueArm();
    expect(tail(1)).toBe(2, 'the page is left');
    expect(queueArm()).toBe(0);
    expect(word(EVENTS, TAIL)).toBe(2, 'armed');
    flushEntry(2);
    put(SHADOW, TAIL, 3);
    expect(queueArm()).toBe(1);
    queuePoll(8, 0);
    expect(load<u16>(MEMORY + CQ + 32, 12)).toBe(102);
    for (let count = 0; count < 40; count++)
      expect(command(ADMIN_GET_FEATURES, 0, FID_NUMBER_OF_QUEUES)).toBe(0);
    expect(word(SHADOW, 0)).toBe(0xeeeeeeee, 'the admin queue stays in the page');
    expect(word(EVENTS, 0)).toBe(0xeeeeeeee);
    expect(word(EVENTS, 1)).toBe(0xeeeeeeee);
    registerWrite(REG_CC, 0);
    enable();
    pair();
    flushEntry(0);
    put(PAGE, TAIL, 1);
    queuePoll(8, 0);
    expect(load<u16>(MEMORY + CQ, 12)).toBe(100);
  });

  it('is read until the buffers are in use, however long their window is missing', () => {
    begin();
    memorySplit();
    pair();
    secondRemove();
    secondAdd();
    flushEntry(0);
    flushEntry(1);
    put(PAGE, TAIL, 1);
    const at = sqe(ADMIN_DOORBELL_BUFFER_CONFIG);
    store<u64>(at, SHADOW, SQE_PRP1);
    store<u64>(at, EVENTS, SQE_PRP2);
    submitOnly();
    expect(reap()).toBe(NO_COMPLETION);
    expect(load<u16>(MEMORY + CQ, 12)).toBe(100, 'commands go on');
    put(PAGE, TAIL, 2);
    put(PAGE, HEAD, 1);
    expect(secondFill()).toBe(true);
    queuePoll(8, 0);
    expect(reap()).toBe(0);
    expect(word(SHADOW, TAIL)).toBe(2);
    expect(word(SHADOW, HEAD)).toBe(1);
    expect(load<u16>(MEMORY + CQ + 16, 12)).toBe(101);
    queuePoll(8, 0);
    expect(queueArm()).toBe(0);
    expect(word(EVENTS, TAIL)).toBe(2);
  });

  it('keeps the buffers when the page changes before there are queues', () => {
    begin();
    expect(buffersConfigure()).toBe(0);
    expect(doorbellsKick(DOORBELLS_NONE, DOORBELLS_NONE)).toBe(POLL_OK);
    pageUse(0);
    pair();
    flushEntry(0);
    put(SHADOW, TAIL, 1);
    queuePoll(8, 0);
    expect(load<u16>(MEMORY + CQ, 12)).toBe(100);
  });
});

describe('the INTx pin', () => {
  it('falls with the heads in the page, without a poll', () => {
    begin();
    pair();
    queuePoll(8, 0);
    expect(interruptAsserted()).toBe(0);
    store<u32>(sqe(ADMIN_GET_FEATURES), FID_NUMBER_OF_QUEUES, SQE_CDW10);
    submitOnly();
    expect(interruptAsserted()).toBe(1);
    expect(reap()).toBe(0);
    expect(interruptAsserted()).toBe(0);
    flushEntry(0);
    put(PAGE, TAIL, 1);
    queuePoll(8, 0);
    expect(interruptAsserted()).toBe(1);
    put(PAGE, HEAD, 2);
    expect(interruptAsserted()).toBe(1, 'no such head');
    expect(eventsOf(EVENT_DOORBELL_REFUSED)).toBe(0);
    queuePoll(8, 0);
    expect(eventsOf(EVENT_DOORBELL_REFUSED)).toBe(1, 'the poll tells');
    put(PAGE, HEAD, 1);
    expect(interruptAsserted()).toBe(0);
  });

  it('falls with the heads in shadow doorbells; a missing window answers with what is known', () => {
    begin();
    memorySplit();
    pair();
    expect(buffersConfigure()).toBe(0);
    flushEntry(0);
    put(SHADOW, TAIL, 1);
    queuePoll(8, 0);
    queuePoll(8, 0);
    expect(interruptAsserted()).toBe(1);
    expect(word(EVENTS, HEAD)).toBe(0, 'the guest rings when it has consumed the entry');
    put(SHADOW, HEAD, 1);
    store<u32>(sqe(ADMIN_GET_FEATURES), FID_NUMBER_OF_QUEUES, SQE_CDW10);
    submitOnly();
    expect(interruptAsserted()).toBe(1);
    expect(reap()).toBe(0);
    expect(interruptAsserted()).toBe(0, 'the admin queue stays in the page');
    flushEntry(1);
    put(SHADOW, TAIL, 2);
    queuePoll(8, 0);
    put(SHADOW, HEAD, 2);
    secondRemove();
    secondAdd();
    expect(interruptAsserted()).toBe(1);
    expect(queueArm()).toBe(1);
    expect(secondFill()).toBe(true);
    expect(interruptAsserted()).toBe(0);
  });
});
