// One region of guest memory, in the mailbox and in the table: the layout is the ABI's (abi/records.ts).

import { REGION_BASE, REGION_BYTES } from '../abi/memory-map.ts';
import {
  REGION_FILE,
  REGION_FLAGS,
  REGION_GPA,
  REGION_IO_BASE,
  REGION_LENGTH,
  REGION_OFFSET,
} from '../abi/records.ts';

@unmanaged
export class Region {
  /** Guest physical address, a multiple of 4 KiB. */
  gpa: u64;
  /** Bytes, a multiple of 4 KiB; 0 in an unused entry of the table, which therefore contains no address. */
  length: u64;
  /** What the address of a segment counts from. */
  ioBase: u64;
  /** Opaque to the core. */
  offset: u64;
  /** Opaque to the core. */
  file: u32;
  /** REGION_FLAG_*. */
  flags: u32;
  reserved0: u64;

  @inline static at(address: usize): Region {
    return changetype<Region>(address);
  }

  /** Entry of the sorted table. */
  @inline static entry(index: u32): Region {
    return changetype<Region>(<usize>REGION_BASE + <usize>index * REGION_BYTES);
  }

  /** Sound for every address: what lies below `gpa` wraps around and is larger than any length. */
  @inline contains(gpa: u64): bool {
    return gpa - this.gpa < this.length;
  }
}

if (offsetof<Region>() != REGION_BYTES) ERROR('Region');
if (offsetof<Region>('gpa') != REGION_GPA) ERROR('Region.gpa');
if (offsetof<Region>('length') != REGION_LENGTH) ERROR('Region.length');
if (offsetof<Region>('ioBase') != REGION_IO_BASE) ERROR('Region.ioBase');
if (offsetof<Region>('offset') != REGION_OFFSET) ERROR('Region.offset');
if (offsetof<Region>('file') != REGION_FILE) ERROR('Region.file');
if (offsetof<Region>('flags') != REGION_FLAGS) ERROR('Region.flags');
