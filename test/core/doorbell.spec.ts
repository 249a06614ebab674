// Doorbells: what an MMIO write may say, and the arithmetic of shadow doorbells against the test that Linux makes
// before it rings (nvme_dbbuf_need_event: 16-bit arithmetic, whatever the size of the ring).

import { QUEUE_COUNT } from '../../assembly/abi/memory-map.ts';
import { ACCESS_CODES, ACCESS_MISSING } from '../../assembly/guest/access.ts';
import {
  DOORBELL_NO_QUEUE,
  DOORBELL_OK,
  DOORBELL_STALE,
  DOORBELL_VALUE,
  doorbellRing,
  headArm,
  headBegin,
  headOffset,
  shadowAccess,
  shadowBegin,
  shadowHead,
  shadowTail,
  tailArm,
  tailBegin,
  tailOffset,
} from '../../assembly/queue/doorbell.ts';
import { completionQueueCreate, submissionQueueCreate } from '../../assembly/queue/lifecycle.ts';
import { CompletionQueue, QUEUE_DELETING, Scheduler, SubmissionQueue } from '../../assembly/wire/queue.ts';
import {
  guestBegin,
  guestFill,
  guestRegion,
  guestShow,
  READ_WRITE,
  regionWithout,
  slotWith,
  WINDOWS,
} from './support/guest.ts';

const SHADOW: u32 = 0x100000;
const EVENTS: u32 = 0x101000;

/** Queue pair `qid` of `size` entries in memory that is always there. */
function pair(qid: u32, size: u32): void {
  completionQueueCreate(qid, 0x20000 + qid * 0x1000, size, 0, true);
  submissionQueueCreate(qid, 0x40000 + qid * 0x1000, size, qid);
}

function begin(size: u32): void {
  guestBegin(2, 8);
  guestRegion(0, 4 << 20, READ_WRITE);
  guestShow(2);
  memory.fill(WINDOWS + SHADOW, 0xee, 0x2000);
  pair(0, size);
  pair(1, size);
}

/** The same with shadow doorbells in use. */
function beginShadow(size: u32): void {
  begin(size);
  assert(shadowBegin(slotWith(), SHADOW, EVENTS) >= ACCESS_CODES);
}

function shadowOf(base: u32, entry: u32): u32 {
  return load<u32>(WINDOWS + base + entry * 4);
}

/** The guest writes a shadow entry: whether it rings. */
function guestWrites(entry: u32, value: u32): bool {
  const old = <u16>shadowOf(SHADOW, entry);
  store<u32>(WINDOWS + SHADOW + entry * 4, value);
  const index = <u16>shadowOf(EVENTS, entry);
  const to = <u16>value;
  return <u16>(to - index - 1) < <u16>(to - old);
}

