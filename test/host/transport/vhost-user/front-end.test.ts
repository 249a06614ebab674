/**
 * The 2019 device against a real controller: its start, doorbells in shared memory, Doorbell Buffer Config, I/O,
 * interrupts, stops and starts, and what of it goes wrong.
 */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import path from 'node:path';
import { after, afterEach, beforeEach, test } from 'node:test';
import * as nvme from '../../../../assembly/spec/nvme.ts';
import { doorbellOffset } from '../../../../host/core/driver.ts';
import { buildPath } from '../../../../host/demo/checkout.ts';
import { createLog } from '../../../../host/log/log.ts';
import { VhostUserServer } from '../../../../host/transport/vhost-user/server.ts';
import { fdCount } from '../../../native/rig.ts';
import { AT, Guest2019, type Guest2019Options } from '../../../support/guest-2019.ts';
import { Closed } from '../../../support/vhost-user-2019.ts';
import { ControllerRig, HANGING, RAM, TestReactor } from '../../nvme/rig.ts';

mkdirSync(buildPath('tmp'), { recursive: true });
const directory = mkdtempSync(buildPath('tmp', 'vhost-user-'));
const socketPath = path.join(directory, 's');
const reactor = new TestReactor();
const lines: string[] = [];
const guests: Guest2019[] = [];
let rig: ControllerRig;
let server: VhostUserServer;
let before: number;

function turn(): void {
  rig.turn();
}

function turns(count = 20): void {
  for (let index = 0; index < count; index++) turn();
}

function guest(options: Guest2019Options = {}): Guest2019 {
  const made = new Guest2019(socketPath, { wait: turn, ...options });
  guests.push(made);
  return made;
}

beforeEach(() => {
  lines.length = 0;
  before = fdCount();
  rig = new ControllerRig({ directory, reactor });
  const log = createLog({ level: 'debug', json: false, write: (line) => lines.push(line) });
  server = new VhostUserServer({ path: socketPath, device: rig.controller, reactor, log });
});

afterEach(() => {
  for (const each of guests.splice(0)) each.close();
  let closed = false;
  server.close(() => (closed = true));
  rig.until(() => closed, 'the server comes to rest');
  rig.close();
  assert.equal(fdCount(), before, 'no descriptor is left open');
});

after(() => {
  reactor.close();
  rmSync(directory, { recursive: true });
});

test('the device starts: CAP, the controller and as many namespaces as there are', () => {
  const one = guest();
  one.device.realize();
  assert.equal(one.device.cap & 0xffffn, 255n, 'the queues that it was written for');
  assert.equal(one.device.cap >> 56n, 0n, 'nothing that NVMe 1.0 does not know');
  assert.equal(one.device.namespaceCount, HANGING);
  assert.equal(one.device.controllerData().toString('latin1', 4, 7), 'RIG');
  assert.equal(one.device.namespaceData(RAM).readBigUInt64LE(0), 2048n);
});

test('I/O through shared memory, then through shadow doorbells, with interrupts', () => {
  const one = guest();
  one.device.realize();
  one.enable().pairCreate(1, 3);
  one.bytes(AT.data, 4096).fill(0x77);
  assert.equal(one.io('write'), 0);
  assert.equal(one.device.interrupts(1), 1);
  one.bytes(AT.data, 4096).fill(0);
  for (let round = 0; round < 20; round++) assert.equal(one.io('read'), 0);
  assert.ok(one.bytes(AT.data, 4096).every((byte) => byte === 0x77));
  one.shadowDoorbells();
  for (let round = 0; round < 50; round++) assert.equal(one.io('read'), 0);
  assert.equal(one.driver.strangers, 0);
  assert.equal(one.device.interrupts(1), 70);
});

test('what the guest wrote before Doorbell Buffer Config is not lost, and nothing stale runs', () => {
  const one = guest();
  one.device.realize();
  one.enable().pairCreate(1);
  for (let round = 0; round < 5; round++) assert.equal(one.io('read'), 0);
  one.ioStart('write');
  one.shadowDoorbells();
  one.until(() => one.reap(1) === 1, 'the command of before');
  turns();
  assert.equal(one.reap(1), 0);
  for (let round = 0; round < 20; round++) assert.equal(one.io('read'), 0);
  assert.equal(one.driver.strangers, 0);
});

test('two completion queues of one vector are both signalled', () => {
  const one = guest();
  one.device.realize();
  one.enable();
  one.pairCreate(1, 2);
  one.pairCreate(2, 2);
  assert.equal(one.io('read', 1), 0);
  assert.equal(one.io('read', 2), 0);
  assert.deepEqual([one.device.interrupts(1), one.device.interrupts(2)], [1, 1]);
});

