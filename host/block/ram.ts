// A namespace in memory of this process, zero at the start and gone at the end. The addon allocates it without touching
// it: blocks that were never written cost nothing, and Deallocate gives their pages back.

import { totalmem } from 'node:os';
import { formatSize } from '../config/size.ts';
import { UsageError } from '../config/usage-error.ts';
import { native, type RamDisk } from '../native.ts';
import type { Backend, RamSpec } from './backend.ts';
import { errnoName, errnoOf } from './errors.ts';

const PAGE_BYTES = 4096;

/** Throws UsageError when there is no address space for it. */
export function openRam(spec: RamSpec): Backend {
  const label = `ram:${formatSize(spec.size)}`;
  const disk = allocate(spec.size, label);
  const notices: string[] = [];
  if (spec.size > totalmem()) {
    notices.push(
      `${label} is larger than this machine's memory (${formatSize(totalmem())}): it cannot be filled`,
    );
  }
  let open = true;
  return {
    label,
    identity: undefined,
    geometry: Object.freeze({
      blocks: BigInt(spec.size / spec.blockSize),
      blockSize: spec.blockSize,
      optimalBlocks: PAGE_BYTES / spec.blockSize,
      readOnly: spec.readOnly,
      volatileCache: false,
      deallocate: !spec.readOnly,
    }),
    storage: { kind: 'ram', disk, offset: 0, length: spec.size, readOnly: spec.readOnly },
    notices,
    close: () => {
      if (open) disk.close();
      open = false;
    },
  };
}

function allocate(bytes: number, label: string): RamDisk {
  try {
    return native.ramDisk(bytes);
  } catch (cause) {
    throw new UsageError(
      'RAM_SIZE',
      `${label} cannot be had (${errnoName(errnoOf(cause))}): make it smaller, or use a file`,
      { cause },
    );
  }
}
