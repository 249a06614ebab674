// A namespace in a regular file or on a block device, or in a slice of one: block n at byte offset + n * blockSize.
//
// Flush is fdatasync, FUA is RWF_DSYNC, Deallocate punches holes, Write Zeroes is FALLOC_FL_ZERO_RANGE; the addon
// executes them, here is only found out what this file system or device can do. A full disk is not prevented by
// allocating in advance: the write that does not fit gets BLOCK_NO_SPACE.

import * as fs from 'node:fs';
import { constants as os } from 'node:os';
import path from 'node:path';
import { formatSize } from '../config/size.ts';
import { UsageError } from '../config/usage-error.ts';
import { native } from '../native.ts';
import type { Backend, BlockSize, FileSpec } from './backend.ts';
import { lock, openDescriptor, type Extent, type Opened } from './claim.ts';
import { deviceOf } from './device.ts';
import { directAlignment, type Direct } from './direct.ts';
import { BlockError, errnoOf } from './errors.ts';
import { extentOf } from './extent.ts';
import { mayBlock } from './file-system.ts';

const { errno } = os;

/** O_TMPFILE, which Node does not name: __O_TMPFILE | O_DIRECTORY (open(2)). */
const O_TMPFILE = 0o20000000 | fs.constants.O_DIRECTORY;

/** Bytes of the range that probes touch. */
const PROBE_BYTES = 4096;

/** What is known of an open file or device, locked as the SPEC wants. */
interface Store {
  readonly extent: Extent;
  readonly blockSize: BlockSize;
  readonly optimalBytes: number;
  /** For people, and for the identity of the data. */
  readonly name: string;
  readonly realPath: string;
  readonly modes: FallocateModes;
}

/** Throws UsageError for what the operator can cure, BlockError for what failed. Leaves nothing behind then. */
export function openFile(spec: FileSpec): Backend {
  const opened = openDescriptor(spec);
  const { fd } = opened;
  const descriptors = [fd];
  try {
    const notices: string[] = opened.notice === undefined ? [] : [opened.notice];
    const store = opened.device ? openDevice(fd, spec, notices) : openRegular(opened, spec, notices);
    const { extent, blockSize, realPath } = store;
    const direct = openDirect(opened, realPath, spec, blockSize, notices);
    if (direct !== undefined) descriptors.push(direct.fd);
    const modes = spec.readOnly ? { zeroRange: false, punchHole: false } : store.modes;
    if (!spec.readOnly && !modes.punchHole) {
      const what = opened.device ? 'the device' : 'the file system of';
      notices.push(`${what} ${realPath} cannot free blocks: what a guest discards stays allocated`);
    }
    const begin = spec.offset === undefined ? '' : `,offset=${formatSize(extent.offset)}`;
    const label = begin === '' ? '' : `${begin},size=${formatSize(extent.length)}`;
    return {
      label: `${store.name}${label}`,
      identity: `${store.name}${begin}`,
      geometry: Object.freeze({
        blocks: BigInt(extent.length / blockSize),
        blockSize,
        optimalBlocks: Math.floor(store.optimalBytes / blockSize),
        readOnly: spec.readOnly,
        volatileCache: true,
        deallocate: modes.punchHole,
      }),
      storage: {
        kind: 'file',
        fd: direct?.fd ?? fd,
        ...extent,
        direct: direct !== undefined,
        memoryAlignment: direct?.alignment ?? 1,
        readOnly: spec.readOnly,
        // Buffered I/O of a device reads ahead, and waits for its turn at the device then.
        mayBlock: opened.device ? direct === undefined : mayBlock(realPath),
        ...modes,
      },
      notices,
      close: () => closeAll(descriptors),
    };
  } catch (error) {
    // Unless somebody else took the file in between, it is still ours to remove.
    if (opened.created && !(error instanceof UsageError && error.code === 'FILE_BUSY'))
      fs.unlinkSync(spec.path);
    closeAll(descriptors);
    throw error instanceof UsageError || error instanceof BlockError
      ? error
      : BlockError.from(error, `open ${spec.path}`);
  }
}

/** Locks the file, gives a new one its size, and finds out what its file system can do. */
function openRegular({ fd, created }: Opened, spec: FileSpec, notices: string[]): Store {
  const blockSize = spec.blockSize ?? 512;
  // The whole before its size is settled; a slice is known only afterwards, and changes no size.
  const isSlice = spec.offset !== undefined;
  if (!isSlice) note(notices, lock(fd, spec));
  const size = isSlice ? fs.fstatSync(fd).size : settleSize(fd, spec, created);
  const extent = extentOf(spec, { size, blockSize, device: false });
  if (isSlice) note(notices, lock(fd, spec, extent));
  const realPath = fs.realpathSync(spec.path);
  const modes = spec.readOnly ? { zeroRange: false, punchHole: false } : probeFallocate(fd, realPath, size);
  const optimalBytes = fs.fstatSync(fd).blksize;
  return { extent, blockSize, optimalBytes, name: `file:${realPath}`, realPath, modes };
}

