// Event counters that a peer passed: only these may be signalled, and never so that the caller has to wait.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { native } from '../../host/native.ts';
import { withCode } from './rig.ts';

const O_NONBLOCK = 0o4000;

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
