// The part of the contract about requests that need stored data without giving them to the guest: Compare, Verify,
// Copy, and the blocks that Write Uncorrectable marks.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import * as abi from '../../../assembly/abi/records.ts';
import type { BlockSize } from '../../../host/block/backend.ts';
import type { WithMachine } from './contract.ts';
import type { Machine } from './machine.ts';

const MIB = 1024 * 1024;

const one = (machine: Machine, operation: number, offset: number, length: number): string | undefined =>
  machine.run({ operation, offset, length })[0];

const copy = (
  machine: Machine,
  source: number,
  offset: number,
  length: number,
  flags = 0,
): string | undefined =>
  machine.run({ operation: abi.OPERATION_COPY, offset, length, flags, segments: [[source, length]] })[0];

const compare = (machine: Machine, offset: number, bytes: Uint8Array, at = 0): string | undefined => {
  machine.guestWrite(at, bytes);
  const { length } = bytes;
  return machine.run({ operation: abi.OPERATION_COMPARE, offset, length, segments: [[at, length]] })[0];
};

/** `size`: bytes of the namespace. */
export function compareTests(withMachine: WithMachine, blockSize: BlockSize, size: number): void {
  test('Compare finds the one byte that differs, wherever it is', () => {
    withMachine((machine) => {
      const bytes = randomBytes(MIB);
      machine.write(blockSize, bytes);
      assert.equal(compare(machine, blockSize, bytes, 12), 'BLOCK_OK');
      for (const at of [0, 1, 256 * 1024 - 1, 256 * 1024, MIB / 2 + 7, MIB - 1]) {
        const other = Buffer.from(bytes);
        other[at] = (other[at] ?? 0) ^ 0x10;
        assert.equal(compare(machine, blockSize, other), 'BLOCK_MISCOMPARE', `byte ${at}`);
      }
    });
  });

  test('Compare gathers memory in pieces of odd lengths', () => {
    withMachine((machine) => {
      const bytes = randomBytes(blockSize);
      machine.write(0, bytes);
      machine.guestWrite(100, bytes.subarray(0, 200));
      machine.guestWrite(4, bytes.subarray(200, 204));
      machine.guestWrite(8000, bytes.subarray(204));
      const segments = [[100, 200] as const, [4, 4] as const, [8000, blockSize - 204] as const];
      const request = { operation: abi.OPERATION_COMPARE, offset: 0, length: blockSize, segments };
      assert.deepEqual(machine.run(request), ['BLOCK_OK']);
      machine.guestWrite(7, Buffer.of((bytes[203] ?? 0) ^ 1));
      assert.deepEqual(machine.run(request), ['BLOCK_MISCOMPARE']);
    });
  });

  test('Verify reads everything and changes nothing', () => {
    withMachine((machine) => {
      const bytes = randomBytes(3 * blockSize);
      machine.write(size - bytes.length, bytes);
      assert.equal(one(machine, abi.OPERATION_VERIFY, 0, size), 'BLOCK_OK');
      assert.equal(one(machine, abi.OPERATION_VERIFY, size - blockSize, 2 * blockSize), 'BLOCK_OUT_OF_RANGE');
      assert.deepEqual(machine.read(size - bytes.length, bytes.length), bytes);
    });
  });

  test('Copy moves whole ranges, with and without FUA', () => {
    withMachine((machine) => {
      const bytes = randomBytes(MIB);
      machine.write(blockSize, bytes);
      for (const flags of [0, abi.REQUEST_FLAG_FUA]) {
        const to = 2 * MIB + (flags === 0 ? 0 : blockSize);
        assert.equal(copy(machine, blockSize, to, MIB, flags), 'BLOCK_OK');
        assert.deepEqual(machine.read(to, MIB), bytes);
      }
      assert.deepEqual(machine.read(blockSize, MIB), bytes);
      assert.equal(copy(machine, 0, blockSize, blockSize), 'BLOCK_OK');
      assert.ok(machine.read(blockSize, blockSize).every((byte) => byte === 0));
    });
  });

  test('Copy from or to outside is refused, and so is a range of another length', () => {
    withMachine((machine) => {
      assert.equal(copy(machine, size - blockSize, 0, 2 * blockSize), 'BLOCK_OUT_OF_RANGE');
      assert.equal(copy(machine, 0, size - blockSize, 2 * blockSize), 'BLOCK_OUT_OF_RANGE');
      assert.equal(copy(machine, 2 ** 52, 0, blockSize), 'BLOCK_OUT_OF_RANGE');
      const request = { operation: abi.OPERATION_COPY, offset: 0, length: blockSize };
      assert.deepEqual(machine.run({ ...request, segments: [] }), ['BLOCK_OUT_OF_RANGE']);
      assert.deepEqual(machine.run({ ...request, segments: [[0, 2 * blockSize]] }), ['BLOCK_OUT_OF_RANGE']);
    });
  });

  markTests(withMachine, blockSize, size);

  test('read-only: Compare and Verify are served, Copy and Write Uncorrectable refused', () => {
    withMachine((machine) => {
      const stored = Buffer.from(machine.read(0, blockSize));
      assert.equal(compare(machine, 0, stored, MIB), 'BLOCK_OK');
      assert.equal(one(machine, abi.OPERATION_VERIFY, 0, size), 'BLOCK_OK');
      assert.equal(copy(machine, 0, blockSize, blockSize), 'BLOCK_READ_ONLY');
      assert.equal(one(machine, abi.OPERATION_WRITE_UNCORRECTABLE, 0, blockSize), 'BLOCK_READ_ONLY');
    }, true);
  });
}

