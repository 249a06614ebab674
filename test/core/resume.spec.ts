// Going on from an image that a process left in the middle of a call: what it had half done is completed once, and a
// command that acts on others finds them as it would have.

import { NAMESPACE_FLAG_ACTIVE } from '../../assembly/abi/records.ts';
import { asyncEventWait } from '../../assembly/admin/async-events.ts';
import { submissionFetch } from '../../assembly/queue/submission.ts';
import {
  ABORT_CID_SHIFT,
  ADMIN_ABORT,
  ADMIN_ASYNC_EVENT_REQUEST,
  ADMIN_CREATE_IO_CQ,
  ADMIN_CREATE_IO_SQ,
  ADMIN_DELETE_IO_CQ,
  ADMIN_DELETE_IO_SQ,
  ADMIN_GET_FEATURES,
  NVM_READ,
  REG_DOORBELLS,
  SQE_CDW10,
  SQE_CDW11,
  SQE_NSID,
  SQE_PRP1,
  STATUS_ABORT_REQUESTED,
} from '../../assembly/spec/nvme.ts';
import { doorbellWrite, queuePoll } from '../../assembly/controller/poll.ts';
import { requestsTake } from '../../assembly/queue/requests.ts';
import { FID_NUMBER_OF_QUEUES } from '../../assembly/spec/nvme-features.ts';
import { controller } from '../../assembly/wire/controller.ts';
import { CompletionQueue, QUEUE_ABSENT, SubmissionQueue } from '../../assembly/wire/queue.ts';
import { Slot, SLOT_COMPLETING, SLOT_FREE, SLOT_WAITING, SLOT_WALKING } from '../../assembly/wire/slot.ts';
import {
  boot,
  command,
  DATA,
  lastCid,
  MEMORY,
  NO_COMPLETION,
  reap,
  result,
  sqe,
  submit,
  takeOver,
  work,
} from './support/machine.ts';

const CQ: u32 = 0x40000;
const SQ: u32 = 0x50000;

/** The slot of the admin command with this CID. */
function slotOf(cid: u32): Slot {
  for (let index: u32 = 0; index < 64; index++) {
    const slot = Slot.at(index);
    if (slot.state != SLOT_FREE && slot.sqid == 0 && <u32>slot.sqe.cid == cid) return slot;
  }
  assert(false);
  return Slot.at(0);
}

/** Queue pair 1 with one read of it at the caller, and a Delete that waits for it: its CID. */
function deleteWaits(): u32 {
  let at = sqe(ADMIN_CREATE_IO_CQ);
  store<u64>(at, CQ, SQE_PRP1);
  store<u32>(at, 1 | (3 << 16), SQE_CDW10);
  store<u32>(at, 0x10003, SQE_CDW11);
  submit();
  expect<u32>(reap()).toBe(0);
  at = sqe(ADMIN_CREATE_IO_SQ);
  store<u64>(at, SQ, SQE_PRP1);
  store<u32>(at, 1 | (3 << 16), SQE_CDW10);
  store<u32>(at, 0x10001, SQE_CDW11);
  submit();
  expect<u32>(reap()).toBe(0);
  memory.fill(MEMORY + SQ, 0, 64);
  store<u8>(MEMORY + SQ, NVM_READ);
  store<u32>(MEMORY + SQ, 1, SQE_NSID);
  store<u64>(MEMORY + SQ, DATA, SQE_PRP1);
  doorbellWrite(REG_DOORBELLS + 8, 1);
  queuePoll(8, 0);
  expect<u32>(requestsTake()).toBe(1);
  store<u32>(sqe(ADMIN_DELETE_IO_SQ), 1, SQE_CDW10);
  submit();
  expect<u32>(reap()).toBe(NO_COMPLETION);
  return lastCid();
}

