// Who serves the next client when the last one left a controller that cannot.

import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { afterEach, beforeEach, test } from 'node:test';
import { SUBMISSION_QUEUE_BASE, SUBMISSION_QUEUE_SIZE } from '../../../assembly/abi/memory-map.ts';
import * as nvme from '../../../assembly/spec/nvme.ts';
import { CONFIG_COMMAND } from '../../../assembly/spec/pci.ts';
import { buildPath } from '../../../host/demo/checkout.ts';
import { createLog } from '../../../host/log/log.ts';
import { DRAIN_MICROSECONDS } from '../../../host/nvme/drains.ts';
import { Seat } from '../../../host/nvme/seat.ts';
import { ControllerRig, nothing, RAM, TestReactor } from './rig.ts';

let directory: string;
let reactor: TestReactor;
let rigs: ControllerRig[];
let lines: string[];

beforeEach(() => {
  fs.mkdirSync(buildPath('tmp'), { recursive: true });
  directory = fs.mkdtempSync(buildPath('tmp', 'seat-'));
  process.env['TMPDIR'] = directory;
  reactor = new TestReactor();
  rigs = [];
  lines = [];
});

afterEach(() => {
  reactor.close();
  for (const each of rigs) each.close();
  delete process.env['TMPDIR'];
  fs.rmSync(directory, { recursive: true });
});

/** A seat for whoever sits in it: each holder is a rig of its own, at most `limit` of them. */
function seat(limit = 9): Seat {
  const make = (): ControllerRig['controller'] => {
    if (rigs.length === limit) throw new RangeError('no memory');
    const rig = new ControllerRig({ directory, reactor });
    rigs.push(rig);
    return rig.controller;
  };
  return new Seat(make, createLog({ level: 'debug', json: false, write: (line) => lines.push(line) }));
}

function holder(): ControllerRig {
  const last = rigs.at(-1);
  assert.ok(last);
  return last;
}

/** The client leaves; 3 s pass. */
function leave(from: Seat): void {
  let left = false;
  from.disconnect(() => (left = true));
  reactor.ahead += DRAIN_MICROSECONDS;
  from.poll(reactor.now());
  assert.ok(left);
}

/** The addon refuses every call of a controller that is closed. */
function isClosed({ native }: ControllerRig): boolean {
  try {
    native.windowsClear();
    return false;
  } catch {
    return true;
  }
}

function trap(rig: ControllerRig): void {
  rig.core.bytes.fill(0xff, SUBMISSION_QUEUE_BASE, SUBMISSION_QUEUE_BASE + SUBMISSION_QUEUE_SIZE);
  for (let tries = 0; tries < 100 && rig.core.failure === undefined; tries++) {
    rig.registerWrite(nvme.REG_DOORBELLS, tries % 32);
    rig.turn();
    rig.controller.reset(nothing);
    rig.controller.regionWrite('config', CONFIG_COMMAND, Uint8Array.of(6, 0), nothing);
  }
  assert.ok(rig.core.failure !== undefined);
}

test('a controller that finished its I/O keeps the seat', () => {
  const one = seat();
  assert.equal(holder().up().io('read', RAM), 0);
  leave(one);
  assert.equal(rigs.length, 1);
  assert.equal(holder().up().io('read', RAM), 0);
});

test('I/O that outlives its guest: the next one has a controller at once, the old one is closed when it ends', () => {
  const one = seat();
  const first = holder().up();
  first.hang();
  leave(one);
  assert.equal(rigs.length, 2);
  assert.equal(holder().up().io('write', RAM), 0);
  one.complete();
  assert.equal(first.native.inFlight, 1);
  first.unhang();
  holder().until(() => {
    one.complete();
    return isClosed(first);
  }, 'the end of the old controller');
  assert.equal(holder().io('read', RAM), 0);
});

test('a core that trapped: the next client has a fresh one', () => {
  const one = seat();
  trap(holder().up());
  leave(one);
  assert.equal(rigs.length, 2);
  assert.equal(holder().register(nvme.REG_CSTS), 0);
  assert.equal(holder().up().io('read', RAM), 0);
});

test('no memory for a fresh core: said, and the old controller stays', () => {
  const one = seat(1);
  trap(holder().up());
  leave(one);
  assert.equal(rigs.length, 1);
  assert.match(lines.join(''), /no new controller could be made for the next client: no memory/);
  assert.equal(one.regionRead('bar0', nvme.REG_CSTS, 1)[0], nvme.CSTS_CFS);
});
