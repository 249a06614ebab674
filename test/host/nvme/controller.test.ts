// The life of a controller under I/O: reset, disconnect and removal of memory while the storage works or hangs, a core
// that trapped beside one that did not, interrupts, and what the kernel or the VMM may refuse.

import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { afterEach, beforeEach, test } from 'node:test';
import { SUBMISSION_QUEUE_BASE, SUBMISSION_QUEUE_SIZE } from '../../../assembly/abi/memory-map.ts';
import * as nvme from '../../../assembly/spec/nvme.ts';
import {
  CAPABILITY_ID_MSIX,
  CONFIG_CAPABILITIES,
  CONFIG_COMMAND,
  CONFIG_STATUS,
  MSIX_CONTROL,
  MSIX_CONTROL_ENABLE,
  STATUS_INTERRUPT,
} from '../../../assembly/spec/pci.ts';
import { buildPath } from '../../../host/demo/checkout.ts';
import { native, type NativeController } from '../../../host/native.ts';
import { DRAIN_MICROSECONDS } from '../../../host/nvme/drains.ts';
import { fdCount } from '../../native/rig.ts';
import { ControllerRig, DATA_AT, HIGH, nothing, RAM, TestReactor, type RigOptions } from './rig.ts';

let directory: string;
let reactor: TestReactor;
let rigs: ControllerRig[];

beforeEach(() => {
  fs.mkdirSync(buildPath('tmp'), { recursive: true });
  directory = fs.mkdtempSync(buildPath('tmp', 'controller-'));
  // State images of cores that trapped go here.
  process.env['TMPDIR'] = directory;
  reactor = new TestReactor();
  rigs = [];
});

afterEach(() => {
  reactor.close();
  for (const each of rigs) each.close();
  delete process.env['TMPDIR'];
  fs.rmSync(directory, { recursive: true });
});

function rig(options: Pick<RigOptions, 'face'> = {}): ControllerRig {
  const made = new ControllerRig({ directory, reactor, ...options });
  rigs.push(made);
  return made;
}

function failed(one: ControllerRig): boolean {
  return (one.register(nvme.REG_CSTS) & nvme.CSTS_CFS) !== 0;
}

/** The state of something that ends by a callback. */
function waitFor(start: (done: () => void) => void): { readonly done: boolean } {
  const state = { done: false };
  start(() => (state.done = true));
  return state;
}

function interruptStatus(one: ControllerRig): boolean {
  return (
    (Buffer.from(one.controller.regionRead('config', CONFIG_STATUS, 2)).readUInt16LE() & STATUS_INTERRUPT) !==
    0
  );
}

/** Offset of a capability in config space. */
function capability(one: ControllerRig, id: number): number {
  const config = one.controller.regionRead('config', 0, 256);
  let at = config[CONFIG_CAPABILITIES] ?? 0;
  while (at !== 0 && config[at] !== id) at = config[at + 1] ?? 0;
  assert.ok(at !== 0);
  return at;
}

/** The addon's controller but for some of its methods. */
function wrapped(real: NativeController, other: Partial<NativeController>): NativeController {
  return new Proxy(real, {
    get: (target, name: keyof NativeController) => {
      const value = other[name] ?? target[name];
      return typeof value === 'function' ? (value as () => void).bind(target) : value;
    },
  });
}

test('reads what was written', () => {
  const one = rig().up();
  one.guest(DATA_AT, 4096).fill(0x77);
  assert.equal(one.io('write', RAM), 0);
  one.guest(DATA_AT, 4096).fill(0);
  assert.equal(one.io('read', RAM), 0);
  assert.ok(one.guest(DATA_AT, 4096).every((byte) => byte === 0x77));
});

// ---- I/O that hangs ----

test('a reset waits for I/O, then the controller works again', () => {
  const one = rig().up();
  one.hang();
  const reset = waitFor((done) => one.controller.reset(done));
  for (let turn = 0; turn < 10; turn++) one.turn();
  assert.ok(!reset.done);
  assert.equal(one.register(nvme.REG_CSTS), 0);
  one.unhang();
  one.until(() => reset.done, 'the reset');
  assert.ok(!failed(one));
  assert.equal(one.driver.reap(1), 0, 'no completion of an earlier life');
  one.controller.disconnect(nothing);
  assert.equal(one.up().io('read', RAM), 0);
});

