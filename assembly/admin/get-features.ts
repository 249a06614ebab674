// Get Features (Base 5.15): current, default and saved values and what a feature supports (SEL 0 to 3). The saved value
// of what is not saveable, or was not saved, is the default. Values travel in DW0 of the completion; Timestamp and Host
// Behavior Support are data.

import {
  ARBITRATION_DEFAULT,
  TEMPERATURE_DEFAULT,
  errorRecoveryOf,
  featureCapabilities,
  featureNamespaceSpecific,
  featureSupported,
  queuePairs,
  vectorCoalescingDisabled,
  vectorCount,
} from './features.ts';
import { nsidCheck } from './namespaces.ts';
import { featureSaved } from './saved-features.ts';
import { timestampFill } from './timestamp.ts';
import { controller } from '../wire/controller.ts';
import { persistent } from '../wire/persistent.ts';
import { dataOut } from '../dptr/transfer.ts';
import {
  FEATURES_FID_WIDTH,
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
  GET_FEATURES_CDW10_RESERVED_MASK,
  GET_FEATURES_SEL_SHIFT,
  GET_FEATURES_SEL_WIDTH,
  HOST_BEHAVIOR_ACRE,
  HOST_BEHAVIOR_BYTES,
  QUEUES_CQ_Z_SHIFT,
  SEL_CURRENT,
  SEL_SAVED,
  SEL_SUPPORTED,
  TEMPERATURE_SENSOR_COMPOSITE,
  TEMPERATURE_SENSOR_SHIFT,
  TEMPERATURE_SENSOR_WIDTH,
  TEMPERATURE_TYPE_OVER,
  TEMPERATURE_TYPE_SHIFT,
  TEMPERATURE_TYPE_UNDER,
  TEMPERATURE_TYPE_WIDTH,
  TIMESTAMP_BYTES,
  VECTOR_COALESCING_DISABLE,
  VECTOR_IV_WIDTH,
  WRITE_CACHE_ENABLE,
} from '../spec/nvme-features.ts';
import { STATUS_INVALID_FIELD } from '../spec/nvme.ts';
import { Slot } from '../wire/slot.ts';
import { DONE, refuse } from '../wire/status.ts';

export function getFeatures(slot: Slot): u32 {
  const sqe = slot.sqe;
  const fid = sqe.cdw10 & ((1 << FEATURES_FID_WIDTH) - 1);
  const select = (sqe.cdw10 >> GET_FEATURES_SEL_SHIFT) & ((1 << GET_FEATURES_SEL_WIDTH) - 1);
  if ((sqe.cdw10 & GET_FEATURES_CDW10_RESERVED_MASK) != 0) return refuse(STATUS_INVALID_FIELD);
  // CDW14: the UUID Index selects from a list that does not exist here, the rest is reserved.
  if ((sqe.cdw12 | sqe.cdw13 | sqe.cdw14 | sqe.cdw15) != 0) return refuse(STATUS_INVALID_FIELD);
  if (select > <u32>SEL_SUPPORTED || !featureSupported(fid)) return refuse(STATUS_INVALID_FIELD);
  if (select == <u32>SEL_SUPPORTED) {
    slot.result = featureCapabilities(fid);
    return DONE;
  }
  if (featureNamespaceSpecific(fid)) {
    const status = nsidCheck(sqe.nsid);
    if (status != DONE) return status;
  }
  if (fid == <u32>FID_TIMESTAMP || fid == <u32>FID_HOST_BEHAVIOR) return featureData(slot, fid, select);
  const value = featureValue(fid, sqe.nsid, sqe.cdw11, select);
  if (value < 0) return refuse(STATUS_INVALID_FIELD);
  slot.result = <u32>value;
  return DONE;
}

