// Counters of the SMART / Health Information log (Base 5.16.1.3) and the temperature that goes with them. A virtual
// controller has no thermometer: it reports a constant, which thresholds are compared with as if it were measured.

import { BLOCK_MEDIUM_ERROR, BLOCK_SOURCE_ERROR } from '../abi/records.ts';
import {
  AEN_SMART_TEMPERATURE,
  AEN_TYPE_SMART,
  LID_SMART,
  LOG_SMART_AVAILABLE_SPARE,
  LOG_SMART_BUSY_TIME,
  LOG_SMART_COMPOSITE_TEMPERATURE,
  LOG_SMART_CRITICAL_WARNING,
  LOG_SMART_DATA_UNITS_READ,
  LOG_SMART_DATA_UNITS_WRITTEN,
  LOG_SMART_ERROR_ENTRIES,
  LOG_SMART_HOST_READS,
  LOG_SMART_HOST_WRITES,
  LOG_SMART_MEDIA_ERRORS,
  LOG_SMART_POWER_CYCLES,
  LOG_SMART_POWER_ON_HOURS,
  LOG_SMART_SPARE_THRESHOLD,
  LOG_SMART_UNSAFE_SHUTDOWNS,
  SMART_DATA_UNIT_BLOCKS,
  SMART_WARNING_TEMPERATURE,
} from '../spec/nvme-logs.ts';
import { asyncEventPost } from './async-events.ts';
import { controller } from '../wire/controller.ts';
import { persistent } from '../wire/persistent.ts';
import { Scheduler } from '../wire/queue.ts';
import { keepAliveRestart } from './keep-alive.ts';
import { timestampClock, timestampFold } from './timestamp.ts';

/** Composite temperature, kelvins (40 degrees Celsius). */
export const TEMPERATURE: u32 = 313;
/** WCTEMP, the default of the over-temperature threshold, and CCTEMP: what the specification recommends, kelvins. */
export const TEMPERATURE_WARNING: u32 = 343;
export const TEMPERATURE_CRITICAL: u32 = 373;

const MICROSECONDS_PER_MINUTE: u64 = 60000000;
const MICROSECONDS_PER_HOUR: u64 = 3600000000;

/** A Read or Compare of this many bytes is done (Base 5.16.1.3, Data Units Read and Host Read Commands). */
export function healthRead(bytes: u64): void {
  const record = persistent();
  record.unitsRead += bytes >> 9;
  record.commandsRead += 1;
}

/** A Write moved this many bytes from the guest. No other command counts: not Write Zeroes, not Copy. */
export function healthWritten(bytes: u64): void {
  const record = persistent();
  record.unitsWritten += bytes >> 9;
  record.commandsWritten += 1;
}

/** A Verify read this many bytes: data units, but no Host Read Command. */
export function healthVerified(bytes: u64): void {
  persistent().unitsRead += bytes >> 9;
}

/** A request came back with this result (BLOCK_*). */
export function healthResult(result: u32): void {
  if (result == <u32>BLOCK_MEDIUM_ERROR || result == <u32>BLOCK_SOURCE_ERROR) persistent().mediaErrors += 1;
}

/**
 * Time of the caller, microseconds. A clock that goes back has started anew: what it counted before stays. The
 * controller was busy since the last call where requests were outstanding then.
 */
export function clockSet(now: u64): void {
  const c = controller();
  if (c.clockRunning == 0 || now < c.now) {
    clockStart();
    c.clockRunning = 1;
    c.now = now;
    timestampClock(now);
    keepAliveRestart();
    return;
  }
  const passed = now - c.now;
  const record = persistent();
  record.powerOnTime += passed;
  if (Scheduler.get().requestsOutstanding != 0) record.busyTime += passed;
  c.now = now;
}

/** The next `clockSet` begins a new count (core_resume: another process, another clock). */
export function clockStart(): void {
  const c = controller();
  if (c.clockRunning != 0) timestampFold();
  c.clockRunning = 0;
  c.now = 0;
  timestampClock(0);
}

/** Critical warnings that hold now (Base 5.16.1.3, byte 0). */
export function criticalWarnings(): u32 {
  const c = controller();
  const hot = TEMPERATURE >= <u32>c.featureTemperatureOver;
  const cold = TEMPERATURE <= <u32>c.featureTemperatureUnder;
  return hot || cold ? SMART_WARNING_TEMPERATURE : 0;
}

/** A threshold or the event configuration changed: report warnings that were not reported since the log was read. */
export function warningsReview(): void {
  const c = controller();
  const enabled = c.featureAsyncEvents & 0xff;
  const fresh = criticalWarnings() & enabled & ~(<u32>c.warningsReported);
  if ((fresh & SMART_WARNING_TEMPERATURE) == 0) return;
  c.warningsReported |= <u8>SMART_WARNING_TEMPERATURE;
  asyncEventPost(AEN_TYPE_SMART, AEN_SMART_TEMPERATURE, LID_SMART);
}

/** Writes the log page into 512 bytes of zeros. */
export function healthLogFill(at: usize): void {
  const record = persistent();
  store<u8>(at, <u8>criticalWarnings(), LOG_SMART_CRITICAL_WARNING);
  store<u16>(at, <u16>TEMPERATURE, LOG_SMART_COMPOSITE_TEMPERATURE);
  store<u8>(at, 100, LOG_SMART_AVAILABLE_SPARE);
  store<u8>(at, 10, LOG_SMART_SPARE_THRESHOLD);
  store<u64>(at, dataUnits(record.unitsRead), LOG_SMART_DATA_UNITS_READ);
  store<u64>(at, dataUnits(record.unitsWritten), LOG_SMART_DATA_UNITS_WRITTEN);
  store<u64>(at, record.commandsRead, LOG_SMART_HOST_READS);
  store<u64>(at, record.commandsWritten, LOG_SMART_HOST_WRITES);
  store<u64>(at, record.busyTime / MICROSECONDS_PER_MINUTE, LOG_SMART_BUSY_TIME);
  store<u64>(at, record.powerCycles, LOG_SMART_POWER_CYCLES);
  store<u64>(at, record.powerOnTime / MICROSECONDS_PER_HOUR, LOG_SMART_POWER_ON_HOURS);
  store<u64>(at, record.unsafeShutdowns, LOG_SMART_UNSAFE_SHUTDOWNS);
  store<u64>(at, record.mediaErrors, LOG_SMART_MEDIA_ERRORS);
  store<u64>(at, record.errorCount, LOG_SMART_ERROR_ENTRIES);
}

/** Thousands of 512-byte units, rounded up as the specification asks. */
function dataUnits(units: u64): u64 {
  return units / SMART_DATA_UNIT_BLOCKS + (units % SMART_DATA_UNIT_BLOCKS != 0 ? 1 : 0);
}
