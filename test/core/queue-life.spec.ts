// Queues that go: deleted, reset, or taken over by another process in the middle of something.

import { QUEUE_COUNT } from '../../assembly/abi/memory-map.ts';
import { completionPost, completionsRetry } from '../../assembly/queue/completion.ts';
import { interruptsTake } from '../../assembly/queue/interrupt.ts';
import {
  completionQueueCreate,
  ioQueuesExist,
  queuesReset,
  submissionQueueCreate,
  submissionQueueDelete,
} from '../../assembly/queue/lifecycle.ts';
import { completionSlot, requestIssue, requestsTake } from '../../assembly/queue/requests.ts';
import { queuesResume } from '../../assembly/queue/resume.ts';
import { requestsOutstanding } from '../../assembly/queue/slots.ts';
import { submissionFetch } from '../../assembly/queue/submission.ts';
import {
  CompletionQueue,
  QUEUE_ABSENT,
  QUEUE_DELETING,
  Scheduler,
  SubmissionQueue,
} from '../../assembly/wire/queue.ts';
import { Completion } from '../../assembly/wire/request.ts';
import {
  SLOT_COMPLETING,
  SLOT_ISSUED,
  SLOT_NONE,
  SLOT_ORPHAN,
  SLOT_WALKING,
} from '../../assembly/wire/slot.ts';
import { CQ_BASE, SLOTS, pair, entry, cqe, invariant, serve } from './support/pair.ts';

describe('deleting and resetting', () => {
  it('deletes an idle queue at once, a busy one after its last command', () => {
    pair(8);
    completionQueueCreate(0, CQ_BASE + 0x1000, 8, 0, true);
    submissionQueueCreate(0, 0x30000, 8, 0);
    const admin = SubmissionQueue.at(0);
    admin.tail = 1;
    const deleter = submissionFetch(admin, 1)!;
    const sq = SubmissionQueue.at(1);
    sq.tail = 3;
    const first = submissionFetch(sq, 1)!;
    const second = submissionFetch(sq, 1)!;
    expect(submissionQueueDelete(sq, deleter)).toBe(false);
    expect(sq.state).toBe(QUEUE_DELETING);
    expect(Scheduler.get().live).toBe(0);
    completionPost(second);
    expect(CompletionQueue.at(0).tail).toBe(0);
    completionPost(first);
    expect(sq.state).toBe(QUEUE_ABSENT);
    expect(CompletionQueue.at(1).submissionQueues).toBe(0);
    expect(CompletionQueue.at(0).tail).toBe(1);
    expect(ioQueuesExist()).toBe(true);
  });

  it('withdraws what nobody took and keeps as orphans what somebody did', () => {
    pair(8);
    const sq = SubmissionQueue.at(1);
    sq.tail = 4;
    const taken = submissionFetch(sq, 1)!;
    requestIssue(taken);
    expect(requestsTake()).toBe(1);
    const tag = taken.tag;
    requestIssue(submissionFetch(sq, 1)!);
    submissionFetch(sq, 1);
    queuesReset();
    expect(requestsTake()).toBe(0);
    expect(requestsOutstanding()).toBe(1);
    expect(taken.state).toBe(SLOT_ORPHAN);
    expect(Scheduler.get().slotsFree).toBe(SLOTS - 1);
    for (let qid: u32 = 0; qid < <u32>QUEUE_COUNT; qid++) {
      expect(SubmissionQueue.at(qid).state).toBe(QUEUE_ABSENT);
      expect(CompletionQueue.at(qid).state).toBe(QUEUE_ABSENT);
    }
    Completion.at(0).slot = tag;
    expect(completionSlot(0) === null).toBe(true);
    expect(requestsOutstanding()).toBe(0);
    expect(Scheduler.get().slotsFree).toBe(SLOTS);
  });
});

/** Puts the scheduler's lists and counts into disorder: a resume must not believe any of them. */
function scramble(): void {
  const s = Scheduler.get();
  s.slotFirst = 5;
  s.slotsFree = 1;
  s.walkFirst = 3;
  s.walkLast = 4;
  s.completing = 9;
  s.requestCount = 3;
  s.requestsOutstanding = 7;
  s.live = 0;
  CompletionQueue.at(1).places = 0;
  SubmissionQueue.at(1).outstanding = 99;
}

describe('resuming', () => {
  it('runs again what was issued, and makes lists and counts anew', () => {
    pair(8);
    const sq = SubmissionQueue.at(1);
    const cq = CompletionQueue.at(1);
    sq.tail = 5;
    serve(sq);
    requestIssue(submissionFetch(sq, 1)!);
    const walking = submissionFetch(sq, 1)!;
    scramble();
    queuesResume();
    const s = Scheduler.get();
    expect(s.live).toBe(1);
    expect(sq.outstanding).toBe(2);
    expect(cq.places).toBe(4);
    expect(s.slotsFree).toBe(SLOTS - 2);
    expect(s.requestsOutstanding).toBe(0);
    expect(walking.state).toBe(SLOT_WALKING);
    expect(s.walkFirst).not.toBe(SLOT_NONE);
    expect(invariant(1)).toBe(true);
    expect(interruptsTake()).toBe(1);
  });

  it('forgets entries whose fetch was not committed: they are still in the queue', () => {
    pair(8);
    const sq = SubmissionQueue.at(1);
    sq.tail = 5;
    submissionFetch(sq, 1);
    const head = sq.head;
    const sequence = sq.sequence;
    submissionFetch(sq, 2);
    // As if the process had died before the atomic store of head and sequence.
    sq.head = head;
    sq.sequence = sequence;
    scramble();
    queuesResume();
    expect(Scheduler.get().slotsFree).toBe(SLOTS - 1);
    expect(sq.outstanding).toBe(1);
    expect(invariant(1)).toBe(true);
  });

  it('writes the entry that was on its way again, in the same place, before any other', () => {
    for (let died = 0; died < 4; died++) {
      pair(8);
      const sq = SubmissionQueue.at(1);
      const cq = CompletionQueue.at(1);
      for (let index: u32 = 0; index < 4; index++) entry(index, 0x60 + index);
      sq.tail = 4;
      const first = submissionFetch(sq, 1)!;
      const second = submissionFetch(sq, 1)!;
      const secondTag = second.tag;
      // 0: before the entry was written; 1: after it, before the tail moved; 2: so, though the slot is free already;
      // 3: after the tail moved.
      if (died == 0) {
        cq.publishing = (<u64>cq.posted) | ((<u64>secondTag) << 32);
        second.state = SLOT_COMPLETING;
      } else {
        completionPost(second);
      }
      if (died == 1) {
        second.generation--;
        second.permit = 1;
        second.state = SLOT_COMPLETING;
      }
      if (died == 1 || died == 2) {
        cq.tail = 0;
        cq.posted = 0;
      }
      scramble();
      queuesResume();
      completionsRetry();
      expect(cqe(0).cid).toBe(0x61);
      expect(cq.tail).toBe(1);
      expect(invariant(1)).toBe(true);
      requestIssue(first);
      expect(first.state).toBe(SLOT_ISSUED);
      completionPost(first);
      expect(cqe(1).cid).toBe(0x60);
    }
  });
});
