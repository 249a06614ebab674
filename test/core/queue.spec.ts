// Submission and completion queues: places, slots, what is fetched and when, what is published and in what order; small
// rings exhaustively.

import { SLOT_ADMIN_RESERVE } from '../../assembly/abi/memory-map.ts';
import {
  completionPost,
  completionsRetry,
  eventsRetry,
  headMove,
  parkedBegin,
  parkedComplete,
  placeRelease,
  placeReserve,
} from '../../assembly/queue/completion.ts';
import { interruptPending, interruptsTake } from '../../assembly/queue/interrupt.ts';
import { completionQueueCreate, submissionQueueCreate } from '../../assembly/queue/lifecycle.ts';
import { completionSlot, requestIssue, requestsTake } from '../../assembly/queue/requests.ts';
import { requestsOutstanding } from '../../assembly/queue/slots.ts';
import {
  FETCH_CORKED,
  FETCH_EMPTY,
  FETCH_MISSING,
  FETCH_NO_SLOT,
  FETCH_PARKED,
  FETCH_READY,
  fetchState,
  submissionFetch,
} from '../../assembly/queue/submission.ts';
import { Cqe } from '../../assembly/wire/cqe.ts';
import { CompletionQueue, Scheduler, SubmissionQueue } from '../../assembly/wire/queue.ts';
import { Completion, Request } from '../../assembly/wire/request.ts';
import { Slot, SLOT_NONE, SLOT_WALKING } from '../../assembly/wire/slot.ts';
import {
  APART,
  guestBegin,
  guestFill,
  guestRegion,
  guestShow,
  READ_WRITE,
  regionWithout,
  WINDOWS,
} from './support/guest.ts';
import { SQ_BASE, CQ_BASE, SLOTS, pair, entry, cqe, invariant, serve, serveAll } from './support/pair.ts';

describe('completion queue', () => {
  it('has size - 1 places, which are reserved and released one by one', () => {
    for (let size: u32 = 2; size <= 9; size++) {
      pair(size);
      const cq = CompletionQueue.at(1);
      for (let places = size - 1; places > 0; places--) expect(placeReserve(cq)).toBe(true);
      expect(placeReserve(cq)).toBe(false);
      placeRelease(cq);
      expect(placeReserve(cq)).toBe(true);
    }
  });

  it('takes exactly the heads that lie between head and tail', () => {
    let wrong = 0;
    for (let size: u32 = 2; size <= 8; size++) {
      for (let tail: u32 = 0; tail < size; tail++) {
        for (let used: u32 = 0; used < size; used++) {
          for (let step: u32 = 0; step < size; step++) {
            pair(size);
            const cq = CompletionQueue.at(1);
            cq.tail = <u16>tail;
            cq.head = (tail + size - used) % size;
            cq.places = size - 1 - used;
            const head = (cq.head + step) % size;
            const moved = headMove(cq, head);
            if (moved != step <= used) wrong++;
            if (cq.places != size - 1 - used + (moved ? step : 0)) wrong++;
          }
        }
      }
    }
    expect(wrong).toBe(0);
  });

  it('publishes entries with alternating phase, lap after lap', () => {
    for (let size: u32 = 2; size <= 6; size++) {
      pair(size);
      const sq = SubmissionQueue.at(1);
      const cq = CompletionQueue.at(1);
      for (let count: u32 = 0; count < size * 5; count++) {
        const place = count % size;
        const phase = (count / size) & 1 ? 0 : 1;
        entry(place, 0x100 + count);
        sq.tail = (place + 1) % size;
        expect(serve(sq)).toBe(true);
        const published = cqe(place);
        expect(published.cid).toBe(<u16>(0x100 + count));
        expect(published.status).toBe(<u16>phase);
        expect(published.sqhd).toBe(<u16>sq.tail);
        expect(published.sqid).toBe(1);
        expect(headMove(cq, (place + 1) % size)).toBe(true);
        expect(invariant(1)).toBe(true);
      }
    }
  });

  it('carries status, result and DNR', () => {
    pair(4);
    const sq = SubmissionQueue.at(1);
    entry(0, 7);
    sq.tail = 1;
    const slot = submissionFetch(sq, 1)!;
    slot.status = 0x4281;
    slot.result = 0x12345678;
    completionPost(slot);
    expect(cqe(0).dw0).toBe(0x12345678);
    expect(cqe(0).dw1).toBe(0);
    expect(cqe(0).status).toBe(0x8503);
  });

  it('signals its vector once for many entries, and no vector without IEN', () => {
    pair(8);
    const sq = SubmissionQueue.at(1);
    sq.tail = 5;
    serveAll(sq);
    expect(interruptsTake()).toBe(1);
    expect(interruptsTake()).toBe(0);
    CompletionQueue.at(1).interrupts = 0;
    sq.tail = 7;
    serveAll(sq);
    expect(interruptsTake()).toBe(0);
  });

  it('holds the INTx pin while entries are not consumed and the vector is not masked', () => {
    pair(8);
    expect(interruptPending(0)).toBe(false);
    const sq = SubmissionQueue.at(1);
    sq.tail = 2;
    serveAll(sq);
    expect(interruptPending(0)).toBe(true);
    expect(interruptPending(1 << 3)).toBe(false);
    headMove(CompletionQueue.at(1), 1);
    expect(interruptPending(0)).toBe(true);
    headMove(CompletionQueue.at(1), 2);
    expect(interruptPending(0)).toBe(false);
  });
});

