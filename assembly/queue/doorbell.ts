// Doorbells: MMIO writes to BAR0 from 1000h on (NVMe over PCIe Transport 3.1.2), and shadow doorbells with EventIdx
// (Base 5.11 and annex B.5), which I/O queues use once Doorbell Buffer Config has succeeded. The caller may keep a page
// of doorbells too, in which it stores what would else be calls: the admin queue's are always there then, those of I/O
// queues until Doorbell Buffer Config. It is read as shadow doorbells are, without an EventIdx: every write wakes.
//
// Where doorbells are in memory, memory is the only truth: an MMIO write of such a queue is a kick whose value may be
// older than what was already read, so it is checked and then ignored.
//
// What the guest compares (16-bit arithmetic): it rings when its new value passes EventIdx, coming from its old one.
// * Armed: EventIdx = the value read last. The next change rings.
// * Awake: EventIdx trails one behind a value that was read, and is moved again once the guest is half a ring further.
//   The guest would have to go once around to pass it, so it does not ring while it is polled.

import { QUEUE_COUNT } from '../abi/memory-map.ts';
import { ACCESS_CODES, ACCESS_MISSING, guestAccess, NEED_READ, NEED_WRITE } from '../guest/access.ts';
import { DOORBELL_BYTES, REG_DOORBELLS } from '../spec/nvme.ts';
import { loadAcquire, storeBeforeLoads } from '../wire/atomic.ts';
import {
  CompletionQueue,
  QUEUE_LIVE,
  Scheduler,
  SHADOW_BUFFER,
  SHADOW_NONE,
  SHADOW_PAGE,
  SHADOW_REFUSED_NONE,
  SubmissionQueue,
} from '../wire/queue.ts';
import { Slot } from '../wire/slot.ts';
import { headMove } from './completion.ts';
import { ringPrevious, ringUsed } from './ring.ts';

export const DOORBELL_OK: u32 = 0;
/** No such queue. */
export const DOORBELL_NO_QUEUE: u32 = 1;
/** The value lies beyond the ring, or a head passes its tail. */
export const DOORBELL_VALUE: u32 = 2;
/** Shadow doorbells: the value was refused before and has not changed. */
export const DOORBELL_STALE: u32 = 3;

/** A write to BAR0 at `offset` (1000h or more): DOORBELL_*. */
export function doorbellRing(offset: u32, value: u32): u32 {
  const number = (offset - REG_DOORBELLS) / DOORBELL_BYTES;
  const qid = number >>> 1;
  if (offset % DOORBELL_BYTES != 0 || qid >= <u32>QUEUE_COUNT) return DOORBELL_NO_QUEUE;
  const s = Scheduler.get();
  const shadowed = qid != 0 ? s.shadow != SHADOW_NONE : s.kicked != 0;
  if (number & 1) {
    const cq = CompletionQueue.at(qid);
    if (cq.state != QUEUE_LIVE) return DOORBELL_NO_QUEUE;
    if (value >= cq.size) return DOORBELL_VALUE;
    return shadowed || headMove(cq, value) ? DOORBELL_OK : DOORBELL_VALUE;
  }
  const sq = SubmissionQueue.at(qid);
  if (sq.state != QUEUE_LIVE) return DOORBELL_NO_QUEUE;
  if (value >= sq.size) return DOORBELL_VALUE;
  if (!shadowed) sq.tail = value;
  return DOORBELL_OK;
}

/** Offset of a queue's entry in the two buffers: they are laid out as the doorbells are (Base 5.11). */
function tailEntry(qid: u32): u32 {
  return qid * 2 * DOORBELL_BYTES;
}

function headEntry(qid: u32): u32 {
  return (qid * 2 + 1) * DOORBELL_BYTES;
}

/** Offset in BAR0 of a queue's doorbells. */
export function tailOffset(qid: u32): u32 {
  return REG_DOORBELLS + tailEntry(qid);
}

export function headOffset(qid: u32): u32 {
  return REG_DOORBELLS + headEntry(qid);
}

