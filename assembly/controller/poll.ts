// What the caller's loop calls: queue_poll while there is work, queue_arm before it sleeps, and the doorbells.

import {
  DEADLINE_NONE,
  DOORBELLS_INTERVAL_MAX,
  DOORBELLS_INTERVAL_MIN,
  DOORBELLS_NONE,
  EVENT_DOORBELL_REFUSED,
  POLL_OK,
  POLL_PAGE_INVALID,
  POLL_QUEUES_EXIST,
} from '../abi/records.ts';
import { ACCESS_CODES, ACCESS_MISSING } from '../guest/access.ts';
import { Guest } from '../guest/state.ts';
import { windowsSettle } from '../guest/windows.ts';
import { completionsRetry, eventsRetry } from '../queue/completion.ts';
import {
  DOORBELL_NO_QUEUE,
  DOORBELL_VALUE,
  doorbellRing,
  headArm,
  headOffset,
  kickAccess,
  kickBegin,
  kickIs,
  pollBegin,
  shadowAccess,
  shadowHead,
  shadowTail,
  tailArm,
  tailOffset,
} from '../queue/doorbell.ts';
import { interruptPending } from '../queue/interrupt.ts';
import { ioQueuesExist } from '../queue/lifecycle.ts';
import { walkLater, walkNext, walksCount } from '../queue/slots.ts';
import { FETCH_CORKED, FETCH_READY, fetchState, submissionFetch } from '../queue/submission.ts';
import { ARBITRATION_BURST_UNLIMITED, ARBITRATION_BURST_WIDTH } from '../spec/nvme-features.ts';
import {
  AEN_ERROR_INVALID_DOORBELL_REGISTER,
  AEN_ERROR_INVALID_DOORBELL_VALUE,
  AEN_TYPE_ERROR,
  LID_ERROR,
} from '../spec/nvme-logs.ts';
import { DOORBELL_BYTES, PAGE_BYTES, REG_DOORBELLS } from '../spec/nvme.ts';
import { CompletionQueue, QUEUE_LIVE, Scheduler, SHADOW_PAGE, SubmissionQueue } from '../wire/queue.ts';
import { Slot, SLOT_NONE } from '../wire/slot.ts';
import { asyncEventPost } from '../admin/async-events.ts';
import { commandRun } from './dispatch.ts';
import { eventRecord } from '../queue/event-records.ts';
import { clockSet } from '../admin/health.ts';
import { keepAliveExpired, keepAliveLeft } from '../admin/keep-alive.ts';
import { LIFE_FAILED, LIFE_READY, controller } from '../wire/controller.ts';
import { controllerEnabled, keepAliveExpire, stateAdvance } from './state.ts';

/** Commands that are fetched at once: few enough that their slots stay in the processor's first cache. */
const FETCH_BATCH: u32 = 16;

/** queuePoll with the time as two words, as the caller passes it. */
export function queuePollAt(budget: u32, nowLow: u32, nowHigh: u32): u32 {
  return queuePoll(budget, (<u64>nowLow) | ((<u64>nowHigh) << 32));
}

/**
 * Does what can be done now, fetching at most `budget` commands. Returns how many things were done: commands fetched
 * and gone on with, completions published; 0 means that only the guest or the caller can make something happen.
 */
export function queuePoll(budget: u32, now: u64): u32 {
  const s = Scheduler.get();
  const guest = Guest.get();
  clockSet(now);
  guest.missRefused = 0;
  const published = s.published;
  // Before anything that may wait for a place in the admin completion queue.
  if (s.kicked != 0) adminRefresh();
  if (s.completing != 0) completionsRetry();
  if (s.eventFirst != SLOT_NONE) eventsRetry();
  const continued = s.walkFirst != SLOT_NONE ? walksRetry(s) : 0;
  const fetched = controllerEnabled() ? queuesServe(s, budget) : 0;
  if (controller().keepAliveTimeout != 0) keepAliveReview();
  stateAdvance();
  // Whoever had no turn, because the budget was used up, keeps its window for the next poll.
  if (fetched < budget) windowsSettle();
  const done = continued + fetched + (s.published - published);
  if (s.polled != 0 && done != 0) s.activeAt = now;
  return done;
}

/** Time passes only for a guest that is listened to, and after what it had to say. */
function keepAliveReview(): void {
  if (controllerEnabled() && keepAliveExpired()) keepAliveExpire();
}

/**
 * Runs each waiting command once, in order. Those that still miss a window queue up anew behind the last of them. An
 * Abort among them, which a resume has put there, may take others out. Of a controller that has failed only those go on
 * that were given directly.
 */
function walksRetry(s: Scheduler): u32 {
  const failed = controller().life == LIFE_FAILED;
  let count: u32 = 0;
  for (let left = walksCount(); left != 0 && s.walkFirst != SLOT_NONE; left--) {
    const slot = walkNext();
    if (failed && !slot.isDirect) walkLater(slot);
    else if (commandRun(slot)) count++;
  }
  return count;
}

