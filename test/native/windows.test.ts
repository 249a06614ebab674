// Windows: guest memory as a core sees it, in pieces, with holes, read-only parts, and after removal.

import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { WINDOW_BYTES } from '../../assembly/abi/memory-map.ts';
import { native } from '../../host/native.ts';
import { Guest, MIB, PAGE, Rig } from './rig.ts';

test('a window shows guest memory both ways, above 4 GiB too', () => {
  const guest = new Guest(4 * MIB);
  const rig = new Rig();
  const gpa = 5n << 32n;
  rig.region(guest.fd, 4 * MIB, { gpa });
  rig.controller.windowFill(2, Number(gpa >> 21n) + 1);
  guest.bytes[2 * MIB + 5] = 77;
  assert.equal(rig.window(2)[5], 77);
  rig.window(2)[6] = 78;
  assert.equal(guest.bytes[2 * MIB + 6], 78);
  assert.equal(rig.window(1)[5], 0);
  assert.equal(rig.window(3)[5], 0);
  rig.close();
  assert.equal(rig.window(2)[5], 0);
  assert.equal(guest.bytes[2 * MIB + 5], 77);
  guest.close();
});

test('a window of pieces: files, holes, regions without a file, read-only parts', () => {
  const ram = new Guest(2 * MIB);
  const rom = new Guest(MIB);
  ram.bytes.fill(1);
  rom.bytes.fill(2);
  const rig = new Rig();
  rig.region(ram.fd, 160 * PAGE, { gpa: 0 });
  rig.controller.regionAdd({
    gpa: BigInt(160 * PAGE),
    length: BigInt(32 * PAGE),
    offset: 0n,
    fd: undefined,
    readable: true,
    writable: true,
  });
  rig.region(rom.fd, 16 * PAGE, { gpa: 192 * PAGE, offset: 8 * PAGE, writable: false });
  rig.region(ram.fd, 16 * PAGE, { gpa: 208 * PAGE, offset: 208 * PAGE, readable: false });
  rig.region(ram.fd, MIB, { gpa: MIB, offset: MIB });
  rig.controller.windowFill(0, 0);
  const window = rig.window(0);
  assert.equal(window[160 * PAGE - 1], 1);
  assert.ok(window.subarray(160 * PAGE, 192 * PAGE).every((byte) => byte === 0));
  assert.equal(window[192 * PAGE], 2);
  assert.ok(window.subarray(208 * PAGE, MIB).every((byte) => byte === 0));
  assert.equal(window[MIB], 1);
  assert.equal(window[2 * MIB - 1], 1);

  // A core that writes where it must not changes a copy of its own; an atomic store does not fault.
  window[192 * PAGE] = 99;
  Atomics.store(window, 193 * PAGE, 98);
  Atomics.add(window, 160 * PAGE, 5);
  assert.equal(rom.bytes[8 * PAGE], 2);
  assert.equal(rom.bytes[9 * PAGE], 2);
  assert.equal(window[192 * PAGE], 99);
  rig.controller.windowFill(0, 0);
  assert.equal(window[192 * PAGE], 2);
  rig.close();
  ram.close();
  rom.close();
});

test('read-only memory of a read-only descriptor has a window', () => {
  const rom = new Guest(MIB);
  rom.bytes.fill(3);
  const fd = openSync(`/proc/self/fd/${rom.fd}`, 'r');
  const rig = new Rig();
  rig.region(fd, MIB, { writable: false });
  closeSync(fd);
  rig.controller.windowFill(0, 0);
  assert.equal(rig.window(0)[5], 3);
  rig.window(0)[5] = 4;
  assert.equal(rom.bytes[5], 3);
  rig.close();
  rom.close();
});

test('pieces that are one in the file are one mapping', () => {
  const guest = new Guest(2 * MIB);
  const rig = new Rig();
  for (let i = 0; i < 16; i++) {
    const offset = i * 32 * PAGE;
    rig.region(guest.fd, 32 * PAGE, { gpa: offset, offset });
  }
  rig.controller.windowFill(0, 0);
  const begin = native.addressOf(rig.window(0));
  const mappings = readFileSync('/proc/self/maps', 'utf8')
    .split('\n')
    .map((line) => /^([0-9a-f]+)-([0-9a-f]+)/.exec(line))
    .filter(
      (range) =>
        range !== null &&
        BigInt(`0x${range[1]}`) < begin + BigInt(2 * MIB) &&
        BigInt(`0x${range[2]}`) > begin,
    );
  assert.equal(mappings.length, 1);
  rig.close();
  guest.close();
});

test('removing a region empties its part of every window at once, and nothing else', () => {
  const guest = new Guest(4 * MIB);
  guest.bytes.fill(7);
  const rig = new Rig();
  rig.region(guest.fd, PAGE, { gpa: 0 });
  rig.region(guest.fd, 3 * MIB, { gpa: PAGE, offset: PAGE });
  rig.controller.windowFill(0, 0);
  rig.controller.windowFill(1, 1);
  rig.controller.windowFill(3, 0);
  const ticket = rig.controller.regionRemove(BigInt(PAGE), BigInt(3 * MIB));
  assert.ok(rig.controller.regionDrained(ticket));
  for (const index of [0, 3]) {
    assert.equal(rig.window(index)[PAGE - 1], 7);
    assert.ok(
      rig
        .window(index)
        .subarray(PAGE)
        .every((byte) => byte === 0),
    );
  }
  assert.ok(rig.window(1).every((byte) => byte === 0));
  rig.window(1).fill(1);
  rig.window(0)[PAGE] = 1;
  assert.ok(guest.bytes.every((byte) => byte === 7));
  rig.close();
  guest.close();
});

test('a cleared window is private zeros; the guest keeps its content', () => {
  const guest = new Guest(2 * MIB);
  guest.bytes.fill(9);
  const rig = new Rig();
  rig.region(guest.fd, 2 * MIB);
  rig.controller.windowFill(0, 0);
  rig.controller.windowFill(1, 0);
  rig.controller.windowsClear();
  assert.ok(
    rig.bytes.subarray(rig.windowBase, rig.windowBase + 4 * WINDOW_BYTES).every((byte) => byte === 0),
  );
  rig.window(0)[0] = 1;
  assert.equal(guest.bytes[0], 9);
  rig.controller.windowFill(1, 0);
  assert.equal(rig.window(1)[0], 9);
  rig.close();
  guest.close();
});

test('a window beyond all regions, and one at the end of the address space, are zeros', () => {
  const guest = new Guest(2 * MIB);
  guest.bytes.fill(5);
  const rig = new Rig();
  rig.region(guest.fd, 2 * MIB, { gpa: 2 * MIB });
  rig.controller.windowFill(0, 0);
  rig.controller.windowFill(1, 2);
  rig.controller.windowFill(2, 0xffff_ffff);
  for (const index of [0, 1, 2]) assert.ok(rig.window(index).every((byte) => byte === 0));
  rig.controller.windowFill(2, 1);
  assert.equal(rig.window(2)[0], 5);
  rig.close();
  guest.close();
});
