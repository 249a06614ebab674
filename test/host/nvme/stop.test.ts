// Limits of a VMM, a controller that stops and goes on, masked vectors, and who is told of CSTS.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as nvme from '../../../assembly/spec/nvme.ts';
import { CNS_CONTROLLER } from '../../../assembly/spec/nvme-identify.ts';
import { native } from '../../../host/native.ts';
import { DRAIN_MICROSECONDS } from '../../../host/nvme/drains.ts';
import type { ControllerSetup } from '../../../host/nvme/limits.ts';
import type { ControllerLimits } from '../../../host/transport/device.ts';
import { Fixture } from './fixture.ts';
import { HANGING, HIGH, MSIX_CONTROL_AT, nothing, RAM, type ControllerRig } from './rig.ts';

const fixture = new Fixture('stop');
const MSIX_ENABLE = 0x8000;

function limits(some: Partial<ControllerLimits>): ControllerLimits {
  return { ioQueuePairs: undefined, queueEntries: undefined, serial: undefined, ...some };
}

function serial(one: ControllerRig): string {
  const entry = new Uint8Array(nvme.SQE_BYTES);
  entry[nvme.SQE_OPCODE] = nvme.ADMIN_IDENTIFY;
  entry[nvme.SQE_CDW10] = CNS_CONTROLLER;
  let found = '';
  one.controller.command(entry, ({ data }) => (found = Buffer.from(data).toString('latin1', 4, 24)));
  return found.trimEnd();
}

const entries = (one: ControllerRig): number => (one.register(nvme.REG_CAP) & 0xffff) + 1;
const vectors = (one: ControllerRig): number => one.controller.interruptCount('msix');

/** Starts to stop the controller; `result` is there when it has, or has not in time. */
function stop(one: ControllerRig): { result: boolean | undefined } {
  const state: { result: boolean | undefined } = { result: undefined };
  one.controller.quiesce((drained) => (state.result = drained));
  return state;
}

function stopped(one: ControllerRig): void {
  const state = stop(one);
  one.until(() => state.result !== undefined, 'the stop');
  assert.equal(state.result, true);
}

// ---- Limits ----

test('a VMM chooses fewer and shorter queues and a serial number; the next client has the target’s own', () => {
  const one = fixture.rig();
  assert.deepEqual([entries(one), vectors(one), serial(one)], [1024, 65, 'RIG']);
  one.controller.configure(limits({ ioQueuePairs: 3, queueEntries: 64, serial: 'VMM-1' }));
  assert.deepEqual([entries(one), vectors(one), serial(one)], [64, 4, 'VMM-1']);
  const table = Buffer.from(one.controller.regionRead('config', MSIX_CONTROL_AT, 2)).readUInt16LE();
  assert.equal(table, 3, 'the size of the MSI-X table');
  one.controller.configure(limits({ serial: 'VMM-2' }));
  assert.deepEqual([entries(one), vectors(one), serial(one)], [1024, 65, 'VMM-2']);
  one.controller.configure(limits({ ioQueuePairs: 1 }));
  assert.equal(one.up().io('read', RAM), 0);
  one.controller.disconnect(nothing);
  assert.deepEqual([entries(one), vectors(one), serial(one)], [1024, 65, 'RIG']);
  assert.equal(one.up().io('write', RAM), 0);
});

test('limits that the target cannot have are refused, and change nothing', () => {
  const one = fixture.rig();
  const wrong: Partial<ControllerLimits>[] = [
    ...[0, 65, 1.5, -1].map((ioQueuePairs) => ({ ioQueuePairs })),
    ...[0, 1, 1025, 65536, Number.NaN].map((queueEntries) => ({ queueEntries })),
    ...['', 'x'.repeat(21), 'tab\t', 'ä'].map((serial) => ({ serial })),
  ];
  for (const some of wrong) {
    const refused = { name: 'DeviceError', code: 'LIMITS_INVALID', errno: 22 };
    assert.throws(() => one.controller.configure(limits(some)), refused, JSON.stringify(some));
  }
  assert.deepEqual([entries(one), vectors(one), serial(one)], [1024, 65, 'RIG']);
});

