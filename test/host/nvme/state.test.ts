// A controller's state goes from one target to the next: what was under way goes on, what is not this controller's is
// refused, and a state that somebody made up harms nobody.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { test } from 'node:test';
import {
  CALLER_BASE,
  COMPLETION_QUEUE_BASE,
  CONFIG_BASE,
  CONTROLLER_BASE,
  HEADER_BASE,
  NAMESPACE_BASE,
  QUEUE_BYTES,
  QUEUE_COUNT,
  SLOT_BASE,
  SLOT_BYTES,
  SUBMISSION_QUEUE_BASE,
  SUBMISSION_QUEUE_SIZE,
} from '../../../assembly/abi/memory-map.ts';
import * as nvme from '../../../assembly/spec/nvme.ts';
import { CNS_CONTROLLER } from '../../../assembly/spec/nvme-identify.ts';
import {
  FID_ASYNC_EVENT_CONFIGURATION,
  FID_INTERRUPT_COALESCING,
} from '../../../assembly/spec/nvme-features.ts';
import { native } from '../../../host/native.ts';
import type { ControllerSetup } from '../../../host/nvme/limits.ts';
import { Seat } from '../../../host/nvme/seat.ts';
import { STATE_BYTES, STATE_HEADER_BYTES } from '../../../host/nvme/state-file.ts';
import type { StateRefusal } from '../../../host/transport/device.ts';
import { createLog } from '../../../host/log/log.ts';
import { Random } from '../../support/random.ts';
import { Fixture } from './fixture.ts';
import { DATA_AT, MSIX_CONTROL_AT, nothing, RAM, type ControllerRig } from './rig.ts';

const fixture = new Fixture('state');
const MSIX_ENABLE = 0x8000;
const SHADOW = 0x300000;
const EVENT_INDEX = 0x301000;

/** The controller stops; its state, as bytes. */
function save(one: ControllerRig): Buffer {
  let drained: boolean | undefined;
  one.controller.quiesce((result) => (drained = result));
  one.until(() => drained !== undefined, 'the stop');
  assert.equal(drained, true);
  const fd = native.memfdSealed('state', one.controller.stateBytes);
  one.controller.stateSave(fd);
  const bytes = Buffer.alloc(STATE_BYTES);
  assert.equal(fs.readSync(fd, bytes, 0, bytes.length, 0), bytes.length);
  native.fdClose(fd);
  return bytes;
}

type Loader = Pick<Seat, 'stateLoad'>;

/** Gives a state to a controller, in a file of its own. */
function load(to: Loader, bytes: Uint8Array, size = bytes.length): StateRefusal | undefined {
  const fd = native.memfdCreate('given', bytes.length);
  fs.writeSync(fd, bytes, 0, bytes.length, 0);
  try {
    return to.stateLoad(fd, size);
  } finally {
    native.fdClose(fd);
  }
}

/** The next target's controller, which has taken over; it has stopped and has no memory yet. */
function successor(first: ControllerRig): ControllerRig {
  const bytes = save(first);
  first.controller.disconnect(nothing);
  const second = fixture.rig({ after: first });
  assert.equal(load(second.controller, bytes), undefined);
  return second;
}

/** Where an address of the image is in the file. */
function fileOffset(address: number): number {
  const first = 0x2c000 - HEADER_BASE;
  return STATE_HEADER_BYTES + (address < SLOT_BASE ? address - HEADER_BASE : first + address - SLOT_BASE);
}

/** Makes a changed file whole again, as whoever made it up would. */
function sealed(bytes: Buffer): Buffer {
  const hash = createHash('sha256');
  for (const [from, to] of [
    [0, 24],
    [32, 64],
    [96, bytes.length],
  ]) {
    hash.update(bytes.subarray(from, to));
  }
  hash.digest().copy(bytes, 64);
  return bytes;
}

function proceed(one: ControllerRig): void {
  one.memoryConnect();
  one.controller.proceed();
}

// ---- Going on ----

