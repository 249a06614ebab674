// Commands that the caller gives directly, without any queue: for callers whose peer keeps the admin queue, or the
// registers, itself. Each owns a slot as every command does, and in place of an entry in a completion queue a record
// in the COMMAND_RESULT area: the number of both is bounded before a command is accepted.

import {
  COMMAND_BASE,
  COMMAND_COUNT,
  COMMAND_RESULT_BASE,
  COMMAND_RESULT_BYTES,
  COMMAND_RESULT_SIZE,
} from '../abi/memory-map.ts';
import {
  COMMAND_RESULT_DATA,
  COMMAND_RESULT_DATA_BYTES,
  COMMAND_RESULT_DW0,
  COMMAND_RESULT_STATUS,
  COMMAND_RESULT_TOKEN,
} from '../abi/records.ts';
import { SQE_BYTES, STATUS_DNR, STATUS_SUCCESS } from '../spec/nvme.ts';
import { Scheduler } from '../wire/queue.ts';
import { Slot, SLOT_NONE, SLOT_RESULT, SLOT_WALKING, SQID_DIRECT, SQID_DIRECT_NVM } from '../wire/slot.ts';
import { slotAvailable, slotFree, slotTake } from './slots.ts';

if (COMMAND_COUNT * COMMAND_RESULT_BYTES > COMMAND_RESULT_SIZE) ERROR('the results of commands have no room');

/**
 * Copies the entry in the mailbox to a slot of its own; null when there are too many already. Those of the NVM command
 * set leave the admin queue its slots.
 */
export function directFetch(admin: bool): Slot | null {
  const s = Scheduler.get();
  if (s.directCount >= <u32>COMMAND_COUNT || !slotAvailable(admin)) return null;
  s.directCount++;
  const slot = slotTake();
  memory.copy(changetype<usize>(slot), COMMAND_BASE, SQE_BYTES);
  slot.sqid = admin ? SQID_DIRECT : SQID_DIRECT_NVM;
  slot.sequence = 0;
  slot.permit = 1;
  slot.requestLength = 0;
  slot.state = SLOT_WALKING;
  slot.next = SLOT_NONE;
  return slot;
}

/** The command has ended: its result waits, behind those that ended before. */
export function directComplete(slot: Slot): void {
  const s = Scheduler.get();
  const index = <u16>slot.index;
  slot.state = SLOT_RESULT;
  slot.next = SLOT_NONE;
  if (s.directFirst == SLOT_NONE) s.directFirst = index;
  else Slot.at(s.directLast).next = index;
  s.directLast = index;
}

/** Hands the results to the caller: their number. The data of each stay where they are until the next call. */
export function commandsTake(): u32 {
  const s = Scheduler.get();
  let count: u32 = 0;
  while (s.directFirst != SLOT_NONE) {
    const slot = Slot.at(s.directFirst);
    const record = <usize>COMMAND_RESULT_BASE + <usize>count * COMMAND_RESULT_BYTES;
    // Data of the NVM command set went where the entry's PRPs say.
    const hasData = slot.isAdmin && (slot.status & ~(<u16>STATUS_DNR)) == <u16>STATUS_SUCCESS;
    memory.fill(record, 0, COMMAND_RESULT_BYTES);
    store<u32>(record, slot.tag, COMMAND_RESULT_TOKEN);
    store<u16>(record, slot.status, COMMAND_RESULT_STATUS);
    store<u32>(record, slot.result, COMMAND_RESULT_DW0);
    store<u32>(record, <u32>slot.data, COMMAND_RESULT_DATA);
    store<u32>(record, hasData ? <u32>slot.requestLength : 0, COMMAND_RESULT_DATA_BYTES);
    s.directFirst = slot.next;
    slotFree(slot);
    count++;
  }
  s.directLast = SLOT_NONE;
  s.directCount -= count;
  return count;
}

/** A reset, or another process: nobody waits for these commands any more. Their slots are freed by whoever calls. */
export function directForget(): void {
  const s = Scheduler.get();
  s.directCount = 0;
  s.directFirst = SLOT_NONE;
  s.directLast = SLOT_NONE;
}
