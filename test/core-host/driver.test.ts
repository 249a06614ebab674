// The driver by itself: what it writes into guest memory, and what it reads there, against bytes put there by hand.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as nvme from '../../assembly/spec/nvme.ts';
import { doorbellOffset, Driver } from '../../host/core/driver.ts';

const STATE = 0x10000;
const GUEST_BASE = 0x200000;
const GUEST_BYTES = 0x400000;
/** Where guest memory begins for the guest: above 4 GiB. */
const GPA = 0x3_0000_0000;
const SQ = GPA;
const CQ = GPA + 0x10000;
const LISTS = GPA + 0x100000;
const DATA = GPA + 0x200000;

function setUp(entries = 4, depth = 8): { driver: Driver; view: DataView } {
  const memory = new WebAssembly.Memory({ initial: 128, maximum: 128, shared: true });
  const driver = new Driver({
    memory,
    state: STATE,
    guestBase: GUEST_BASE,
    guestBytes: GUEST_BYTES,
    guestAddress: GPA,
  });
  driver.completionQueueCreate(1, CQ, entries);
  driver.submissionQueueCreate(1, { cqid: 1, address: SQ, entries, depth, lists: LISTS });
  return { driver, view: new DataView(memory.buffer, GUEST_BASE, GUEST_BYTES) };
}

/** Plays the controller: writes a completion into the ring. */
function post(
  view: DataView,
  index: number,
  entry: { cid: number; head: number; phase: number; status?: number },
): void {
  const at = CQ - GPA + index * nvme.CQE_BYTES;
  view.setUint32(at + nvme.CQE_DW0, 0xabcd0000 + entry.cid, true);
  view.setUint16(at + nvme.CQE_SQHD, entry.head, true);
  view.setUint16(at + nvme.CQE_SQID, 1, true);
  view.setUint16(at + nvme.CQE_CID, entry.cid, true);
  view.setUint16(at + nvme.CQE_STATUS, ((entry.status ?? 0) << 1) | entry.phase, true);
}

function u64(view: DataView, gpa: number): number {
  return Number(view.getBigUint64(gpa - GPA, true));
}

describe('submission', () => {
  test('an entry in the ring is what the specification draws', () => {
    const { driver, view } = setUp();
    const cid = driver
      .read(7, 0x1_2345_6789n, 16, nvme.RW_FUA)
      .data(DATA + 0x204, 4096)
      .submit(1);
    assert.equal(cid, 0);
    assert.equal(view.getUint8(nvme.SQE_OPCODE), nvme.NVM_READ);
    assert.equal(view.getUint16(nvme.SQE_CID, true), 0);
    assert.equal(view.getUint32(nvme.SQE_NSID, true), 7);
    assert.equal(view.getBigUint64(nvme.SQE_CDW10, true), 0x1_2345_6789n);
    assert.equal(view.getUint32(nvme.SQE_CDW12, true), 0x4000000f);
    assert.equal(u64(view, SQ + nvme.SQE_PRP1), DATA + 0x204);
    assert.equal(u64(view, SQ + nvme.SQE_PRP2), DATA + 0x1000);
  });

  test('a ring is full with one entry empty, and has room again when a completion moves its head', () => {
    const { driver, view } = setUp();
    const cids = [0, 1, 2].map(() => driver.flush(1).submit(1));
    assert.deepEqual(cids, [0, 1, 2]);
    assert.equal(driver.flush(1).submit(1), undefined);
    post(view, 0, { cid: 1, head: 2, phase: 1 });
    assert.equal(driver.reap(1), 1);
    assert.equal(driver.submit(1), 1, 'the prepared entry was kept');
    assert.equal(driver.outstanding(1), 3);
  });

  test('more commands than entries may be outstanding', () => {
    const { driver, view } = setUp(4, 8);
    const cids: unknown[] = [];
    for (let index = 0; index < 3; index++) cids.push(driver.flush(1).submit(1));
    post(view, 0, { cid: 0, head: 3, phase: 1 });
    driver.reap(1);
    for (let index = 0; index < 3; index++) cids.push(driver.flush(1).submit(1));
    assert.deepEqual(cids, [0, 1, 2, 0, 3, 4]);
  });
});

