/**
 * How a bootable disk is laid out: a GUID partition table (UEFI Specification 2.10, chapter 5) for blocks of any
 * size, and the first block that a PC BIOS runs. Pure: bytes in, bytes out.
 */
import { crc32 } from 'node:zlib';

/** A partition; its place is in bytes and a multiple of the block size. */
export interface Partition {
  readonly type: string;
  readonly name: string;
  readonly start: number;
  readonly bytes: number;
}

/** Types of partitions: a boot loader for BIOS, the file system that UEFI reads, data of Linux. */
export const BIOS_BOOT = '21686148-6449-6E6F-744E-656564454649';
export const EFI_SYSTEM = 'C12A7328-F81F-11D2-BA4B-00A0C93EC93B';
export const LINUX_DATA = '0FC63DAF-8483-4772-8E79-3D69D8477DE4';

/** Of the disk and, the last byte counting up, of its partitions: equal inputs give equal images. */
const DISK_ID = 'D00BE110-0000-4000-8000-000000000000';

/** A block of this size is what a BIOS loads and what GRUB counts in. */
const SECTOR_BYTES = 512;

const ENTRY_COUNT = 128;
const ENTRY_BYTES = 128;
const HEADER_BYTES = 92;
const REVISION = 0x0001_0000;

/** Bytes of an image and where they go. */
export interface Piece {
  readonly offset: number;
  readonly bytes: Buffer;
}

/**
 * The partition table of a disk of `diskBytes`: its copies at both ends, and the first block with `bootCode` (at most
 * 440 bytes) and the entry that tells older programs that the disk is in use.
 */
export function partitionTable(
  partitions: readonly Partition[],
  diskBytes: number,
  blockBytes: number,
  bootCode: Buffer,
): Piece[] {
  const lastBlock = diskBytes / blockBytes - 1;
  const entries = Buffer.alloc(ENTRY_COUNT * ENTRY_BYTES);
  for (const [index, partition] of partitions.entries()) {
    entry(partition, index, blockBytes).copy(entries, index * ENTRY_BYTES);
  }
  const entriesBlocks = entries.length / blockBytes;
  const table = (own: number, other: number, entriesBlock: number): Buffer =>
    header({ own, other, entriesBlock, firstUsable: 2 + entriesBlocks, lastBlock, entries });
  return [
    { offset: 0, bytes: firstBlock(bootCode, lastBlock) },
    { offset: blockBytes, bytes: table(1, lastBlock, 2) },
    { offset: 2 * blockBytes, bytes: entries },
    { offset: (lastBlock - entriesBlocks) * blockBytes, bytes: entries },
    { offset: lastBlock * blockBytes, bytes: table(lastBlock, 1, lastBlock - entriesBlocks) },
  ];
}

/** The protective MBR (UEFI 5.2.3). */
function firstBlock(bootCode: Buffer, lastBlock: number): Buffer {
  const block = Buffer.alloc(SECTOR_BYTES);
  bootCode.copy(block, 0, 0, 440);
  block.set([0x00, 0x00, 0x02, 0x00, 0xee, 0xff, 0xff, 0xff], 446);
  block.writeUInt32LE(1, 454);
  block.writeUInt32LE(Math.min(lastBlock, 0xffff_ffff), 458);
  block.writeUInt16LE(0xaa55, 510);
  return block;
}

/** One copy of the header (UEFI 5.3.2). */
function header(table: {
  readonly own: number;
  readonly other: number;
  readonly entriesBlock: number;
  readonly firstUsable: number;
  readonly lastBlock: number;
  readonly entries: Buffer;
}): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES);
  bytes.write('EFI PART', 0, 'latin1');
  bytes.writeUInt32LE(REVISION, 8);
  bytes.writeUInt32LE(HEADER_BYTES, 12);
  bytes.writeBigUInt64LE(BigInt(table.own), 24);
  bytes.writeBigUInt64LE(BigInt(table.other), 32);
  bytes.writeBigUInt64LE(BigInt(table.firstUsable), 40);
  // As many blocks are kept at the end, less the MBR's.
  bytes.writeBigUInt64LE(BigInt(table.lastBlock - (table.firstUsable - 1)), 48);
  guid(DISK_ID).copy(bytes, 56);
  bytes.writeBigUInt64LE(BigInt(table.entriesBlock), 72);
  bytes.writeUInt32LE(ENTRY_COUNT, 80);
  bytes.writeUInt32LE(ENTRY_BYTES, 84);
  bytes.writeUInt32LE(crc32(table.entries), 88);
  bytes.writeUInt32LE(crc32(bytes), 16);
  return bytes;
}

