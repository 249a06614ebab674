// Read (NVM 3.2.4). Limited Retry and the Dataset Management hints are accepted and mean nothing here; protection
// information does not exist in our namespaces, so PRINFO, Storage Tag Check and the tags are ignored.

import { NAMESPACE_FLAG_VOLATILE_CACHE, OPERATION_READ, REQUEST_FLAG_FUA } from '../abi/records.ts';
import { TRANSFER_BYTES_MAX, transferBegin } from '../dptr/transfer.ts';
import {
  READ_CDW12_RESERVED_MASK,
  READ_CDW13_RESERVED_MASK,
  RW_FUA,
  STATUS_INVALID_FIELD,
} from '../spec/nvme.ts';
import { Namespace } from '../wire/namespace.ts';
import { Slot } from '../wire/slot.ts';
import { DONE, refuse } from '../wire/status.ts';
import { blockCount, rangeInside, requestPlace } from './blocks.ts';

export function read(slot: Slot, namespace: Namespace): u32 {
  const sqe = slot.sqe;
  const cdw12 = sqe.cdw12;
  if (cdw12 & READ_CDW12_RESERVED_MASK || sqe.cdw13 & READ_CDW13_RESERVED_MASK)
    return refuse(STATUS_INVALID_FIELD);
  const count = blockCount(cdw12);
  const bytes = count << namespace.lbaShift;
  if (bytes > TRANSFER_BYTES_MAX) return refuse(STATUS_INVALID_FIELD);
  const range = rangeInside(namespace, sqe.slba, count);
  if (range != DONE) return range;
  requestPlace(slot, namespace, sqe.slba);
  slot.operation = <u16>OPERATION_READ;
  slot.requestFlags = readFlags(namespace, cdw12);
  return transferBegin(slot, bytes);
}

/** FUA: what a cache holds of these blocks becomes durable before it is returned. */
export function readFlags(namespace: Namespace, cdw12: u32): u16 {
  const fua = (cdw12 & RW_FUA) != 0 && (namespace.flags & NAMESPACE_FLAG_VOLATILE_CACHE) != 0;
  return fua ? <u16>REQUEST_FLAG_FUA : 0;
}