test('limits come first: after memory, a notifier or CC.EN they are refused', () => {
  const one = fixture.rig();
  const refused = { name: 'DeviceError', code: 'CONTROLLER_BUSY', errno: 16 };
  const configure = (): void => one.controller.configure(limits({}));
  one.memoryAdd(HIGH.gpa, HIGH.length);
  assert.throws(configure, refused);
  one.controller.memoryRemove(HIGH.gpa, HIGH.length, nothing);
  configure();
  one.controller.notifierSet('msix', 0, native.eventfdCreate());
  assert.throws(configure, refused);
  one.controller.notifiersClear('msix');
  configure();
  one.registerWrite(nvme.REG_CC, nvme.CC_EN);
  assert.throws(configure, refused);
  one.controller.reset(nothing);
  configure();
});

// ---- Stopping ----

test('a controller that stops finishes what it has and takes nothing new; then it goes on', () => {
  const one = fixture.rig().up();
  one.hang();
  const state = stop(one);
  one.ioStart('write', RAM);
  for (let turn = 0; turn < 20; turn++) one.turn();
  assert.equal(state.result, undefined);
  assert.ok(one.controller.arm(), 'the loop may sleep until the I/O is done');
  one.unhang();
  one.until(() => state.result !== undefined, 'the stop');
  assert.equal(state.result, true);
  for (let turn = 0; turn < 20; turn++) one.turn();
  assert.equal(one.driver.reap(1), 1, 'the read was completed, the write was not fetched');
  one.ringHead(1);
  assert.ok(one.controller.arm());
  assert.equal(one.controller.deadline(fixture.reactor.now()), Infinity);
  one.controller.proceed();
  assert.ok(!one.controller.arm(), 'there is work');
  assert.equal(one.finish(1), 0);
});

test('I/O that does not end: after 3 s that is said, and the controller has stopped all the same', () => {
  const one = fixture.rig().up();
  one.hang();
  const state = stop(one);
  fixture.reactor.ahead += DRAIN_MICROSECONDS - 1_000_000;
  one.turn();
  assert.equal(state.result, undefined);
  assert.ok(one.controller.deadline(fixture.reactor.now()) <= 1_000_000);
  fixture.reactor.ahead += 1_000_000;
  one.turn();
  assert.equal(state.result, false);
  one.ioStart('write', RAM);
  for (let turn = 0; turn < 20; turn++) one.turn();
  assert.equal(one.driver.reap(1), 0);
  const fd = native.memfdSealed('state', one.controller.stateBytes);
  const refused = { name: 'DeviceError', code: 'CONTROLLER_BUSY' };
  assert.throws(() => one.controller.stateSave(fd), refused);
  one.unhang();
  stopped(one);
  one.controller.stateSave(fd);
  native.fdClose(fd);
  one.controller.proceed();
  one.until(() => one.driver.reap(1) === 1 && one.native.inFlight === 0, 'the write');
});

test('a controller without a guest stops at once, and again when it has', () => {
  const one = fixture.rig();
  stopped(one);
  assert.equal(stop(one).result, true);
  one.controller.disconnect(nothing);
  assert.equal(one.up().io('read', RAM), 0, 'the next client’s controller runs');
});

test('a stop that is called off has not happened', () => {
  const one = fixture.rig().up();
  one.hang();
  const state = stop(one);
  one.controller.proceed();
  one.turn();
  assert.equal(state.result, false);
  one.unhang();
  assert.equal(one.finish(1), 0);
});