/** One round over the queues: the admin queue, then the I/O queues from where the budget of the last round ended. */
function queuesServe(s: Scheduler, budget: u32): u32 {
  let left = budget - submissionServe(SubmissionQueue.at(0), budget);
  const live = s.live;
  if (live == 0) return budget - left;
  const shadow: usize = s.shadow ? shadowAccess() : 0;
  const burst = burstLimit();
  const round: u64 = s.round;
  const later = live & (~(<u64>0) << round);
  for (let queues = later; queues != 0 && left != 0; queues &= queues - 1) {
    left -= queueServe(s, <u32>ctz(queues), shadow, burst < left ? burst : left);
  }
  for (let queues = live & ~later; queues != 0 && left != 0; queues &= queues - 1) {
    left -= queueServe(s, <u32>ctz(queues), shadow, burst < left ? burst : left);
  }
  return budget - left;
}

/** Commands that one queue may have in a round: Arbitration (feature 01h), Arbitration Burst. */
function burstLimit(): u32 {
  const burst = controller().featureArbitration & ((1 << ARBITRATION_BURST_WIDTH) - 1);
  return burst == ARBITRATION_BURST_UNLIMITED ? 0xffffffff : 1 << burst;
}

function queueServe(s: Scheduler, index: u32, shadow: usize, budget: u32): u32 {
  const sq = SubmissionQueue.at(index + 1);
  if (shadow >= ACCESS_CODES) shadowRefresh(s, sq, shadow);
  const count = submissionServe(sq, budget);
  if (count != 0) s.round = <u16>((index + 1) & 63);
  return count;
}

/** Fetches and runs up to `budget` commands. An admin command may act on others: it runs before the next is fetched. */
function submissionServe(sq: SubmissionQueue, budget: u32): u32 {
  const batch: u32 = sq.qid == 0 ? 1 : FETCH_BATCH;
  let left = budget;
  while (left != 0) {
    let slot = submissionFetch(sq, min<u32>(left, batch));
    if (slot === null) break;
    while (true) {
      const next = slot.next;
      commandRun(slot);
      left--;
      if (next == SLOT_NONE) break;
      slot = Slot.at(next);
    }
  }
  return budget - left;
}

/**
 * Reads the shadow tail, and the shadow head once half of the completion queue's places are gone; in the caller's page
 * always, since the guest need not use shadow doorbells for what depends on it.
 */
function shadowRefresh(s: Scheduler, sq: SubmissionQueue, shadow: usize): void {
  tailRefresh(sq, shadow);
  const cq = CompletionQueue.at(sq.cqid);
  if (cq.places < cq.size >>> 1 || s.shadow == SHADOW_PAGE) headRefresh(cq, shadow);
}

function tailRefresh(sq: SubmissionQueue, shadow: usize): void {
  if (shadowTail(sq, shadow) == DOORBELL_VALUE) refused(DOORBELL_VALUE, tailOffset(sq.qid), sq.shadowRefused);
}

function headRefresh(cq: CompletionQueue, shadow: usize): void {
  if (shadowHead(cq, shadow) == DOORBELL_VALUE) refused(DOORBELL_VALUE, headOffset(cq.qid), cq.shadowRefused);
}

/** Reads the admin queue's doorbells in the caller's page; true when one has moved, or their window is missing. */
function adminRefresh(): bool {
  const sq = SubmissionQueue.at(0);
  if (sq.state != QUEUE_LIVE) return false;
  const page = kickAccess();
  if (page < ACCESS_CODES) return page == ACCESS_MISSING;
  const cq = CompletionQueue.at(0);
  const tail = sq.tail;
  const head = cq.head;
  tailRefresh(sq, page);
  headRefresh(cq, page);
  return sq.tail != tail || cq.head != head;
}

/** A write to BAR0 from 1000h on. What cannot be is reported to the guest and to the operator, and ignored. */
export function doorbellWrite(offset: u32, value: u32): void {
  const code = doorbellRing(offset, value);
  if (code == DOORBELL_NO_QUEUE || code == DOORBELL_VALUE) refused(code, offset, value);
}

function refused(code: u32, offset: u32, value: u32): void {
  const qid = (offset - REG_DOORBELLS) / (2 * DOORBELL_BYTES);
  eventRecord(EVENT_DOORBELL_REFUSED, qid, 0, 0, 0, offset, value);
  // Before CSTS.RDY there is nobody to tell.
  if (controller().life != LIFE_READY) return;
  const info =
    code == DOORBELL_VALUE ? AEN_ERROR_INVALID_DOORBELL_VALUE : AEN_ERROR_INVALID_DOORBELL_REGISTER;
  asyncEventPost(AEN_TYPE_ERROR, info, LID_ERROR);
}

/**
 * Prepares for sleep: 0 when the guest will ring for whatever it does next, and everything else that can happen is a
 * call of the caller (a completion, a window filled, memory added); 1 when there is work and another poll is due.
 */