/** Linear address of the shadow doorbell buffer, or ACCESS_*. */
export function shadowAccess(): usize {
  const s = Scheduler.get();
  return guestAccess(s.shadowBase, NEED_READ, changetype<usize>(s) + offsetof<Scheduler>('shadowWindow'));
}

/** Linear address of the page whose writers wake the caller, or ACCESS_*. */
export function kickAccess(): usize {
  const s = Scheduler.get();
  return guestAccess(s.kickBase, NEED_READ, changetype<usize>(s) + offsetof<Scheduler>('kickWindow'));
}

/** Reads a submission queue's shadow tail from the buffer at `shadow`: DOORBELL_OK, _VALUE or _STALE. */
export function shadowTail(sq: SubmissionQueue, shadow: usize): u32 {
  const value = loadAcquire(shadow + tailEntry(sq.qid));
  const old = sq.tail;
  if (value == old) {
    sq.shadowRefused = SHADOW_REFUSED_NONE;
    return DOORBELL_OK;
  }
  const size = sq.size;
  if (value >= size) {
    if (value == sq.shadowRefused) return DOORBELL_STALE;
    sq.shadowRefused = value;
    return DOORBELL_VALUE;
  }
  sq.shadowRefused = SHADOW_REFUSED_NONE;
  sq.tail = value;
  if (sq.eventIndex == old || ringUsed(sq.eventIndex, value, size) > size >>> 1) {
    const index = ringPrevious(value, size);
    if (eventNote(tailEntry(sq.qid), index) >= ACCESS_CODES) sq.eventIndex = <u16>index;
  }
  return DOORBELL_OK;
}

/** Reads a completion queue's shadow head: DOORBELL_OK, _VALUE or _STALE. */
export function shadowHead(cq: CompletionQueue, shadow: usize): u32 {
  const value = loadAcquire(shadow + headEntry(cq.qid));
  const old = cq.head;
  if (value == old) {
    cq.shadowRefused = SHADOW_REFUSED_NONE;
    return DOORBELL_OK;
  }
  const size = cq.size;
  if (value >= size || !headMove(cq, value)) {
    if (value == cq.shadowRefused) return DOORBELL_STALE;
    cq.shadowRefused = value;
    return DOORBELL_VALUE;
  }
  cq.shadowRefused = SHADOW_REFUSED_NONE;
  if (cq.eventIndex == old || ringUsed(cq.eventIndex, value, size) > size >>> 1) {
    const index = ringPrevious(value, size);
    if (eventNote(headEntry(cq.qid), index) >= ACCESS_CODES) cq.eventIndex = <u16>index;
  }
  return DOORBELL_OK;
}

/**
 * Writes an entry of the EventIdx buffer at `base`; returns what guestAccess did. Whoever armed reads the doorbell
 * again: the guest writes its doorbell and then reads EventIdx, so that one of the two sees the other.
 */
function eventWrite(base: u64, entry: u32, value: u32): usize {
  const s = Scheduler.get();
  const at = guestAccess(base + entry, NEED_WRITE, changetype<usize>(s) + offsetof<Scheduler>('eventWindow'));
  if (at >= ACCESS_CODES) storeBeforeLoads(at, value);
  return at;
}

/**
 * Writes an entry of the EventIdx buffer in use, if there is one; returns what guestAccess did. The admin queue has no
 * entries: nobody reads them (Base 5.11).
 */
function eventNote(entry: u32, value: u32): usize {
  const s = Scheduler.get();
  return s.events != 0 && entry >= tailEntry(1) ? eventWrite(s.eventBase, entry, value) : ACCESS_CODES;
}

/** Asks for an MMIO write at the next change of the tail; false when the window is missing. */
export function tailArm(sq: SubmissionQueue): bool {
  const tail = sq.tail;
  if (sq.eventIndex == tail) return true;
  const at = eventNote(tailEntry(sq.qid), tail);
  if (at >= ACCESS_CODES) sq.eventIndex = <u16>tail;
  return at != ACCESS_MISSING;
}

