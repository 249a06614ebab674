// Flush (NVM 3.2.2 and Base 7.1): what completed before becomes durable. The broadcast NSID means all namespaces of
// the controller (VWC bits 2:1 = 11b).

import { NAMESPACE_FLAG_VOLATILE_CACHE } from '../abi/records.ts';
import { flushAllBegin, flushDescribe } from '../dptr/flush-all.ts';
import { STATUS_INVALID_FIELD } from '../spec/nvme.ts';
import { Namespace } from '../wire/namespace.ts';
import { Sqe } from '../wire/sqe.ts';
import { Slot } from '../wire/slot.ts';
import { DONE, refuse } from '../wire/status.ts';

export function flush(slot: Slot, namespace: Namespace): u32 {
  return reserved(slot.sqe) != 0 ? refuse(STATUS_INVALID_FIELD) : flushNamespace(slot, namespace);
}

/** The slot describes a flush of its command's namespace; without a volatile cache all is durable already: DONE. */
export function flushNamespace(slot: Slot, namespace: Namespace): u32 {
  if (!(namespace.flags & NAMESPACE_FLAG_VOLATILE_CACHE)) return DONE;
  return flushDescribe(slot, slot.sqe.nsid);
}

export function flushBroadcast(slot: Slot): u32 {
  return reserved(slot.sqe) != 0 ? refuse(STATUS_INVALID_FIELD) : flushAllBegin(slot);
}

/** CDW10 to CDW15. */
function reserved(sqe: Sqe): u32 {
  return sqe.cdw10 | sqe.cdw11 | sqe.cdw12 | sqe.cdw13 | sqe.cdw14 | sqe.cdw15;
}