/** A feature whose value is data; neither is saveable. */
function featureData(slot: Slot, fid: u32, select: u32): u32 {
  const current = select == <u32>SEL_CURRENT;
  const bytes: u32 = fid == <u32>FID_TIMESTAMP ? TIMESTAMP_BYTES : HOST_BEHAVIOR_BYTES;
  memory.fill(slot.data, 0, bytes);
  if (current && fid == <u32>FID_TIMESTAMP) timestampFill(slot.data);
  if (current && fid == <u32>FID_HOST_BEHAVIOR)
    store<u8>(slot.data, controller().featureRetry, HOST_BEHAVIOR_ACRE);
  return dataOut(slot, bytes);
}

/** The value of a supported feature that SEL_* asks for; -1 when CDW11 selects something that does not exist. */
function featureValue(fid: u32, nsid: u32, cdw11: u32, select: u32): i64 {
  const c = controller();
  const current = select == <u32>SEL_CURRENT;
  switch (fid) {
    case FID_ARBITRATION:
      return selected(fid, select, c.featureArbitration, ARBITRATION_DEFAULT);
    case FID_POWER_MANAGEMENT:
      return selected(fid, select, c.featurePower, 0);
    case FID_TEMPERATURE_THRESHOLD:
      return temperatureThreshold(cdw11, select);
    case FID_ERROR_RECOVERY:
      return current ? errorRecoveryOf(nsid) : 0;
    case FID_VOLATILE_WRITE_CACHE:
      return selected(fid, select, c.featureWriteCache, WRITE_CACHE_ENABLE);
    case FID_NUMBER_OF_QUEUES:
      return (queuePairs() - 1) | ((queuePairs() - 1) << QUEUES_CQ_Z_SHIFT);
    case FID_INTERRUPT_COALESCING:
      return selected(fid, select, c.featureCoalescing, 0);
    case FID_INTERRUPT_VECTOR_CONFIGURATION: {
      const vector = cdw11 & ((1 << VECTOR_IV_WIDTH) - 1);
      if (vector >= vectorCount()) return -1;
      return current && vectorCoalescingDisabled(vector) != 0 ? vector | VECTOR_COALESCING_DISABLE : vector;
    }
    case FID_WRITE_ATOMICITY:
      return selected(fid, select, c.featureWriteAtomicity, 0);
    case FID_ASYNC_EVENT_CONFIGURATION:
      return current ? c.featureAsyncEvents : 0;
    case FID_KEEP_ALIVE_TIMER:
      return current ? c.keepAliveTimeout : 0;
    case FID_SOFTWARE_PROGRESS_MARKER:
      return current || select == <u32>SEL_SAVED ? persistent().progress : 0;
    default:
      return -1;
  }
}

/** Of a saveable feature. */
function selected(fid: u32, select: u32, current: u32, standard: u32): u32 {
  if (select == <u32>SEL_CURRENT) return current;
  return select == <u32>SEL_SAVED ? featureSaved(fid, standard) : standard;
}

/** The composite temperature's thresholds; there are no further sensors. */
function temperatureThreshold(cdw11: u32, select: u32): i64 {
  const c = controller();
  const sensor = (cdw11 >> TEMPERATURE_SENSOR_SHIFT) & ((1 << TEMPERATURE_SENSOR_WIDTH) - 1);
  const type = (cdw11 >> TEMPERATURE_TYPE_SHIFT) & ((1 << TEMPERATURE_TYPE_WIDTH) - 1);
  if (sensor != <u32>TEMPERATURE_SENSOR_COMPOSITE) return -1;
  const now = (<u32>c.featureTemperatureOver) | ((<u32>c.featureTemperatureUnder) << 16);
  const thresholds = selected(FID_TEMPERATURE_THRESHOLD, select, now, TEMPERATURE_DEFAULT);
  if (type == <u32>TEMPERATURE_TYPE_OVER) return thresholds & 0xffff;
  if (type == <u32>TEMPERATURE_TYPE_UNDER) return thresholds >> 16;
  return -1;
}