test('a controller that has stopped stops again when I/O of commands given directly has ended', () => {
  const one = fixture.rig().up();
  stopped(one);
  const entry = new Uint8Array(nvme.SQE_BYTES);
  entry[nvme.SQE_OPCODE] = nvme.NVM_READ;
  entry[nvme.SQE_NSID] = HANGING;
  let status: number | undefined;
  one.controller.passthrough('nvm', entry, undefined, 512, (completion) => (status = completion.status));
  const state = stop(one);
  one.turn();
  assert.deepEqual([state.result, status], [undefined, undefined]);
  one.unhang(512);
  one.until(() => state.result !== undefined, 'the stop');
  assert.deepEqual([state.result, status], [true, 0]);
});

test('what a client left waiting for does nothing to the next one', () => {
  const cached = (setup: ControllerSetup): ControllerSetup => ({
    ...setup,
    namespaces: setup.namespaces.map((each) => ({ ...each, volatileCache: true })),
  });
  const one = fixture.rig({ change: cached });
  one.controller.start(undefined);
  one.controller.stop(nothing);
  let served = false;
  one.controller.disconnect(() => (served = true));
  one.until(() => served, 'the end of the flush');
  one.up();
  fixture.reactor.ahead += DRAIN_MICROSECONDS;
  one.turn();
  assert.equal(one.io('read', RAM), 0);
});

test('memory that was not given up in time fails the client whose it was, not the next one', () => {
  const one = fixture.rig().up();
  one.hang();
  one.controller.memoryRemove(HIGH.gpa, HIGH.length, nothing);
  fixture.reactor.ahead += DRAIN_MICROSECONDS / 2;
  let served = false;
  one.controller.disconnect(() => (served = true));
  fixture.reactor.ahead += DRAIN_MICROSECONDS / 2;
  one.turn();
  assert.equal(served, false);
  one.unhang();
  one.until(() => served, 'the end of the I/O');
  assert.equal(one.controller.spent, false);
  assert.equal(one.register(nvme.REG_CSTS), 0);
  assert.equal(one.up().io('read', RAM), 0);
});

test('registers work while the controller has stopped', () => {
  const one = fixture.rig().up();
  const seen: number[] = [];
  one.controller.statusWatch((csts) => seen.push(csts));
  stopped(one);
  const cc = one.register(nvme.REG_CC);
  one.registerWrite(nvme.REG_CC, cc | (nvme.CC_SHN_NORMAL << nvme.CC_SHN_SHIFT));
  for (let turn = 0; turn < 20; turn++) one.turn();
  assert.equal(
    one.register(nvme.REG_CSTS),
    nvme.CSTS_RDY | (nvme.CSTS_SHST_COMPLETE << nvme.CSTS_SHST_SHIFT),
  );
  one.registerWrite(nvme.REG_CC, 0);
  assert.equal(one.register(nvme.REG_CSTS), 0);
  one.enable();
  one.driver.identify(HIGH.gpa, CNS_CONTROLLER);
  assert.ok(one.driver.submit(0) !== undefined);
  one.ring(0);
  for (let turn = 0; turn < 20; turn++) one.turn();
  assert.equal(one.driver.reap(0), 0);
  one.controller.proceed();
  assert.equal(one.finish(0), 0);
  assert.deepEqual(seen.at(-1), nvme.CSTS_RDY);
});

// ---- CSTS ----

test('whoever watches is told of each change of CSTS, until the client leaves', () => {
  const one = fixture.rig();
  const seen: number[] = [];
  one.controller.statusWatch((csts) => seen.push(csts));
  one.up();
  assert.deepEqual(seen, [nvme.CSTS_RDY]);
  assert.equal(one.io('read', RAM), 0);
  assert.deepEqual(seen.splice(0), [nvme.CSTS_RDY], 'I/O changes nothing');
  one.hang();
  one.registerWrite(nvme.REG_CC, 0);
  assert.deepEqual(seen, [], 'RDY waits for I/O');
  one.unhang();
  one.until(() => seen.length > 0, 'the disable');
  assert.deepEqual(seen.splice(0), [0]);
  one.enable();
  one.controller.reset(nothing);
  assert.deepEqual(seen.splice(0), [nvme.CSTS_RDY, 0]);
  one.registerWrite(nvme.REG_AQA, 0);
  one.registerWrite(nvme.REG_CC, nvme.CC_EN);
  assert.deepEqual(seen.splice(0), [nvme.CSTS_CFS]);
  one.controller.disconnect(nothing);
  one.up();
  assert.deepEqual(seen, []);
});