/** Asks for an MMIO write at the next change of the head; false when the window is missing. */
export function headArm(cq: CompletionQueue): bool {
  const head = cq.head;
  if (cq.eventIndex == head) return true;
  const at = eventNote(headEntry(cq.qid), head);
  if (at >= ACCESS_CODES) cq.eventIndex = <u16>head;
  return at != ACCESS_MISSING;
}

// ---- The entries of a new queue, or of all queues when the buffers are new -------------------------------------
//
// The guest waits for the command that does this, so nothing it writes is lost. It need not have cleared the pages.
// The buffers may lie in windows of which only one may be there at a time: hence several steps.

/** Writes an entry of the shadow doorbell buffer at `base`; returns what guestAccess did. */
function shadowWrite(base: u64, entry: u32, value: u32): usize {
  const s = Scheduler.get();
  const at = guestAccess(
    base + entry,
    NEED_WRITE,
    changetype<usize>(s) + offsetof<Scheduler>('shadowWindow'),
  );
  if (at >= ACCESS_CODES) store<u32>(at, value);
  return at;
}

/** Begins the entry of a new submission queue with 0 in the buffers in use; false when a window is missing. */
export function tailBegin(slot: Slot, qid: u32): bool {
  return entryBegin(slot, tailEntry(qid));
}

/** Begins the entry of a new completion queue with 0 in the buffers in use; false when a window is missing. */
export function headBegin(slot: Slot, qid: u32): bool {
  return entryBegin(slot, headEntry(qid));
}

/**
 * EventIdx of a doorbell that stands at `value`: equal to it, the guest's next change rings; one behind in the guest's
 * 16 bits, it does not.
 */
function eventBegin(s: Scheduler, value: u32): u32 {
  return s.polled != 0 ? (value - 1) & 0xffff : value;
}

/** Memory that is gone is no obstacle: without it the guest cannot use shadow doorbells either. */
function entryBegin(slot: Slot, entry: u32): bool {
  const s = Scheduler.get();
  if (s.shadow == SHADOW_NONE) return true;
  if (slot.stage == 0) {
    if (shadowWrite(s.shadowBase, entry, 0) == ACCESS_MISSING) return false;
    slot.stage = 1;
  }
  if (slot.stage == 1) {
    if (eventNote(entry, eventBegin(s, 0)) == ACCESS_MISSING) return false;
    slot.stage = 2;
  }
  return true;
}

/**
 * Begins the entries of all I/O queues in new buffers with their tails and heads, and uses the buffers from then on.
 * ACCESS_* of the first access that fails, ACCESS_CODES when all is done. While it waits for windows, queues may move:
 * so the shadow doorbells come last, in the call that begins to use them.
 */
export function shadowBegin(slot: Slot, shadowBase: u64, eventBase: u64): usize {
  const s = Scheduler.get();
  if (slot.stage == 0) {
    if (!shadowLeave(s)) return ACCESS_MISSING;
    slot.stage = 1;
  }
  if (slot.stage == 1) {
    const events = eventsBegin(s, eventBase);
    if (events < ACCESS_CODES) return events;
    slot.stage = 2;
  }
  // What came while a window was missing; the command was seen after what it had to wait for, so this need not succeed.
  shadowLeave(s);
  const shadows = shadowsBegin(shadowBase);
  if (shadows < ACCESS_CODES) return shadows;
  for (let qid: u32 = 1; qid < <u32>QUEUE_COUNT; qid++) {
    const sq = SubmissionQueue.at(qid);
    const cq = CompletionQueue.at(qid);
    // Not what was written, which may be behind by now: the next arming writes, whatever the tail is then.
    sq.eventIndex = <u16>ringPrevious(sq.tail, sq.size);
    sq.shadowRefused = SHADOW_REFUSED_NONE;
    cq.eventIndex = <u16>ringPrevious(cq.head, cq.size);
    cq.shadowRefused = SHADOW_REFUSED_NONE;
  }
  s.shadowBase = shadowBase;
  s.eventBase = eventBase;
  s.events = 1;
  s.shadow = SHADOW_BUFFER;
  return ACCESS_CODES;
}

