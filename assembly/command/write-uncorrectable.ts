// Write Uncorrectable (NVM 3.2.7): the blocks cannot be read until they are written again. The storage keeps the mark
// for as long as the target serves it. Moves no data: up to 65,536 blocks. No directive is offered.

import { NAMESPACE_FLAG_READ_ONLY, OPERATION_WRITE_UNCORRECTABLE } from '../abi/records.ts';
import {
  STATUS_INVALID_FIELD,
  STATUS_NAMESPACE_WRITE_PROTECTED,
  WRITE_UNCORRECTABLE_CDW12_RESERVED_MASK,
} from '../spec/nvme.ts';
import { Namespace } from '../wire/namespace.ts';
import { ISSUE, Slot } from '../wire/slot.ts';
import { DONE, refuse } from '../wire/status.ts';
import { blockCount, rangeInside, requestPlace } from './blocks.ts';

export function writeUncorrectable(slot: Slot, namespace: Namespace): u32 {
  const sqe = slot.sqe;
  const other = sqe.cdw13 | sqe.cdw14 | sqe.cdw15;
  if (sqe.cdw12 & WRITE_UNCORRECTABLE_CDW12_RESERVED_MASK || other != 0) return refuse(STATUS_INVALID_FIELD);
  const count = blockCount(sqe.cdw12);
  const range = rangeInside(namespace, sqe.slba, count);
  if (range != DONE) return range;
  if (namespace.flags & NAMESPACE_FLAG_READ_ONLY) return refuse(STATUS_NAMESPACE_WRITE_PROTECTED);
  requestPlace(slot, namespace, sqe.slba);
  slot.requestLength = (<u64>count) << namespace.lbaShift;
  slot.operation = <u16>OPERATION_WRITE_UNCORRECTABLE;
  slot.requestFlags = 0;
  return ISSUE;
}
