// Namespaces change while the controller runs: the caller attaches, detaches or resizes one, or makes it read-only. The
// guest learns of it from an event and the Changed Namespace List. Commands of that namespace that are not at their
// end look at the new record; requests that are with the caller go on as they were issued.

import { NAMESPACE_BYTES, NAMESPACE_MAILBOX_BASE } from '../abi/memory-map.ts';
import { NAMESPACE_INVALID, NAMESPACE_OK } from '../abi/records.ts';
import { namespaceChanged } from '../admin/changed-namespaces.ts';
import { errorRecoverySet } from '../admin/features.ts';
import { namespaceActive } from '../admin/namespaces.ts';
import { walksRestart } from '../queue/slots.ts';
import { Namespace } from '../wire/namespace.ts';
import { namespaceConfigValid, volatileCacheLearn } from './config.ts';

/** The record in the mailbox is this namespace from now on: NAMESPACE_*. The same record again changes nothing. */
export function namespaceUpdate(nsid: u32): u32 {
  if (!Namespace.inRange(nsid)) return NAMESPACE_INVALID;
  const wanted = changetype<Namespace>(<usize>NAMESPACE_MAILBOX_BASE);
  if (!namespaceConfigValid(wanted)) return NAMESPACE_INVALID;
  const record = changetype<usize>(Namespace.at(nsid));
  if (memory.compare(record, NAMESPACE_MAILBOX_BASE, NAMESPACE_BYTES) == 0) return NAMESPACE_OK;
  const wasActive = namespaceActive(nsid);
  memory.copy(record, NAMESPACE_MAILBOX_BASE, NAMESPACE_BYTES);
  if (!wasActive) errorRecoverySet(nsid, 0);
  volatileCacheLearn();
  // Segments were gathered for blocks of another size, maybe.
  walksRestart();
  namespaceChanged(nsid);
  return NAMESPACE_OK;
}
