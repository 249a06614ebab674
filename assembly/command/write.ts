// Write (NVM 3.2.6). As Read; no directive is offered, so that a Directive Type other than 0 is refused.

import {
  NAMESPACE_FLAG_READ_ONLY,
  NAMESPACE_FLAG_VOLATILE_CACHE,
  OPERATION_WRITE,
  REQUEST_FLAG_FUA,
} from '../abi/records.ts';
import { TRANSFER_BYTES_MAX, transferBegin } from '../dptr/transfer.ts';
import {
  RW_FUA,
  STATUS_INVALID_FIELD,
  STATUS_NAMESPACE_WRITE_PROTECTED,
  WRITE_CDW12_RESERVED_MASK,
  WRITE_CDW13_RESERVED_MASK,
  WRITE_DTYPE_SHIFT,
  WRITE_DTYPE_WIDTH,
} from '../spec/nvme.ts';
import { Namespace } from '../wire/namespace.ts';
import { Slot } from '../wire/slot.ts';
import { DONE, refuse } from '../wire/status.ts';
import { blockCount, rangeInside, requestPlace } from './blocks.ts';

const DTYPE_MASK: u32 = ((1 << WRITE_DTYPE_WIDTH) - 1) << WRITE_DTYPE_SHIFT;

/** `through`: the guest has switched the volatile write cache off, each write is durable before it completes. */
export function write(slot: Slot, namespace: Namespace, through: bool): u32 {
  const sqe = slot.sqe;
  const cdw12 = sqe.cdw12;
  if (cdw12 & (WRITE_CDW12_RESERVED_MASK | DTYPE_MASK)) return refuse(STATUS_INVALID_FIELD);
  if (sqe.cdw13 & WRITE_CDW13_RESERVED_MASK) return refuse(STATUS_INVALID_FIELD);
  const count = blockCount(cdw12);
  const bytes = count << namespace.lbaShift;
  if (bytes > TRANSFER_BYTES_MAX) return refuse(STATUS_INVALID_FIELD);
  const range = rangeInside(namespace, sqe.slba, count);
  if (range != DONE) return range;
  if (namespace.flags & NAMESPACE_FLAG_READ_ONLY) return refuse(STATUS_NAMESPACE_WRITE_PROTECTED);
  requestPlace(slot, namespace, sqe.slba);
  slot.operation = <u16>OPERATION_WRITE;
  slot.requestFlags = writeFlags(namespace, cdw12, through);
  return transferBegin(slot, bytes);
}

/** Forced where there is a cache to pass by. */
export function writeFlags(namespace: Namespace, cdw12: u32, through: bool): u16 {
  if (!(namespace.flags & NAMESPACE_FLAG_VOLATILE_CACHE)) return 0;
  return through || (cdw12 & RW_FUA) != 0 ? <u16>REQUEST_FLAG_FUA : 0;
}