test('a stop clears the queues, a start begins anew; both may come twice', () => {
  const one = guest();
  one.device.realize();
  one.enable().pairCreate(1, 1);
  one.device.startStop(1n);
  assert.equal(one.io('read'), 0, 'a second start keeps the queues');
  one.shutdown();
  one.disable();
  assert.equal(one.device.admin(new Uint8Array(64).fill(1, 0, 1)).status, 0x7fff, 'no queues while stopped');
  for (let life = 0; life < 3; life++) {
    one.enable().pairCreate(1, 1);
    one.bytes(AT.data, 4096).fill(life + 1);
    assert.equal(one.io('write'), 0);
    if (life === 1) one.shadowDoorbells();
    assert.equal(one.io('read'), 0);
    one.disable();
  }
});

test('a queue is created anew without having been deleted', () => {
  const one = guest();
  one.device.realize();
  one.enable();
  for (let round = 0; round < 3; round++) {
    one.pairCreate(1, 1);
    assert.equal(one.io('read'), 0);
  }
});

test('a stop waits for I/O, which then completes to nobody', () => {
  const one = guest();
  one.device.realize();
  one.enable().pairCreate(1, 1);
  one.ioStart('read', 1, HANGING);
  rig.until(() => rig.native.inFlight === 1, 'the request is in flight');
  one.disable();
  one.device.send(82, Buffer.alloc(0));
  turns();
  rig.unhang();
  assert.equal(one.device.receive(82).length, 8);
  assert.equal(one.reap(1), 0);
  one.enable().pairCreate(1, 1);
  assert.equal(one.io('read'), 0);
});

test('doorbells may be messages', () => {
  const one = guest({ bar: false });
  one.device.realize();
  one.enable().pairCreate(1);
  for (let round = 1; round < 20; round++) {
    one.driver.data(AT.data, 4096).read(1, 0, 8);
    one.driver.submit(1);
    one.device.ioCommand(1, 1, one.driver.submissionDoorbell(1) ?? 0);
    one.until(() => one.driver.reap(1) === 1, 'a completion');
    one.device.ioCommand(2, 1, one.driver.completionDoorbell(1) ?? 0);
  }
});

test('the target polls ever more rarely, and never asks the guest to ring', () => {
  const one = guest();
  one.device.realize();
  one.enable().pairCreate(1);
  one.shadowDoorbells();
  for (let round = 0; round < 30; round++) {
    assert.equal(one.io('read'), 0);
    while (!rig.controller.arm()) turn();
  }
  assert.equal(one.driver.doorbellsRung, 0);
  turns();
  assert.ok(rig.controller.deadline(reactor.now()) < 10_000);
  reactor.ahead += 1_000_000;
  turns();
  assert.equal(rig.controller.deadline(reactor.now()), 10_000);
});

test('a front end that comes back finds a fresh controller', () => {
  const first = guest();
  first.device.realize();
  first.enable().pairCreate(1, 1);
  assert.equal(first.io('write'), 0);
  first.close();
  guests.splice(guests.indexOf(first), 1);
  const second = guest();
  second.device.realize();
  second.enable().pairCreate(1, 1);
  assert.equal(second.io('read'), 0);
  second.shadowDoorbells();
  assert.equal(second.io('read'), 0);
});

test('a second front end is refused, and the first does not notice', () => {
  const first = guest();
  first.device.realize();
  first.enable().pairCreate(1, 1);
  const second = guest();
  assert.throws(
    () => {
      second.device.realize();
    },
    (error: unknown) => error instanceof Closed || (error as NodeJS.ErrnoException).code === 'EPIPE',
  );
  assert.ok(lines.some((line) => line.includes('refused a second front end')));
  assert.equal(first.io('read'), 0);
});

test('a front end that does not read its replies is not listened to for ever', () => {
  const one = guest();
  const identify = Buffer.alloc(64);
  identify.writeUInt32LE(nvme.ADMIN_IDENTIFY, 0);
  identify.writeUInt32LE(1, 40);
  for (let count = 0; count < 2000; count++) {
    one.device.send(80, identify);
    if (count % 16 === 0) turn();
  }
  turns();
  for (let count = 0; count < 2000; count++) assert.equal(one.device.receive(80).length, 4112);
});

test('queues beyond the limits are refused', () => {
  const one = guest();
  one.device.realize();
  one.enable();
  for (const [qid, entries] of [
    [0, 8],
    [65, 8],
    [1, 1],
    [1, 1025],
  ] as const) {
    one.driver.createCompletionQueue(qid, AT.queues, entries, undefined);
    assert.equal(one.admin().status, 0x7fff, `queue ${qid} of ${entries}`);
  }
  assert.equal(doorbellOffset(1, 'submission'), 0x1008);
});