test('queues, data, commands under way and their order go on in the next target', () => {
  const first = fixture.rig().up();
  first.guest(DATA_AT, 4096).fill(0x4d);
  assert.equal(first.io('write', RAM), 0);
  first.driver.asyncEventRequest();
  const event = first.driver.submit(0);
  first.ring(0);
  while (first.turn() > 0);
  first.driver.setFeatures(FID_INTERRUPT_COALESCING, 0x0305);
  first.admin();
  first.driver.setFeatures(FID_ASYNC_EVENT_CONFIGURATION, 0x1f);
  first.admin();
  const bytes = save(first);
  // The guest goes on while there is nobody: its doorbell is lost, or written to the next target.
  first.guest(DATA_AT, 4096).fill(0);
  first.driver.data(DATA_AT, 4096).read(RAM, 0, 8);
  assert.ok(first.driver.submit(1) !== undefined);
  first.controller.disconnect(nothing);

  const second = fixture.rig({ after: first });
  assert.equal(load(second.controller, bytes), undefined);
  assert.equal(second.register(nvme.REG_CSTS), nvme.CSTS_RDY);
  second.ring(1);
  second.memoryConnect();
  for (let turn = 0; turn < 20; turn++) second.turn();
  assert.equal(second.driver.reap(1), 0, 'it has stopped still');
  second.controller.proceed();
  assert.equal(second.finish(1), 0);
  assert.ok(second.guest(DATA_AT, 4096).every((byte) => byte === 0x4d));
  second.driver.getFeatures(FID_INTERRUPT_COALESCING);
  assert.equal(second.admin(), 0x0305);
  second.driver.getFeatures(FID_ASYNC_EVENT_CONFIGURATION);
  assert.equal(second.admin() & 0xff, 0x1f);
  // A doorbell of no queue: the request of before is answered.
  second.registerWrite(nvme.REG_DOORBELLS + 8 * 60, 1);
  second.until(() => second.driver.reap(0) === 1, 'the event');
  assert.equal(second.driver.completion(0).cid, event);
  assert.equal(second.driver.strangers, 0);
});

test('shadow doorbells go on', () => {
  const first = fixture.rig().up();
  first.driver.doorbellBuffers(SHADOW, EVENT_INDEX);
  first.admin();
  first.driver.doorbellBuffersUse(SHADOW, EVENT_INDEX);
  assert.equal(first.io('write', RAM), 0);
  const second = successor(first);
  proceed(second);
  assert.equal(second.io('read', RAM), 0);
  assert.equal(second.io('read', RAM), 0);
  assert.equal(successorOf(second).io('read', RAM), 0, 'and once more');
});

function successorOf(one: ControllerRig): ControllerRig {
  const next = successor(one);
  proceed(next);
  return next;
}

test('whoever watches is told of shadow doorbells: when they begin, when they go on, when they end', () => {
  const first = fixture.rig().up();
  const seen: boolean[] = [];
  const note = (_: number, shadowDoorbells: boolean): number => seen.push(shadowDoorbells);
  first.controller.statusWatch(note);
  first.driver.doorbellBuffers(SHADOW, EVENT_INDEX);
  first.admin();
  assert.deepEqual(seen.splice(0), [true]);
  const bytes = save(first);
  first.controller.disconnect(nothing);
  const second = fixture.rig({ after: first });
  second.controller.statusWatch(note);
  assert.equal(load(second.controller, bytes), undefined);
  assert.deepEqual(seen, [true]);
  second.registerWrite(nvme.REG_CC, 0);
  assert.deepEqual(seen, [true, false]);
});

test('a page of doorbells goes on', () => {
  const page = 0x302000;
  const first = fixture.rig().connect();
  first.controller.doorbellsKicked(BigInt(page));
  first.doorbellPage = page;
  first.enable();
  first.queueCreate();
  assert.equal(first.io('write', RAM), 0);
  const second = successor(first);
  second.doorbellPage = page;
  second.driver.data(DATA_AT, 4096).read(RAM, 0, 8);
  assert.ok(second.driver.submit(1) !== undefined);
  second.ring(1);
  second.controller.doorbellsKicked(BigInt(page));
  proceed(second);
  assert.equal(second.finish(1), 0, 'rung while there was nobody');
  assert.equal(second.io('read', RAM), 0);
});

test('interrupts that were owed, masks and config space go on', () => {
  const first = fixture.rig().up();
  first.configWrite(MSIX_CONTROL_AT, MSIX_ENABLE);
  first.controller.interruptTrigger('msix', 5);
  first.controller.notifierMask(6, true);
  const second = successor(first);
  const eventfds = [5, 6, 7].map((vector) => {
    const fd = native.eventfdCreate();
    second.controller.notifierSet('msix', vector, fd);
    second.controller.interruptTrigger('msix', vector);
    return fd;
  });
  assert.deepEqual(
    eventfds.map((fd) => native.eventfdRead(fd)),
    [2, 0, 1],
  );
  second.controller.notifierMask(6, false);
  assert.equal(native.eventfdRead(eventfds[1] as number), 1);
  assert.equal(
    Buffer.from(second.controller.regionRead('config', MSIX_CONTROL_AT, 2)).readUInt16LE(),
    0x8040,
  );
  proceed(second);
  assert.equal(second.io('read', RAM), 0, 'a bus master still');
});

