// The contract of host/block/backend.ts as one suite, run over every backend.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as abi from '../../../assembly/abi/records.ts';
import type { Backend, BlockSize } from '../../../host/block/backend.ts';
import { compareTests } from './contract-compare.ts';
import { GUEST_BYTES, Machine, type Request, type Segment } from './machine.ts';

const MIB = 1024 * 1024;
/** Bytes of the namespace. */
const SIZE = 4 * MIB;
const SEEDED_STEPS = 300;

export interface Fixture {
  readonly backend: Backend;
  /** Bytes of storage in use; undefined where deallocating frees nothing that can be counted. */
  readonly allocatedBytes?: () => number;
  readonly dispose: () => void;
}

export type OpenFixture = (options: { size: number; blockSize: BlockSize; readOnly: boolean }) => Fixture;

/** Declares the suite for one backend. */
export function contract(
  name: string,
  open: OpenFixture,
  blockSizes: readonly BlockSize[] = [512, 4096],
): void {
  for (const blockSize of blockSizes) {
    describe(`${name}, blocks of ${blockSize}`, () => {
      const withMachine = (body: (machine: Machine, fixture: Fixture) => void, readOnly = false): void => {
        const fixture = open({ size: SIZE, blockSize, readOnly });
        const machine = new Machine(fixture.backend);
        try {
          body(machine, fixture);
        } finally {
          machine.close();
          // Idempotent.
          fixture.backend.close();
          fixture.backend.close();
          fixture.dispose();
        }
      };
      geometryTests(withMachine, blockSize);
      dataTests(withMachine, blockSize);
      memoryTests(withMachine, blockSize);
      zeroTests(withMachine, blockSize);
      refusalTests(withMachine, blockSize);
      compareTests(withMachine, blockSize, SIZE);
    });
  }
}

export type WithMachine = (body: (machine: Machine, fixture: Fixture) => void, readOnly?: boolean) => void;

function geometryTests(withMachine: WithMachine, blockSize: BlockSize): void {
  test('the geometry is that of the storage', () => {
    withMachine((_, { backend }) => {
      const { geometry, storage } = backend;
      assert.equal(geometry.blockSize, blockSize);
      assert.equal(geometry.blocks * BigInt(blockSize), BigInt(SIZE));
      assert.equal(storage.length, SIZE);
      assert.equal(geometry.readOnly, false);
      assert.equal(storage.readOnly, false);
    });
  });
}