test('a reset ends after 3 s: CFS, and late I/O touches no guest memory', () => {
  const one = rig().up();
  one.guest(DATA_AT, 4096).fill(0x11);
  one.hang();
  const reset = waitFor((done) => one.controller.reset(done));
  reactor.ahead += DRAIN_MICROSECONDS - 1_000_000;
  one.turn();
  assert.ok(!reset.done);
  assert.ok(one.controller.deadline(reactor.now()) <= 1_000_000, 'the loop sleeps no longer than that');
  reactor.ahead += 1_000_000;
  one.turn();
  assert.ok(reset.done);
  assert.ok(failed(one));
  assert.match(one.lines.join(''), /did not finish within 3 s of a reset.*restart the VMM/);
  one.unhang();
  one.until(() => one.native.inFlight === 0, 'the late completion');
  assert.ok(one.guest(DATA_AT, 4096).every((byte) => byte === 0x11));
});

test('memory is given back when its I/O is done', () => {
  const one = rig().up();
  one.hang();
  const removed = waitFor((done) => one.controller.memoryRemove(HIGH.gpa, HIGH.length, done));
  one.turn();
  assert.ok(!removed.done);
  one.unhang();
  one.until(() => removed.done, 'the removal');
  assert.ok(!failed(one));
  one.memoryAdd(HIGH.gpa, HIGH.length);
  assert.equal(one.driver.reap(1), 1);
  assert.equal(one.driver.completion(0).status & 0x7ff, 0);
});

test('memory is given back after 3 s at the latest: CFS, and late I/O hits nobody', () => {
  const one = rig().up();
  one.guest(DATA_AT, 4096).fill(0x22);
  one.hang();
  const removed = waitFor((done) => one.controller.memoryRemove(HIGH.gpa, HIGH.length, done));
  reactor.ahead += DRAIN_MICROSECONDS;
  one.turn();
  assert.ok(removed.done);
  assert.ok(failed(one));
  one.unhang();
  one.until(() => one.native.inFlight === 0, 'the late completion');
  assert.ok(one.guest(DATA_AT, 4096).every((byte) => byte === 0x22));
});

test('a client that leaves under I/O: the next one is served', () => {
  const one = rig().up();
  one.hang();
  const left = waitFor((done) => one.controller.disconnect(done));
  one.turn();
  assert.ok(!left.done);
  one.unhang();
  one.until(() => left.done, 'the disconnection');
  assert.equal(one.up().io('read', RAM), 0);
});

test('a client that leaves under I/O that hangs is gone after 3 s; the next one waits for CSTS.RDY', () => {
  const one = rig().up();
  one.hang();
  const left = waitFor((done) => one.controller.disconnect(done));
  reactor.ahead += DRAIN_MICROSECONDS;
  one.turn();
  assert.ok(left.done);
  one.unhang();
  assert.equal(one.up().io('read', RAM), 0);
  assert.ok(!failed(one));
});

test('a controller whose I/O never ended can be closed once the ring is', () => {
  const one = rig().up();
  one.hang();
  const left = waitFor((done) => one.controller.disconnect(done));
  reactor.ahead += DRAIN_MICROSECONDS;
  one.turn();
  assert.ok(left.done);
  assert.equal(one.native.inFlight, 1);
  // afterEach closes the ring, which cancels, and then the controller.
});

// ---- Failures ----

test('a core that traps fails alone: CSTS.CFS, and its neighbour goes on', () => {
  const [one, other] = [rig().up(), rig().up()];
  one.core.bytes.fill(0xff, SUBMISSION_QUEUE_BASE, SUBMISSION_QUEUE_BASE + SUBMISSION_QUEUE_SIZE);
  for (let tries = 0; tries < 100 && one.core.failure === undefined; tries++) {
    one.registerWrite(nvme.REG_DOORBELLS, tries % 32);
    one.turn();
    one.controller.reset(nothing);
    one.controller.regionWrite('config', CONFIG_COMMAND, Uint8Array.of(6, 0), nothing);
  }
  one.turn();
  assert.ok(one.core.failure !== undefined);
  assert.ok(failed(one));
  assert.match(one.lines.join(''), /the core trapped.*state\.image/s);
  assert.ok(one.controller.arm(), 'nothing keeps the loop awake');
  assert.equal(one.controller.deadline(reactor.now()), Infinity);
  const left = waitFor((done) => one.controller.disconnect(done));
  assert.ok(left.done);
  one.memoryAdd(HIGH.gpa, HIGH.length);
  one.controller.memoryRemove(HIGH.gpa, HIGH.length, nothing);
  assert.ok(failed(one), 'so it is for the next client');
  assert.equal(other.io('read', RAM), 0);
});

