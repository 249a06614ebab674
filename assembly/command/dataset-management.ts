// Dataset Management (NVM 3.2.3): Deallocate is served, the two other attributes and the context attributes of the
// ranges are hints that mean nothing here. The ranges are read from the guest once, into the slot's private page
// (stage 0), then checked, then become one request (stage 1).

import { DATA_BUFFER_BYTES, SEGMENTS_PER_SLOT, SEGMENT_BYTES } from '../abi/memory-map.ts';
import { NAMESPACE_FLAG_DEALLOCATE, NAMESPACE_FLAG_READ_ONLY, OPERATION_DEALLOCATE } from '../abi/records.ts';
import { dataIn } from '../dptr/transfer.ts';
import {
  DSM_CDW11_RESERVED_MASK,
  DSM_DEALLOCATE,
  DSM_NR_Z_SHIFT,
  DSM_NR_Z_WIDTH,
  DSM_RANGES_MAX,
  DSM_RANGE_BLOCKS,
  DSM_RANGE_BYTES,
  DSM_RANGE_LBA,
  STATUS_INVALID_FIELD,
  STATUS_NAMESPACE_WRITE_PROTECTED,
} from '../spec/nvme.ts';
import { Namespace } from '../wire/namespace.ts';
import { Segment } from '../wire/request.ts';
import { ISSUE, Slot } from '../wire/slot.ts';
import { DONE, refuse } from '../wire/status.ts';
import { rangeInside, requestPlace } from './blocks.ts';

const NR_MASK: u32 = ((1 << DSM_NR_Z_WIDTH) - 1) << DSM_NR_Z_SHIFT;

if (DSM_RANGES_MAX * DSM_RANGE_BYTES > DATA_BUFFER_BYTES) ERROR('the ranges must fit a private page');
if (DSM_RANGES_MAX > SEGMENTS_PER_SLOT) ERROR('a slot must have room for every range');

export function datasetManagement(slot: Slot, namespace: Namespace): u32 {
  const sqe = slot.sqe;
  if (sqe.cdw10 & ~NR_MASK || sqe.cdw11 & DSM_CDW11_RESERVED_MASK) return refuse(STATUS_INVALID_FIELD);
  if ((sqe.cdw11 & DSM_DEALLOCATE) == 0) return DONE;
  if (namespace.flags & NAMESPACE_FLAG_READ_ONLY) return refuse(STATUS_NAMESPACE_WRITE_PROTECTED);
  return dataIn(slot, rangeCount(sqe.cdw10) * DSM_RANGE_BYTES);
}

/** The ranges are in the private page: ISSUE when there is something to deallocate. */
export function datasetManagementRanges(slot: Slot, namespace: Namespace): u32 {
  const count = rangeCount(slot.sqe.cdw10);
  const ranges = slot.data;
  const segments = slot.segments;
  const shift = namespace.lbaShift;
  let taken: u32 = 0;
  let total: u64 = 0;
  for (let index: u32 = 0; index < count; index++) {
    const range = ranges + index * DSM_RANGE_BYTES;
    const blocks: u64 = load<u32>(range, DSM_RANGE_BLOCKS);
    const first = load<u64>(range, DSM_RANGE_LBA);
    const status = rangeInside(namespace, first, blocks);
    if (status != DONE) return status;
    if (blocks == 0) continue;
    const segment = Segment.at(segments + taken * SEGMENT_BYTES);
    segment.address = first << shift;
    segment.length = blocks << shift;
    total += blocks << shift;
    taken++;
  }
  // Deallocate is a hint: a namespace that cannot has done all it can.
  if (taken == 0 || !(namespace.flags & NAMESPACE_FLAG_DEALLOCATE)) return DONE;
  requestPlace(slot, namespace, 0);
  slot.requestLength = total;
  slot.segmentCount = taken;
  slot.operation = <u16>OPERATION_DEALLOCATE;
  return ISSUE;
}

function rangeCount(cdw10: u32): u32 {
  return ((cdw10 & NR_MASK) >>> DSM_NR_Z_SHIFT) + 1;
}