function dataTests(withMachine: WithMachine, blockSize: BlockSize): void {
  test('blocks that were never written are zeros', () => {
    withMachine((machine) => {
      machine.guestWrite(0, Buffer.alloc(MIB, 0xff));
      assert.ok(machine.read(SIZE - MIB, MIB).every((byte) => byte === 0));
    });
  });

  test('a write is read back, and its neighbours keep what they had', () => {
    withMachine((machine) => {
      const before = pattern(3 * blockSize, 1);
      assert.equal(machine.write(0, before), 'BLOCK_OK');
      const middle = pattern(blockSize, 2);
      assert.equal(machine.write(blockSize, middle), 'BLOCK_OK');
      const expected = Buffer.concat([before.subarray(0, blockSize), middle, before.subarray(2 * blockSize)]);
      assert.deepEqual(machine.read(0, 3 * blockSize, MIB), expected);
    });
  });

  test('the last block is a block like any other', () => {
    withMachine((machine) => {
      const bytes = pattern(blockSize, 3);
      assert.equal(machine.write(SIZE - blockSize, bytes), 'BLOCK_OK');
      assert.deepEqual(machine.read(SIZE - blockSize, blockSize, MIB), bytes);
    });
  });

  test('200 requests at the same time', () => {
    withMachine((machine) => {
      const bytes = pattern(200 * 4096, 6);
      machine.guestWrite(0, bytes);
      const requests = (operation: number, base: number): Request[] =>
        Array.from({ length: 200 }, (_, index) => ({
          operation,
          offset: index * 4096,
          length: 4096,
          segments: [[base + index * 4096, 4096]],
        }));
      const written = machine.run(...requests(abi.OPERATION_WRITE, 0));
      assert.ok(written.every((result) => result === 'BLOCK_OK'));
      const read = machine.run(...requests(abi.OPERATION_READ, 2 * MIB));
      assert.ok(read.every((result) => result === 'BLOCK_OK'));
      assert.deepEqual(machine.guestRead(2 * MIB, bytes.length), bytes);
    });
  });

  test('FUA and Flush complete', () => {
    withMachine((machine) => {
      const bytes = pattern(2 * blockSize, 7);
      assert.equal(machine.write(0, bytes, abi.REQUEST_FLAG_FUA), 'BLOCK_OK');
      assert.equal(machine.write(4 * blockSize, bytes, abi.REQUEST_FLAG_FUA, 4), 'BLOCK_OK');
      assert.deepEqual(machine.run({ operation: abi.OPERATION_FLUSH }), ['BLOCK_OK']);
      assert.deepEqual(machine.read(4 * blockSize, bytes.length), bytes);
    });
  });

  test(`${SEEDED_STEPS} seeded steps agree with a model`, () => {
    withMachine((machine) => {
      const model = Buffer.alloc(SIZE);
      const random = generator(blockSize);
      for (let step = 0; step < SEEDED_STEPS; step++) seededStep(machine, model, random, blockSize);
      for (let offset = 0; offset < SIZE; offset += MIB) {
        assert.ok(machine.read(offset, MIB).equals(model.subarray(offset, offset + MIB)));
      }
    });
  });
}

/** Where in the guest's memory the data is. */
function memoryTests(withMachine: WithMachine, blockSize: BlockSize): void {
  for (const misalignment of [4, 512, 1028, 4092]) {
    test(`memory at an address of 4096 n + ${misalignment}`, () => {
      withMachine((machine) => {
        const bytes = pattern(16 * blockSize, misalignment);
        assert.equal(machine.write(blockSize, bytes, 0, misalignment), 'BLOCK_OK');
        assert.deepEqual(machine.read(blockSize, bytes.length, MIB + misalignment), bytes);
      });
    });
  }

  test('memory in pieces of odd lengths', () => {
    withMachine((machine) => {
      const length = 8 * blockSize;
      const lengths = [4, 508, 1000, 12, 4, 1028];
      const segments: Segment[] = [];
      let left = length;
      for (let index = 0; left > 0; index++) {
        const bytes = Math.min(left, lengths[index % lengths.length] ?? 4);
        segments.push([index * 8192 + 4 * index, bytes]);
        left -= bytes;
      }
      const bytes = pattern(length, 4);
      scatter(machine, segments, bytes);
      const written = machine.run({ operation: abi.OPERATION_WRITE, offset: 0, length, segments });
      assert.deepEqual(written, ['BLOCK_OK']);
      for (const [at, count] of segments) machine.guestWrite(at, Buffer.alloc(count));
      assert.deepEqual(machine.run({ operation: abi.OPERATION_READ, offset: 0, length, segments }), [
        'BLOCK_OK',
      ]);
      assert.deepEqual(gather(machine, segments), bytes);
    });
  });

  test('one request of 1 MiB in 257 segments', () => {
    withMachine((machine) => {
      const segments: Segment[] = [[2048, 2048]];
      for (let page = 1; page < 256; page++) segments.push([page * 8192, 4096]);
      segments.push([256 * 8192, 2048]);
      const bytes = pattern(MIB, 5);
      scatter(machine, segments, bytes);
      const whole: Request = { operation: abi.OPERATION_WRITE, offset: MIB, length: MIB, segments };
      assert.deepEqual(machine.run(whole), ['BLOCK_OK']);
      assert.deepEqual(machine.read(MIB, MIB, 4 * MIB), bytes);
    });
  });
}