test('limits that the VMM chose must be chosen again; another firmware revision is shown', () => {
  const first = fixture.rig();
  const limits = { ioQueuePairs: 2, queueEntries: 32, serial: 'VMM' };
  first.controller.configure(limits);
  first.up();
  const bytes = save(first);
  first.controller.disconnect(nothing);
  const second = fixture.rig({ after: first, change: (setup) => withConfig(setup, { firmware: '2' }) });
  assert.equal(load(second.controller, bytes), 'configuration');
  second.controller.configure(limits);
  assert.equal(load(second.controller, bytes), undefined);
  proceed(second);
  second.driver.identify(DATA_AT, CNS_CONTROLLER);
  second.admin();
  const identify = Buffer.from(second.guest(DATA_AT, 4096));
  assert.equal(identify.toString('latin1', 4, 24).trimEnd(), 'VMM');
  assert.equal(identify.toString('latin1', 64, 72).trimEnd(), '2');
  // The next client knows nothing of it.
  second.controller.disconnect(nothing);
  assert.equal(second.controller.interruptCount('msix'), 65);
  assert.equal(second.up().io('read', RAM), 0);
});

test('a state holds no address of the target', () => {
  const first = fixture.rig().up();
  assert.equal(first.io('write', RAM), 0);
  const bytes = save(first);
  const { ioBase } = first.native.regionAdd({
    ...{ gpa: 1n << 40n, length: 4096n, offset: 0n, fd: first.side.fd, readable: true, writable: true },
  });
  first.native.regionRemove(1n << 40n, 4096n);
  const page = Buffer.alloc(8);
  page.writeBigUInt64LE(ioBase);
  // Pages of one mapping share the upper bytes of their addresses.
  assert.equal(bytes.indexOf(page.subarray(3, 6)), -1);
});

// ---- Refusals ----

function withConfig(setup: ControllerSetup, config: Partial<ControllerSetup['config']>): ControllerSetup {
  return { ...setup, config: { ...setup.config, ...config } };
}

function withNamespace(
  setup: ControllerSetup,
  namespace: Partial<ControllerSetup['namespaces'][number]>,
): ControllerSetup {
  return { ...setup, namespaces: setup.namespaces.map((each) => ({ ...each, ...namespace })) };
}

test('a state of another controller is refused, and the controller is at power-on', () => {
  const first = fixture.rig().up();
  const bytes = save(first);
  const changes: ((setup: ControllerSetup) => ControllerSetup)[] = [
    (setup) => withConfig(setup, { cntlid: 2 }),
    (setup) => withConfig(setup, { serial: 'OTHER' }),
    (setup) => withConfig(setup, { ioQueuePairs: 63 }),
    (setup) => withConfig(setup, { queueEntries: 512 }),
    (setup) => withConfig(setup, { shadowDoorbells: false }),
    (setup) => withConfig(setup, { model: 'other' }),
    (setup) => withNamespace(setup, { blocks: 1024n }),
    (setup) => withNamespace(setup, { lbaShift: 12, blocks: 256n }),
    (setup) => withNamespace(setup, { uuid: new Uint8Array(16).fill(1) }),
    (setup) => withNamespace(setup, { readOnly: true }),
    (setup) => ({ ...setup, namespaces: setup.namespaces.slice(0, 1) }),
  ];
  for (const change of changes) {
    const other = fixture.rig({ change });
    assert.equal(load(other.controller, bytes), 'configuration', change.toString());
    assert.equal(other.register(nvme.REG_CSTS), 0);
    assert.equal(other.register(nvme.REG_CC), 0);
  }
});