function openDevice(fd: number, spec: FileSpec, notices: string[]): Store {
  const { size, blockSize, optimalBytes, punchHole } = deviceOf(fd, spec);
  const extent = extentOf(spec, { size, blockSize, device: true });
  note(notices, lock(fd, spec, spec.offset === undefined ? undefined : extent));
  const name = `block:${path.resolve(spec.path)}`;
  const realPath = fs.realpathSync(spec.path);
  return { extent, blockSize, optimalBytes, name, realPath, modes: { zeroRange: true, punchHole } };
}

function note(notices: string[], notice: string | undefined): void {
  if (notice !== undefined) notices.push(notice);
}

/** Gives a new or empty file its size. Returns the bytes of the file, which may not be what the SPEC wants. */
function settleSize(fd: number, spec: FileSpec, created: boolean): number {
  const { size } = fs.fstatSync(fd);
  // An empty file holds nothing to lose: `touch` and mktemp make one.
  if (spec.size !== undefined && (created || (size === 0 && !spec.readOnly))) {
    try {
      fs.ftruncateSync(fd, spec.size);
    } catch (cause) {
      if (errnoOf(cause) !== errno.EFBIG) throw BlockError.from(cause, `resize ${spec.path}`);
      throw new UsageError(
        'FILE_SIZE',
        `${spec.path} cannot have ${formatSize(spec.size)}: the file system, or ulimit -f, allows less`,
        { cause },
      );
    }
    return spec.size;
  }
  if (size > 0) return size;
  throw new UsageError(
    'FILE_SIZE',
    `${spec.path} is empty: add size=, such as size=10G, to give it its size`,
  );
}

/**
 * Opens the same file once more for direct I/O, if it is wanted and possible: its descriptor and the alignment of
 * memory addresses and lengths. Undefined where I/O is buffered.
 */
function openDirect(
  { fd, device }: Opened,
  realPath: string,
  spec: FileSpec,
  blockSize: BlockSize,
  notices: string[],
): Direct | undefined {
  if (spec.direct === 'off') return undefined;
  const found = directAlignment(fd, { realPath, device, readOnly: spec.readOnly, blockSize });
  if (typeof found !== 'string') return found;
  if (spec.direct === 'on') {
    throw new UsageError(
      'DIRECT_UNAVAILABLE',
      `direct=on is not possible for ${realPath}: ${found}; use direct=auto`,
    );
  }
  notices.push(
    `no direct I/O for ${realPath}: ${found}; data passes through the page cache (direct=off says so too)`,
  );
  return undefined;
}

interface FallocateModes {
  readonly zeroRange: boolean;
  readonly punchHole: boolean;
}

/**
 * What fallocate(2) can do here. It is tried on a nameless file of the same directory, where it can harm nothing; if
 * there cannot be one, a hole is punched behind the end of the file itself, and zero ranges, which would leave blocks
 * there, are not used.
 */
function probeFallocate(fd: number, realPath: string, length: number): FallocateModes {
  let probe: number | undefined;
  try {
    probe = fs.openSync(path.dirname(realPath), O_TMPFILE | fs.constants.O_RDWR, 0o600);
    if (fs.fstatSync(probe).dev === fs.fstatSync(fd).dev) {
      fs.writeSync(probe, Buffer.alloc(PROBE_BYTES, 1));
      return {
        zeroRange: tryFallocate(probe, 'zero-range', 0),
        punchHole: tryFallocate(probe, 'punch-hole', 0),
      };
    }
  } catch {
    // No permission, no O_TMPFILE, no space: the second way needs none of them.
  } finally {
    if (probe !== undefined) fs.closeSync(probe);
  }
  const behind = Math.ceil(length / PROBE_BYTES) * PROBE_BYTES;
  return { zeroRange: false, punchHole: tryFallocate(fd, 'punch-hole', behind) };
}

function tryFallocate(fd: number, mode: 'zero-range' | 'punch-hole', offset: number): boolean {
  try {
    native.fallocate(fd, mode, offset, PROBE_BYTES);
    return true;
  } catch {
    return false;
  }
}

function closeAll(descriptors: number[]): void {
  for (const fd of descriptors.splice(0)) fs.closeSync(fd);
}