test('a window that the kernel refuses to map fails this controller, until it can be mapped', () => {
  let refuses = false;
  const one = rig({
    face: (real) =>
      wrapped(real, {
        windowFill: (window, page) => {
          if (refuses)
            throw Object.assign(new Error('ENOMEM'), { code: 'ENOMEM', errno: 12, syscall: 'mmap' });
          real.windowFill(window, page);
        },
      }),
  }).up();
  one.controller.disconnect(nothing);
  refuses = true;
  assert.throws(() => one.up(), /within 5 s/);
  assert.ok(failed(one));
  assert.match(one.lines.join(''), /cannot be mapped \(ENOMEM\); raise vm\.max_map_count/);
  assert.equal(one.lines.filter((line) => line.includes('ENOMEM')).length, 1, 'said once');
  refuses = false;
  one.controller.disconnect(nothing);
  assert.equal(one.up().io('read', RAM), 0);
});

test('before a guest is up and after a client has left, the loop may sleep', () => {
  const one = rig();
  const asleep = (): boolean => {
    while (one.turn() > 0);
    return one.controller.arm() && one.controller.deadline(reactor.now()) === Infinity;
  };
  assert.ok(asleep());
  one.memoryAdd(HIGH.gpa, HIGH.length);
  assert.ok(asleep(), 'memory without a bus master');
  one.controller.memoryRemove(HIGH.gpa, HIGH.length, nothing);
  assert.equal(one.up().io('read', RAM), 0);
  assert.ok(asleep(), 'an idle guest');
  one.controller.disconnect(nothing);
  assert.ok(asleep(), 'no client');
});

// ---- Interrupts ----

test('a notifier that is no eventfd is refused and closed', () => {
  const one = rig().up();
  const before = fdCount();
  for (const kind of ['intx', 'msix'] as const) {
    const fd = native.memfdCreate('no eventfd', 4096);
    assert.throws(() => one.controller.notifierSet(kind, 0, fd), {
      name: 'DeviceError',
      code: 'NOTIFIER_KIND',
    });
  }
  assert.equal(fdCount(), before);
  assert.equal(one.io('read', RAM), 0);
});

test('MSI-X: an interrupt that nobody could be told of is told with the notifier', () => {
  const one = rig().up();
  const control = capability(one, CAPABILITY_ID_MSIX) + MSIX_CONTROL;
  one.controller.regionWrite('config', control + 1, Uint8Array.of(MSIX_CONTROL_ENABLE >>> 8), nothing);
  assert.equal(one.io('read', RAM), 0);
  const fd = native.eventfdCreate();
  one.controller.notifierSet('msix', 1, fd);
  assert.equal(native.eventfdRead(fd), 1, 'owed');
  assert.equal(one.io('read', RAM), 0);
  assert.equal(native.eventfdRead(fd), 1, 'raised');
  one.controller.interruptTrigger('msix', 1);
  assert.equal(native.eventfdRead(fd), 1, 'triggered');
  one.controller.notifierSet('msix', 1, undefined);
  assert.equal(one.io('read', RAM), 0);
  one.controller.notifiersClear('msix');
  const next = native.eventfdCreate();
  one.controller.notifierSet('msix', 1, next);
  assert.equal(native.eventfdRead(next), 0, 'the kind was off meanwhile');
});

test('INTx: Interrupt Status follows the completion queue, and enabling the pin signals what is pending', () => {
  const one = rig().up();
  assert.ok(!interruptStatus(one));
  const fd = native.eventfdCreate();
  one.controller.notifierSet('intx', 0, fd);
  const intxDisable = (on: boolean): void =>
    one.controller.regionWrite('config', CONFIG_COMMAND, Uint8Array.of(6, on ? 4 : 0), nothing);
  intxDisable(true);
  one.ioStart('read', RAM);
  one.until(() => one.native.inFlight === 0 && one.turn() === 0, 'the command');
  assert.ok(interruptStatus(one));
  assert.equal(native.eventfdRead(fd), 0);
  intxDisable(false);
  assert.equal(native.eventfdRead(fd), 1);
  assert.equal(one.driver.reap(1), 1);
  one.ringHead(1);
  assert.ok(!interruptStatus(one), 'the guest has consumed all');
});
