// The range of logical blocks of an I/O command: SLBA in CDW10 and CDW11, NLB in CDW12 (NVM 3.2).

import { Namespace } from '../wire/namespace.ts';
import { RW_NLB_Z_SHIFT, RW_NLB_Z_WIDTH, STATUS_LBA_OUT_OF_RANGE } from '../spec/nvme.ts';
import { Slot } from '../wire/slot.ts';
import { DONE, refuse } from '../wire/status.ts';

/** Number of logical blocks, 1 to 65,536. */
export function blockCount(cdw12: u32): u32 {
  return ((cdw12 >>> RW_NLB_Z_SHIFT) & ((1 << RW_NLB_Z_WIDTH) - 1)) + 1;
}

/** DONE when the blocks lie in the namespace, else LBA Out of Range; no sum here can wrap. */
export function rangeInside(namespace: Namespace, first: u64, count: u64): u32 {
  const blocks = namespace.blocks;
  return first <= blocks && count <= blocks - first ? DONE : refuse(STATUS_LBA_OUT_OF_RANGE);
}

/** Puts the place of the request into the slot: bytes from the namespace's start. */
export function requestPlace(slot: Slot, namespace: Namespace, first: u64): void {
  slot.requestNsid = <u16>slot.sqe.nsid;
  slot.requestOffset = first << namespace.lbaShift;
}