/** One entry (UEFI 5.3.3). */
function entry(partition: Partition, index: number, blockBytes: number): Buffer {
  const bytes = Buffer.alloc(ENTRY_BYTES);
  guid(partition.type).copy(bytes, 0);
  const own = guid(DISK_ID);
  own.writeUInt8(index + 1, 15);
  own.copy(bytes, 16);
  bytes.writeBigUInt64LE(BigInt(partition.start / blockBytes), 32);
  bytes.writeBigUInt64LE(BigInt((partition.start + partition.bytes) / blockBytes - 1), 40);
  bytes.write(partition.name, 56, 36 * 2, 'utf16le');
  return bytes;
}

/** A GUID as it is stored: the first three groups least significant byte first. */
function guid(text: string): Buffer {
  const bytes = Buffer.from(text.replaceAll('-', ''), 'hex');
  bytes.subarray(0, 4).reverse();
  bytes.subarray(4, 6).reverse();
  bytes.subarray(6, 8).reverse();
  return bytes;
}

/** Where GRUB keeps, in its boot sector, the place of its core image; and in the core image's first sector the rest. */
const GRUB_CORE_SECTOR = 0x5c;
const GRUB_BLOCK_LIST = 0x1f4;

/**
 * GRUB's boot sector and core image for a disk with blocks of 512 bytes, told that the core image is at the byte
 * `start`, as grub-install does it.
 */
export function placeGrub(
  bootSector: Buffer,
  core: Buffer,
  start: number,
): { readonly bootCode: Buffer; readonly core: Buffer } {
  const sector = BigInt(start / SECTOR_BYTES);
  const bootCode = Buffer.from(bootSector);
  bootCode.writeBigUInt64LE(sector, GRUB_CORE_SECTOR);
  const placed = Buffer.from(core);
  placed.writeBigUInt64LE(sector + 1n, GRUB_BLOCK_LIST);
  return { bootCode, core: placed };
}

/** Where GRUB's core image runs, less its first sector, which would have loaded the rest. */
const GRUB_CORE_SEGMENT = 0x820;

/**
 * A boot sector for blocks of other sizes, which GRUB's own does not know: it loads `core` block by block from the
 * byte `start` and runs it. What it loads is not the core image as it is made but the result's `core`.
 */
export function loadGrub(
  core: Buffer,
  start: number,
  blockBytes: number,
): { readonly bootCode: Buffer; readonly core: Buffer } {
  const rest = core.subarray(SECTOR_BYTES);
  const bootCode = Buffer.alloc(0x42);
  bootCode.set([
    ...[0xfa], //                                  cli
    ...[0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xd0], //    ax = ds = ss = 0
    ...[0xbc, 0x00, 0x7c, 0xfb], //                sp = 7C00h; sti
    ...[0xbe, 0x30, 0x7c], //                next: si = packet
    ...[0xb4, 0x42, 0xcd, 0x13], //                extended read; dl still is the drive
    ...[0x72, 0x15], //                            jc stop
    ...[0x81, 0x06, 0x36, 0x7c, 0x00, 0x00], //    packet's segment += a block (below)
    ...[0xff, 0x06, 0x38, 0x7c], //                packet's block += 1
    ...[0xff, 0x0e, 0x40, 0x7c], //                blocks left -= 1
    ...[0x75, 0xe7], //                            jnz next
    ...[0xea, 0x00, 0x82, 0x00, 0x00], //          jmp 0000:8200h
    ...[0xf4, 0xeb, 0xfd], //                stop: hlt; jmp stop
  ]);
  bootCode.writeUInt16LE(blockBytes / 16, 0x18);
  bootCode.set([0x10, 0x00, 0x01, 0x00], 0x30);
  bootCode.writeUInt16LE(GRUB_CORE_SEGMENT, 0x36);
  bootCode.writeBigUInt64LE(BigInt(start / blockBytes), 0x38);
  bootCode.writeUInt16LE(Math.ceil(rest.length / blockBytes), 0x40);
  return { bootCode, core: rest };
}