function zeroTests(withMachine: WithMachine, blockSize: BlockSize): void {
  const variants: readonly [string, number][] = [
    ['Write Zeroes', 0],
    ['Write Zeroes with DEAC', abi.REQUEST_FLAG_DEALLOCATE],
    ['Write Zeroes with FUA', abi.REQUEST_FLAG_FUA],
  ];
  for (const [name, flags] of variants) {
    test(`${name}: the range is zeros, its neighbours are not`, () => {
      withMachine((machine) => {
        const bytes = pattern(64 * blockSize, 8);
        machine.write(0, bytes);
        const range = { offset: blockSize, length: 61 * blockSize };
        assert.deepEqual(machine.run({ operation: abi.OPERATION_WRITE_ZEROES, flags, ...range }), [
          'BLOCK_OK',
        ]);
        bytes.fill(0, range.offset, range.offset + range.length);
        assert.deepEqual(machine.read(0, bytes.length, MIB), bytes);
      });
    });
  }

  test('Deallocate: the ranges are zeros, their neighbours are not, and space is freed', () => {
    withMachine((machine, { backend, allocatedBytes }) => {
      const bytes = pattern(2 * MIB, 9);
      machine.write(0, bytes.subarray(0, MIB));
      machine.write(MIB, bytes.subarray(MIB));
      machine.run({ operation: abi.OPERATION_FLUSH });
      const before = allocatedBytes?.();
      const ranges: Segment[] = [
        [0, 512 * 1024],
        [MIB, 512 * 1024],
        [2 * MIB - blockSize, blockSize],
      ];
      assert.deepEqual(machine.run({ operation: abi.OPERATION_DEALLOCATE, segments: ranges }), ['BLOCK_OK']);
      // Before anything is read: memory counts as in use once it was looked at.
      const freed = before === undefined ? 0 : before - (allocatedBytes?.() ?? 0);
      if (backend.geometry.deallocate) {
        for (const [at, count] of ranges) bytes.fill(0, at, at + count);
        if (before !== undefined) assert.ok(freed >= MIB, `${freed} of ${before} bytes were freed`);
      }
      assert.ok(machine.read(0, MIB).equals(bytes.subarray(0, MIB)));
      assert.ok(machine.read(MIB, MIB).equals(bytes.subarray(MIB)));
    });
  });

  test('Deallocate of nothing, and of 256 ranges', () => {
    withMachine((machine) => {
      const ranges = Array.from({ length: 256 }, (_, index): Segment => [index * 2 * blockSize, blockSize]);
      assert.deepEqual(
        machine.run(
          { operation: abi.OPERATION_DEALLOCATE },
          { operation: abi.OPERATION_DEALLOCATE, segments: [[0, 0]] },
          { operation: abi.OPERATION_DEALLOCATE, segments: ranges },
        ),
        ['BLOCK_OK', 'BLOCK_OK', 'BLOCK_OK'],
      );
    });
  });
}

