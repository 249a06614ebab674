// A namespace as the caller configured it: the layout is the ABI's (abi/records.ts).

import { NAMESPACE_BASE, NAMESPACE_BYTES, NAMESPACE_COUNT } from '../abi/memory-map.ts';
import { NAMESPACE_BLOCKS, NAMESPACE_FLAGS, NAMESPACE_LBA_SHIFT } from '../abi/records.ts';

@unmanaged
export class Namespace {
  /** NAMESPACE_FLAG_*. */
  flags: u32;
  /** Logical block size as a power of two. */
  lbaShift: u32;
  /** Size in logical blocks. */
  blocks: u64;

  /** The record of a namespace id from 1 to NAMESPACE_COUNT. */
  @inline static at(nsid: u32): Namespace {
    return changetype<Namespace>(<usize>NAMESPACE_BASE + <usize>(nsid - 1) * NAMESPACE_BYTES);
  }

  /** Whether the id can name a record at all: not 0, not the broadcast value, not beyond the last. */
  @inline static inRange(nsid: u32): bool {
    return nsid - 1 < <u32>NAMESPACE_COUNT;
  }
}

if (offsetof<Namespace>('flags') != NAMESPACE_FLAGS) ERROR('Namespace.flags');
if (offsetof<Namespace>('lbaShift') != NAMESPACE_LBA_SHIFT) ERROR('Namespace.lbaShift');
if (offsetof<Namespace>('blocks') != NAMESPACE_BLOCKS) ERROR('Namespace.blocks');