test('what is no state, or not a whole one, is refused with its reason', () => {
  const first = fixture.rig().up();
  const bytes = save(first);
  const second = fixture.rig();
  const changed = (change: (copy: Buffer) => void, seal = true): Buffer => {
    const copy = Buffer.from(bytes);
    change(copy);
    return seal ? sealed(copy) : copy;
  };
  const cases: [StateRefusal, string, Buffer, number?][] = [
    ['foreign', 'nothing', Buffer.alloc(0)],
    ['foreign', 'a part of the header', bytes.subarray(0, 4095)],
    ['foreign', 'a part of the image', bytes.subarray(0, STATE_BYTES - 1)],
    ['foreign', 'more than the file has', bytes, STATE_BYTES + 1],
    ['foreign', 'more than a state has', Buffer.concat([bytes, Buffer.alloc(1)])],
    ['foreign', 'another magic', changed((copy) => copy.writeUInt8(1, 0))],
    ['version', 'another version of the file', changed((copy) => copy.writeUInt32LE(99, 8))],
    ['version', 'another ABI', changed((copy) => copy.writeUInt32LE(1, 12))],
    ['version', 'another size of images', changed((copy) => copy.writeUInt32LE(65536, 16))],
    ['unclean', 'a target that never saved', Buffer.alloc(STATE_BYTES)],
    ['unclean', 'a target that died before the mark', changed((copy) => copy.fill(0, 24, 32))],
    ['damaged', 'a byte of the image', changed((copy) => copy.writeUInt8(0xa5, 20_000), false)],
    [
      'damaged',
      'an image that is none',
      changed((copy) => copy.fill(0, fileOffset(HEADER_BASE), fileOffset(HEADER_BASE) + 8)),
    ],
    [
      'configuration',
      'another configuration',
      changed((copy) => copy.writeUInt8(7, fileOffset(CONFIG_BASE) + 10)),
    ],
    [
      'configuration',
      'another namespace',
      changed((copy) => copy.writeUInt8(7, fileOffset(NAMESPACE_BASE) + 9)),
    ],
  ];
  for (const [reason, what, file, size] of cases) {
    assert.equal(load(second.controller, file, size), reason, what);
    assert.equal(second.register(nvme.REG_CSTS), 0);
  }
  assert.equal(load(second.controller, bytes), undefined, 'it was a good one');
  second.controller.disconnect(nothing);
  assert.equal(second.up().io('read', RAM), 0);
});

test('a file that could keep the target waiting is not read', () => {
  const second = fixture.rig();
  const stored = `${fixture.directory}/state`;
  fs.writeFileSync(stored, save(fixture.rig().up()));
  for (const path of [stored, '/dev/zero', fixture.directory]) {
    const fd = fs.openSync(path, 'r');
    assert.equal(second.controller.stateLoad(fd, STATE_BYTES), 'foreign', path);
    fs.closeSync(fd);
  }
});

test('a state comes first: after memory or CC.EN it is refused', () => {
  const first = fixture.rig().up();
  const bytes = save(first);
  const second = fixture.rig().connect();
  assert.throws(() => load(second.controller, bytes), { code: 'CONTROLLER_BUSY', errno: 16 });
  second.enable();
  assert.equal(second.register(nvme.REG_CSTS), nvme.CSTS_RDY);
});

test('a state is saved only by a controller that has stopped', () => {
  const one = fixture.rig().up();
  const fd = native.memfdSealed('state', one.controller.stateBytes);
  assert.throws(() => one.controller.stateSave(fd), { code: 'CONTROLLER_BUSY' });
  native.fdClose(fd);
  const small = native.memfdSealed('state', 4096);
  save(one);
  assert.throws(() => one.controller.stateSave(small), { code: 'STATE_NOT_SAVED' });
  native.fdClose(small);
});

// ---- States that somebody made up ----

test('of config space, a state has what can be written', () => {
  const first = fixture.rig().up();
  const bytes = save(first);
  const space = first.controller.regionRead('config', 0, 256);
  first.controller.disconnect(nothing);
  bytes.fill(0xff, fileOffset(CALLER_BASE), fileOffset(CALLER_BASE) + 4096);
  const second = fixture.rig({ after: first });
  assert.equal(load(second.controller, sealed(bytes)), undefined);
  const made = second.controller.regionRead('config', 0, 256);
  for (const at of [0, 1, 2, 3, 8, 9, 10, 11, 0x34, 0x50]) assert.equal(made[at], space[at], `at ${at}`);
});

/** Parts of the image that the host or the core looks at: address, bytes. */
const TARGETS: readonly [number, number][] = [
  [CALLER_BASE, 0x1082],
  [CONTROLLER_BASE, 0x200],
  [CONTROLLER_BASE, 0x2000],
  [SUBMISSION_QUEUE_BASE, 2 * QUEUE_BYTES],
  [SUBMISSION_QUEUE_BASE + QUEUE_COUNT * QUEUE_BYTES, 0x200],
  [COMPLETION_QUEUE_BASE, 2 * QUEUE_BYTES],
  [COMPLETION_QUEUE_BASE + QUEUE_COUNT * QUEUE_BYTES, 0x200],
  [SLOT_BASE, 12 * SLOT_BYTES],
];

