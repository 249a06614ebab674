// The state of a controller in a file that a VMM keeps while there is no target: a header page, then those parts of the
// state image that hold anything between two commands. The others are left out: the tables of memory and windows are
// made anew, segments and private pages mean nothing while no request is with a caller, and they name addresses of this
// process, which are nobody else's business.
//
//   0     8  magic
//   8     4  version of this file              16  8  bytes of the state image
//   12    4  version of the core's ABI         24  8  mark of a completed drain, written last
//   32   32  SHA-256 of the core that wrote it
//   64   32  SHA-256 of all the rest, mark and this excepted
//   4096     the parts, one after the other
//
// Whoever gives a file may have made it up: it is read once, into private memory, and everything here is checked there.
// What the core makes of its own parts is the core's affair, inside of its own memory.

import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import {
  HEADER_BASE,
  REGION_MAILBOX_BASE,
  SEGMENT_BASE,
  SLOT_BASE,
  WINDOW_BASE_MIN,
} from '../../assembly/abi/memory-map.ts';
import { ABI_VERSION } from '../../assembly/abi/version.ts';
import { native } from '../native.ts';
import type { StateRefusal } from '../transport/device.ts';

/** Changes with the layout of the file and with that of the caller's area in the image. */
export const STATE_VERSION = 1;

export const STATE_HEADER_BYTES = 4096;
const HEADER = { magic: 0, version: 8, abi: 12, imageBytes: 16, mark: 24, build: 32, checksum: 64, end: 96 };
const MAGIC = Buffer.from('DBLSTATE');
const MARK = Buffer.from('COMPLETE');

/** Parts of the state image, [begin, end): header to completion queues, and the command slots. */
const PARTS: readonly (readonly [number, number])[] = [
  [HEADER_BASE, REGION_MAILBOX_BASE],
  [SLOT_BASE, SEGMENT_BASE],
];

export const STATE_BYTES = PARTS.reduce((sum, [begin, end]) => sum + (end - begin), STATE_HEADER_BYTES);

/** Writes the image's parts, and behind everything else the mark. Throws what the file system throws. */
export function stateWrite(fd: number, image: Uint8Array, buildHash: Uint8Array): void {
  const file = Buffer.alloc(STATE_BYTES);
  MAGIC.copy(file, HEADER.magic);
  file.writeUInt32LE(STATE_VERSION, HEADER.version);
  file.writeUInt32LE(ABI_VERSION, HEADER.abi);
  file.writeBigUInt64LE(BigInt(WINDOW_BASE_MIN), HEADER.imageBytes);
  file.set(buildHash, HEADER.build);
  let at = STATE_HEADER_BYTES;
  for (const [begin, end] of PARTS) {
    file.set(image.subarray(begin, end), at);
    at += end - begin;
  }
  checksum(file).copy(file, HEADER.checksum);
  for (let done = 0; done < file.length;) done += fs.writeSync(fd, file, done, file.length - done, done);
  fs.writeSync(fd, MARK, 0, MARK.length, HEADER.mark);
}

/** What was read from a state file, complete and undamaged as far as its checksum tells. */
export class SavedState {
  readonly #file: Buffer;

  constructor(file: Buffer) {
    this.#file = file;
  }

  /** A stretch of the image, which lies inside of one part. */
  area(address: number, bytes: number): Uint8Array {
    let at = STATE_HEADER_BYTES;
    for (const [begin, end] of PARTS) {
      if (address >= begin && address + bytes <= end) {
        return this.#file.subarray(at + address - begin, at + address - begin + bytes);
      }
      at += end - begin;
    }
    throw new RangeError(`a state file does not hold ${bytes} bytes at ${address}`);
  }

  /** Puts the parts in their places in an image. */
  place(image: Uint8Array): void {
    for (const [begin, end] of PARTS) image.set(this.area(begin, end - begin), begin);
  }
}

/** Reads a file of which `size` bytes count, once, or says why it is none that can be gone on with. */
export function stateRead(fd: number, size: number): SavedState | StateRefusal {
  // Only a file in memory is sure to be read without waiting for another process or machine.
  const bytes = native.memoryFileBytes(fd);
  if (bytes === undefined || size < STATE_HEADER_BYTES || bytes < size) return 'foreign';
  const file = read(fd, Math.min(size, STATE_BYTES));
  if (file === undefined) return 'foreign';
  // The file as its target made it: nothing was ever saved there.
  if (file.subarray(0, STATE_HEADER_BYTES).every((byte) => byte === 0)) return 'unclean';
  if (!MAGIC.equals(file.subarray(HEADER.magic, HEADER.magic + MAGIC.length))) return 'foreign';
  if (file.readUInt32LE(HEADER.version) !== STATE_VERSION) return 'version';
  if (file.readUInt32LE(HEADER.abi) !== ABI_VERSION) return 'version';
  if (file.readBigUInt64LE(HEADER.imageBytes) !== BigInt(WINDOW_BASE_MIN)) return 'version';
  if (size !== STATE_BYTES) return 'foreign';
  if (!MARK.equals(file.subarray(HEADER.mark, HEADER.mark + MARK.length))) return 'unclean';
  if (!checksum(file).equals(file.subarray(HEADER.checksum, HEADER.end))) return 'damaged';
  return new SavedState(file);
}

/** Undefined when the file ends before, or cannot be read. */
function read(fd: number, bytes: number): Buffer | undefined {
  const file = Buffer.alloc(bytes);
  try {
    for (let done = 0; done < bytes;) {
      const count = fs.readSync(fd, file, done, bytes - done, done);
      if (count === 0) return undefined;
      done += count;
    }
  } catch {
    return undefined;
  }
  return file;
}

function checksum(file: Buffer): Buffer {
  return createHash('sha256')
    .update(file.subarray(0, HEADER.mark))
    .update(file.subarray(HEADER.build, HEADER.checksum))
    .update(file.subarray(HEADER.end))
    .digest();
}
