// A slice of a file, whatever a core asks for: no byte outside of it is read, written, zeroed, freed or marked.

import assert from 'node:assert/strict';
import { closeSync, constants, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import path from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import {
  BLOCK_MEDIUM_ERROR,
  BLOCK_OK,
  BLOCK_OUT_OF_RANGE,
  OPERATION_COMPARE,
  OPERATION_COPY,
  OPERATION_DEALLOCATE,
  OPERATION_READ,
  OPERATION_VERIFY,
  OPERATION_WRITE,
  OPERATION_WRITE_UNCORRECTABLE,
  OPERATION_WRITE_ZEROES,
  REQUEST_FLAG_DEALLOCATE,
} from '../../assembly/abi/records.ts';
import type { NativeStorage } from '../../host/native.ts';
import { Guest, Rig, type TestRequest } from './rig.ts';

const FILE_BYTES = 128 * 1024;
const BLOCK = 512;
/** What is around the slice, in it, and in the guest's memory. */
const [OUTSIDE, INSIDE, GUEST] = [0xa5, 0x5a, 0x11];

const directory = mkdtempSync(fileURLToPath(new URL('../../../slices-test-', import.meta.url)));
after(() => rmSync(directory, { recursive: true }));

interface Slice {
  readonly offset: number;
  readonly length: number;
}

const slices: fc.Arbitrary<Slice> = fc
  .tuple(fc.nat(FILE_BYTES / BLOCK - 1), fc.nat(FILE_BYTES / BLOCK - 1))
  .map(([a, b]) => ({ offset: Math.min(a, b) * BLOCK, length: (Math.abs(a - b) + 1) * BLOCK }));

/** Places that a wrong check would get wrong: both ends, the ends of the file, and where 64 bits end. */
function places({ offset, length }: Slice): fc.Arbitrary<bigint> {
  const edges = [0, length, -offset, FILE_BYTES - offset, length - BLOCK].map(BigInt);
  const all = [
    ...edges,
    2n ** 63n,
    2n ** 64n,
    2n ** 53n,
    2n ** 63n - BigInt(offset),
    2n ** 64n - BigInt(offset),
  ];
  return fc
    .tuple(fc.constantFrom(...all), fc.integer({ min: -3, max: 3 }), fc.constantFrom(0n, 1n, 511n))
    .map(([edge, blocks, bytes]) => BigInt.asUintN(64, edge + BigInt(blocks * BLOCK) + bytes));
}

interface Attempt {
  readonly slice: Slice;
  readonly operation: number;
  readonly flags: number;
  readonly at: bigint;
  /** Of Copy. */
  readonly from: bigint;
  readonly length: bigint;
}

/** What moves data between the file and the guest's memory, or reads it for itself. */
const TRANSFERS: readonly number[] = [OPERATION_READ, OPERATION_WRITE, OPERATION_COMPARE];
const SCANS: readonly number[] = [OPERATION_VERIFY, OPERATION_COPY];
const OTHERS = [OPERATION_WRITE_ZEROES, OPERATION_DEALLOCATE, OPERATION_WRITE_UNCORRECTABLE];

const attempts = slices.chain((slice) =>
  fc.record({
    slice: fc.constant(slice),
    operation: fc.constantFrom(...TRANSFERS, ...SCANS, ...OTHERS),
    flags: fc.constantFrom(0, REQUEST_FLAG_DEALLOCATE),
    at: places(slice),
    from: fc.oneof(
      fc.nat(slice.length / BLOCK).map((block) => BigInt(block * BLOCK)),
      places(slice),
    ),
    length: fc.oneof(fc.nat(8 * BLOCK).map(BigInt), places(slice)),
  }),
);

for (const [name, options] of [
  ['buffered', { direct: false, memoryAlignment: 1, zeroRange: true, punchHole: true }],
  ['without fallocate', { direct: false, memoryAlignment: 1, zeroRange: false, punchHole: false }],
  ['O_DIRECT', { direct: true, memoryAlignment: 512, zeroRange: true, punchHole: true }],
] as const) {
  test(`a file, ${name}`, () => {
    const flags = constants.O_RDWR | constants.O_CREAT | (options.direct ? constants.O_DIRECT : 0);
    const fd = openSync(path.join(directory, name), flags);
    const plain = openSync(path.join(directory, name), 'r+');
    const rig = new Rig();
    const guest = new Guest(FILE_BYTES);
    const { ioBase } = rig.region(guest.fd, FILE_BYTES);
    const expected = Buffer.alloc(FILE_BYTES, OUTSIDE);

    const body = ({ slice, operation, flags, at, from, length }: Attempt): void => {
      const { offset } = slice;
      expected.fill(OUTSIDE).fill(INSIDE, offset, offset + slice.length);
      writeSync(plain, expected, 0, FILE_BYTES, 0);
      const filling = operation === OPERATION_COMPARE ? INSIDE : GUEST;
      guest.bytes.fill(filling);
      const storage: NativeStorage = { kind: 'file', fd, ...slice, readOnly: false, ...options };
      rig.controller.namespaceAttach(1, storage);
      const transfers = TRANSFERS.includes(operation);
      // Direct I/O takes whole blocks, and cores ask for nothing else.
      const moves = transfers || SCANS.includes(operation);
      const whole = moves ? ((length % BigInt(FILE_BYTES / 2)) / 512n) * 512n : length;
      const [start, source] = options.direct ? [(at / 512n) * 512n, (from / 512n) * 512n] : [at, from];
      let segments: TestRequest['segments'] = [];
      if (transfers) segments = [[ioBase, whole]];
      if (operation === OPERATION_DEALLOCATE) segments = [[start, whole]];
      if (operation === OPERATION_COPY) segments = [[source, whole]];
      const result = rig.runOne({ operation, flags, offset: start, length: whole, segments });
      const marks = result === BLOCK_OK && operation === OPERATION_WRITE_UNCORRECTABLE;
      const verified = marks && whole !== 0n ? verifyAround(rig, slice, start, whole) : undefined;
      rig.controller.namespaceDetach(1);

      const end = BigInt(slice.length) - whole;
      const isInside = start <= end && (operation !== OPERATION_COPY || source <= end);
      assert.equal(result, isInside ? BLOCK_OK : BLOCK_OUT_OF_RANGE);

      if (verified) assert.deepEqual(verified, [BLOCK_OK, BLOCK_MEDIUM_ERROR, BLOCK_OK]);
      if (isInside) apply(expected, slice, operation, Number(start), Number(whole), options.punchHole);
      const found = Buffer.alloc(FILE_BYTES);
      readSync(plain, found, 0, FILE_BYTES, 0);
      assert.ok(found.equals(expected), 'the file is as the model has it');
      const read = isInside && operation === OPERATION_READ ? Number(whole) : 0;
      assert.ok(
        guest.bytes.subarray(0, read).every((byte) => byte === INSIDE),
        'reads see the slice alone',
      );
      assert.ok(guest.bytes.subarray(read).every((byte) => byte === filling));
    };
    fc.assert(fc.property(attempts, body), { numRuns: 500 });
    rig.close();
    guest.close();
    closeSync(fd);
    closeSync(plain);
  });
}

/** What Verify says of the blocks before, in and behind a mark. */
function verifyAround(rig: Rig, { length }: Slice, at: bigint, bytes: bigint): number[] {
  const begin = (at / 512n) * 512n;
  const end = ((at + bytes + 511n) / 512n) * 512n;
  const edges = [0n, begin, end, BigInt(length)];
  return [0, 1, 2].map((part) => {
    const [offset = 0n, next = 0n] = edges.slice(part);
    return rig.runOne({ operation: OPERATION_VERIFY, offset, length: next - offset });
  });
}

/** What an operation inside of the slice does to the file. */
function apply(
  file: Buffer,
  { offset }: Slice,
  operation: number,
  at: number,
  length: number,
  punches: boolean,
): void {
  const [begin, end] = [offset + at, offset + at + length];
  if (operation === OPERATION_WRITE) file.fill(GUEST, begin, end);
  if (operation === OPERATION_WRITE_ZEROES || (operation === OPERATION_DEALLOCATE && punches)) {
    file.fill(0, begin, end);
  }
}

test('a slice that ends beyond all files is refused', () => {
  const rig = new Rig();
  const storage = { kind: 'file', fd: 0, readOnly: false, direct: false, memoryAlignment: 1 } as const;
  const modes = { zeroRange: false, punchHole: false };
  const slice = { offset: 2 ** 53 - 1, length: 2 ** 53 - 1 };
  rig.controller.namespaceAttach(1, { ...storage, ...modes, ...slice });
  assert.throws(() => rig.controller.namespaceAttach(2, { ...storage, ...modes, ...slice, length: 2 ** 63 }));
  rig.close();
});