test('an image made up byte by byte fails its controller at most, and the next client has a good one', (t) => {
  const first = fixture.rig().up();
  first.driver.asyncEventRequest();
  assert.ok(first.driver.submit(0) !== undefined);
  first.ring(0);
  while (first.turn() > 0);
  assert.equal(first.io('write', RAM), 0);
  const bytes = save(first);
  first.controller.disconnect(nothing);

  let holder = first;
  const make = (): ControllerRig['controller'] => {
    holder = fixture.rig({ after: first });
    return holder.controller;
  };
  const lines: string[] = [];
  const log = createLog({ level: 'error', json: false, write: (line) => lines.push(line) });
  const seat = new Seat(make, log);
  const outcomes = new Map<string, number>();
  for (let seed = 1; seed <= 300; seed++) {
    const random = new Random(seed);
    const copy = Buffer.from(bytes);
    for (let flips = random.between(1, 12); flips > 0; flips--) {
      const [begin, bytes] = random.pick(TARGETS);
      const at = fileOffset(begin) + random.below(bytes);
      copy.writeUInt8(random.next() & 0xff, at);
    }
    const refusal = load(seat, sealed(copy));
    if (refusal === undefined) exercise(seat, holder, random);
    const outcome = refusal ?? (holder.core.failure === undefined ? 'accepted' : 'trapped');
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    leave(seat, holder);
  }
  t.diagnostic([...outcomes].map(([outcome, count]) => `${outcome}: ${count}`).join(', '));
  assert.ok((outcomes.get('accepted') ?? 0) > 0);
  assert.equal(holder.up().io('read', RAM), 0);
});

test('a state that the core traps on: the client goes on with another controller, as it configured the first', () => {
  const bytes = save(fixture.rig().up());
  const begin = fileOffset(SUBMISSION_QUEUE_BASE);
  const rigs: ControllerRig[] = [];
  const make = (): ControllerRig['controller'] => {
    rigs.push(fixture.rig());
    return (rigs.at(-1) as ControllerRig).controller;
  };
  const seat = new Seat(make, createLog({ level: 'error', json: false, write: () => undefined }));
  const seen: number[] = [];
  seat.statusWatch((csts) => seen.push(csts));
  assert.equal(
    load(seat, sealed(Buffer.from(bytes).fill(0xff, begin, begin + SUBMISSION_QUEUE_SIZE))),
    'damaged',
  );
  assert.equal(rigs.length, 2);
  assert.match((rigs[0] as ControllerRig).lines.join(''), /trapped on a state that the VMM brought/);
  assert.deepEqual(
    fs.readdirSync(fixture.directory).filter((name) => name.startsWith('doorbell-trap')),
    [],
    'its image is not kept: it is the VMM’s',
  );
  assert.equal(seen.length, 0, 'CSTS is 0, as before');
  assert.equal(load(seat, bytes), undefined, 'a good one');
  assert.equal(seen.at(-1), nvme.CSTS_RDY);
  seat.disconnect(nothing);
  const limits = { ioQueuePairs: 2, queueEntries: undefined, serial: undefined };
  seat.configure(limits);
  const other = Buffer.from(bytes);
  Buffer.from(rigs[1]?.core.bytes.subarray(CONFIG_BASE, CONFIG_BASE + 4096) ?? []).copy(
    other,
    fileOffset(CONFIG_BASE),
  );
  assert.equal(load(seat, sealed(other.fill(0xff, begin, begin + SUBMISSION_QUEUE_SIZE))), 'damaged');
  assert.equal(rigs.length, 3);
  assert.equal(seat.interruptCount('msix'), 3, 'its limits');
});

/** What a client does with a controller that has taken a state over; nothing of it may throw. */
function exercise(seat: Seat, holder: ControllerRig, random: Random): void {
  seat.notifierSet('msix', 1, native.eventfdCreate());
  proceed(holder);
  for (let step = 0; step < 20; step++) {
    holder.turn();
    if (random.oneIn(4)) holder.registerWrite(nvme.REG_DOORBELLS + 4 * random.below(8), random.below(40));
    if (random.oneIn(8)) holder.register(nvme.REG_CSTS);
    if (random.oneIn(16)) seat.notifierMask(random.below(65), random.oneIn(2));
  }
  seat.regionRead('config', 0, 256);
}

function leave(seat: Seat, holder: ControllerRig): void {
  let hasLeft = false;
  seat.disconnect(() => (hasLeft = true));
  holder.until(() => hasLeft, 'the end');
  seat.complete();
}