describe('a process that ends in the middle of a call', () => {
  beforeEach(() => {
    boot(NAMESPACE_FLAG_ACTIVE, 0);
  });

  test('after an entry was published and before its slot was free: the entry is not written twice', () => {
    expect<u32>(command(ADMIN_GET_FEATURES, 0, FID_NUMBER_OF_QUEUES)).toBe(0);
    store<u32>(sqe(ADMIN_GET_FEATURES), FID_NUMBER_OF_QUEUES, SQE_CDW10);
    submit();
    const tag = <u32>(CompletionQueue.at(0).publishing >> 32);
    const slot = Slot.at(tag & 0xffff);
    slot.state = SLOT_COMPLETING;
    slot.permit = 1;
    slot.generation--;
    takeOver();
    work();
    expect<u32>(reap()).toBe(0);
    expect<u32>(reap()).toBe(NO_COMPLETION);
    for (let i = 0; i < 40; i++) expect<u32>(command(ADMIN_GET_FEATURES, 0, FID_NUMBER_OF_QUEUES)).toBe(0);
  });

  test('before an Abort was executed that finds the last of the commands that run again', () => {
    const cid = lastCid() + 2;
    store<u32>(sqe(ADMIN_ABORT), cid << ABORT_CID_SHIFT, SQE_CDW10);
    SubmissionQueue.at(0).tail = 1;
    const first = submissionFetch(SubmissionQueue.at(0), 1);
    expect(first).not.toBeNull();
    const second = MEMORY + 0x1000 + 64;
    memory.copy(second, MEMORY + 0x1000, 64);
    store<u8>(second, ADMIN_GET_FEATURES);
    store<u16>(second, <u16>cid, 2);
    store<u32>(second, FID_NUMBER_OF_QUEUES, SQE_CDW10);
    doorbellWrite(REG_DOORBELLS, 2);
    expect(submissionFetch(SubmissionQueue.at(0), 1)).not.toBeNull();
    takeOver();
    work();
    expect<u32>(reap()).toBe(STATUS_ABORT_REQUESTED);
    expect<u32>(reap()).toBe(0);
    expect<u32>(result()).toBe(0, 'the command was aborted');
    expect<u32>(reap()).toBe(NO_COMPLETION);
  });

  test('after an Asynchronous Event Request was noted and before it was parked: it waits once', () => {
    sqe(ADMIN_ASYNC_EVENT_REQUEST);
    SubmissionQueue.at(0).tail = 1;
    const first = submissionFetch(SubmissionQueue.at(0), 1);
    expect(first).not.toBeNull();
    asyncEventWait(slotOf(lastCid()));
    takeOver();
    work();
    expect<u32>(<u32>controller().aerCount).toBe(1);
    doorbellWrite(REG_DOORBELLS + 8 * 60, 1);
    expect<u32>(reap()).toBe(0);
    expect<u32>(reap()).toBe(NO_COMPLETION);
  });

  test('before a Delete I/O Submission Queue that had begun was seen to wait', () => {
    const slot = slotOf(deleteWaits());
    slot.state = SLOT_WALKING;
    takeOver();
    work();
    expect<u32>(requestsTake()).toBe(0);
    expect<u32>(<u32>slot.state).toBe(SLOT_WAITING);
    expect<u32>(reap()).toBe(NO_COMPLETION);
  });

  test('after a submission queue was gone and before its Delete completed', () => {
    deleteWaits();
    const sq = SubmissionQueue.at(1);
    for (let index: u32 = 0; index < 64; index++)
      if (Slot.at(index).sqid == 1) Slot.at(index).state = SLOT_FREE;
    sq.state = QUEUE_ABSENT;
    takeOver();
    work();
    expect<u32>(reap()).toBe(0);
    // The completion queue has lost its user, whether or not that was counted in time.
    store<u32>(sqe(ADMIN_DELETE_IO_CQ), 1, SQE_CDW10);
    submit();
    expect<u32>(reap()).toBe(0);
  });
});
