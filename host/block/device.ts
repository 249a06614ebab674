// Block devices: their size, blocks and abilities, from ioctls and sysfs.
//
// Nothing is tried out, for there is nowhere to try without harm. FALLOC_FL_ZERO_RANGE works on every device: the
// kernel writes zeros where the device has no command for it, in a thread of its own. FALLOC_FL_PUNCH_HOLE zeroes
// without that, and frees; a device that discards but does not promise zeros afterwards frees nothing, since guests
// are told that deallocated blocks read as zeros.

import * as fs from 'node:fs';
import path from 'node:path';
import { UsageError } from '../config/usage-error.ts';
import { native } from '../native.ts';
import type { BlockSize, FileSpec } from './backend.ts';

const SYSFS = '/sys/dev/block';

export interface Device {
  /** Bytes. */
  readonly size: number;
  readonly blockSize: BlockSize;
  /** Bytes of a good request; 0 where the device does not say. */
  readonly optimalBytes: number;
  /** Blocks can be freed, and read as zeros then. */
  readonly punchHole: boolean;
}

/** Throws UsageError where the SPEC asks for what the device cannot do. */
export function deviceOf(fd: number, spec: FileSpec): Device {
  const { bytes, logicalBlock, optimalBytes, readOnly, major, minor } = native.blockDevice(fd);
  const device = spec.path;
  if (readOnly && !spec.readOnly) {
    throw new UsageError('FILE_PERMISSION', `${device} is a read-only device: add readonly=on`);
  }
  if (bytes === 0) {
    throw new UsageError('FILE_SIZE', `${device} has no medium: a device of 0 bytes holds no namespace`);
  }
  if (logicalBlock > 4096) {
    throw new UsageError(
      'FILE_KIND',
      `${device} has blocks of ${logicalBlock} bytes: devices with up to 4096 are supported`,
    );
  }
  const smallest = logicalBlock > 512 ? 4096 : 512;
  const blockSize = spec.blockSize ?? smallest;
  if (blockSize < smallest) {
    throw new UsageError(
      'FILE_SIZE',
      `${device} has blocks of ${logicalBlock} bytes: use block-size=4096, or leave it out`,
    );
  }
  const queue = queueDirectory(major, minor);
  return {
    size: bytes,
    blockSize,
    optimalBytes,
    punchHole: limitOf(queue, 'write_zeroes_max_bytes') > 0 && limitOf(queue, 'discard_max_bytes') > 0,
  };
}

/** A partition has the queue of its disk. */
function queueDirectory(major: number, minor: number): string {
  const own = path.join(SYSFS, `${major}:${minor}`, 'queue');
  // Not joined: the name is a link, and its parent is that of where it leads.
  return fs.existsSync(own) ? own : `${SYSFS}/${major}:${minor}/../queue`;
}

/** 0 where sysfs does not tell. */
function limitOf(queue: string, name: string): number {
  try {
    return Number(fs.readFileSync(`${queue}/${name}`, 'utf8'));
  } catch {
    return 0;
  }
}
