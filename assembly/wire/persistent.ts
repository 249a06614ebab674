// What of a controller outlives power: the counters of the health log and the saved features. The layout is the ABI's
// (abi/records.ts), since the caller keeps the record while there is no core. Whatever the caller brings is possible
// here: counters have no bounds, and saved values are looked at before they are used (admin/saved-features.ts).

import { PERSISTENT_BASE } from '../abi/memory-map.ts';
import {
  PERSISTENT_BUSY_TIME,
  PERSISTENT_BYTES,
  PERSISTENT_COMMANDS_READ,
  PERSISTENT_COMMANDS_WRITTEN,
  PERSISTENT_ERROR_COUNT,
  PERSISTENT_FLAGS,
  PERSISTENT_MAGIC,
  PERSISTENT_MEDIA_ERRORS,
  PERSISTENT_POWER_CYCLES,
  PERSISTENT_POWER_ON_TIME,
  PERSISTENT_PROGRESS,
  PERSISTENT_SAVED,
  PERSISTENT_UNITS_READ,
  PERSISTENT_UNITS_WRITTEN,
  PERSISTENT_UNSAFE_SHUTDOWNS,
  PERSISTENT_VALUES,
} from '../abi/records.ts';

@unmanaged
export class PersistentRecord {
  /** PERSISTENT_MAGIC_VALUE. */
  magic: u32;
  /** PERSISTENT_FLAG_*. */
  flags: u32;
  /** Features with a saved value, a bit each. */
  saved: u32;
  /** Software Progress Marker (80h). */
  progress: u32;
  /** Units of 512 bytes that were read and written by the guest. */
  unitsRead: u64;
  unitsWritten: u64;
  /** Commands completed. */
  commandsRead: u64;
  commandsWritten: u64;
  /** Time with requests outstanding, microseconds. */
  busyTime: u64;
  powerCycles: u64;
  /** Microseconds. */
  powerOnTime: u64;
  unsafeShutdowns: u64;
  /** Commands that the medium failed. */
  mediaErrors: u64;
  /** The count of the newest Error Information entry. */
  errorCount: u64;

  /** The saved value of a feature below 16. */
  @inline valueOf(fid: u32): u32 {
    return load<u32>(changetype<usize>(this) + (fid << 2), PERSISTENT_VALUES);
  }

  @inline valueSet(fid: u32, value: u32): void {
    store<u32>(changetype<usize>(this) + (fid << 2), value, PERSISTENT_VALUES);
  }
}

/** The one record of this image. */
export function persistent(): PersistentRecord {
  return changetype<PersistentRecord>(<usize>PERSISTENT_BASE);
}

if (offsetof<PersistentRecord>() != PERSISTENT_VALUES || PERSISTENT_VALUES + 16 * 4 != PERSISTENT_BYTES)
  ERROR('PersistentRecord');
if (offsetof<PersistentRecord>('magic') != PERSISTENT_MAGIC) ERROR('PersistentRecord.magic');
if (offsetof<PersistentRecord>('flags') != PERSISTENT_FLAGS) ERROR('PersistentRecord.flags');
if (offsetof<PersistentRecord>('saved') != PERSISTENT_SAVED) ERROR('PersistentRecord.saved');
if (offsetof<PersistentRecord>('progress') != PERSISTENT_PROGRESS) ERROR('PersistentRecord.progress');
if (offsetof<PersistentRecord>('unitsRead') != PERSISTENT_UNITS_READ) ERROR('PersistentRecord.unitsRead');
if (offsetof<PersistentRecord>('unitsWritten') != PERSISTENT_UNITS_WRITTEN)
  ERROR('PersistentRecord.unitsWritten');
if (offsetof<PersistentRecord>('commandsRead') != PERSISTENT_COMMANDS_READ)
  ERROR('PersistentRecord.commandsRead');
if (offsetof<PersistentRecord>('commandsWritten') != PERSISTENT_COMMANDS_WRITTEN)
  ERROR('PersistentRecord.commandsWritten');
if (offsetof<PersistentRecord>('busyTime') != PERSISTENT_BUSY_TIME) ERROR('PersistentRecord.busyTime');
if (offsetof<PersistentRecord>('powerCycles') != PERSISTENT_POWER_CYCLES)
  ERROR('PersistentRecord.powerCycles');
if (offsetof<PersistentRecord>('powerOnTime') != PERSISTENT_POWER_ON_TIME)
  ERROR('PersistentRecord.powerOnTime');
if (offsetof<PersistentRecord>('unsafeShutdowns') != PERSISTENT_UNSAFE_SHUTDOWNS)
  ERROR('PersistentRecord.unsafeShutdowns');
if (offsetof<PersistentRecord>('mediaErrors') != PERSISTENT_MEDIA_ERRORS)
  ERROR('PersistentRecord.mediaErrors');
if (offsetof<PersistentRecord>('errorCount') != PERSISTENT_ERROR_COUNT) ERROR('PersistentRecord.errorCount');
