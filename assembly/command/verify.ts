// Verify (NVM 3.2.5): the blocks can be read. Moves no data, so that MDTS does not limit it, and neither does VSL: up
// to 65,536 blocks. There is no protection information to be checked with them.

import { OPERATION_VERIFY } from '../abi/records.ts';
import { STATUS_INVALID_FIELD, VERIFY_CDW12_RESERVED_MASK } from '../spec/nvme.ts';
import { Namespace } from '../wire/namespace.ts';
import { ISSUE, Slot } from '../wire/slot.ts';
import { DONE, refuse } from '../wire/status.ts';
import { blockCount, rangeInside, requestPlace } from './blocks.ts';
import { readFlags } from './read.ts';

export function verify(slot: Slot, namespace: Namespace): u32 {
  const sqe = slot.sqe;
  const cdw12 = sqe.cdw12;
  if (cdw12 & VERIFY_CDW12_RESERVED_MASK || sqe.cdw13 != 0) return refuse(STATUS_INVALID_FIELD);
  const count = blockCount(cdw12);
  const range = rangeInside(namespace, sqe.slba, count);
  if (range != DONE) return range;
  requestPlace(slot, namespace, sqe.slba);
  slot.requestLength = (<u64>count) << namespace.lbaShift;
  slot.operation = <u16>OPERATION_VERIFY;
  slot.requestFlags = readFlags(namespace, cdw12);
  return ISSUE;
}
