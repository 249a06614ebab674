// Saved feature values (Base 5.27, SV; Base 5.15, SEL = 2): they lie in the persistent record, and a Controller Level
// Reset brings them back in place of the defaults. Saveable are the features of the whole controller whose value is a
// word; a table for each namespace or vector is not worth its place, and what a guest's driver negotiates anew at each
// start (queues, events, Keep Alive, host behaviour) would only surprise the next driver.

import { PERSISTENT_FLAG_RUNNING, PERSISTENT_MAGIC_VALUE } from '../abi/records.ts';
import { PERSISTENT_BASE, PERSISTENT_SIZE } from '../abi/memory-map.ts';
import {
  ARBITRATION_RESERVED_MASK,
  COALESCING_RESERVED_MASK,
  FID_ARBITRATION,
  FID_INTERRUPT_COALESCING,
  FID_POWER_MANAGEMENT,
  FID_SOFTWARE_PROGRESS_MARKER,
  FID_TEMPERATURE_THRESHOLD,
  FID_VOLATILE_WRITE_CACHE,
  FID_WRITE_ATOMICITY,
  POWER_RESERVED_MASK,
  POWER_STATE_WIDTH,
  PROGRESS_RESERVED_MASK,
  WRITE_ATOMICITY_RESERVED_MASK,
  WRITE_CACHE_RESERVED_MASK,
} from '../spec/nvme-features.ts';
import { persistent } from '../wire/persistent.ts';

const SAVED_FIDS: u32 =
  (1 << FID_ARBITRATION) |
  (1 << FID_POWER_MANAGEMENT) |
  (1 << FID_TEMPERATURE_THRESHOLD) |
  (1 << FID_VOLATILE_WRITE_CACHE) |
  (1 << FID_INTERRUPT_COALESCING) |
  (1 << FID_WRITE_ATOMICITY);

/** Whether Save is possible. The Software Progress Marker is saved whenever it is set. */
export function featureSaveable(fid: u32): bool {
  return fid == <u32>FID_SOFTWARE_PROGRESS_MARKER || (fid < 16 && (SAVED_FIDS & (1 << fid)) != 0);
}

/** The saved value of a saveable feature below 16, or this default. Thresholds: over, and under << 16. */
export function featureSaved(fid: u32, standard: u32): u32 {
  const record = persistent();
  return (record.saved & (1 << fid)) != 0 ? record.valueOf(fid) : standard;
}

export function featureSave(fid: u32, value: u32): void {
  const record = persistent();
  record.valueSet(fid, value);
  record.saved |= 1 << fid;
}

/** Power-on: a record that is none begins as zeros, what cannot be is forgotten, and the power cycle counts. */
export function persistentBegin(): void {
  const record = persistent();
  persistentCheck();
  record.powerCycles += 1;
  if ((record.flags & PERSISTENT_FLAG_RUNNING) != 0) record.unsafeShutdowns += 1;
  record.flags = 0;
}

/** The record came from outside: what is saved in it must be what Set Features takes. */
export function persistentCheck(): void {
  const record = persistent();
  if (record.magic != <u32>PERSISTENT_MAGIC_VALUE) {
    memory.fill(PERSISTENT_BASE, 0, PERSISTENT_SIZE);
    record.magic = PERSISTENT_MAGIC_VALUE;
  }
  record.flags &= PERSISTENT_FLAG_RUNNING;
  record.progress &= ~(<u32>PROGRESS_RESERVED_MASK);
  record.saved &= SAVED_FIDS;
  forget(FID_ARBITRATION, ARBITRATION_RESERVED_MASK);
  forget(FID_POWER_MANAGEMENT, POWER_RESERVED_MASK | ((1 << POWER_STATE_WIDTH) - 1));
  forget(FID_VOLATILE_WRITE_CACHE, WRITE_CACHE_RESERVED_MASK);
  forget(FID_INTERRUPT_COALESCING, COALESCING_RESERVED_MASK);
  forget(FID_WRITE_ATOMICITY, WRITE_ATOMICITY_RESERVED_MASK);
}

/** A saved value with one of these bits was never saved. */
function forget(fid: u32, impossible: u32): void {
  const record = persistent();
  if ((record.valueOf(fid) & impossible) != 0) record.saved &= ~((<u32>1) << fid);
}

/** CSTS.RDY was set (true), or shutdown processing is complete (false): Base 5.16.1.3, Unsafe Shutdowns. */
export function persistentRunning(running: bool): void {
  const record = persistent();
  if (running) record.flags |= PERSISTENT_FLAG_RUNNING;
  else record.flags &= ~(<u32>PERSISTENT_FLAG_RUNNING);
}
