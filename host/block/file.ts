// A namespace in a regular file: sparse, as large as the namespace, block n at byte n * blockSize.
//
// Flush is fdatasync, FUA is RWF_DSYNC, Deallocate punches holes, Write Zeroes is FALLOC_FL_ZERO_RANGE; the addon
// executes them, here is only found out what this file system can do. A full disk is not prevented by allocating in
// advance: the write that does not fit gets BLOCK_NO_SPACE.

import * as fs from 'node:fs';
import { constants as os } from 'node:os';
import path from 'node:path';
import { formatSize, nearestSizes } from '../config/size.ts';
import { UsageError } from '../config/usage-error.ts';
import { native } from '../native.ts';
import type { Backend, FileSpec } from './backend.ts';
import { directAlignment } from './direct.ts';
import { BlockError, errnoOf } from './errors.ts';

const { errno } = os;

/** O_TMPFILE, which Node does not name: __O_TMPFILE | O_DIRECTORY (open(2)). */
const O_TMPFILE = 0o20000000 | fs.constants.O_DIRECTORY;

/** Bytes of the range that probes touch. */
const PROBE_BYTES = 4096;

/** Throws UsageError for what the operator can cure, BlockError for what failed. Leaves nothing behind then. */
export function openFile(spec: FileSpec): Backend {
  const opened = openDescriptor(spec);
  const { fd } = opened;
  const descriptors = [fd];
  try {
    const notices: string[] = [];
    const unlocked = lock(fd, spec);
    if (unlocked !== undefined) notices.push(unlocked);
    const length = settleSize(fd, spec, opened.created);
    const realPath = fs.realpathSync(spec.path);
    const alignment = openDirect(fd, realPath, spec, descriptors, notices);
    const modes = spec.readOnly
      ? { zeroRange: false, punchHole: false }
      : probeFallocate(fd, realPath, length);
    if (!spec.readOnly && !modes.punchHole) {
      notices.push(
        `the file system of ${realPath} cannot free blocks: what a guest discards stays allocated`,
      );
    }
    return {
      label: `file:${realPath}`,
      identity: `file:${realPath}`,
      geometry: Object.freeze({
        blocks: BigInt(length / spec.blockSize),
        blockSize: spec.blockSize,
        optimalBlocks: Math.floor(fs.fstatSync(fd).blksize / spec.blockSize),
        readOnly: spec.readOnly,
        volatileCache: true,
        deallocate: modes.punchHole,
      }),
      storage: {
        kind: 'file',
        fd: descriptors.at(-1) ?? fd,
        offset: 0,
        length,
        direct: alignment !== undefined,
        memoryAlignment: alignment ?? 1,
        readOnly: spec.readOnly,
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

interface Opened {
  readonly fd: number;
  /** This call made the file. */
  readonly created: boolean;
}

function openDescriptor(spec: FileSpec): Opened {
  const flags = (spec.readOnly ? fs.constants.O_RDONLY : fs.constants.O_RDWR) | fs.constants.O_NONBLOCK;
  try {
    const stats = fs.statSync(spec.path, { throwIfNoEntry: false });
    if (stats !== undefined) {
      checkKind(stats, spec.path);
      return { fd: fs.openSync(spec.path, flags), created: false };
    }
    if (spec.size === undefined || spec.readOnly) throw missing(spec);
    const create = fs.constants.O_CREAT | fs.constants.O_EXCL;
    return { fd: fs.openSync(spec.path, flags | create, 0o600), created: true };
  } catch (error) {
    throw error instanceof UsageError ? error : openFailure(error, spec);
  }
}

function checkKind(stats: fs.Stats, file: string): void {
  if (stats.isFile()) return;
  if (stats.isBlockDevice()) {
    throw new UsageError(
      'FILE_KIND',
      `${file} is a block device, which is not supported: put a regular file on it`,
    );
  }
  let kind = 'not a regular file';
  if (stats.isDirectory()) kind = `a directory: name a file in it, such as ${path.join(file, 'disk.img')}`;
  else if (stats.isSocket()) kind = 'a socket: --namespace needs a regular file, --socket takes sockets';
  else if (stats.isCharacterDevice()) kind = 'a character device: --namespace needs a regular file';
  else if (stats.isFIFO()) kind = 'a pipe: --namespace needs a regular file';
  throw new UsageError('FILE_KIND', `${file} is ${kind}`);
}

function missing(spec: FileSpec): UsageError {
  const cure = spec.readOnly
    ? 'a read-only namespace needs a file that is there'
    : `add size=, such as file:${spec.path},size=10G, to create it`;
  return new UsageError('FILE_MISSING', `${spec.path} does not exist: ${cure}`);
}

function openFailure(cause: unknown, spec: FileSpec): Error {
  const file = spec.path;
  switch (errnoOf(cause)) {
    case errno.ENOENT:
    case errno.ENOTDIR: {
      const directory = path.dirname(file);
      return new UsageError('FILE_MISSING', `${file} cannot be created: ${directory} is not a directory`, {
        cause,
      });
    }
    case errno.EACCES:
    case errno.EPERM: {
      const what = spec.readOnly ? 'read' : 'written';
      const cure = spec.readOnly ? 'change its permissions' : 'change its permissions, or add readonly=on';
      return new UsageError('FILE_PERMISSION', `${file} must not be ${what} by this user: ${cure}`, {
        cause,
      });
    }
    case errno.EROFS:
      return new UsageError('FILE_PERMISSION', `${file} is on a read-only file system: add readonly=on`, {
        cause,
      });
    case errno.ETXTBSY:
      return new UsageError('FILE_BUSY', `${file} is a program that runs, or a swap file: use another file`, {
        cause,
      });
    case errno.EEXIST:
      return new UsageError('FILE_BUSY', `${file} appeared while it was being created: start again`, {
        cause,
      });
    case errno.ENOSPC:
    case errno.EDQUOT:
      return new UsageError('FILE_SPACE', `${file} cannot be created, the disk is full: make room`, {
        cause,
      });
    default:
      return BlockError.from(cause, `open ${file}`);
  }
}

/** Takes the lock for as long as the descriptor is open. Returns a notice where the file system has no locks. */
function lock(fd: number, spec: FileSpec): string | undefined {
  let locked: boolean;
  try {
    locked = native.fileLock(fd, !spec.readOnly);
  } catch (cause) {
    const number = errnoOf(cause);
    if (![errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL].includes(number)) throw cause;
    return `the file system of ${spec.path} has no locks: make sure that nothing else writes this file`;
  }
  if (locked) return undefined;
  throw new UsageError(
    'FILE_BUSY',
    spec.readOnly
      ? `${spec.path} is open for writing elsewhere: end that process, or open it with readonly=on there too`
      : `${spec.path} is in use by another namespace or process: use it once (fuser ${spec.path} tells by whom), ` +
          'let several controllers see one namespace with share=on, or open it with readonly=on everywhere',
  );
}

/** Gives a new file its size, checks that of an old one. Returns the bytes of the namespace. */
function settleSize(fd: number, spec: FileSpec, created: boolean): number {
  const stats = fs.fstatSync(fd);
  checkKind(stats, spec.path);
  // An empty file holds nothing to lose: `touch` and mktemp make one.
  if (spec.size !== undefined && (created || (stats.size === 0 && !spec.readOnly))) {
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
  if (stats.size === 0) {
    throw new UsageError(
      'FILE_SIZE',
      `${spec.path} is empty: add size=, such as size=10G, to give it its size`,
    );
  }
  if (stats.size > Number.MAX_SAFE_INTEGER) {
    throw new UsageError('FILE_SIZE', `${spec.path} is too large: at most 8P - 1 bytes`);
  }
  if (spec.size !== undefined && spec.size !== stats.size) {
    throw new UsageError(
      'FILE_SIZE',
      `${spec.path} has ${formatSize(stats.size)}, not ${formatSize(spec.size)}: ` +
        `leave size= out to use it as it is, or change it with truncate -s ${spec.size}`,
    );
  }
  if (stats.size % spec.blockSize !== 0) {
    const cure = nearestSizes(stats.size, spec.blockSize, 'truncate -s ');
    throw new UsageError(
      'FILE_SIZE',
      `${spec.path} has ${stats.size} bytes, not whole blocks of ${spec.blockSize}: change it with ${cure}` +
        (stats.size % 512 === 0 ? ', or use block-size=512' : ''),
    );
  }
  return stats.size;
}

/**
 * Opens the same file once more for direct I/O, if it is wanted and possible, and adds the descriptor. Returns the
 * alignment of memory addresses and lengths, or undefined where I/O is buffered.
 */
function openDirect(
  fd: number,
  realPath: string,
  spec: FileSpec,
  descriptors: number[],
  notices: string[],
): number | undefined {
  if (spec.direct === 'off') return undefined;
  const found = directAlignment(fd, realPath, spec);
  if (typeof found !== 'string') {
    descriptors.push(found.fd);
    return found.alignment;
  }
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
