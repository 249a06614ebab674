// Direct I/O: whether a file takes O_DIRECT, and what alignment it wants.

import * as fs from 'node:fs';
import { native } from '../native.ts';
import type { BlockSize } from './backend.ts';
import { errnoName, errnoOf } from './errors.ts';

/** statfs(2): a file system whose storage is the page cache itself. */
const TMPFS_MAGIC = 0x01021994;

/** Alignments to try where statx tells none: a sector of old drives, a page. */
const ALIGNMENTS = [512, 4096];

export interface Direct {
  /** The file, opened with O_DIRECT; the caller's to close. */
  readonly fd: number;
  /** Of memory addresses and of lengths of segments, a power of two. */
  readonly alignment: number;
}

export interface DirectCandidate {
  readonly realPath: string;
  readonly device: boolean;
  readonly readOnly: boolean;
  /** Offsets and lengths of requests are multiples of this. */
  readonly blockSize: BlockSize;
}

/** Opens the file behind `fd` again with O_DIRECT, or says why that does not work. */
export function directAlignment(fd: number, file: DirectCandidate): Direct | string {
  // The name of a device lies on such a file system; its data does not.
  if (!file.device && fs.statfsSync(file.realPath).type === TMPFS_MAGIC) return 'it lies on tmpfs, in memory';
  let direct: number;
  try {
    const access = file.readOnly ? fs.constants.O_RDONLY : fs.constants.O_RDWR;
    // By descriptor and not by name: the file may have been renamed since it was locked.
    direct = fs.openSync(`/proc/self/fd/${fd}`, access | fs.constants.O_DIRECT);
  } catch (error) {
    return `the file system refuses O_DIRECT (${errnoName(errnoOf(error))})`;
  }
  const needed = reportedAlignment(direct) ?? probedAlignment(direct);
  if (needed !== undefined && needed.offset <= file.blockSize) {
    // The kernel wants the length of each segment to be a multiple of the *offset* alignment.
    return { fd: direct, alignment: Math.max(needed.memory, needed.offset) };
  }
  fs.closeSync(direct);
  if (needed === undefined) return 'the file system does not take aligned O_DIRECT reads';
  const cure = needed.offset <= 4096 && file.blockSize < 4096 ? ', which block-size=4096 would fit' : '';
  return `the storage wants blocks of ${needed.offset} bytes${cure}`;
}

interface Alignment {
  readonly memory: number;
  readonly offset: number;
}

/** What statx tells (STATX_DIOALIGN); undefined where it tells nothing, or zeros, which is "not supported". */
function reportedAlignment(fd: number): Alignment | undefined {
  const reported = native.directAlignment(fd);
  return reported === undefined || reported.memory === 0 || reported.offset === 0 ? undefined : reported;
}

/** The smallest alignment at which a read works. Reading at the very end counts too: it is checked before. */
function probedAlignment(fd: number): Alignment | undefined {
  const slack = new Uint8Array(3 * 4096);
  const past = Number(native.addressOf(slack) % 4096n);
  for (const alignment of ALIGNMENTS) {
    // Behind the first page by exactly one unit, so that a larger alignment would be noticed.
    const start = 4096 - past + (alignment % 4096);
    try {
      fs.readSync(fd, slack, start, alignment, alignment % 4096);
      return { memory: alignment, offset: alignment };
    } catch {
      continue;
    }
  }
  return undefined;
}