function refusalTests(withMachine: WithMachine, blockSize: BlockSize): void {
  const block = BigInt(blockSize);
  const outside: readonly [string, bigint][] = [
    ['at the end', BigInt(SIZE)],
    ['across the end', BigInt(SIZE) - block + 1n],
    ['at 2^63', 2n ** 63n],
    ['just below 2^64', 2n ** 64n - block],
  ];
  for (const [name, offset] of outside) {
    test(`a range ${name} is refused`, () => {
      withMachine((machine) => {
        const length = blockSize;
        const segments: Segment[] = [[0, length]];
        const results = machine.run(
          { operation: abi.OPERATION_READ, offset, length, segments },
          { operation: abi.OPERATION_WRITE, offset, length, segments },
          { operation: abi.OPERATION_WRITE_ZEROES, offset, length },
          { operation: abi.OPERATION_WRITE_ZEROES, offset: blockSize, length: 2n ** 64n - block },
          { operation: abi.OPERATION_READ, offset: 0, length, segments },
        );
        assert.deepEqual(results, [...Array<string>(4).fill('BLOCK_OUT_OF_RANGE'), 'BLOCK_OK']);
      });
    });
  }

  test('one range outside refuses all ranges of a Deallocate', () => {
    withMachine((machine) => {
      const bytes = pattern(blockSize, 10);
      machine.write(0, bytes);
      const segments: Segment[] = [
        [0, blockSize],
        [SIZE, blockSize],
      ];
      assert.deepEqual(machine.run({ operation: abi.OPERATION_DEALLOCATE, segments }), [
        'BLOCK_OUT_OF_RANGE',
      ]);
      assert.deepEqual(machine.read(0, blockSize, MIB), bytes);
    });
  });

  test('memory that is not the guest’s is refused', () => {
    withMachine((machine) => {
      const length = 2 * blockSize;
      const across: Segment[] = [[GUEST_BYTES - blockSize, length]];
      const results = machine.run(
        { operation: abi.OPERATION_READ, offset: 0, length, segments: across },
        { operation: abi.OPERATION_WRITE, offset: 0, length, segments: across },
        { operation: abi.OPERATION_READ, offset: 0, length, segments: [[0, blockSize]] },
      );
      assert.deepEqual(results, Array(3).fill('BLOCK_MEMORY_FAULT'));
    });
  });

  test('read-only: all that changes data is refused, reads and Flush are not', () => {
    withMachine((machine, { backend }) => {
      assert.equal(backend.geometry.readOnly, true);
      assert.equal(backend.geometry.deallocate, false);
      const length = blockSize;
      const before = machine.read(0, length);
      const results = machine.run(
        { operation: abi.OPERATION_WRITE, offset: 0, length, segments: [[MIB, length]] },
        { operation: abi.OPERATION_WRITE_ZEROES, offset: 0, length },
        { operation: abi.OPERATION_DEALLOCATE, segments: [[0, length]] },
        { operation: abi.OPERATION_FLUSH },
      );
      assert.deepEqual(results, [...Array<string>(3).fill('BLOCK_READ_ONLY'), 'BLOCK_OK']);
      assert.deepEqual(machine.read(0, length), before);
    }, true);
  });
}

/** One random operation on machine and model alike. */
function seededStep(
  machine: Machine,
  model: Buffer,
  random: (below: number) => number,
  blockSize: number,
): void {
  const blocks = SIZE / blockSize;
  const count = 1 + random(Math.min(64, blocks));
  const offset = random(blocks - count + 1) * blockSize;
  const length = count * blockSize;
  const at = 4 * random(2048);
  const flags = random(4) === 0 ? abi.REQUEST_FLAG_FUA : 0;
  switch (random(5)) {
    case 0:
    case 1: {
      const bytes = pattern(length, random(256));
      assert.equal(machine.write(offset, bytes, flags, at), 'BLOCK_OK');
      bytes.copy(model, offset);
      return;
    }
    case 2: {
      const operation = abi.OPERATION_WRITE_ZEROES;
      assert.deepEqual(machine.run({ operation, offset, length, flags }), ['BLOCK_OK']);
      model.fill(0, offset, offset + length);
      return;
    }
    case 3:
      assert.deepEqual(machine.run({ operation: abi.OPERATION_FLUSH }), ['BLOCK_OK']);
      return;
    default:
      assert.ok(machine.read(offset, length, at).equals(model.subarray(offset, offset + length)));
  }
}

/** Bytes that differ between any two places and seeds. */
function pattern(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at < length; at += 4)
    bytes.writeUInt32LE(Math.imul(at + 4 * seed + 1, 0x9e3779b1) >>> 0, at);
  return bytes;
}

/** Whole numbers from 0 to below - 1, always the same for one seed. */
function generator(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

function scatter(machine: Machine, segments: readonly Segment[], bytes: Buffer): void {
  let from = 0;
  for (const [at, count] of segments) {
    machine.guestWrite(at, bytes.subarray(from, from + count));
    from += count;
  }
}

function gather(machine: Machine, segments: readonly Segment[]): Buffer {
  return Buffer.concat(segments.map(([at, count]) => machine.guestRead(at, count)));
}
