// Anonymous files: what a peer may do to one that is shared with it.

import assert from 'node:assert/strict';
import { closeSync, ftruncateSync, readSync, writeSync } from 'node:fs';
import { test } from 'node:test';
import { native } from '../../host/native.ts';

// fcntl(2)
const F_SEAL_SEAL = 1;
const F_SEAL_SHRINK = 2;
const F_SEAL_GROW = 4;

test('a sealed file can be written and keeps its size', () => {
  const fd = native.memfdSealed('sealed', 10_000);
  try {
    const { size, seals, isFile, writable } = native.fdInfo(fd);
    assert.deepEqual({ size, isFile, writable }, { size: 10_000, isFile: true, writable: true });
    assert.equal(seals, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW);
    assert.throws(() => ftruncateSync(fd, 9999), { code: 'EPERM' });
    assert.throws(() => ftruncateSync(fd, 10_001), { code: 'EPERM' });
    assert.equal(writeSync(fd, Uint8Array.of(1, 2, 3), 0, 3, 5000), 3);
    const read = Buffer.alloc(4);
    assert.equal(readSync(fd, read, 0, 4, 4999), 4);
    assert.deepEqual([...read], [0, 1, 2, 3]);
  } finally {
    closeSync(fd);
  }
});

test('an unsealed one changes its size', () => {
  const fd = native.memfdCreate('plain', 4096);
  try {
    ftruncateSync(fd, 8192);
    assert.equal(native.fdInfo(fd).size, 8192);
  } finally {
    closeSync(fd);
  }
});