// ---- Vectors ----

test('what a masked vector is owed is signalled once when it is unmasked', () => {
  const one = fixture.rig().up();
  one.configWrite(MSIX_CONTROL_AT, MSIX_ENABLE);
  const fd = native.eventfdCreate();
  one.controller.notifierSet('msix', 1, fd);
  one.controller.notifierMask(1, true);
  for (let count = 0; count < 3; count++) assert.equal(one.io('read', RAM), 0);
  assert.equal(native.eventfdRead(fd), 0);
  one.controller.notifierMask(1, true);
  assert.equal(native.eventfdRead(fd), 0);
  one.controller.notifierMask(1, false);
  assert.equal(native.eventfdRead(fd), 1);
  one.controller.notifierMask(1, false);
  assert.equal(native.eventfdRead(fd), 0);
  assert.equal(one.io('read', RAM), 0);
  assert.equal(native.eventfdRead(fd), 1);
});

test('a vector that is masked keeps what it is owed over another notifier, and loses it with a reset', () => {
  const one = fixture.rig().up();
  one.configWrite(MSIX_CONTROL_AT, MSIX_ENABLE);
  one.controller.notifierMask(1, true);
  assert.equal(one.io('read', RAM), 0);
  const fd = native.eventfdCreate();
  one.controller.notifierSet('msix', 1, fd);
  assert.equal(native.eventfdRead(fd), 0);
  one.controller.notifierMask(1, false);
  assert.equal(native.eventfdRead(fd), 1);
  one.controller.notifierMask(1, true);
  one.controller.interruptTrigger('msix', 1);
  one.controller.reset(nothing);
  one.controller.notifierMask(1, false);
  assert.equal(native.eventfdRead(fd), 0);
  one.controller.notifierMask(1, true);
  one.controller.notifiersClear('msix');
  const next = native.eventfdCreate();
  one.controller.notifierSet('msix', 1, next);
  one.controller.interruptTrigger('msix', 1);
  assert.equal(native.eventfdRead(next), 1, 'the mask went with its kind');
});

test('INTx: signalled when MSI-X goes off, and after an unmask while it is pending', () => {
  const one = fixture.rig().up();
  const fd = native.eventfdCreate();
  one.controller.notifierSet('intx', 0, fd);
  one.configWrite(MSIX_CONTROL_AT, MSIX_ENABLE);
  one.ioStart('read', RAM);
  one.until(() => one.native.inFlight === 0 && one.turn() === 0, 'the command');
  assert.equal(native.eventfdRead(fd), 0);
  one.configWrite(MSIX_CONTROL_AT, 0);
  assert.equal(native.eventfdRead(fd), 1);
  one.controller.intxUnmask();
  assert.equal(native.eventfdRead(fd), 1, 'still pending');
  assert.equal(one.driver.reap(1), 1);
  one.ringHead(1);
  one.controller.intxUnmask();
  assert.equal(native.eventfdRead(fd), 0, 'consumed');
});

test('a page of doorbells stays where it is while queues exist', () => {
  const one = fixture.rig().connect();
  assert.throws(() => one.controller.doorbellsKicked(0x1001n), { code: 'DOORBELLS_INVALID', errno: 22 });
  one.controller.doorbellsKicked(undefined);
  one.controller.disconnect(nothing);
  one.up();
  one.controller.doorbellsKicked(undefined);
  assert.throws(() => one.controller.doorbellsKicked(0x7000n), { code: 'CONTROLLER_BUSY', errno: 16 });
});