describe('PRPs', () => {
  test('a list begins where it is wanted and goes on in a second page', () => {
    const { driver, view } = setUp();
    driver
      .write(1, 0, 32)
      .data(DATA + 0x10, 5 * 4096)
      .listOffset(4096 - 24)
      .submit(1);
    const list = u64(view, SQ + nvme.SQE_PRP2);
    assert.equal(list, LISTS + 4096 - 24);
    assert.deepEqual(
      [0, 8, 16].map((at) => u64(view, list + at)),
      [DATA + 0x1000, DATA + 0x2000, LISTS + 4096],
    );
    assert.deepEqual(
      [0, 8, 16].map((at) => u64(view, LISTS + 4096 + at)),
      [DATA + 0x3000, DATA + 0x4000, DATA + 0x5000],
    );
  });

  test('a list that just fits its page has no pointer', () => {
    const { driver, view } = setUp();
    driver
      .write(1, 0, 24)
      .data(DATA, 3 * 4096)
      .listOffset(4096 - 16)
      .submit(1);
    assert.deepEqual(
      [0, 8].map((at) => u64(view, LISTS + 4096 - 16 + at)),
      [DATA + 0x1000, DATA + 0x2000],
    );
    assert.equal(u64(view, LISTS + 4096), 0);
  });

  test('pages from anywhere, the first one entered in the middle', () => {
    const { driver, view } = setUp();
    const pages = [DATA + 0x5000, DATA, DATA + 0x9000];
    driver
      .read(1, 0, 17)
      .dataPages(pages, 0x800, 17 * 512)
      .submit(1);
    assert.equal(u64(view, SQ + nvme.SQE_PRP1), DATA + 0x5800);
    assert.equal(u64(view, LISTS), DATA);
    assert.equal(u64(view, LISTS + 8), DATA + 0x9000);
  });

  test('a list needs pages', () => {
    const { driver } = setUp();
    driver.submissionQueueCreate(2, { cqid: 1, address: SQ, entries: 4 });
    assert.throws(
      () =>
        driver
          .read(1, 0, 17)
          .data(DATA, 3 * 4096)
          .submit(2),
      RangeError,
    );
  });
});

describe('completion', () => {
  test('entries are new while their phase is, through the end of the ring and round', () => {
    const { driver, view } = setUp();
    const seen: number[] = [];
    for (let round = 0; round < 10; round++) {
      const cid = driver
        .flush(1)
        .tag(100 + round)
        .submit(1) as number;
      post(view, round % 4, { cid, head: (round + 1) % 4, phase: Math.floor(round / 4) % 2 === 0 ? 1 : 0 });
      assert.equal(driver.reap(1), 1);
      seen.push(driver.completion(0).tag);
    }
    assert.deepEqual(seen, [100, 101, 102, 103, 104, 105, 106, 107, 108, 109]);
  });

  test('status, DNR and dword 0 come through', () => {
    const { driver, view } = setUp();
    driver.flush(1).submit(1);
    post(view, 0, { cid: 0, head: 1, phase: 1, status: 0x4080 });
    driver.reap(1);
    const done = driver.completion(0);
    assert.equal(done.status, 0x4080);
    assert.equal(done.result, 0xabcd0000);
    assert.equal(done.stranger, false);
  });

  test('a CID that has no command outstanding is a stranger', () => {
    const { driver, view } = setUp();
    driver.flush(1).submit(1);
    post(view, 0, { cid: 0, head: 1, phase: 1 });
    post(view, 1, { cid: 0, head: 1, phase: 1 });
    post(view, 2, { cid: 99, head: 1, phase: 1 });
    assert.equal(driver.reap(1), 3);
    assert.deepEqual(
      [0, 1, 2].map((index) => driver.completion(index).stranger),
      [false, true, true],
    );
    assert.equal(driver.strangers, 2);
  });
});

describe('doorbells', () => {
  const SHADOW = GPA + 0x20000;
  const EVENT = GPA + 0x21000;
  /** Index of the tail of queue 1 in both pages. */
  const TAIL = 2 * nvme.DOORBELL_BYTES;

  test('the register of each queue', () => {
    assert.equal(doorbellOffset(0, 'submission'), 0x1000);
    assert.equal(doorbellOffset(0, 'completion'), 0x1004);
    assert.equal(doorbellOffset(64, 'completion'), 0x1204);
  });

  test('nothing to write when nothing moved', () => {
    const { driver } = setUp();
    assert.equal(driver.submissionDoorbell(1), undefined);
    driver.flush(1).submit(1);
    assert.equal(driver.submissionDoorbell(1), 1);
    assert.equal(driver.submissionDoorbell(1), undefined);
  });

  test('a register is written only when the tail passes EventIdx', () => {
    const { driver, view } = setUp(16, 15);
    driver.doorbellBuffersUse(SHADOW, EVENT);
    view.setUint32(EVENT - GPA + TAIL, 2, true);
    const rung = [0, 1, 2, 3, 4].map(() => {
      driver.flush(1).submit(1);
      return driver.submissionDoorbell(1);
    });
    assert.deepEqual(rung, [undefined, undefined, 3, undefined, undefined]);
    assert.equal(view.getUint32(SHADOW - GPA + TAIL, true), 5);
    assert.equal(driver.doorbellsSpared, 4);
  });

  test('several entries at once that pass EventIdx ring once', () => {
    const { driver, view } = setUp(16, 15);
    driver.doorbellBuffersUse(SHADOW, EVENT);
    view.setUint32(EVENT - GPA + TAIL, 2, true);
    for (let index = 0; index < 5; index++) driver.flush(1).submit(1);
    assert.equal(driver.submissionDoorbell(1), 5);
  });

  test('the admin queue has no shadow doorbell', () => {
    const { driver } = setUp();
    driver.completionQueueCreate(0, CQ, 4);
    driver.submissionQueueCreate(0, { cqid: 0, address: SQ, entries: 4 });
    driver.doorbellBuffersUse(SHADOW, EVENT);
    driver.asyncEventRequest().submit(0);
    assert.equal(driver.submissionDoorbell(0), 1);
  });
});
