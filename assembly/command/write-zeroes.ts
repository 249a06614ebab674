// Write Zeroes (NVM 3.2.8). Moves no data, so that MDTS does not limit it: up to 65,536 blocks. Namespace Zeroes (NSZ)
// is not offered.

import {
  NAMESPACE_FLAG_DEALLOCATE,
  NAMESPACE_FLAG_READ_ONLY,
  OPERATION_WRITE_ZEROES,
  REQUEST_FLAG_DEALLOCATE,
} from '../abi/records.ts';
import {
  STATUS_INVALID_FIELD,
  STATUS_NAMESPACE_WRITE_PROTECTED,
  WRITE_ZEROES_CDW12_RESERVED_MASK,
  WRITE_ZEROES_DEAC,
} from '../spec/nvme.ts';
import { Namespace } from '../wire/namespace.ts';
import { ISSUE, Slot } from '../wire/slot.ts';
import { DONE, refuse } from '../wire/status.ts';
import { blockCount, rangeInside, requestPlace } from './blocks.ts';
import { writeFlags } from './write.ts';

/** `through`: as for Write. */
export function writeZeroes(slot: Slot, namespace: Namespace, through: bool): u32 {
  const sqe = slot.sqe;
  const cdw12 = sqe.cdw12;
  if (cdw12 & WRITE_ZEROES_CDW12_RESERVED_MASK || sqe.cdw13 != 0) return refuse(STATUS_INVALID_FIELD);
  const count = blockCount(cdw12);
  const range = rangeInside(namespace, sqe.slba, count);
  if (range != DONE) return range;
  if (namespace.flags & NAMESPACE_FLAG_READ_ONLY) return refuse(STATUS_NAMESPACE_WRITE_PROTECTED);
  requestPlace(slot, namespace, sqe.slba);
  slot.requestLength = (<u64>count) << namespace.lbaShift;
  slot.operation = <u16>OPERATION_WRITE_ZEROES;
  slot.requestFlags = writeFlags(namespace, cdw12, through);
  if (cdw12 & WRITE_ZEROES_DEAC && namespace.flags & NAMESPACE_FLAG_DEALLOCATE) {
    slot.requestFlags |= <u16>REQUEST_FLAG_DEALLOCATE;
  }
  return ISSUE;
}
