/**
 * DEVICE_SET_IRQS in every form: kinds of data, actions, ranges at full width, descriptors owned by exactly
 * one side.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EINVAL, EOPNOTSUPP, Fixture, message, NO_REPLY, reply, u32 } from './harness.ts';

const SET_IRQS = 8;
const NONE = 1;
const BOOL = 2;
const EVENTFD = 4;
const MASK = 8;
const UNMASK = 0x10;
const TRIGGER = 0x20;
const INTX = 0;
const MSI = 1;
const MSIX = 2;
const ERR = 3;
const REQ = 4;

function payload(flags: number, index: number, start: number, count: number, data = Buffer.alloc(0)): Buffer {
  return Buffer.concat([u32(20 + data.length, flags, index, start, count), data]);
}

function accepts(fixture: Fixture, request: Buffer, fds: number[], calls: string[]): void {
  assert.equal(fixture.handle(message(1, SET_IRQS, request), fds), undefined);
  assert.deepEqual(fixture.replies(), [reply(1, SET_IRQS)]);
  assert.deepEqual(fixture.calls(), calls);
  fixture.nothingLeaks();
}

test('an eventfd for INTx, and off again', () => {
  const fixture = Fixture.established();
  accepts(fixture, payload(EVENTFD | TRIGGER, INTX, 0, 1), [30], ['notifier intx 0 30']);
  accepts(fixture, payload(NONE | TRIGGER, INTX, 0, 0), [], ['clear intx']);
  assert.deepEqual(fixture.device.takenFds, [30]);
  assert.deepEqual(fixture.closedFds, []);
});

test('MSI-X vectors one by one, unset without a descriptor, all off', () => {
  const fixture = Fixture.established();
  accepts(fixture, payload(EVENTFD | TRIGGER, MSIX, 0, 1), [], ['notifier msix 0 -']);
  accepts(fixture, payload(EVENTFD | TRIGGER, MSIX, 64, 1), [30], ['notifier msix 64 30']);
  accepts(fixture, payload(EVENTFD | TRIGGER, MSIX, 64, 1), [31], ['notifier msix 64 31']);
  accepts(fixture, payload(NONE | TRIGGER, MSIX, 0, 0), [], ['clear msix']);
});

test('many vectors in one message', () => {
  const fixture = Fixture.established();
  const fds = Array.from({ length: 65 }, (_, index) => 100 + index);
  const calls = fds.map((fd, vector) => `notifier msix ${vector} ${fd}`);
  accepts(fixture, payload(EVENTFD | TRIGGER, MSIX, 0, 65), fds, calls);
  const off = fds.map((_, vector) => `notifier msix ${vector} -`);
  accepts(fixture, payload(EVENTFD | TRIGGER, MSIX, 0, 65), [], off);
});

test('surplus eventfds are closed, too few are refused and closed', () => {
  const fixture = Fixture.established();
  accepts(fixture, payload(EVENTFD | TRIGGER, MSIX, 3, 1), [30, 31], ['notifier msix 3 30']);
  assert.deepEqual(fixture.closedFds, [31]);
  fixture.refuses(message(1, SET_IRQS, payload(EVENTFD | TRIGGER, MSIX, 3, 3)), EINVAL, [32, 33]);
});

test('descriptors with data that has none are closed', () => {
  const fixture = Fixture.established();
  accepts(fixture, payload(NONE | TRIGGER, MSIX, 0, 0), [30], ['clear msix']);
  accepts(fixture, payload(BOOL | TRIGGER, MSIX, 0, 1, Buffer.of(1)), [31], ['trigger msix 0']);
  assert.deepEqual(fixture.closedFds, [30, 31]);
});

test('the client triggers interrupts itself', () => {
  const fixture = Fixture.established();
  accepts(fixture, payload(NONE | TRIGGER, INTX, 0, 1), [], ['trigger intx 0']);
  accepts(fixture, payload(NONE | TRIGGER, MSIX, 63, 2), [], ['trigger msix 63', 'trigger msix 64']);
  const bools = Buffer.of(1, 0, 0xff);
  accepts(fixture, payload(BOOL | TRIGGER, MSIX, 4, 3, bools), [], ['trigger msix 4', 'trigger msix 6']);
});

test('INTx is unmasked after each delivery', () => {
  const fixture = Fixture.established();
  accepts(fixture, payload(NONE | UNMASK, INTX, 0, 1), [], ['unmask']);
  accepts(fixture, payload(BOOL | UNMASK, INTX, 0, 1, Buffer.of(1)), [], ['unmask']);
  accepts(fixture, payload(BOOL | UNMASK, INTX, 0, 1, Buffer.of(0)), [], []);
});

test('masking, and eventfds that mask or unmask, are not offered', () => {
  const fixture = Fixture.established();
  for (const action of [MASK, UNMASK]) {
    fixture.refuses(message(1, SET_IRQS, payload(EVENTFD | action, INTX, 0, 1)), EOPNOTSUPP, [30 + action]);
    fixture.refuses(message(1, SET_IRQS, payload(NONE | action, MSIX, 0, 1)), EOPNOTSUPP);
    fixture.refuses(message(1, SET_IRQS, payload(BOOL | action, MSIX, 0, 1, Buffer.of(1))), EOPNOTSUPP);
  }
  fixture.refuses(message(1, SET_IRQS, payload(NONE | MASK, INTX, 0, 1)), EOPNOTSUPP);
});

test('the ERR notifier is kept by the session and closed with it', () => {
  const fixture = Fixture.established();
  const set = message(1, SET_IRQS, payload(EVENTFD | TRIGGER, ERR, 0, 1));
  fixture.handle(set, [30]);
  assert.deepEqual(fixture.closedFds, []);
  fixture.handle(set, [31]);
  assert.deepEqual(fixture.closedFds, [30]);
  fixture.handle(message(2, SET_IRQS, payload(NONE | TRIGGER, ERR, 0, 0)));
  assert.deepEqual(fixture.closedFds, [30, 31]);
  fixture.handle(set, [32]);
  fixture.handle(message(3, SET_IRQS, payload(EVENTFD | TRIGGER, ERR, 0, 1)));
  assert.deepEqual(fixture.closedFds, [30, 31, 32]);
  fixture.handle(set, [33]);
  assert.equal(fixture.replies().length, 6);
  fixture.session.close(() => undefined);
  fixture.nothingLeaks();
  fixture.calls();
});

test('types without interrupts can be switched off, not on', () => {
  const fixture = Fixture.established();
  for (const index of [MSI, REQ]) {
    accepts(fixture, payload(NONE | TRIGGER, index, 0, 0), [], []);
    fixture.refuses(message(1, SET_IRQS, payload(EVENTFD | TRIGGER, index, 0, 1)), EINVAL, [30 + index]);
    fixture.refuses(message(1, SET_IRQS, payload(NONE | TRIGGER, index, 0, 1)), EINVAL);
  }
  fixture.refuses(message(1, SET_IRQS, payload(NONE | TRIGGER, ERR, 0, 1)), EOPNOTSUPP);
});

test('ranges are checked at full width', () => {
  const fixture = Fixture.established();
  let fd = 1000;
  for (const [index, start, count] of [
    [INTX, 0, 2],
    [INTX, 1, 1],
    [MSIX, 65, 1],
    [MSIX, 0, 66],
    [MSIX, 0xffffffff, 1],
    [MSIX, 0xffffffff, 0xffffffff],
    [MSIX, 1, 0xffffffff],
    [MSIX, 0x80000000, 0x80000000],
    [MSIX, 0, 0],
    [ERR, 1, 1],
    [5, 0, 1],
    [0xffffffff, 0, 1],
  ] as const) {
    fixture.refuses(message(1, SET_IRQS, payload(EVENTFD | TRIGGER, index, start, count)), EINVAL, [fd++]);
  }
  fixture.refuses(message(1, SET_IRQS, payload(NONE | TRIGGER, MSIX, 1, 0)), EINVAL);
  fixture.refuses(message(1, SET_IRQS, payload(NONE | UNMASK, INTX, 0, 0)), EINVAL);
  fixture.refuses(message(1, SET_IRQS, payload(NONE | TRIGGER, 5, 0, 0)), EINVAL);
});

test('flags must be one kind of data and one action', () => {
  const fixture = Fixture.established();
  let fd = 1000;
  for (const flags of [
    0,
    NONE,
    TRIGGER,
    NONE | BOOL | TRIGGER,
    NONE | EVENTFD | TRIGGER,
    EVENTFD | MASK | TRIGGER,
    NONE | MASK | UNMASK,
    EVENTFD | TRIGGER | 0x40,
    0xffffffff,
  ]) {
    fixture.refuses(message(1, SET_IRQS, payload(flags, MSIX, 0, 1)), EINVAL, [fd++]);
  }
});

test('short payloads, a small argsz and missing booleans are refused', () => {
  const fixture = Fixture.established();
  for (let length = 0; length < 20; length++) {
    const short = payload(EVENTFD | TRIGGER, MSIX, 0, 1).subarray(0, length);
    fixture.refuses(message(1, SET_IRQS, short), EINVAL, [100 + length]);
  }
  const small = payload(NONE | TRIGGER, MSIX, 0, 0);
  small.writeUInt32LE(19);
  fixture.refuses(message(1, SET_IRQS, small), EINVAL);
  fixture.refuses(message(1, SET_IRQS, payload(BOOL | TRIGGER, MSIX, 0, 3, Buffer.of(1, 1))), EINVAL);
  fixture.refuses(message(1, SET_IRQS, payload(BOOL | TRIGGER, MSIX, 0, 0xffffffff, Buffer.of(1))), EINVAL);
  const lying = payload(BOOL | TRIGGER, MSIX, 0, 2, Buffer.of(1, 1));
  lying.writeUInt32LE(21);
  fixture.refuses(message(1, SET_IRQS, lying), EINVAL);
});

test('posted, nothing is answered', () => {
  const fixture = Fixture.established();
  fixture.handle(message(1, SET_IRQS, payload(EVENTFD | TRIGGER, MSIX, 0, 1), NO_REPLY), [30]);
  fixture.handle(message(1, SET_IRQS, payload(EVENTFD | TRIGGER, MSIX, 99, 1), NO_REPLY), [31]);
  assert.deepEqual(fixture.replies(), []);
  fixture.nothingLeaks();
});
