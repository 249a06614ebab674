// The namespaces attached to this controller. The caller writes their records before core_init, or gives one to
// namespace_update later; both check them once (controller/config.ts). NSIDs are 1 to NAMESPACE_COUNT (Base 3.2.1).

import { NAMESPACE_FLAG_ACTIVE, NAMESPACE_FLAG_ALLOCATED } from '../abi/records.ts';
import { NSID_BROADCAST, STATUS_INVALID_FIELD, STATUS_INVALID_NAMESPACE } from '../spec/nvme.ts';
import { Namespace } from '../wire/namespace.ts';
import { DONE, refuse } from '../wire/status.ts';

/** Whether this record (of a valid NSID) is a namespace that the guest can use. */
export function namespaceActive(nsid: u32): bool {
  return (Namespace.at(nsid).flags & NAMESPACE_FLAG_ACTIVE) != 0;
}

/** Whether the subsystem has this namespace (of a valid NSID): attached to this controller or not. */
export function namespaceAllocated(nsid: u32): bool {
  return (Namespace.at(nsid).flags & (NAMESPACE_FLAG_ACTIVE | NAMESPACE_FLAG_ALLOCATED)) != 0;
}

/**
 * Status for a command that needs one active namespace: NSID 0, broadcast and beyond NN are Invalid Namespace or
 * Format, an inactive one Invalid Field (Base 3.2.1.5). Commands that take the broadcast NSID ask before.
 */
export function nsidCheck(nsid: u32): u32 {
  if (!Namespace.inRange(nsid)) return refuse(STATUS_INVALID_NAMESPACE);
  return namespaceActive(nsid) ? DONE : refuse(STATUS_INVALID_FIELD);
}

/** True for the NSIDs that name the whole controller in Get Log Page and in features: 0 and broadcast. */
export function nsidIsController(nsid: u32): bool {
  return nsid == 0 || nsid == <u32>NSID_BROADCAST;
}
