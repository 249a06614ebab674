// How much one Copy may ask for, as Identify Namespace says (MSSRL, MCL, MSRC): a range moves no more than another
// command's data, and all of them together a few milliseconds' worth of storage.

import { DATA_BUFFER_BYTES, MDTS } from '../abi/memory-map.ts';
import { COPY_RANGE_BYTES, PAGE_BYTES } from '../spec/nvme.ts';

/** Source ranges of one Copy (MSRC + 1): what fits a slot's private page. */
export const COPY_RANGES_MAX: u32 = 128;
/** Bytes of one source range (MSSRL, in blocks). */
export const COPY_RANGE_BYTES_MAX: u32 = PAGE_BYTES << MDTS;
/** Bytes of all source ranges (MCL, in blocks). */
export const COPY_BYTES_MAX: u32 = 16 << 20;

if (COPY_RANGES_MAX * COPY_RANGE_BYTES > <u32>DATA_BUFFER_BYTES) ERROR('the ranges must fit a private page');
