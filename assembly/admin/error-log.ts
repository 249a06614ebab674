// The Error Information log (LID 01h, Base 5.16.1.2): the last ERROR_LOG_ENTRIES commands that failed, and errors
// that belong to no command, newest first. The counter outlives power and never repeats; the entries do not.

import {
  LOG_ERROR_CID,
  LOG_ERROR_COUNT,
  LOG_ERROR_ENTRY_BYTES,
  LOG_ERROR_LBA,
  LOG_ERROR_NSID,
  LOG_ERROR_PARAMETER,
  LOG_ERROR_PARAMETER_NONE,
  LOG_ERROR_SQID,
  LOG_ERROR_SQID_NONE,
  LOG_ERROR_STATUS,
} from '../spec/nvme-logs.ts';
import {
  CID_NONE,
  CQE_STATUS_SHIFT,
  NVM_COMPARE,
  NVM_COPY,
  NVM_READ,
  NVM_VERIFY,
  NVM_WRITE,
  NVM_WRITE_UNCORRECTABLE,
  NVM_WRITE_ZEROES,
} from '../spec/nvme.ts';
import { Slot } from '../wire/slot.ts';
import { persistent } from '../wire/persistent.ts';
import { ERROR_LOG_BASE, ERROR_LOG_ENTRIES, controller } from '../wire/controller.ts';

if ((ERROR_LOG_ENTRIES & (ERROR_LOG_ENTRIES - 1)) != 0) ERROR('the ring of errors must be a power of two');

/** Commands whose CDW10 and CDW11 are the first logical block: of Copy, the first that it writes. */
const LBA_OPCODES: u32 =
  (1 << NVM_WRITE) |
  (1 << NVM_READ) |
  (1 << NVM_WRITE_UNCORRECTABLE) |
  (1 << NVM_COMPARE) |
  (1 << NVM_WRITE_ZEROES) |
  (1 << NVM_VERIFY) |
  (1 << NVM_COPY);

/** Notes that this slot's command failed with `slot.status`. */
export function errorLogAdd(slot: Slot): void {
  const sqe = slot.sqe;
  const at = entryAdd(slot.sqid, sqe.cid, slot.status, sqe.nsid);
  const opcode: u32 = sqe.opcode;
  const hasLba = opcode < 32 && (LBA_OPCODES & (1 << opcode)) != 0;
  if (!slot.isAdmin && hasLba) store<u64>(at, sqe.slba, LOG_ERROR_LBA);
}

/** Notes an error that belongs to no command. */
export function errorLogAddEvent(status: u32): void {
  entryAdd(LOG_ERROR_SQID_NONE, CID_NONE, status, 0);
}

/** Writes the whole log, ERROR_LOG_ENTRIES entries, newest first; those never used are zeros. */
export function errorLogFill(at: usize): void {
  const head: u32 = controller().errorLogHead;
  for (let age: u32 = 0; age < ERROR_LOG_ENTRIES; age++) {
    memory.copy(at + age * LOG_ERROR_ENTRY_BYTES, entryAt(head - age), LOG_ERROR_ENTRY_BYTES);
  }
}

function entryAt(index: u32): usize {
  return <usize>ERROR_LOG_BASE + (index & (ERROR_LOG_ENTRIES - 1)) * LOG_ERROR_ENTRY_BYTES;
}

function entryAdd(sqid: u32, cid: u32, status: u32, nsid: u32): usize {
  const c = controller();
  const index = (<u32>c.errorLogHead + 1) & (ERROR_LOG_ENTRIES - 1);
  const at = entryAt(index);
  const record = persistent();
  record.errorCount += 1;
  memory.fill(at, 0, LOG_ERROR_ENTRY_BYTES);
  store<u64>(at, record.errorCount, LOG_ERROR_COUNT);
  store<u16>(at, <u16>sqid, LOG_ERROR_SQID);
  store<u16>(at, <u16>cid, LOG_ERROR_CID);
  store<u16>(at, <u16>(status << CQE_STATUS_SHIFT), LOG_ERROR_STATUS);
  store<u16>(at, <u16>LOG_ERROR_PARAMETER_NONE, LOG_ERROR_PARAMETER);
  store<u32>(at, nsid, LOG_ERROR_NSID);
  c.errorLogHead = <u8>index;
  return at;
}
