// Opening a file or device by name and making it ours: descriptors, kinds, permissions, locks.
//
// A lock is an OFD lock on the bytes of the namespace, so that slices of one file exclude each other only where they
// overlap, whichever process has them. A whole device is claimed with O_EXCL too: what is mounted, or part of a volume,
// is refused, and cannot be mounted later. A slice cannot hold that claim, for its neighbours want one as well; it only
// looks whether somebody has it.

import * as fs from 'node:fs';
import { constants as os } from 'node:os';
import path from 'node:path';
import { formatSize } from '../config/size.ts';
import { UsageError } from '../config/usage-error.ts';
import { native } from '../native.ts';
import type { FileSpec } from './backend.ts';
import { BlockError, errnoOf } from './errors.ts';

const { errno } = os;

export interface Opened {
  readonly fd: number;
  /** This call made the file. */
  readonly created: boolean;
  /** A block device; else a regular file. */
  readonly device: boolean;
  /** A sentence for the operator. */
  readonly notice?: string;
}

/** Opens what the SPEC names; a new file is still empty. Throws UsageError and BlockError. */
export function openDescriptor(spec: FileSpec): Opened {
  const access = spec.readOnly ? fs.constants.O_RDONLY : fs.constants.O_RDWR;
  const flags = access | fs.constants.O_NONBLOCK;
  try {
    const stats = fs.statSync(spec.path, { throwIfNoEntry: false });
    if (stats !== undefined) {
      checkKind(stats, spec);
      if (stats.isBlockDevice()) return openDevice(spec, flags);
      return { fd: fs.openSync(spec.path, flags), created: false, device: false };
    }
    if (spec.size === undefined || spec.readOnly || spec.offset !== undefined || spec.scheme === 'block') {
      throw missing(spec);
    }
    const create = fs.constants.O_CREAT | fs.constants.O_EXCL;
    return { fd: fs.openSync(spec.path, flags | create, 0o600), created: true, device: false };
  } catch (error) {
    throw error instanceof UsageError ? error : openFailure(error, spec);
  }
}

function openDevice(spec: FileSpec, flags: number): Opened {
  const claimed = flags | fs.constants.O_EXCL;
  if (!spec.readOnly && spec.offset === undefined) {
    return { fd: fs.openSync(spec.path, claimed), created: false, device: true };
  }
  let notice: string | undefined;
  try {
    fs.closeSync(fs.openSync(spec.path, claimed));
  } catch (error) {
    if (!spec.readOnly || errnoOf(error) !== errno.EBUSY) throw error;
    notice = `${spec.path} is in use on this machine (lsblk ${spec.path}): what guests read may change under them`;
  }
  const fd = fs.openSync(spec.path, flags);
  return { fd, created: false, device: true, ...(notice === undefined ? {} : { notice }) };
}

/** Refuses what is no storage, or not of the kind that the SPEC wants. */
function checkKind(stats: fs.Stats, { path: file, scheme }: FileSpec): void {
  if (stats.isBlockDevice()) return;
  if (stats.isFile()) {
    if (scheme === 'file') return;
    throw new UsageError('FILE_KIND', `${file} is a regular file, not a block device: write file:${file}`);
  }
  const needs = scheme === 'file' ? 'a regular file or a block device' : 'a block device';
  let kind = `not ${needs}`;
  if (stats.isDirectory()) kind = `a directory: name a file in it, such as ${path.join(file, 'disk.img')}`;
  else if (stats.isSocket()) kind = `a socket: --namespace needs ${needs}, --socket takes sockets`;
  else if (stats.isCharacterDevice()) kind = `a character device: --namespace needs ${needs}`;
  else if (stats.isFIFO()) kind = `a pipe: --namespace needs ${needs}`;
  throw new UsageError('FILE_KIND', `${file} is ${kind}`);
}

function missing(spec: FileSpec): UsageError {
  let cure = `add size=, such as file:${spec.path},size=10G, to create it`;
  if (spec.scheme === 'block') cure = 'name a block device (lsblk lists them), or write file:';
  else if (spec.offset !== undefined) cure = `create it first, with truncate -s 10G ${spec.path}`;
  else if (spec.readOnly) cure = 'a read-only namespace needs a file that is there';
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
      return new UsageError(
        'FILE_PERMISSION',
        `${file} is read-only, or on a read-only file system: add readonly=on`,
        {
          cause,
        },
      );
    case errno.ETXTBSY:
      return new UsageError('FILE_BUSY', `${file} is a program that runs, or a swap file: use another file`, {
        cause,
      });
    case errno.EBUSY:
      return new UsageError(
        'FILE_BUSY',
        `${file} is in use on this machine, mounted or part of a volume (lsblk ${file} tells): ` +
          'give it up there, or add readonly=on',
        { cause },
      );
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

/** Bytes of a file: [offset, offset + length). */
export interface Extent {
  readonly offset: number;
  readonly length: number;
}

/**
 * Takes the lock for as long as the descriptor is open: on the whole file, or on a slice of it. Returns a notice where
 * the file system has no locks.
 */
export function lock(fd: number, spec: FileSpec, slice?: Extent): string | undefined {
  let locked: boolean;
  try {
    locked = native.fileLock(fd, !spec.readOnly && !spec.overlap, slice?.offset ?? 0, slice?.length ?? 0);
  } catch (cause) {
    const number = errnoOf(cause);
    if (![errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL].includes(number)) throw cause;
    return `the file system of ${spec.path} has no locks: make sure that nothing else writes this file`;
  }
  if (locked) return undefined;
  throw new UsageError('FILE_BUSY', busy(spec, slice));
}

function busy(spec: FileSpec, slice: Extent | undefined): string {
  const file = spec.path;
  if (slice !== undefined) {
    const end = formatSize(slice.offset + slice.length);
    return (
      `bytes ${formatSize(slice.offset)} to ${end} of ${file} overlap another namespace, here or in another ` +
      'process: change offset= or size=, add share=on to both if their guests belong together, ' +
      'or open it with readonly=on everywhere'
    );
  }
  if (spec.readOnly) {
    return `${file} is open for writing elsewhere: end that process, or open it with readonly=on there too`;
  }
  return (
    `${file} is in use by another namespace or process: use it once (fuser ${file} tells by whom), ` +
    'let several controllers see one namespace with share=on, or open it with readonly=on everywhere'
  );
}
