// Marks of Write Uncorrectable: controllers that share a file share them, slices keep them apart, there is an end to
// them, and they go with the last storage.

import assert from 'node:assert/strict';
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import {
  BLOCK_MEDIUM_ERROR,
  BLOCK_NO_SPACE,
  BLOCK_OK,
  OPERATION_VERIFY,
  OPERATION_WRITE_UNCORRECTABLE,
  OPERATION_WRITE_ZEROES,
} from '../../assembly/abi/records.ts';
import type { NativeStorage } from '../../host/native.ts';
import { MIB, Rig } from './rig.ts';

const directory = mkdtempSync(path.join(tmpdir(), 'uncorrectable-test-'));
after(() => rmSync(directory, { recursive: true }));

const BYTES = 16 * MIB;

/** The file once more, with a descriptor of its own. */
function open(name: string, offset = 0, length = BYTES): Extract<NativeStorage, { kind: 'file' }> {
  const fd = openSync(path.join(directory, name), 'a+');
  ftruncateSync(fd, BYTES);
  closeSync(fd);
  const again = openSync(path.join(directory, name), 'r+');
  const standard = { direct: false, memoryAlignment: 1, readOnly: false, zeroRange: true, punchHole: true };
  return { kind: 'file', fd: again, offset, length, ...standard };
}

const mark = (rig: Rig, offset: number, length = 512): number =>
  rig.runOne({ operation: OPERATION_WRITE_UNCORRECTABLE, offset, length });
const verify = (rig: Rig, offset: number, length = 512): number =>
  rig.runOne({ operation: OPERATION_VERIFY, offset, length });

test('two controllers on one file see the same marks, also through a slice', () => {
  const storages = [open('shared'), open('shared'), open('shared', MIB, MIB), open('other')];
  const [first, second, slice, other] = storages.map((storage) => {
    const rig = new Rig();
    rig.controller.namespaceAttach(1, storage);
    return rig;
  }) as [Rig, Rig, Rig, Rig];
  assert.equal(mark(first, MIB + 1024), BLOCK_OK);
  assert.equal(verify(second, MIB + 1024), BLOCK_MEDIUM_ERROR);
  assert.equal(verify(second, MIB + 512), BLOCK_OK);
  assert.equal(verify(slice, 1024), BLOCK_MEDIUM_ERROR);
  assert.equal(verify(other, MIB + 1024), BLOCK_OK);
  first.close();
  assert.equal(verify(second, MIB + 1024), BLOCK_MEDIUM_ERROR, 'as long as one has the file');
  assert.equal(slice.runOne({ operation: OPERATION_WRITE_ZEROES, offset: 1024, length: 512 }), BLOCK_OK);
  assert.equal(verify(second, MIB + 1024), BLOCK_OK);
  assert.equal(mark(second, 0), BLOCK_OK);
  for (const rig of [second, slice, other]) rig.close();
  const rig = new Rig();
  rig.controller.namespaceAttach(1, storages[0] as NativeStorage);
  assert.equal(verify(rig, 0), BLOCK_OK, 'nobody had it any more');
  rig.close();
  for (const { fd } of storages) closeSync(fd);
});

test('slices do not disturb each other: not by marks up to their end, nor by healing, nor by many marks', () => {
  const storages = [open('slices', 0, MIB), open('slices', MIB, 5 * MIB)] as const;
  const [left, right] = storages.map((storage) => {
    const rig = new Rig();
    rig.controller.namespaceAttach(1, storage);
    return rig;
  }) as [Rig, Rig];
  assert.equal(mark(left, MIB - 512), BLOCK_OK);
  assert.equal(verify(right, 0, 5 * MIB), BLOCK_OK);
  assert.equal(mark(right, 0), BLOCK_OK);
  assert.equal(verify(left, 0, MIB - 512), BLOCK_OK);
  assert.equal(left.runOne({ operation: OPERATION_WRITE_ZEROES, offset: 0, length: MIB }), BLOCK_OK);
  assert.equal(verify(left, 0, MIB), BLOCK_OK);
  assert.equal(verify(right, 0), BLOCK_MEDIUM_ERROR);
  for (let index = 1; index < 4096; index++) assert.equal(mark(right, index * 1024), BLOCK_OK);
  assert.equal(mark(right, 4096 * 1024), BLOCK_NO_SPACE);
  assert.equal(mark(left, 0), BLOCK_OK);
  assert.equal(verify(left, 0), BLOCK_MEDIUM_ERROR);
  for (const rig of [left, right]) rig.close();
  for (const { fd } of storages) closeSync(fd);
});

test('marks go when the namespace is detached, even where the ring has just worked for it', () => {
  const storage = open('detached');
  const rig = new Rig();
  rig.controller.namespaceAttach(1, storage);
  assert.equal(verify(rig, 0), BLOCK_OK);
  assert.equal(mark(rig, 0), BLOCK_OK);
  rig.controller.namespaceDetach(1);
  rig.controller.namespaceAttach(1, storage);
  assert.equal(verify(rig, 0), BLOCK_OK);
  rig.close();
  closeSync(storage.fd);
});

test('a mark that is refused takes none away', () => {
  const storage = open('refused');
  const rig = new Rig();
  rig.controller.namespaceAttach(1, storage);
  for (let index = 0; index < 4096; index++) assert.equal(mark(rig, index * 2048, 1536), BLOCK_OK);
  // In the middle of each of some: more marks than can be made.
  for (let index = 0; index < 8; index++) {
    const middle = { operation: OPERATION_WRITE_ZEROES, offset: index * 2048 + 512, length: 512 };
    assert.equal(rig.runOne(middle), BLOCK_OK);
  }
  assert.equal(mark(rig, 9 * MIB), BLOCK_NO_SPACE);
  assert.equal(mark(rig, 100 * 2048 + 1024, 1024), BLOCK_OK, 'neighbours: no more marks than before');
  assert.equal(verify(rig, 100 * 2048), BLOCK_MEDIUM_ERROR);
  assert.equal(verify(rig, 101 * 2048), BLOCK_MEDIUM_ERROR);
  rig.close();
  closeSync(storage.fd);
});

test('a guest that marks every other block comes to an end; neighbours are one mark', () => {
  const storage = open('bounded');
  const rig = new Rig();
  rig.controller.namespaceAttach(1, storage);
  for (let index = 0; index < 4096; index++) assert.equal(mark(rig, index * 1024), BLOCK_OK);
  assert.equal(mark(rig, 4096 * 1024), BLOCK_NO_SPACE);
  assert.equal(verify(rig, 4096 * 1024), BLOCK_OK);
  assert.equal(mark(rig, 0, 4096 * 1024), BLOCK_OK, 'over all of them: one');
  assert.equal(mark(rig, 4097 * 1024), BLOCK_OK);
  assert.equal(verify(rig, 4097 * 1024), BLOCK_MEDIUM_ERROR);
  rig.close();
  closeSync(storage.fd);
});
