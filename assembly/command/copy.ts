// Copy (NVM 3.2.2), descriptor format 0: source ranges of this namespace, one behind the other, to one destination.
//
//   copy         the ranges are read from the guest once, into the slot's private page
//   copyRanges   all of them are checked before the first block moves; then the first is a request
//   copyNext     its range is done: the next one, until there is none
//
// Slot.result is the number of the range under way, which is what Dword 0 says of a Copy that failed: the lowest
// range that was not copied. Where source and destination overlap the result is not defined, as the specification has
// it. Moved data count for neither Data Units (Base 5.16.1.3): the guest neither reads nor writes them.

import { NAMESPACE_FLAG_READ_ONLY, OPERATION_COPY } from '../abi/records.ts';
import { dataIn } from '../dptr/transfer.ts';
import {
  COPY_CDW12_RESERVED_MASK,
  COPY_CDW13_RESERVED_MASK,
  COPY_DTYPE_SHIFT,
  COPY_DTYPE_WIDTH,
  COPY_FORMAT_0,
  COPY_FORMAT_SHIFT,
  COPY_FORMAT_WIDTH,
  COPY_NR_Z_SHIFT,
  COPY_NR_Z_WIDTH,
  COPY_RANGE_BYTES,
  COPY_RANGE_LBA,
  COPY_RANGE_NLB_Z,
  STATUS_COMMAND_SIZE_LIMIT_EXCEEDED,
  STATUS_INVALID_FIELD,
  STATUS_NAMESPACE_WRITE_PROTECTED,
} from '../spec/nvme.ts';
import { COPY_BYTES_MAX, COPY_RANGES_MAX, COPY_RANGE_BYTES_MAX } from '../wire/copy-limits.ts';
import { Namespace } from '../wire/namespace.ts';
import { Segment } from '../wire/request.ts';
import { ISSUE, Slot } from '../wire/slot.ts';
import { DONE, refuse } from '../wire/status.ts';
import { rangeInside, requestPlace } from './blocks.ts';
import { writeFlags } from './write.ts';

const DTYPE_MASK: u32 = ((1 << COPY_DTYPE_WIDTH) - 1) << COPY_DTYPE_SHIFT;

export function copy(slot: Slot, namespace: Namespace): u32 {
  const sqe = slot.sqe;
  const cdw12 = sqe.cdw12;
  const format = (cdw12 >>> COPY_FORMAT_SHIFT) & ((1 << COPY_FORMAT_WIDTH) - 1);
  if (cdw12 & (COPY_CDW12_RESERVED_MASK | DTYPE_MASK)) return refuse(STATUS_INVALID_FIELD);
  if (sqe.cdw13 & COPY_CDW13_RESERVED_MASK) return refuse(STATUS_INVALID_FIELD);
  if (format != <u32>COPY_FORMAT_0) return refuse(STATUS_INVALID_FIELD);
  if (rangeCount(cdw12) > COPY_RANGES_MAX) return refuse(STATUS_COMMAND_SIZE_LIMIT_EXCEEDED);
  if (namespace.flags & NAMESPACE_FLAG_READ_ONLY) return refuse(STATUS_NAMESPACE_WRITE_PROTECTED);
  slot.result = 0;
  return dataIn(slot, rangeCount(cdw12) * COPY_RANGE_BYTES);
}

/** The ranges are in the private page: ISSUE, the first of them is described. `through`: as for Write. */
export function copyRanges(slot: Slot, namespace: Namespace, through: bool): u32 {
  const sqe = slot.sqe;
  const count = rangeCount(sqe.cdw12);
  let total: u64 = 0;
  for (let index: u32 = 0; index < count; index++) {
    const blocks = rangeBlocks(slot, index);
    if (blocks > COPY_RANGE_BYTES_MAX >> namespace.lbaShift)
      return refuse(STATUS_COMMAND_SIZE_LIMIT_EXCEEDED);
    total += blocks;
  }
  if (total > <u64>(COPY_BYTES_MAX >> namespace.lbaShift)) return refuse(STATUS_COMMAND_SIZE_LIMIT_EXCEEDED);
  for (let index: u32 = 0; index < count; index++) {
    const status = rangeInside(namespace, rangeFirst(slot, index), rangeBlocks(slot, index));
    if (status != DONE) return status;
  }
  const destination = rangeInside(namespace, sqe.slba, total);
  if (destination != DONE) return destination;
  requestPlace(slot, namespace, sqe.slba);
  slot.operation = <u16>OPERATION_COPY;
  slot.requestFlags = writeFlags(namespace, sqe.cdw12, through);
  return rangeDescribe(slot, namespace);
}

/** A range was copied: ISSUE with the next one, or DONE. The namespace may have changed meanwhile. */
export function copyNext(slot: Slot, namespace: Namespace): u32 {
  slot.result++;
  slot.requestOffset += slot.requestLength;
  if (slot.result == rangeCount(slot.sqe.cdw12)) {
    slot.result = 0;
    return DONE;
  }
  const blocks = rangeBlocks(slot, slot.result);
  const source = rangeInside(namespace, rangeFirst(slot, slot.result), blocks);
  if (source != DONE) return source;
  const destination = rangeInside(namespace, slot.requestOffset >> namespace.lbaShift, blocks);
  if (destination != DONE) return destination;
  if (namespace.flags & NAMESPACE_FLAG_READ_ONLY) return refuse(STATUS_NAMESPACE_WRITE_PROTECTED);
  return rangeDescribe(slot, namespace);
}

function rangeDescribe(slot: Slot, namespace: Namespace): u32 {
  const index = slot.result;
  const segment = Segment.at(slot.segments);
  segment.address = rangeFirst(slot, index) << namespace.lbaShift;
  segment.length = (<u64>rangeBlocks(slot, index)) << namespace.lbaShift;
  slot.requestLength = segment.length;
  slot.segmentCount = 1;
  return ISSUE;
}

function rangeFirst(slot: Slot, index: u32): u64 {
  return load<u64>(slot.data + index * COPY_RANGE_BYTES, COPY_RANGE_LBA);
}

/** Number of logical blocks, 1 to 65,536. */
function rangeBlocks(slot: Slot, index: u32): u32 {
  return <u32>load<u16>(slot.data + index * COPY_RANGE_BYTES, COPY_RANGE_NLB_Z) + 1;
}

function rangeCount(cdw12: u32): u32 {
  return ((cdw12 >>> COPY_NR_Z_SHIFT) & ((1 << COPY_NR_Z_WIDTH) - 1)) + 1;
}
