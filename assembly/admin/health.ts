// Counters of the SMART / Health Information log (Base 5.16.1.3) and the temperature that goes with them. A virtual
// controller has no thermometer: it reports a constant, which thresholds are compared with as if it were measured.

import { BLOCK_MEDIUM_ERROR } from '../abi/records.ts';
import {
  AEN_SMART_TEMPERATURE,
  AEN_TYPE_SMART,
  LID_SMART,
  LOG_SMART_AVAILABLE_SPARE,
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
  SMART_DATA_UNIT_BLOCKS,
  SMART_WARNING_TEMPERATURE,
} from '../spec/nvme-logs.ts';
import { asyncEventPost } from './async-events.ts';
import { controller } from '../wire/controller.ts';

/** Composite temperature, kelvins (40 degrees Celsius). */
export const TEMPERATURE: u32 = 313;
/** WCTEMP, the default of the over-temperature threshold, and CCTEMP: what the specification recommends, kelvins. */
export const TEMPERATURE_WARNING: u32 = 343;
export const TEMPERATURE_CRITICAL: u32 = 373;

const MICROSECONDS_PER_HOUR: u64 = 3600000000;

/** A Read moved this many bytes to the guest. */
export function healthRead(bytes: u64): void {
  const c = controller();
  c.unitsRead += bytes >> 9;
  c.commandsRead += 1;
}

/** A Write moved this many bytes from the guest. */
export function healthWritten(bytes: u64): void {
  const c = controller();
  c.unitsWritten += bytes >> 9;
  c.commandsWritten += 1;
}

/** A request came back with this result (BLOCK_*). */
export function healthResult(result: u32): void {
  if (result == <u32>BLOCK_MEDIUM_ERROR) controller().mediaErrors += 1;
}

/** Time of the caller, microseconds. A clock that goes back has started anew: what it counted before stays. */
export function clockSet(now: u64): void {
  const c = controller();
  if (c.clockRunning == 0 || now < c.now) {
    clockStart();
    c.clockRunning = 1;
    c.powerOnSince = now;
  }
  c.now = now;
}

/** The next `clockSet` begins a new count of power-on time (core_resume: another process, another clock). */
export function clockStart(): void {
  const c = controller();
  c.powerOnTime += c.now - c.powerOnSince;
  c.clockRunning = 0;
  c.now = 0;
  c.powerOnSince = 0;
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
  const c = controller();
  store<u8>(at, <u8>criticalWarnings(), LOG_SMART_CRITICAL_WARNING);
  store<u16>(at, <u16>TEMPERATURE, LOG_SMART_COMPOSITE_TEMPERATURE);
  store<u8>(at, 100, LOG_SMART_AVAILABLE_SPARE);
  store<u8>(at, 10, LOG_SMART_SPARE_THRESHOLD);
  store<u64>(at, dataUnits(c.unitsRead), LOG_SMART_DATA_UNITS_READ);
  store<u64>(at, dataUnits(c.unitsWritten), LOG_SMART_DATA_UNITS_WRITTEN);
  store<u64>(at, c.commandsRead, LOG_SMART_HOST_READS);
  store<u64>(at, c.commandsWritten, LOG_SMART_HOST_WRITES);
  store<u64>(at, 1, LOG_SMART_POWER_CYCLES);
  store<u64>(at, powerOnHours(), LOG_SMART_POWER_ON_HOURS);
  store<u64>(at, c.mediaErrors, LOG_SMART_MEDIA_ERRORS);
  store<u64>(at, c.errorCount, LOG_SMART_ERROR_ENTRIES);
}

/** Thousands of 512-byte units, rounded up as the specification asks. */
function dataUnits(units: u64): u64 {
  return (units + SMART_DATA_UNIT_BLOCKS - 1) / SMART_DATA_UNIT_BLOCKS;
}

function powerOnHours(): u64 {
  const c = controller();
  return (c.powerOnTime + (c.now - c.powerOnSince)) / MICROSECONDS_PER_HOUR;
}
