// Event counters that a peer passed: only these may be signalled, and never so that the caller has to wait.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { openSync, readFileSync, writeSync } from 'node:fs';
import { test } from 'node:test';
import { native } from '../../host/native.ts';
import { withCode } from './rig.ts';

const O_NONBLOCK = 0o4000;
const O_PATH = 0o10000000;

test('an eventfd is adopted and does not block any more', () => {
  const fd = native.eventfdCreate();
  assert.equal(native.eventfdAdopt(fd), true);
  const flags = /flags:\s+(\d+)/.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1] ?? '';
  assert.equal(Number.parseInt(flags, 8) & O_NONBLOCK, O_NONBLOCK);
  native.eventfdSignal(fd);
  assert.equal(native.eventfdRead(fd), 1);
  native.fdClose(fd);
});

test('any other descriptor is none', () => {
  const fd = native.memfdCreate('no eventfd', 4096);
  assert.equal(native.eventfdAdopt(fd), false);
  native.fdClose(fd);
  assert.throws(() => native.eventfdAdopt(fd), withCode('ENOENT'));
});

test('a descriptor that only names a counter is none', () => {
  const counter = native.eventfdCreate();
  const name = openSync(`/proc/self/fd/${counter}`, O_PATH);
  assert.equal(native.eventfdAdopt(name), false);
  native.fdClose(name);
  native.fdClose(counter);
});

/** What a peer can do to a counter that it passed: fill it, and let whoever adds to it wait. */
function trap(fd: number): void {
  const full = Buffer.alloc(8);
  full.writeBigUInt64LE(0xffff_ffff_ffff_fffen);
  writeSync(fd, full);
  letBlock(fd);
}

/** Takes O_NONBLOCK away, in a process of its own. */
function letBlock(fd: number): void {
  // F_SETFL, O_RDWR
  const script = 'open(my $file, "<&=", 3) or die; fcntl($file, 4, 2) or die';
  execFileSync('perl', ['-e', script], { stdio: ['ignore', 'inherit', 'inherit', fd] });
}

test('a counter that is full and blocks is signalled without waiting', () => {
  const fd = native.eventfdCreate();
  assert.equal(native.eventfdAdopt(fd), true);
  trap(fd);
  for (let count = 0; count < 100; count++) native.eventfdSignal(fd);
  assert.ok(native.eventfdRead(fd) > 2 ** 63);
  for (let count = 0; count < 300; count++) native.eventfdSignal(fd);
  assert.equal(native.eventfdRead(fd), 300);
  native.fdClose(fd);
});

test('a counter that is empty and blocks is read without waiting', () => {
  const fd = native.eventfdCreate();
  assert.equal(native.eventfdAdopt(fd), true);
  letBlock(fd);
  assert.equal(native.eventfdRead(fd), 0);
  native.eventfdSignal(fd);
  assert.equal(native.eventfdRead(fd), 1);
  assert.equal(native.eventfdRead(fd), 0);
  native.fdClose(fd);
});