describe('MMIO doorbells', () => {
  it('take every value of the ring and refuse every other', () => {
    begin(8);
    const sq = SubmissionQueue.at(1);
    for (let value: u32 = 0; value < 8; value++) {
      expect(doorbellRing(0x1008, value)).toBe(DOORBELL_OK);
      expect(sq.tail).toBe(value);
    }
    for (let shift = 3; shift < 32; shift++) expect(doorbellRing(0x1008, 1 << shift)).toBe(DOORBELL_VALUE);
    expect(doorbellRing(0x1008, 0xffffffff)).toBe(DOORBELL_VALUE);
    expect(sq.tail).toBe(7);
  });

  it('refuse a head that passes the tail', () => {
    begin(8);
    const cq = CompletionQueue.at(1);
    cq.tail = 3;
    cq.places = 4;
    expect(doorbellRing(0x100c, 4)).toBe(DOORBELL_VALUE);
    expect(doorbellRing(0x100c, 7)).toBe(DOORBELL_VALUE);
    expect(doorbellRing(0x100c, 8)).toBe(DOORBELL_VALUE);
    expect(cq.head).toBe(0);
    expect(doorbellRing(0x100c, 2)).toBe(DOORBELL_OK);
    expect(doorbellRing(0x100c, 2)).toBe(DOORBELL_OK);
    expect(doorbellRing(0x100c, 1)).toBe(DOORBELL_VALUE);
    expect(doorbellRing(0x100c, 3)).toBe(DOORBELL_OK);
    expect(cq.places).toBe(7);
  });

  it('exist for queues that exist, and at dword addresses', () => {
    begin(8);
    for (let qid: u32 = 2; qid < <u32>QUEUE_COUNT; qid++) {
      expect(doorbellRing(tailOffset(qid), 0)).toBe(DOORBELL_NO_QUEUE);
      expect(doorbellRing(headOffset(qid), 0)).toBe(DOORBELL_NO_QUEUE);
    }
    expect(doorbellRing(0x1009, 0)).toBe(DOORBELL_NO_QUEUE);
    expect(doorbellRing(0x1000 + <u32>QUEUE_COUNT * 8, 0)).toBe(DOORBELL_NO_QUEUE);
    expect(doorbellRing(0xfffffffc, 0)).toBe(DOORBELL_NO_QUEUE);
    expect(doorbellRing(0xffc, 0)).toBe(DOORBELL_NO_QUEUE);
    SubmissionQueue.at(1).state = QUEUE_DELETING;
    expect(doorbellRing(0x1008, 0)).toBe(DOORBELL_NO_QUEUE);
    expect(doorbellRing(0x1000, 1)).toBe(DOORBELL_OK);
  });

  it('of I/O queues are kicks only, once there are shadow doorbells; those of the admin queue stay', () => {
    beginShadow(8);
    guestWrites(2, 5);
    shadowTail(SubmissionQueue.at(1), shadowAccess());
    expect(SubmissionQueue.at(1).tail).toBe(5);
    // A ring of before, which comes late: to believe it would fetch a lap of old entries.
    expect(doorbellRing(0x1008, 3)).toBe(DOORBELL_OK);
    expect(SubmissionQueue.at(1).tail).toBe(5);
    expect(doorbellRing(0x1008, 9)).toBe(DOORBELL_VALUE);
    expect(doorbellRing(0x100c, 3)).toBe(DOORBELL_OK);
    expect(doorbellRing(0x1000, 3)).toBe(DOORBELL_OK);
    expect(SubmissionQueue.at(0).tail).toBe(3);
  });
});

