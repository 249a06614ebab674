// Get Features (Base 5.15): current, default and saved values and what a feature supports (SEL 0 to 3). No feature is
// saveable, so the saved value is the default. The value travels in DW0 of the completion; no feature here has data.

import {
  ARBITRATION_DEFAULT,
  errorRecoveryOf,
  featureCapabilities,
  featureNamespaceSpecific,
  featureSupported,
  queuePairs,
  vectorCoalescingDisabled,
  vectorCount,
} from './features.ts';
import { TEMPERATURE_WARNING } from './health.ts';
import { nsidCheck } from './namespaces.ts';
import { controller } from '../wire/controller.ts';
import {
  FEATURES_FID_WIDTH,
  FID_ARBITRATION,
  FID_ASYNC_EVENT_CONFIGURATION,
  FID_ERROR_RECOVERY,
  FID_INTERRUPT_COALESCING,
  FID_INTERRUPT_VECTOR_CONFIGURATION,
  FID_NUMBER_OF_QUEUES,
  FID_POWER_MANAGEMENT,
  FID_TEMPERATURE_THRESHOLD,
  FID_VOLATILE_WRITE_CACHE,
  FID_WRITE_ATOMICITY,
  GET_FEATURES_CDW10_RESERVED_MASK,
  GET_FEATURES_SEL_SHIFT,
  GET_FEATURES_SEL_WIDTH,
  QUEUES_CQ_Z_SHIFT,
  SEL_CURRENT,
  SEL_SUPPORTED,
  TEMPERATURE_SENSOR_COMPOSITE,
  TEMPERATURE_SENSOR_SHIFT,
  TEMPERATURE_SENSOR_WIDTH,
  TEMPERATURE_TYPE_OVER,
  TEMPERATURE_TYPE_SHIFT,
  TEMPERATURE_TYPE_UNDER,
  TEMPERATURE_TYPE_WIDTH,
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
  const value = featureValue(fid, sqe.nsid, sqe.cdw11, select == <u32>SEL_CURRENT);
  if (value < 0) return refuse(STATUS_INVALID_FIELD);
  slot.result = <u32>value;
  return DONE;
}

/** The value of a supported feature, current or default; -1 when CDW11 selects something that does not exist. */
function featureValue(fid: u32, nsid: u32, cdw11: u32, current: bool): i64 {
  const c = controller();
  switch (fid) {
    case FID_ARBITRATION:
      return current ? c.featureArbitration : ARBITRATION_DEFAULT;
    case FID_POWER_MANAGEMENT:
      return current ? c.featurePower : 0;
    case FID_TEMPERATURE_THRESHOLD:
      return temperatureThreshold(cdw11, current);
    case FID_ERROR_RECOVERY:
      return current ? errorRecoveryOf(nsid) : 0;
    case FID_VOLATILE_WRITE_CACHE:
      return current ? c.featureWriteCache : WRITE_CACHE_ENABLE;
    case FID_NUMBER_OF_QUEUES:
      return (queuePairs() - 1) | ((queuePairs() - 1) << QUEUES_CQ_Z_SHIFT);
    case FID_INTERRUPT_COALESCING:
      return current ? c.featureCoalescing : 0;
    case FID_INTERRUPT_VECTOR_CONFIGURATION: {
      const vector = cdw11 & ((1 << VECTOR_IV_WIDTH) - 1);
      if (vector >= vectorCount()) return -1;
      return current && vectorCoalescingDisabled(vector) != 0 ? vector | VECTOR_COALESCING_DISABLE : vector;
    }
    case FID_WRITE_ATOMICITY:
      return current ? c.featureWriteAtomicity : 0;
    case FID_ASYNC_EVENT_CONFIGURATION:
      return current ? c.featureAsyncEvents : 0;
    default:
      return -1;
  }
}

/** The composite temperature's thresholds; there are no further sensors. */
function temperatureThreshold(cdw11: u32, current: bool): i64 {
  const c = controller();
  const sensor = (cdw11 >> TEMPERATURE_SENSOR_SHIFT) & ((1 << TEMPERATURE_SENSOR_WIDTH) - 1);
  const type = (cdw11 >> TEMPERATURE_TYPE_SHIFT) & ((1 << TEMPERATURE_TYPE_WIDTH) - 1);
  if (sensor != <u32>TEMPERATURE_SENSOR_COMPOSITE) return -1;
  if (type == <u32>TEMPERATURE_TYPE_OVER) return current ? c.featureTemperatureOver : TEMPERATURE_WARNING;
  if (type == <u32>TEMPERATURE_TYPE_UNDER) return current ? c.featureTemperatureUnder : 0;
  return -1;
}