/** Writes EventIdx of all I/O queues into the buffer at `base`: ACCESS_* as shadowBegin. */
function eventsBegin(s: Scheduler, base: u64): usize {
  for (let qid: u32 = 1; qid < <u32>QUEUE_COUNT; qid++) {
    const sq = SubmissionQueue.at(qid);
    const cq = CompletionQueue.at(qid);
    let at: usize = ACCESS_CODES;
    if (sq.state == QUEUE_LIVE) at = eventWrite(base, tailEntry(qid), eventBegin(s, sq.tail));
    if (at < ACCESS_CODES) return at;
    if (cq.state == QUEUE_LIVE) at = eventWrite(base, headEntry(qid), eventBegin(s, cq.head));
    if (at < ACCESS_CODES) return at;
  }
  return ACCESS_CODES;
}

/** Writes tails and heads of all I/O queues into the buffer at `base`: ACCESS_* as shadowBegin. */
function shadowsBegin(base: u64): usize {
  for (let qid: u32 = 1; qid < <u32>QUEUE_COUNT; qid++) {
    const sq = SubmissionQueue.at(qid);
    const cq = CompletionQueue.at(qid);
    let at: usize = ACCESS_CODES;
    if (sq.state == QUEUE_LIVE) at = shadowWrite(base, tailEntry(qid), sq.tail);
    if (at < ACCESS_CODES) return at;
    if (cq.state == QUEUE_LIVE) at = shadowWrite(base, headEntry(qid), cq.head);
    if (at < ACCESS_CODES) return at;
  }
  return ACCESS_CODES;
}

/** What the guest wrote into the doorbells that are in use until now counts; false when their window is missing. */
function shadowLeave(s: Scheduler): bool {
  if (s.shadow == SHADOW_NONE) return true;
  const shadow = shadowAccess();
  if (shadow < ACCESS_CODES) return shadow != ACCESS_MISSING;
  for (let qid: u32 = 1; qid < <u32>QUEUE_COUNT; qid++) {
    const sq = SubmissionQueue.at(qid);
    const cq = CompletionQueue.at(qid);
    if (sq.state == QUEUE_LIVE) shadowTail(sq, shadow);
    if (cq.state == QUEUE_LIVE) shadowHead(cq, shadow);
  }
  return true;
}

// ---- Doorbells that the caller keeps in memory -----------------------------------------------------------------

/**
 * The doorbells of I/O queues that are created from now on are looked at, in the page at `base` if there is one, and
 * nobody is asked to ring.
 */
export function pollBegin(base: u64, hasPage: bool): void {
  const s = Scheduler.get();
  s.kicked = 0;
  s.polled = 1;
  s.events = 0;
  s.shadow = hasPage ? SHADOW_BUFFER : SHADOW_NONE;
  s.shadowBase = base;
}

/** Whether the page at `base`, or none, is what kickBegin was told last. */
export function kickIs(base: u64, hasPage: bool): bool {
  const s = Scheduler.get();
  return hasPage ? s.kicked != 0 && s.kickBase == base : s.kicked == 0;
}

/** Doorbells are in the page at `base` from now on, if there is one. There are no I/O queues. */
export function kickBegin(base: u64, hasPage: bool): void {
  const s = Scheduler.get();
  s.kickBase = base;
  s.kicked = hasPage ? 1 : 0;
  s.polled = 0;
  SubmissionQueue.at(0).shadowRefused = SHADOW_REFUSED_NONE;
  CompletionQueue.at(0).shadowRefused = SHADOW_REFUSED_NONE;
  // The buffers of Doorbell Buffer Config stay in use: they are the guest's wish.
  if (s.events == 0) doorbellsReset();
}

/** All queues are gone: nobody polls, no buffers; I/O queues use the caller's page again. */
export function doorbellsReset(): void {
  const s = Scheduler.get();
  s.polled = 0;
  s.events = 0;
  s.shadow = s.kicked != 0 ? SHADOW_PAGE : SHADOW_NONE;
  s.shadowBase = s.kickBase;
}