describe('shadow doorbells', () => {
  it("begin with the queues' own tails and heads, whatever was in the pages", () => {
    begin(8);
    SubmissionQueue.at(1).tail = 5;
    CompletionQueue.at(1).head = 2;
    expect(shadowBegin(slotWith(), SHADOW, EVENTS)).toBe(ACCESS_CODES);
    expect(shadowOf(SHADOW, 2)).toBe(5);
    expect(shadowOf(SHADOW, 3)).toBe(2);
    expect(shadowOf(EVENTS, 2)).toBe(5);
    expect(shadowOf(EVENTS, 3)).toBe(2);
    // Not the admin queue's, and not those of queues that do not exist.
    expect(shadowOf(SHADOW, 0)).toBe(0xeeeeeeee);
    expect(shadowOf(SHADOW, 4)).toBe(0xeeeeeeee);
    const slot = slotWith();
    expect(tailBegin(slot, 2)).toBe(true);
    slot.stage = 0;
    expect(headBegin(slot, 2)).toBe(true);
    expect(shadowOf(SHADOW, 4)).toBe(0);
    expect(shadowOf(EVENTS, 4)).toBe(0);
    expect(shadowOf(SHADOW, 5)).toBe(0);
    expect(shadowOf(EVENTS, 5)).toBe(0);
  });

  it('never lose a change after they were armed, from every tail, by every step', () => {
    let lost = 0;
    for (let size: u32 = 2; size <= 12; size++) {
      beginShadow(size);
      const sq = SubmissionQueue.at(1);
      const shadow = shadowAccess();
      for (let tail: u32 = 0; tail < size; tail++) {
        for (let step: u32 = 1; step < size; step++) {
          // Come to the tail awake, arm, then let the guest add entries.
          store<u32>(WINDOWS + SHADOW + 8, tail);
          shadowTail(sq, shadow);
          if (!tailArm(sq)) lost++;
          if (!guestWrites(2, (tail + step) % size)) lost++;
          if (shadowTail(sq, shadow) != DOORBELL_OK || sq.tail != (tail + step) % size) lost++;
        }
      }
    }
    expect(lost).toBe(0);
  });

  it('do not ring while the queue is polled, lap after lap, unless the ring is more than half full at once', () => {
    for (let size: u32 = 4; size <= 64; size <<= 1) {
      for (let step: u32 = 1; step <= size / 2; step++) {
        beginShadow(size);
        const sq = SubmissionQueue.at(1);
        const shadow = shadowAccess();
        let rings = 0;
        let tail: u32 = 0;
        for (let count: u32 = 0; count < 5 * size; count++) {
          tail = (tail + step) % size;
          if (guestWrites(2, tail)) rings++;
          shadowTail(sq, shadow);
        }
        // The first change rings, since queues begin armed.
        expect(rings).toBeLessThan(2);
      }
    }
  });

  it('ring once a lap at most, however the guest fills the ring', () => {
    for (let size: u32 = 2; size <= 16; size++) {
      for (let step: u32 = 1; step < size; step++) {
        beginShadow(size);
        const sq = SubmissionQueue.at(1);
        const shadow = shadowAccess();
        let rings: u32 = 0;
        let tail: u32 = 0;
        for (let count: u32 = 0; count < 4 * size; count++) {
          tail = (tail + step) % size;
          if (guestWrites(2, tail)) rings++;
          shadowTail(sq, shadow);
        }
        expect(rings).toBeLessThan((4 * size * step) / size + 2);
      }
    }
  });

  it('refuse a value beyond the ring once, until it changes', () => {
    beginShadow(8);
    const sq = SubmissionQueue.at(1);
    const shadow = shadowAccess();
    store<u32>(WINDOWS + SHADOW + 8, 3);
    expect(shadowTail(sq, shadow)).toBe(DOORBELL_OK);
    store<u32>(WINDOWS + SHADOW + 8, 8);
    expect(shadowTail(sq, shadow)).toBe(DOORBELL_VALUE);
    expect(shadowTail(sq, shadow)).toBe(DOORBELL_STALE);
    expect(sq.tail).toBe(3);
    store<u32>(WINDOWS + SHADOW + 8, 0x10004);
    expect(shadowTail(sq, shadow)).toBe(DOORBELL_VALUE);
    store<u32>(WINDOWS + SHADOW + 8, 4);
    expect(shadowTail(sq, shadow)).toBe(DOORBELL_OK);
    expect(sq.tail).toBe(4);
    store<u32>(WINDOWS + SHADOW + 8, 8);
    expect(shadowTail(sq, shadow)).toBe(DOORBELL_VALUE);
  });

  it('refuse a head that passes the tail once, and take it when the tail has come so far', () => {
    beginShadow(8);
    const cq = CompletionQueue.at(1);
    const shadow = shadowAccess();
    cq.tail = 3;
    cq.places = 4;
    store<u32>(WINDOWS + SHADOW + 12, 5);
    expect(shadowHead(cq, shadow)).toBe(DOORBELL_VALUE);
    expect(shadowHead(cq, shadow)).toBe(DOORBELL_STALE);
    expect(cq.head).toBe(0);
    store<u32>(WINDOWS + SHADOW + 12, 3);
    expect(shadowHead(cq, shadow)).toBe(DOORBELL_OK);
    expect(cq.head).toBe(3);
    expect(cq.places).toBe(7);
  });

  it('arm heads as they do tails', () => {
    let lost = 0;
    for (let size: u32 = 2; size <= 12; size++) {
      beginShadow(size);
      const cq = CompletionQueue.at(1);
      const shadow = shadowAccess();
      let head: u32 = 0;
      for (let count: u32 = 0; count < 3 * size; count++) {
        const step = 1 + (count % (size - 1));
        cq.tail = <u16>((head + step) % size);
        cq.places = size - 1 - step;
        if (!headArm(cq)) lost++;
        head = (head + step) % size;
        if (!guestWrites(3, head)) lost++;
        if (shadowHead(cq, shadow) != DOORBELL_OK || cq.places != size - 1) lost++;
      }
    }
    expect(lost).toBe(0);
  });

  it('go on without their windows, and stop without their memory', () => {
    guestBegin(2, 8);
    guestRegion(0, 16 << 20, READ_WRITE);
    pair(1, 8);
    // Two pages in two windows, of which neither is there.
    const slot = slotWith();
    let tries = 0;
    while (shadowBegin(slot, 0x400000, 0x800000) < ACCESS_CODES && tries < 9) {
      guestFill();
      tries++;
    }
    expect(tries).toBe(2);
    const s = Scheduler.get();
    expect(s.shadow).toBe(1);
    expect(s.shadowBase).toBe(0x400000);
    const sq = SubmissionQueue.at(1);
    sq.tail = 3;
    expect(tailArm(sq)).toBe(true);
    regionWithout(0, 16 << 20);
    guestRegion(0, 16 << 20, READ_WRITE);
    expect(shadowAccess()).toBe(ACCESS_MISSING);
    sq.tail = 4;
    expect(tailArm(sq)).toBe(false);
    regionWithout(0, 16 << 20);
    expect(tailArm(sq)).toBe(true);
  });
});
