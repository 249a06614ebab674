// Requests before they reach a storage: the check of each segment's range and direction, the two copies, records
// that lie, and what happens to requests whose memory goes away.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DATA_BUFFER_BYTES, SEGMENTS_PER_SLOT, SLOT_COUNT } from '../../assembly/abi/memory-map.ts';
import {
  BLOCK_MEMORY_FAULT,
  BLOCK_NOT_SUPPORTED,
  BLOCK_OK,
  BLOCK_OUT_OF_RANGE,
  OPERATION_COPY_IN,
  OPERATION_COPY_OUT,
  OPERATION_FLUSH,
  OPERATION_READ,
  OPERATION_WRITE,
} from '../../assembly/abi/records.ts';
import { native } from '../../host/native.ts';
import { Guest, MIB, PAGE, pattern, Rig, withCode, type TestRequest } from './rig.ts';

/** A controller with 4 MiB of guest memory below 4 GiB and a RAM disk of 16 MiB as namespace 1. */
function withRam(): { rig: Rig; guest: Guest; ioBase: bigint } {
  const guest = new Guest(4 * MIB);
  const rig = new Rig();
  const { ioBase } = rig.region(guest.fd, 4 * MIB);
  const disk = native.ramDisk(16 * MIB);
  rig.controller.namespaceAttach(1, { kind: 'ram', disk, offset: 0, length: 16 * MIB, readOnly: false });
  disk.close();
  return { rig, guest, ioBase };
}

test('segments outside the regions are memory faults, to the byte', () => {
  const { rig, guest, ioBase } = withRam();
  const end = ioBase + BigInt(4 * MIB);
  const read = (address: bigint, length: number | bigint): number =>
    rig.runOne({ operation: OPERATION_READ, segments: [[address, length]], length: BigInt(length) });
  assert.equal(read(ioBase, 512), BLOCK_OK);
  assert.equal(read(end - 512n, 512), BLOCK_OK);
  assert.equal(read(end - 511n, 512), BLOCK_MEMORY_FAULT);
  assert.equal(read(end, 512), BLOCK_MEMORY_FAULT);
  assert.equal(read(ioBase - 1n, 512), BLOCK_MEMORY_FAULT);
  assert.equal(read(ioBase - 512n, 512), BLOCK_MEMORY_FAULT);
  assert.equal(read(0n, 512), BLOCK_MEMORY_FAULT);
  assert.equal(read(ioBase, 0xffff_ffff_ffff_ffffn), BLOCK_MEMORY_FAULT);
  assert.equal(read(0xffff_ffff_ffff_ff00n, 512), BLOCK_MEMORY_FAULT);
  // Addresses of this process that are nobody's guest memory.
  assert.equal(read(native.addressOf(rig.bytes), 512), BLOCK_MEMORY_FAULT);
  assert.equal(read(native.addressOf(pattern(512, 1)), 512), BLOCK_MEMORY_FAULT);
  // One bad segment among good ones.
  assert.equal(
    rig.runOne({
      operation: OPERATION_READ,
      segments: [
        [ioBase, 512],
        [end - 4n, 8],
        [ioBase, 504],
      ],
    }),
    BLOCK_MEMORY_FAULT,
  );
  rig.close();
  guest.close();
});

test('a segment may cross from a region to its neighbour in the file, and not over a gap', () => {
  const guest = new Guest(4 * MIB);
  const rig = new Rig();
  const low = rig.region(guest.fd, MIB, { gpa: 0 });
  rig.region(guest.fd, MIB, { gpa: 1n << 32n, offset: MIB });
  rig.region(guest.fd, MIB, { gpa: 1n << 33n, offset: 3 * MIB });
  const at = (offset: number): number =>
    rig.runOne({
      operation: OPERATION_COPY_OUT,
      data: rig.dataAddress(0),
      segments: [[low.ioBase + BigInt(offset), 4096]],
    });
  assert.equal(at(MIB - 2048), BLOCK_OK);
  assert.equal(at(2 * MIB - 2048), BLOCK_MEMORY_FAULT);
  assert.equal(at(3 * MIB - 2048), BLOCK_MEMORY_FAULT);
  assert.equal(at(3 * MIB), BLOCK_OK);
  rig.close();
  guest.close();
});

