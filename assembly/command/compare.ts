// Compare (NVM 3.2.1). The caller reads the blocks and compares them with the guest's memory; as for Read, protection
// information and its tags mean nothing here. Fused operations are not offered (FUSES 0).

import { OPERATION_COMPARE } from '../abi/records.ts';
import { TRANSFER_BYTES_MAX, transferBegin } from '../dptr/transfer.ts';
import { COMPARE_CDW12_RESERVED_MASK, STATUS_INVALID_FIELD } from '../spec/nvme.ts';
import { Namespace } from '../wire/namespace.ts';
import { Slot } from '../wire/slot.ts';
import { DONE, refuse } from '../wire/status.ts';
import { blockCount, rangeInside, requestPlace } from './blocks.ts';
import { readFlags } from './read.ts';

export function compare(slot: Slot, namespace: Namespace): u32 {
  const sqe = slot.sqe;
  const cdw12 = sqe.cdw12;
  if (cdw12 & COMPARE_CDW12_RESERVED_MASK || sqe.cdw13 != 0) return refuse(STATUS_INVALID_FIELD);
  const count = blockCount(cdw12);
  const bytes = count << namespace.lbaShift;
  if (bytes > TRANSFER_BYTES_MAX) return refuse(STATUS_INVALID_FIELD);
  const range = rangeInside(namespace, sqe.slba, count);
  if (range != DONE) return range;
  requestPlace(slot, namespace, sqe.slba);
  slot.operation = <u16>OPERATION_COMPARE;
  slot.requestFlags = readFlags(namespace, cdw12);
  return transferBegin(slot, bytes);
}
