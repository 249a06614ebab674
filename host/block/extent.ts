// Which bytes of a file or device a namespace is: all of them, or the slice that `offset=` and `size=` cut out. Checked
// here once, against the size at opening; what a guest then asks for is checked against the slice by the addon.

import { formatSize, nearestSizes } from '../config/size.ts';
import { UsageError } from '../config/usage-error.ts';
import type { BlockSize, FileSpec } from './backend.ts';
import type { Extent } from './claim.ts';

/** What there is to cut from. */
export interface Whole {
  /** Bytes. */
  readonly size: number;
  readonly blockSize: BlockSize;
  /** A device cannot be made larger or smaller. */
  readonly device: boolean;
}

/** The bytes of the namespace: at least one block, whole blocks, inside of what there is. Throws UsageError. */
export function extentOf(spec: FileSpec, whole: Whole): Extent {
  if (whole.size > Number.MAX_SAFE_INTEGER) {
    throw new UsageError('FILE_SIZE', `${spec.path} is too large: at most 8P - 1 bytes`);
  }
  return spec.offset === undefined ? all(spec, whole) : slice(spec, spec.offset, whole);
}

function all(spec: FileSpec, { size, blockSize, device }: Whole): Extent {
  if (spec.size !== undefined && spec.size !== size) {
    let cure = `leave size= out to use it as it is`;
    if (!device) cure += `, or change it with truncate -s ${spec.size}`;
    if (spec.size < size) cure += `, or add offset=0 to use its first ${formatSize(spec.size)} alone`;
    throw new UsageError(
      'FILE_SIZE',
      `${spec.path} has ${formatSize(size)}, not ${formatSize(spec.size)}: ${cure}`,
    );
  }
  if (size % blockSize !== 0 || size === 0) {
    let cure = `change it with ${nearestSizes(size, blockSize, 'truncate -s ')}`;
    if (device) cure = `add offset=0,size=${formatSize(size - (size % blockSize))}`;
    if (size % 512 === 0) cure += ', or use block-size=512';
    throw new UsageError(
      'FILE_SIZE',
      `${spec.path} has ${size} bytes, not whole blocks of ${blockSize}: ${cure}`,
    );
  }
  return { offset: 0, length: size };
}

function slice(spec: FileSpec, offset: number, { size, blockSize }: Whole): Extent {
  for (const [key, bytes] of [
    ['offset', offset],
    ['size', spec.size ?? blockSize],
  ] as const) {
    if (bytes % blockSize === 0) continue;
    throw new UsageError(
      'SIZE_INVALID',
      `${key}=${bytes} is not a whole number of blocks of ${blockSize} bytes: ` +
        `write ${nearestSizes(bytes, blockSize, `${key}=`)}`,
    );
  }
  // Down to whole blocks: what is behind the last one belongs to no slice.
  const room = Math.max(0, size - offset);
  const most = room - (room % blockSize);
  if (most === 0) {
    throw new UsageError(
      'FILE_SIZE',
      `offset=${formatSize(offset)} is at or behind the end of ${spec.path}, which has ${formatSize(size)}: ` +
        'choose a smaller one',
    );
  }
  if (spec.size !== undefined && spec.size > most) {
    throw new UsageError(
      'FILE_SIZE',
      `${spec.path} has ${formatSize(size)}, so that a slice at offset=${formatSize(offset)} has at most ` +
        `size=${formatSize(most)}, not ${formatSize(spec.size)}: write that, or leave size= out`,
    );
  }
  return { offset, length: spec.size ?? most };
}