function markTests(withMachine: WithMachine, blockSize: BlockSize, size: number): void {
  const mark = (machine: Machine, block: number, count: number): void => {
    const [result] = machine.run({
      operation: abi.OPERATION_WRITE_UNCORRECTABLE,
      offset: block * blockSize,
      length: count * blockSize,
    });
    assert.equal(result, 'BLOCK_OK');
  };
  const reads = (machine: Machine, block: number): string | undefined =>
    machine.run({
      operation: abi.OPERATION_READ,
      offset: block * blockSize,
      length: blockSize,
      segments: [[0, blockSize]],
    })[0];

  test('marked blocks cannot be read by any request; each that writes them heals them', () => {
    withMachine((machine) => {
      mark(machine, 4, 8);
      assert.equal(reads(machine, 3), 'BLOCK_OK');
      assert.equal(reads(machine, 4), 'BLOCK_MEDIUM_ERROR');
      assert.equal(reads(machine, 11), 'BLOCK_MEDIUM_ERROR');
      assert.equal(reads(machine, 12), 'BLOCK_OK');
      assert.equal(one(machine, abi.OPERATION_VERIFY, 0, size), 'BLOCK_MEDIUM_ERROR');
      assert.equal(compare(machine, 4 * blockSize, Buffer.alloc(blockSize)), 'BLOCK_MEDIUM_ERROR');
      assert.equal(copy(machine, 11 * blockSize, 0, blockSize), 'BLOCK_SOURCE_ERROR');
      assert.equal(machine.write(4 * blockSize, Buffer.alloc(blockSize, 1)), 'BLOCK_OK');
      assert.equal(one(machine, abi.OPERATION_WRITE_ZEROES, 6 * blockSize, blockSize), 'BLOCK_OK');
      assert.equal(copy(machine, 0, 8 * blockSize, blockSize), 'BLOCK_OK');
      const range = [[10 * blockSize, blockSize]] as const;
      const deallocate = { operation: abi.OPERATION_DEALLOCATE, length: blockSize, segments: range };
      assert.deepEqual(machine.run(deallocate), ['BLOCK_OK']);
      for (let block = 4; block < 12; block++) {
        const expected = block % 2 === 0 ? 'BLOCK_OK' : 'BLOCK_MEDIUM_ERROR';
        assert.equal(reads(machine, block), expected, `block ${block}`);
      }
      assert.equal(one(machine, abi.OPERATION_FLUSH, 0, 0), 'BLOCK_OK');
      assert.equal(machine.write(0, Buffer.alloc(MIB)), 'BLOCK_OK');
      assert.equal(one(machine, abi.OPERATION_VERIFY, 0, size), 'BLOCK_OK');
    });
  });

  test('marks agree with a model', () => {
    withMachine((machine) => {
      const blocks = 64;
      const marked = new Set<number>();
      let state = 7;
      const draw = (bound: number): number => {
        state = (Math.imul(state, 1103515245) + 12345) >>> 0;
        return Math.floor((state / 2 ** 32) * bound);
      };
      for (let step = 0; step < 300; step++) {
        const first = draw(blocks);
        const count = 1 + draw(Math.min(9, blocks - first));
        const heals = draw(2) === 0;
        if (heals) one(machine, abi.OPERATION_WRITE_ZEROES, first * blockSize, count * blockSize);
        else mark(machine, first, count);
        for (let block = first; block < first + count; block++) {
          if (heals) marked.delete(block);
          else marked.add(block);
        }
        const probe = draw(blocks);
        assert.equal(
          reads(machine, probe),
          marked.has(probe) ? 'BLOCK_MEDIUM_ERROR' : 'BLOCK_OK',
          `step ${step}`,
        );
      }
    });
  });
}