test('the direction of a request must be one that the region allows', () => {
  const guest = new Guest(4 * MIB);
  const rig = new Rig();
  const rom = rig.region(guest.fd, MIB, { gpa: 0, writable: false });
  const blind = rig.region(guest.fd, MIB, { gpa: 4 * MIB, offset: MIB, readable: false });
  const disk = native.ramDisk(MIB);
  rig.controller.namespaceAttach(1, { kind: 'ram', disk, offset: 0, length: MIB, readOnly: false });
  const run = (operation: number, address: bigint): number =>
    rig.runOne({ operation, segments: [[address, 512]], data: rig.dataAddress(0) });
  for (const operation of [OPERATION_READ, OPERATION_COPY_OUT]) {
    assert.equal(run(operation, rom.ioBase), BLOCK_MEMORY_FAULT);
    assert.equal(run(operation, blind.ioBase), BLOCK_OK);
    assert.equal(run(operation, blind.ioBase - 4n), BLOCK_MEMORY_FAULT);
  }
  for (const operation of [OPERATION_WRITE, OPERATION_COPY_IN]) {
    assert.equal(run(operation, rom.ioBase), BLOCK_OK);
    assert.equal(run(operation, blind.ioBase), BLOCK_MEMORY_FAULT);
  }
  // The same bytes of the file, shown a second time with other rights: what one of the two allows is allowed.
  rig.region(guest.fd, PAGE, { gpa: 8 * MIB, offset: PAGE });
  assert.equal(run(OPERATION_READ, rom.ioBase + BigInt(PAGE)), BLOCK_OK);
  assert.equal(run(OPERATION_READ, rom.ioBase + BigInt(2 * PAGE - 4)), BLOCK_MEMORY_FAULT);
  assert.ok(rig.controller.regionDrained(rig.controller.regionRemove(BigInt(8 * MIB), BigInt(PAGE))));
  assert.equal(run(OPERATION_READ, rom.ioBase + BigInt(PAGE)), BLOCK_MEMORY_FAULT);
  rig.close();
  disk.close();
  guest.close();
});

test('records that lie are completed with an error, each exactly once', () => {
  const { rig, guest, ioBase } = withRam();
  const segments = [[ioBase, 512]] as const;
  const expect = (request: TestRequest, result: number): void => assert.equal(rig.runOne(request), result);
  expect({ operation: OPERATION_READ, segments, length: 513 }, BLOCK_MEMORY_FAULT);
  expect({ operation: OPERATION_READ, segments, length: 511 }, BLOCK_MEMORY_FAULT);
  expect({ operation: OPERATION_READ, segments, segmentCount: SEGMENTS_PER_SLOT + 1 }, BLOCK_MEMORY_FAULT);
  expect({ operation: OPERATION_READ, segments, segmentCount: 0xffffffff }, BLOCK_MEMORY_FAULT);
  expect({ operation: OPERATION_READ, segments, segmentAddress: 0xfffffff0 }, BLOCK_MEMORY_FAULT);
  expect({ operation: OPERATION_READ, segments, segmentAddress: rig.windowBase - 8 }, BLOCK_MEMORY_FAULT);
  expect({ operation: OPERATION_COPY_OUT, segments, data: rig.windowBase - 8 }, BLOCK_MEMORY_FAULT);
  expect({ operation: OPERATION_COPY_IN, segments, data: 0xffffffff }, BLOCK_MEMORY_FAULT);
  for (const operation of [0, 12, 0xffff]) expect({ operation, segments }, BLOCK_NOT_SUPPORTED);
  for (const nsid of [0, 2, 256, 257, 0xffffffff]) {
    expect({ operation: OPERATION_READ, nsid, segments }, BLOCK_OUT_OF_RANGE);
    expect({ operation: OPERATION_FLUSH, nsid }, BLOCK_OUT_OF_RANGE);
  }
  assert.throws(() => rig.ring.submit(rig.controller, SLOT_COUNT + 1), withCode('EINVAL'));
  rig.close();
  guest.close();
});

