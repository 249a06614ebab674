/**
 * The layout of a disk that boots by itself.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { crc32 } from 'node:zlib';
import {
  EFI_SYSTEM,
  LINUX_DATA,
  loadGrub,
  partitionTable,
  placeGrub,
} from '../../../host/demo/boot-image-layout.ts';

const MIB = 1024 * 1024;
const DISK_BYTES = 64 * MIB;

const PARTITIONS = [
  { type: EFI_SYSTEM, name: 'system', start: MIB, bytes: 39 * MIB },
  { type: LINUX_DATA, name: 'spare', start: 40 * MIB, bytes: 23 * MIB },
];

function makeDisk(blockBytes: number, bootCode = Buffer.alloc(0)): Buffer {
  const disk = Buffer.alloc(DISK_BYTES);
  for (const { offset, bytes } of partitionTable(PARTITIONS, DISK_BYTES, blockBytes, bootCode)) {
    assert.equal(offset % blockBytes, 0);
    bytes.copy(disk, offset);
  }
  return disk;
}

/** A header as a reader checks it: its numbers, in blocks. */
function readHeader(disk: Buffer, blockBytes: number, block: number): Record<string, number> {
  const header = Buffer.from(disk.subarray(block * blockBytes, block * blockBytes + 92));
  assert.equal(header.toString('latin1', 0, 8), 'EFI PART');
  assert.equal(header.readUInt32LE(12), 92);
  const sum = header.readUInt32LE(16);
  header.writeUInt32LE(0, 16);
  assert.equal(sum, crc32(header), 'checksum of the header');
  const entries = Number(header.readBigUInt64LE(72));
  const table = disk.subarray(entries * blockBytes, entries * blockBytes + 128 * 128);
  assert.equal(header.readUInt32LE(88), crc32(table), 'checksum of the entries');
  const number = (offset: number): number => Number(header.readBigUInt64LE(offset));
  return { own: number(24), other: number(32), first: number(40), last: number(48), entries };
}

for (const { blockBytes, entriesBlocks } of [
  { blockBytes: 512, entriesBlocks: 32 },
  { blockBytes: 4096, entriesBlocks: 4 },
]) {
  describe(`a partition table for ${String(blockBytes)}-byte blocks`, () => {
    const disk = makeDisk(blockBytes);
    const blocks = DISK_BYTES / blockBytes;

    test('has two copies that name each other', () => {
      const first = 2 + entriesBlocks;
      const last = blocks - entriesBlocks - 2;
      assert.deepEqual(readHeader(disk, blockBytes, 1), {
        own: 1,
        other: blocks - 1,
        first,
        last,
        entries: 2,
      });
      assert.deepEqual(readHeader(disk, blockBytes, blocks - 1), {
        ...{ own: blocks - 1, other: 1, first, last },
        entries: last + 1,
      });
    });

    test('tells type, place and name of each partition', () => {
      const entry = disk.subarray(2 * blockBytes, 2 * blockBytes + 128);
      assert.equal(entry.toString('hex', 0, 16), '28732ac11ff8d211ba4b00a0c93ec93b');
      assert.equal(Number(entry.readBigUInt64LE(32)), MIB / blockBytes);
      assert.equal(Number(entry.readBigUInt64LE(40)), (40 * MIB) / blockBytes - 1);
      assert.equal(entry.toString('utf16le', 56, 56 + 14), 'system\0');
      const ids = [0, 1].map((index) => {
        const at = 2 * blockBytes + index * 128 + 16;
        return disk.toString('hex', at, at + 16);
      });
      assert.notEqual(ids[0], ids[1]);
      assert.ok(disk.subarray(2 * blockBytes + 256, 2 * blockBytes + 128 * 128).every((byte) => byte === 0));
    });

    test('protects the disk from programs that do not know it', () => {
      assert.equal(disk.readUInt16LE(510), 0xaa55);
      assert.equal(disk.readUInt8(450), 0xee);
      assert.equal(disk.readUInt32LE(454), 1);
      assert.equal(disk.readUInt32LE(458), blocks - 1);
    });
  });
}

test('the boot code leaves the rest of the first block alone', () => {
  const disk = makeDisk(512, Buffer.alloc(512, 0x90));
  assert.ok(disk.subarray(0, 440).every((byte) => byte === 0x90));
  assert.ok(disk.subarray(440, 446).every((byte) => byte === 0));
  assert.equal(disk.readUInt8(450), 0xee);
});

test('GRUB is told its place in sectors', () => {
  const core = Buffer.alloc(3000, 0x11);
  const placed = placeGrub(Buffer.alloc(512, 0x22), core, 65536);
  assert.equal(placed.bootCode.readBigUInt64LE(0x5c), 128n);
  assert.equal(placed.core.readBigUInt64LE(0x1f4), 129n);
  assert.equal(placed.core.length, core.length);
  assert.ok(
    core.every((byte) => byte === 0x11),
    'what was given is as it was',
  );
});

test('the loader for other block sizes reads the whole core image but its first sector', () => {
  const core = Buffer.concat([Buffer.alloc(512, 0x11), Buffer.alloc(8193, 0x22)]);
  const { bootCode, core: rest } = loadGrub(core, 65536, 4096);
  assert.ok(rest.length === 8193 && rest.every((byte) => byte === 0x22));
  assert.equal(bootCode.readUInt16LE(0x40), 3, 'blocks to read');
  assert.equal(bootCode.readBigUInt64LE(0x38), 16n, 'the first of them');
  assert.equal(bootCode.readUInt16LE(0x34) + bootCode.readUInt16LE(0x36) * 16, 0x8200, 'where it goes');
  assert.equal(bootCode.readUInt16LE(0x18) * 16, 4096, 'how far the next goes');
  assert.ok(bootCode.length <= 440);
});
