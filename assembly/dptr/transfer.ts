// Data of a command: what a handler calls once it knows how many bytes move and which way.

import { DATA_BUFFER_BYTES, MDTS } from '../abi/memory-map.ts';
import { OPERATION_COPY_IN, OPERATION_COPY_OUT, OPERATION_READ } from '../abi/records.ts';
import { NEED_READ, NEED_WRITE } from '../guest/access.ts';
import { PAGE_BYTES, STATUS_DNR, STATUS_INVALID_FIELD, STATUS_SUCCESS } from '../spec/nvme.ts';
import { ISSUE, Slot, SQID_DIRECT } from '../wire/slot.ts';
import { prpWalk } from './prp.ts';

/** The largest transfer of one command (MDTS), bytes. */
export const TRANSFER_BYTES_MAX: u32 = PAGE_BYTES << MDTS;

/**
 * Gathers the segments of a command whose slot has its operation: guest memory is written by OPERATION_READ and
 * OPERATION_COPY_OUT, else read. `bytes` is the whole transfer and becomes the request's length; more than MDTS is
 * Invalid Field, none at all is a success. ISSUE: the request is complete; AGAIN: a window is missing.
 */
export function transferBegin(slot: Slot, bytes: u32): u32 {
  if (bytes > TRANSFER_BYTES_MAX) return STATUS_INVALID_FIELD | STATUS_DNR;
  if (bytes == 0) return STATUS_SUCCESS;
  const operation: u32 = slot.operation;
  const need = operation == OPERATION_READ || operation == OPERATION_COPY_OUT ? NEED_WRITE : NEED_READ;
  slot.requestLength = bytes;
  const status = prpWalk(slot, bytes, need);
  return status == STATUS_SUCCESS ? ISSUE : status;
}

/** A command given directly has no buffer: its data stay in the private page, from which the caller takes them. */
function dataKept(slot: Slot, bytes: u32): u32 {
  if (bytes > <u32>DATA_BUFFER_BYTES) return STATUS_INVALID_FIELD | STATUS_DNR;
  slot.requestLength = bytes;
  return STATUS_SUCCESS;
}

/** The slot's private page to the guest's buffer of `bytes` bytes; what lies beyond the page is zeros. */
export function dataOut(slot: Slot, bytes: u32): u32 {
  if (slot.sqid == SQID_DIRECT) return dataKept(slot, bytes);
  slot.operation = <u16>OPERATION_COPY_OUT;
  return transferBegin(slot, bytes);
}

/** The guest's buffer of `bytes` bytes, at most DATA_BUFFER_BYTES, to the slot's private page. */
export function dataIn(slot: Slot, bytes: u32): u32 {
  slot.operation = <u16>OPERATION_COPY_IN;
  return transferBegin(slot, bytes);
}