test('copy out: data buffer to guest, zeros beyond it', () => {
  const { rig, guest, ioBase } = withRam();
  guest.bytes.fill(0xee);
  rig.dataBuffer(3).set(pattern(DATA_BUFFER_BYTES, 1));
  rig.dataBuffer(4).fill(0x44);
  const result = rig.runOne({
    operation: OPERATION_COPY_OUT,
    nsid: 0,
    data: rig.dataAddress(3),
    segments: [
      [ioBase + 100n, 1000],
      [ioBase + 8192n, 5000],
      [ioBase + 20000n, 300],
    ],
  });
  assert.equal(result, BLOCK_OK);
  const expected = Buffer.concat([pattern(DATA_BUFFER_BYTES, 1), Buffer.alloc(6300 - DATA_BUFFER_BYTES)]);
  const found = Buffer.concat([
    guest.bytes.slice(100, 1100),
    guest.bytes.slice(8192, 13192),
    guest.bytes.slice(20000, 20300),
  ]);
  assert.deepEqual(found, expected);
  for (const offset of [99, 1100, 8191, 13192, 19999, 20300]) assert.equal(guest.bytes[offset], 0xee);
  rig.close();
  guest.close();
});

test('copy in: guest to data buffer, at most its size', () => {
  const { rig, guest, ioBase } = withRam();
  guest.bytes.set(pattern(8192, 2));
  const run = (...segments: [bigint, number][]): number =>
    rig.runOne({ operation: OPERATION_COPY_IN, nsid: 0, data: rig.dataAddress(3), segments });
  assert.equal(run([ioBase + 1n, 4000], [ioBase + 5000n, 96]), BLOCK_OK);
  const expected = Buffer.concat([guest.bytes.slice(1, 4001), guest.bytes.slice(5000, 5096)]);
  assert.deepEqual(Buffer.from(rig.dataBuffer(3)), expected);
  assert.equal(rig.dataBuffer(4)[0], 0);
  assert.equal(run([ioBase, 4096], [ioBase, 4]), BLOCK_MEMORY_FAULT);
  assert.equal(rig.dataBuffer(4)[0], 0);
  rig.close();
  guest.close();
});

test('a removed region is held until its requests are done, and refused to new ones', () => {
  const { rig, guest } = withFile();
  const { ioBase } = rig.region(guest.fd, MIB, { gpa: 8 * MIB, offset: 2 * MIB });
  const other = rig.region(guest.fd, MIB, { gpa: 16 * MIB });
  rig.submit(
    { operation: OPERATION_READ, segments: [[ioBase, 4096]] },
    { operation: OPERATION_READ, segments: [[other.ioBase, 4096]] },
  );
  const ticket = rig.controller.regionRemove(BigInt(8 * MIB), BigInt(MIB));
  const untouched = rig.controller.regionRemove(BigInt(16 * MIB), BigInt(PAGE * 256));
  assert.equal(rig.controller.regionDrained(ticket), false);
  assert.equal(rig.controller.regionDrained(untouched), false);
  const results = rig.finish();
  assert.deepEqual([...results.values()], [0, 0]);
  assert.equal(rig.controller.regionDrained(ticket), true);
  assert.equal(rig.controller.regionDrained(untouched), true);
  assert.equal(guest.bytes[2 * MIB], 0x5a);
  assert.equal(guest.bytes[0], 0x5a);
  rig.close();
  guest.close();
});

