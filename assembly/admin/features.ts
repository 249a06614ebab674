// Feature values (Base 5.27.1): defaults, what each feature supports, and the few that other parts of the core ask
// for. A Controller Level Reset brings the saved values back, or the defaults. Commands: admin/get-features.ts and
// admin/set-features.ts.

import { NAMESPACE_COUNT } from '../abi/memory-map.ts';
import { CONFIG_FLAG_SHADOW_DOORBELLS } from '../abi/records.ts';
import {
  ARBITRATION_BURST_UNLIMITED,
  FEATURE_CHANGEABLE,
  FEATURE_NAMESPACE_SPECIFIC,
  FEATURE_SAVEABLE,
  FID_ARBITRATION,
  FID_ASYNC_EVENT_CONFIGURATION,
  FID_ERROR_RECOVERY,
  FID_HOST_BEHAVIOR,
  FID_INTERRUPT_COALESCING,
  FID_INTERRUPT_VECTOR_CONFIGURATION,
  FID_KEEP_ALIVE_TIMER,
  FID_NUMBER_OF_QUEUES,
  FID_POWER_MANAGEMENT,
  FID_SOFTWARE_PROGRESS_MARKER,
  FID_TEMPERATURE_THRESHOLD,
  FID_TIMESTAMP,
  FID_VOLATILE_WRITE_CACHE,
  FID_WRITE_ATOMICITY,
  WRITE_CACHE_ENABLE,
} from '../spec/nvme-features.ts';
import { TEMPERATURE_WARNING } from './health.ts';
import { featureSaveable, featureSaved } from './saved-features.ts';
import { timestampReset } from './timestamp.ts';
import { ERROR_RECOVERY_BASE, VECTOR_CONFIG_BASE, VECTOR_COUNT_MAX, controller } from '../wire/controller.ts';

/** Default of Arbitration: no limit to a burst. */
export const ARBITRATION_DEFAULT: u32 = ARBITRATION_BURST_UNLIMITED;

/** Whether this controller has the feature. The write cache feature exists where a cache does (Base 5.27.1.4). */
export function featureSupported(fid: u32): bool {
  switch (fid) {
    case FID_ARBITRATION:
    case FID_POWER_MANAGEMENT:
    case FID_TEMPERATURE_THRESHOLD:
    case FID_ERROR_RECOVERY:
    case FID_NUMBER_OF_QUEUES:
    case FID_INTERRUPT_COALESCING:
    case FID_INTERRUPT_VECTOR_CONFIGURATION:
    case FID_WRITE_ATOMICITY:
    case FID_ASYNC_EVENT_CONFIGURATION:
    case FID_TIMESTAMP:
    case FID_KEEP_ALIVE_TIMER:
    case FID_HOST_BEHAVIOR:
    case FID_SOFTWARE_PROGRESS_MARKER:
      return true;
    case FID_VOLATILE_WRITE_CACHE:
      return controller().volatileCache != 0;
    default:
      return false;
  }
}

/** Whether each namespace has its own value. */
export function featureNamespaceSpecific(fid: u32): bool {
  return fid == <u32>FID_ERROR_RECOVERY;
}

/** DW0 of Get Features with SEL = 3. */
export function featureCapabilities(fid: u32): u32 {
  const specific: u32 = featureNamespaceSpecific(fid) ? FEATURE_NAMESPACE_SPECIFIC : 0;
  return FEATURE_CHANGEABLE | specific | (featureSaveable(fid) ? FEATURE_SAVEABLE : 0);
}

/** False while the guest has switched the write cache off: every write is then durable before it completes. */
export function writeCacheEnabled(): bool {
  return (controller().featureWriteCache & WRITE_CACHE_ENABLE) != 0;
}

/** I/O submission queues, and I/O completion queues, that the guest may create: queue ids 1 to this number. */
export function queuePairs(): u32 {
  return controller().queuePairs;
}

/** Interrupt vectors: the admin queue's and one for each I/O queue pair. */
export function vectorCount(): u32 {
  return <u32>controller().queuePairs + 1;
}

/** Whether Doorbell Buffer Config is offered. */
export function shadowDoorbellsOffered(): bool {
  return (controller().configFlags & CONFIG_FLAG_SHADOW_DOORBELLS) != 0;
}

/** Time Limited Error Recovery of a namespace (of a valid NSID), in 100 ms. */
export function errorRecoveryOf(nsid: u32): u32 {
  return load<u16>(ERROR_RECOVERY_BASE + ((nsid - 1) << 1));
}

export function errorRecoverySet(nsid: u32, value: u32): void {
  store<u16>(ERROR_RECOVERY_BASE + ((nsid - 1) << 1), <u16>value);
}

/** 1 when interrupt coalescing is disabled for this vector (below vectorCount). */
export function vectorCoalescingDisabled(vector: u32): u32 {
  return load<u8>(VECTOR_CONFIG_BASE + vector);
}

export function vectorCoalescingDisable(vector: u32, disabled: bool): void {
  store<u8>(VECTOR_CONFIG_BASE + vector, disabled ? 1 : 0);
}

/** Default of Temperature Threshold: over, and under << 16. */
export const TEMPERATURE_DEFAULT: u32 = TEMPERATURE_WARNING;

/** Every feature to its saved value, or its default. The Software Progress Marker stays as it is. */
export function featuresReset(): void {
  const c = controller();
  const thresholds = featureSaved(FID_TEMPERATURE_THRESHOLD, TEMPERATURE_DEFAULT);
  c.featureArbitration = featureSaved(FID_ARBITRATION, ARBITRATION_DEFAULT);
  c.featurePower = featureSaved(FID_POWER_MANAGEMENT, 0);
  c.featureTemperatureOver = <u16>thresholds;
  c.featureTemperatureUnder = <u16>(thresholds >> 16);
  c.featureWriteCache = featureSaved(FID_VOLATILE_WRITE_CACHE, WRITE_CACHE_ENABLE);
  c.featureCoalescing = featureSaved(FID_INTERRUPT_COALESCING, 0);
  c.featureWriteAtomicity = featureSaved(FID_WRITE_ATOMICITY, 0);
  c.featureAsyncEvents = 0;
  c.featureRetry = 0;
  c.keepAliveTimeout = 0;
  timestampReset();
  memory.fill(ERROR_RECOVERY_BASE, 0, NAMESPACE_COUNT * 2);
  memory.fill(VECTOR_CONFIG_BASE, 0, VECTOR_COUNT_MAX);
}
