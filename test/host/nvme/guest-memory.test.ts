// Guest memory in its two views, the core's and the addon's: both take a region or neither does.

import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { afterEach, beforeEach, test } from 'node:test';
import { buildPath } from '../../../host/demo/checkout.ts';
import { native } from '../../../host/native.ts';
import { fdCount } from '../../native/rig.ts';
import { ControllerRig, GUEST_BYTES, LOW, nothing, TestReactor } from './rig.ts';

let directory: string;
let reactor: TestReactor;
let rig: ControllerRig;

beforeEach(() => {
  fs.mkdirSync(buildPath('tmp'), { recursive: true });
  directory = fs.mkdtempSync(buildPath('tmp', 'memory-'));
  reactor = new TestReactor();
  rig = new ControllerRig({ directory, reactor });
});

afterEach(() => {
  reactor.close();
  rig.close();
  fs.rmSync(directory, { recursive: true });
});

/** Adds a file of 64 KiB at an address. */
function add(gpa: bigint, length = 0x10000n): void {
  const fd = native.memfdCreate('region', 0x10000);
  try {
    rig.controller.memoryAdd({ gpa, length, offset: 0n, fd, readable: true, writable: true });
  } finally {
    native.fdClose(fd);
  }
}

test('what the core refuses, the addon gives back', () => {
  const before = fdCount();
  const beyond = 1n << 53n;
  assert.throws(() => add(beyond), { code: 'MEMORY_INVALID' });
  assert.equal(fdCount(), before, 'no file is kept');
  // The addon itself has nothing against it: had it kept the region, this one would overlap.
  const region = { gpa: beyond, length: 0x1000n, offset: 0n, fd: undefined, readable: true, writable: true };
  rig.native.regionAdd(region);
  rig.native.regionRemove(beyond, 0x1000n);
});

test('what the addon refuses, the core does not learn of; each refusal has its code', () => {
  assert.throws(() => add(0n, 0x20000n), { code: 'MEMORY_REFUSED', message: /beyond the end of its file/ });
  assert.throws(() => add(0n, 0n), { code: 'MEMORY_INVALID' });
  assert.throws(() => add(0x800n), { code: 'MEMORY_INVALID' });
  add(0n);
  assert.throws(() => add(0x8000n), { code: 'MEMORY_OVERLAPS' });
  rig.controller.memoryRemove(0n, 0x10000n, nothing);
  add(0x8000n);
});

test('a region is removed only as it was added', () => {
  add(0n);
  for (const [gpa, length] of [
    [0n, 0x8000n],
    [0x8000n, 0x8000n],
    [0n, 0x20000n],
    [0x10000n, 0x10000n],
  ] as const) {
    assert.throws(() => rig.controller.memoryRemove(gpa, length, nothing), { code: 'MEMORY_UNKNOWN' });
  }
  rig.controller.memoryRemove(0n, 0x10000n, nothing);
  assert.throws(() => rig.controller.memoryRemove(0n, 0x10000n, nothing), { code: 'MEMORY_UNKNOWN' });
});

test('all memory goes with the client', () => {
  const before = fdCount();
  rig.memoryAdd(LOW.gpa, LOW.length);
  add(BigInt(GUEST_BYTES));
  assert.ok(fdCount() > before);
  rig.controller.disconnect(nothing);
  assert.equal(fdCount(), before);
  rig.memoryAdd(LOW.gpa, LOW.length);
});
