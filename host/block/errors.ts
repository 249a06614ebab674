// Failures of storage: the one table from errno to the BLOCK_* results that the core knows (assembly/abi/records.ts),
// and the error for failures outside of any request.

import { constants } from 'node:os';
import * as records from '../../assembly/abi/records.ts';

/** Names of the BLOCK_* results, by number: what logs and documents call them. */
export const BLOCK_RESULT_NAMES = [
  'BLOCK_OK',
  'BLOCK_OUT_OF_RANGE',
  'BLOCK_MEDIUM_ERROR',
  'BLOCK_NO_SPACE',
  'BLOCK_READ_ONLY',
  'BLOCK_MEMORY_FAULT',
  'BLOCK_NOT_SUPPORTED',
  'BLOCK_CANCELED',
  'BLOCK_BUSY',
  'BLOCK_MISCOMPARE',
  'BLOCK_SOURCE_ERROR',
] as const;

export type BlockCode = (typeof BLOCK_RESULT_NAMES)[number];

const { errno } = constants;

/** Every errno that a storage request can end with and that means more than "the medium failed". */
const RESULTS = new Map<number, number>([
  // The range was checked before, so the file became shorter behind our back: not the guest's mistake.
  [errno.ENXIO, records.BLOCK_MEDIUM_ERROR],
  [errno.EIO, records.BLOCK_MEDIUM_ERROR],
  [errno.ESTALE, records.BLOCK_MEDIUM_ERROR],
  [errno.ETIMEDOUT, records.BLOCK_MEDIUM_ERROR],
  [errno.EILSEQ, records.BLOCK_MEDIUM_ERROR],
  // What the operator has to make room for: disk, quota, RLIMIT_FSIZE or the file system's largest file.
  [errno.ENOSPC, records.BLOCK_NO_SPACE],
  [errno.EDQUOT, records.BLOCK_NO_SPACE],
  [errno.EFBIG, records.BLOCK_NO_SPACE],
  // The file system was remounted read-only, the file sealed or made immutable, or the descriptor is read-only.
  [errno.EROFS, records.BLOCK_READ_ONLY],
  [errno.EPERM, records.BLOCK_READ_ONLY],
  [errno.EACCES, records.BLOCK_READ_ONLY],
  [errno.EBADF, records.BLOCK_READ_ONLY],
  [errno.ETXTBSY, records.BLOCK_READ_ONLY],
  [errno.EFAULT, records.BLOCK_MEMORY_FAULT],
  [errno.EOPNOTSUPP, records.BLOCK_NOT_SUPPORTED],
  [errno.ENOTSUP, records.BLOCK_NOT_SUPPORTED],
  [errno.ENOSYS, records.BLOCK_NOT_SUPPORTED],
  [errno.ENODEV, records.BLOCK_NOT_SUPPORTED],
  [errno.ECANCELED, records.BLOCK_CANCELED],
  [errno.EINTR, records.BLOCK_CANCELED],
  [errno.EAGAIN, records.BLOCK_BUSY],
  [errno.EWOULDBLOCK, records.BLOCK_BUSY],
  [errno.ENOMEM, records.BLOCK_BUSY],
  [errno.ENOBUFS, records.BLOCK_BUSY],
  [errno.EBUSY, records.BLOCK_BUSY],
]);

/** Total: the BLOCK_* result of a positive errno; an errno without a better name is a failure of the medium. */
export function blockResultOfErrno(number: number): number {
  return number === 0 ? records.BLOCK_OK : (RESULTS.get(number) ?? records.BLOCK_MEDIUM_ERROR);
}

/**
 * Total: the BLOCK_* result of a completion record as the addon leaves it (0, a BLOCK_* code, or a negative errno read
 * as a signed number).
 */
export function blockResultOfCompletion(result: number): number {
  if (result < 0) return blockResultOfErrno(-result);
  return result < BLOCK_RESULT_NAMES.length ? result : records.BLOCK_MEDIUM_ERROR;
}

/** Name of a BLOCK_* result for logs. */
export function blockResultName(result: number): BlockCode {
  return BLOCK_RESULT_NAMES[result] ?? 'BLOCK_MEDIUM_ERROR';
}

const ERRNO_NAMES = new Map(Object.entries(errno).map(([name, number]) => [number, name]));

/** `ENOSPC` for 28; `errno 4711` for a number without a name. */
export function errnoName(number: number): string {
  return ERRNO_NAMES.get(number) ?? `errno ${number}`;
}

/** The machine failed at something about storage outside of any request: opening, sizing, locking. Exit code 1. */
export class BlockError extends Error {
  readonly code: BlockCode;

  constructor(
    /** Positive. */
    readonly errno: number,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'BlockError';
    this.code = blockResultName(blockResultOfErrno(errno));
  }

  /** Wraps what a system call threw: "cannot <what>: No such device (ENXIO)". */
  static from(cause: unknown, what: string): BlockError {
    const number = errnoOf(cause);
    return new BlockError(number, `cannot ${what}: ${errnoName(number)}`, { cause });
  }
}

/** The positive errno of a thrown system error; EIO for anything else. Node's are negative, the addon's positive. */
export function errnoOf(cause: unknown): number {
  if (typeof cause === 'object' && cause !== null && 'errno' in cause && typeof cause.errno === 'number') {
    return Math.abs(cause.errno);
  }
  return errno.EIO;
}