export function queueArm(): u32 {
  const s = Scheduler.get();
  const guest = Guest.get();
  if ((guest.windowsFresh | guest.missRefused | guest.missCount | s.requestCount) != 0) return 1;
  if (!controllerEnabled()) return 0;
  if (s.kicked != 0 && adminRefresh()) return 1;
  if (fetchState(SubmissionQueue.at(0)) == FETCH_READY) return 1;
  for (let queues = s.live; queues != 0; queues &= queues - 1) {
    if (fetchState(SubmissionQueue.at(<u32>ctz(queues) + 1)) == FETCH_READY) return 1;
  }
  if (s.shadow != 0 && !shadowArm(s)) return 1;
  return (guest.missRefused | guest.missCount) != 0 ? 1 : 0;
}

/**
 * Publishes EventIdx for every queue, unless nobody would ring, then looks again; false when something moved or a
 * window is missing.
 */
function shadowArm(s: Scheduler): bool {
  const shadow = shadowAccess();
  // Buffers in memory that is gone: nothing can move before memory comes back.
  if (shadow < ACCESS_CODES) return shadow != ACCESS_MISSING;
  if (s.events != 0 && s.polled == 0 && !eventsArm(s)) return false;
  for (let queues = s.live; queues != 0; queues &= queues - 1) {
    const sq = SubmissionQueue.at(<u32>ctz(queues) + 1);
    const cq = CompletionQueue.at(sq.cqid);
    const tail = sq.tail;
    const head = cq.head;
    shadowRefresh(s, sq, shadow);
    if (sq.tail != tail || cq.head != head) return false;
  }
  return true;
}

/** EventIdx of every queue that waits; false when a window is missing. */
function eventsArm(s: Scheduler): bool {
  for (let queues = s.live; queues != 0; queues &= queues - 1) {
    const sq = SubmissionQueue.at(<u32>ctz(queues) + 1);
    if (!tailArm(sq)) return false;
    if (fetchState(sq) == FETCH_CORKED && !headArm(CompletionQueue.at(sq.cqid))) return false;
  }
  return true;
}

/**
 * From now on nobody rings the doorbells of I/O queues: they are looked at, in the page of guest memory at this address
 * (DOORBELLS_NONE twice: there is none, until Doorbell Buffer Config names one), and deadline_next says when. POLL_*.
 */
export function doorbellsPoll(pageLow: u32, pageHigh: u32): u32 {
  const hasPage = (pageLow & pageHigh) != DOORBELLS_NONE;
  if (ioQueuesExist()) return POLL_QUEUES_EXIST;
  if (hasPage && (pageLow & (PAGE_BYTES - 1)) != 0) return POLL_PAGE_INVALID;
  pollBegin((<u64>pageLow) | ((<u64>pageHigh) << 32), hasPage);
  Scheduler.get().activeAt = controller().now;
  return POLL_OK;
}

/**
 * From now on the doorbells of all queues are in the page of guest memory at this address, laid out as in BAR0 from
 * 1000h, and whoever writes there wakes the caller. DOORBELLS_NONE twice ends it. Outlives resets. POLL_*.
 */
export function doorbellsKick(pageLow: u32, pageHigh: u32): u32 {
  const hasPage = (pageLow & pageHigh) != DOORBELLS_NONE;
  const page = (<u64>pageLow) | ((<u64>pageHigh) << 32);
  if (kickIs(page, hasPage)) return POLL_OK;
  if (ioQueuesExist()) return POLL_QUEUES_EXIST;
  if (hasPage && (pageLow & (PAGE_BYTES - 1)) != 0) return POLL_PAGE_INVALID;
  kickBegin(page, hasPage);
  return POLL_OK;
}

/** 1 while the INTx pin is asserted. */
export function interruptAsserted(): u32 {
  return interruptPending(controller().interruptMask) ? 1 : 0;
}

/** Microseconds after the last poll's `now` at which the core wants to be called: as soon as possible, or never. */
export function deadlineNext(): u32 {
  const guest = Guest.get();
  if ((guest.windowsFresh | guest.missRefused) != 0) return 0;
  const s = Scheduler.get();
  if (!controllerEnabled()) return DEADLINE_NONE;
  const c = controller();
  const alive = c.keepAliveTimeout != 0 ? <u32>min<u64>(keepAliveLeft(), DEADLINE_NONE - 1) : DEADLINE_NONE;
  return s.polled == 0 || s.shadow == 0 || s.live == 0 ? alive : min<u32>(alive, lookInterval(s));
}

/** Microseconds until doorbells that nobody rings are looked at again. */
function lookInterval(s: Scheduler): u32 {
  // A quarter of the time that nothing happened: soon after work, ever more rarely later.
  const interval = (controller().now - s.activeAt) >> 2;
  return <u32>min<u64>(max<u64>(interval, DOORBELLS_INTERVAL_MIN), DOORBELLS_INTERVAL_MAX);
}