test('an abandoned region: late I/O hits nobody, and a later region sees the file', () => {
  const { rig, guest } = withFile();
  const first = rig.region(guest.fd, MIB, { gpa: 0 });
  // Shows the second half of the first page range once more: those bytes stay the guest's.
  rig.region(guest.fd, 4 * PAGE, { gpa: 32 * MIB, offset: 4 * PAGE });
  rig.submit({ operation: OPERATION_READ, segments: [[first.ioBase, 8 * PAGE]] });
  const ticket = rig.controller.regionRemove(0n, BigInt(MIB));
  rig.controller.regionAbandon(ticket);
  assert.equal(rig.controller.regionDrained(ticket), false);
  assert.deepEqual([...rig.finish().values()], [0]);
  assert.equal(rig.controller.regionDrained(ticket), true);
  rig.controller.regionAbandon(ticket);
  assert.ok(guest.bytes.subarray(0, 4 * PAGE).every((byte) => byte === 0));
  assert.ok(guest.bytes.subarray(4 * PAGE, 8 * PAGE).every((byte) => byte === 0x5a));
  assert.ok(guest.bytes.subarray(8 * PAGE).every((byte) => byte === 0));

  const again = rig.region(guest.fd, MIB, { gpa: 0 });
  assert.equal(again.file, first.file);
  assert.equal(rig.runOne({ operation: OPERATION_READ, segments: [[again.ioBase, PAGE]] }), BLOCK_OK);
  assert.equal(guest.bytes[0], 0x5a);
  rig.close();
  guest.close();
});

/**
 * Guest memory of 4 MiB without regions, and a file of 0x5a bytes as namespace 1: its requests are in flight
 * until enter.
 */
function withFile(): { rig: Rig; guest: Guest } {
  const guest = new Guest(4 * MIB);
  const rig = new Rig();
  const disk = new Guest(MIB);
  disk.bytes.fill(0x5a);
  rig.controller.namespaceAttach(1, {
    kind: 'file',
    fd: disk.fd,
    offset: 0,
    length: MIB,
    direct: false,
    memoryAlignment: 1,
    readOnly: false,
    zeroRange: true,
    punchHole: true,
  });
  return { rig, guest };
}

test('close waits for nothing; a closed ring completes what it had', () => {
  const { rig, guest } = withFile();
  const { ioBase } = rig.region(guest.fd, MIB);
  const disk = native.ramDisk(MIB);
  rig.submit({ operation: OPERATION_READ, segments: [[ioBase, 4096]] });
  assert.throws(() => rig.controller.close(), withCode('EBUSY'));
  rig.ring.close();
  assert.equal(rig.controller.inFlight, 1);
  assert.throws(() => rig.controller.close(), withCode('EBUSY'));
  assert.equal(rig.controller.completionsTake(), 1);
  rig.controller.close();
  rig.controller.close();
  assert.equal(rig.controller.inFlight, 0);
  assert.throws(() => rig.region(guest.fd, MIB), withCode('EBADF'));
  disk.close();
  assert.throws(() => disk.residentBytes(), withCode('EBADF'));
  guest.close();
});

test('more requests than the ring takes at once wait and are all done', () => {
  const { rig, guest } = withFile();
  const { ioBase } = rig.region(guest.fd, 4 * MIB);
  const requests = Array.from({ length: SLOT_COUNT }, (_, slot) => ({
    operation: slot % 3 === 0 ? OPERATION_FLUSH : OPERATION_READ,
    offset: 0,
    segments: slot % 3 === 0 ? [] : [[ioBase + BigInt(slot * 4096), 4096] as const],
  }));
  assert.ok(rig.run(...requests).every((result) => result === BLOCK_OK));
  assert.equal(guest.bytes[4096], 0x5a);
  assert.equal(guest.bytes[1022 * 4096], 0x5a);
  assert.equal(guest.bytes[1023 * 4096], 0);
  rig.close();
  guest.close();
});