describe('fetching', () => {
  it('copies entries in order, never more than there are, in batches that end where the ring does', () => {
    let wrong = 0;
    for (let size: u32 = 2; size <= 9; size++) {
      for (let head: u32 = 0; head < size; head++) {
        for (let used: u32 = 0; used < size; used++) {
          for (let limit: u32 = 1; limit <= size; limit++) {
            pair(size);
            const sq = SubmissionQueue.at(1);
            sq.head = head;
            sq.tail = (head + used) % size;
            for (let index: u32 = 0; index < size; index++) entry(index, 0x40 + index);
            const free = Scheduler.get().slotsFree;
            let slot = submissionFetch(sq, limit);
            const expected = min(min(used, limit), size - head);
            if ((slot === null) != (expected == 0)) wrong++;
            let count: u32 = 0;
            while (slot !== null) {
              if (<u32>slot.sqe.cid != 0x40 + head + count || slot.state != SLOT_WALKING || !slot.permit)
                wrong++;
              if (slot.sqe.opcode != <u8>(0x40 + head + count) || slot.sqe7 >> 56 != 0x40 + head + count)
                wrong++;
              count++;
              slot = slot.next == SLOT_NONE ? null : Slot.at(slot.next);
            }
            if (count != expected || sq.head != (head + expected) % size) wrong++;
            if (Scheduler.get().slotsFree != free - expected || sq.outstanding != expected) wrong++;
            if (sq.sequence != expected || !invariant(1)) wrong++;
          }
        }
      }
    }
    expect(wrong).toBe(0);
  });

  it('ends a batch with the page that holds the entries', () => {
    pair(128);
    const sq = SubmissionQueue.at(1);
    sq.head = 60;
    sq.tail = 80;
    expect(submissionFetch(sq, 16) !== null).toBe(true);
    expect(sq.head).toBe(64);
  });

  it('stops at a full completion queue, and goes on one place at a time', () => {
    guestBegin(2, SLOTS);
    guestRegion(0, 4 << 20, READ_WRITE);
    guestShow(2);
    completionQueueCreate(1, CQ_BASE, 4, 3, true);
    submissionQueueCreate(1, SQ_BASE, 16, 1);
    submissionQueueCreate(2, 0x30000, 16, 1);
    const first = SubmissionQueue.at(1);
    const second = SubmissionQueue.at(2);
    const cq = CompletionQueue.at(1);
    first.tail = 10;
    second.tail = 10;
    let served = 0;
    while (serve(first)) served++;
    expect(served).toBe(3);
    expect(fetchState(first)).toBe(FETCH_CORKED);
    expect(fetchState(second)).toBe(FETCH_CORKED);
    expect(submissionFetch(second, 16) === null).toBe(true);
    expect(headMove(cq, 1)).toBe(true);
    expect(fetchState(second)).toBe(FETCH_READY);
    expect(serve(second)).toBe(true);
    expect(serve(first)).toBe(false);
    expect(invariant(1)).toBe(true);
  });

  it('leaves the last slots to the admin queue', () => {
    guestBegin(2, SLOT_ADMIN_RESERVE + 4);
    guestRegion(0, 4 << 20, READ_WRITE);
    guestShow(2);
    completionQueueCreate(0, CQ_BASE + 0x1000, 64, 0, true);
    submissionQueueCreate(0, 0x30000, 64, 0);
    completionQueueCreate(1, CQ_BASE, 64, 1, true);
    submissionQueueCreate(1, SQ_BASE, 64, 1);
    const io = SubmissionQueue.at(1);
    const admin = SubmissionQueue.at(0);
    io.tail = 63;
    admin.tail = 63;
    expect(submissionFetch(io, 100) !== null).toBe(true);
    expect(io.head).toBe(4);
    expect(fetchState(io)).toBe(FETCH_NO_SLOT);
    expect(submissionFetch(admin, 100) !== null).toBe(true);
    expect(admin.head).toBe(<u32>SLOT_ADMIN_RESERVE);
    expect(fetchState(admin)).toBe(FETCH_NO_SLOT);
  });

  it('waits for a window, and for memory that is gone', () => {
    guestBegin(2, SLOTS);
    guestRegion(0, 4 << 20, READ_WRITE);
    completionQueueCreate(1, CQ_BASE, 8, 3, true);
    submissionQueueCreate(1, SQ_BASE, 8, 1);
    const sq = SubmissionQueue.at(1);
    expect(fetchState(sq)).toBe(FETCH_EMPTY);
    sq.tail = 3;
    expect(submissionFetch(sq, 8) === null).toBe(true);
    expect(fetchState(sq)).toBe(FETCH_MISSING);
    expect(invariant(1)).toBe(true);
    regionWithout(0, 4 << 20);
    expect(fetchState(sq)).toBe(FETCH_PARKED);
    guestRegion(0, 4 << 20, READ_WRITE);
    guestShow(2);
    expect(fetchState(sq)).toBe(FETCH_READY);
  });
});

describe('publishing without a window', () => {
  it('keeps what is completed in order until the window is there', () => {
    guestBegin(2, SLOTS);
    guestRegion(0, 8 << 20, READ_WRITE);
    completionQueueCreate(1, CQ_BASE + 0x400000, 8, 3, true);
    submissionQueueCreate(1, SQ_BASE, 8, 1);
    memory.fill(APART, 0, 8 << 20);
    for (let index: u32 = 0; index < 5; index++) entry(index, 0x50 + index, APART);
    const sq = SubmissionQueue.at(1);
    sq.tail = 5;
    expect(submissionFetch(sq, 5) === null).toBe(true);
    guestFill();
    let slot = submissionFetch(sq, 5);
    while (slot !== null) {
      const next = slot.next;
      completionPost(slot);
      slot = next == SLOT_NONE ? null : Slot.at(next);
    }
    expect(Scheduler.get().completing).toBe(5);
    expect(CompletionQueue.at(1).tail).toBe(0);
    expect(sq.outstanding).toBe(5);
    completionsRetry();
    expect(Scheduler.get().completing).toBe(5);
    guestFill();
    completionsRetry();
    expect(Scheduler.get().completing).toBe(0);
    expect(CompletionQueue.at(1).tail).toBe(5);
    expect(sq.outstanding).toBe(0);
    const window = CompletionQueue.at(1).window;
    for (let index: u32 = 0; index < 5; index++) {
      expect(Cqe.at(WINDOWS + ((<u32>window) << 21) + CQ_BASE + index * 16).cid).toBe(<u16>(0x50 + index));
    }
    expect(invariant(1)).toBe(true);
  });
});

describe('parked requests', () => {
  it('give their place back, and take one when their event comes', () => {
    pair(4);
    const sq = SubmissionQueue.at(1);
    const cq = CompletionQueue.at(1);
    sq.tail = 1;
    const parked = submissionFetch(sq, 1)!;
    parkedBegin(parked);
    expect(cq.places).toBe(3);
    expect(invariant(1)).toBe(true);
    parkedComplete(parked);
    expect(cq.tail).toBe(1);
    expect(cq.places).toBe(2);
    expect(sq.outstanding).toBe(0);
  });

  it('wait for a full queue without standing in the way of others', () => {
    pair(2);
    const sq = SubmissionQueue.at(1);
    const cq = CompletionQueue.at(1);
    sq.tail = 1;
    const parked = submissionFetch(sq, 1)!;
    parkedBegin(parked);
    sq.tail = 0;
    const other = submissionFetch(sq, 1)!;
    // The only place is reserved for the other command, which must get through.
    parkedComplete(parked);
    expect(cq.tail).toBe(0);
    completionPost(other);
    expect(cq.tail).toBe(1);
    eventsRetry();
    expect(cq.tail).toBe(1);
    expect(headMove(cq, 1)).toBe(true);
    eventsRetry();
    expect(cq.tail).toBe(0);
    expect(cq.phase).toBe(0);
    expect(invariant(1)).toBe(true);
    expect(sq.outstanding).toBe(0);
  });
});

describe('requests', () => {
  it('come back once: strangers, repetitions and numbers beyond are ignored', () => {
    pair(8);
    const sq = SubmissionQueue.at(1);
    sq.tail = 1;
    const slot = submissionFetch(sq, 1)!;
    requestIssue(slot);
    expect(requestsOutstanding()).toBe(1);
    expect(requestsTake()).toBe(1);
    expect(requestsTake()).toBe(0);
    const tag = Request.at(0).slot;
    Completion.at(0).slot = tag ^ 0x10000;
    expect(completionSlot(0) === null).toBe(true);
    Completion.at(0).slot = 0xffff;
    expect(completionSlot(0) === null).toBe(true);
    Completion.at(0).slot = tag + 1;
    expect(completionSlot(0) === null).toBe(true);
    Completion.at(0).slot = tag;
    expect(completionSlot(0) === slot).toBe(true);
    expect(requestsOutstanding()).toBe(0);
    completionPost(slot);
    expect(completionSlot(0) === null).toBe(true);
    expect(requestsOutstanding()).toBe(0);
  });
});
