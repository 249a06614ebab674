// Set Features (Base 5.27). No feature is saveable: SV is refused. A value that this controller cannot honour (a power
// state, a sensor, a vector that does not exist, a reserved bit) is Invalid Field rather than stored and forgotten.
// Switching the volatile write cache off flushes every namespace first, so that what was completed is durable then.

import { NAMESPACE_COUNT } from '../abi/memory-map.ts';
import {
  errorRecoverySet,
  featureNamespaceSpecific,
  featureSupported,
  queuePairs,
  vectorCoalescingDisable,
  vectorCount,
} from './features.ts';
import { warningsReview } from './health.ts';
import { nsidCheck, nsidIsController } from './namespaces.ts';
import { controller } from '../wire/controller.ts';
import { flushAllBegin } from '../dptr/flush-all.ts';
import { ioQueuesExist } from '../queue/lifecycle.ts';
import {
  ARBITRATION_RESERVED_MASK,
  COALESCING_RESERVED_MASK,
  ERROR_RECOVERY_DULBE,
  ERROR_RECOVERY_RESERVED_MASK,
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
  POWER_RESERVED_MASK,
  POWER_STATE_WIDTH,
  QUEUES_CQ_Z_SHIFT,
  QUEUES_SQ_Z_WIDTH,
  QUEUES_Z_INVALID,
  SET_FEATURES_CDW10_RESERVED_MASK,
  SET_FEATURES_SAVE,
  TEMPERATURE_RESERVED_MASK,
  TEMPERATURE_SENSOR_ALL,
  TEMPERATURE_SENSOR_COMPOSITE,
  TEMPERATURE_SENSOR_SHIFT,
  TEMPERATURE_SENSOR_WIDTH,
  TEMPERATURE_THRESHOLD_WIDTH,
  TEMPERATURE_TYPE_OVER,
  TEMPERATURE_TYPE_SHIFT,
  TEMPERATURE_TYPE_UNDER,
  TEMPERATURE_TYPE_WIDTH,
  VECTOR_COALESCING_DISABLE,
  VECTOR_IV_WIDTH,
  VECTOR_RESERVED_MASK,
  WRITE_ATOMICITY_RESERVED_MASK,
  WRITE_CACHE_ENABLE,
  WRITE_CACHE_RESERVED_MASK,
} from '../spec/nvme-features.ts';
import {
  NSID_BROADCAST,
  STATUS_COMMAND_SEQUENCE_ERROR,
  STATUS_FEATURE_NOT_NAMESPACE_SPECIFIC,
  STATUS_FEATURE_NOT_SAVEABLE,
  STATUS_INVALID_FIELD,
  STATUS_INVALID_NAMESPACE,
} from '../spec/nvme.ts';
import { Namespace } from '../wire/namespace.ts';
import { Slot } from '../wire/slot.ts';
import { DONE, refuse } from '../wire/status.ts';

/** Asynchronous Event Configuration: the five SMART warnings that mean something here; no notice is offered (OAES). */
const ASYNC_EVENTS_OFFERED: u32 = 0x1f;

export function setFeatures(slot: Slot): u32 {
  const sqe = slot.sqe;
  const fid = sqe.cdw10 & ((1 << FEATURES_FID_WIDTH) - 1);
  if ((sqe.cdw10 & SET_FEATURES_CDW10_RESERVED_MASK) != 0) return refuse(STATUS_INVALID_FIELD);
  // CDW14: the UUID Index selects from a list that does not exist here, the rest is reserved.
  if ((sqe.cdw12 | sqe.cdw13 | sqe.cdw14 | sqe.cdw15) != 0) return refuse(STATUS_INVALID_FIELD);
  if (!featureSupported(fid)) return refuse(STATUS_INVALID_FIELD);
  if ((sqe.cdw10 & SET_FEATURES_SAVE) != 0) return refuse(STATUS_FEATURE_NOT_SAVEABLE);
  if (!featureNamespaceSpecific(fid) && !nsidIsController(sqe.nsid)) {
    return refuse(
      Namespace.inRange(sqe.nsid) ? STATUS_FEATURE_NOT_NAMESPACE_SPECIFIC : STATUS_INVALID_NAMESPACE,
    );
  }
  switch (fid) {
    case FID_ARBITRATION:
      return setArbitration(sqe.cdw11);
    case FID_POWER_MANAGEMENT:
      return setPowerManagement(sqe.cdw11);
    case FID_TEMPERATURE_THRESHOLD:
      return setTemperatureThreshold(sqe.cdw11);
    case FID_ERROR_RECOVERY:
      return setErrorRecovery(sqe.nsid, sqe.cdw11);
    case FID_VOLATILE_WRITE_CACHE:
      return setVolatileWriteCache(slot, sqe.cdw11);
    case FID_NUMBER_OF_QUEUES:
      return setNumberOfQueues(slot, sqe.cdw11);
    case FID_INTERRUPT_COALESCING:
      return setInterruptCoalescing(sqe.cdw11);
    case FID_INTERRUPT_VECTOR_CONFIGURATION:
      return setInterruptVector(sqe.cdw11);
    case FID_WRITE_ATOMICITY:
      return setWriteAtomicity(sqe.cdw11);
    case FID_ASYNC_EVENT_CONFIGURATION:
      return setAsyncEvents(sqe.cdw11);
    default:
      return refuse(STATUS_INVALID_FIELD);
  }
}

function setArbitration(value: u32): u32 {
  if ((value & ARBITRATION_RESERVED_MASK) != 0) return refuse(STATUS_INVALID_FIELD);
  controller().featureArbitration = value;
  return DONE;
}

/** There is one power state, 0. */
function setPowerManagement(value: u32): u32 {
  if ((value & POWER_RESERVED_MASK) != 0) return refuse(STATUS_INVALID_FIELD);
  if ((value & ((1 << POWER_STATE_WIDTH) - 1)) != 0) return refuse(STATUS_INVALID_FIELD);
  controller().featurePower = value;
  return DONE;
}

function setTemperatureThreshold(value: u32): u32 {
  const sensor = (value >> TEMPERATURE_SENSOR_SHIFT) & ((1 << TEMPERATURE_SENSOR_WIDTH) - 1);
  const type = (value >> TEMPERATURE_TYPE_SHIFT) & ((1 << TEMPERATURE_TYPE_WIDTH) - 1);
  const threshold = <u16>(value & ((1 << TEMPERATURE_THRESHOLD_WIDTH) - 1));
  if ((value & TEMPERATURE_RESERVED_MASK) != 0) return refuse(STATUS_INVALID_FIELD);
  if (sensor != <u32>TEMPERATURE_SENSOR_COMPOSITE && sensor != <u32>TEMPERATURE_SENSOR_ALL) {
    return refuse(STATUS_INVALID_FIELD);
  }
  if (type == <u32>TEMPERATURE_TYPE_OVER) controller().featureTemperatureOver = threshold;
  else if (type == <u32>TEMPERATURE_TYPE_UNDER) controller().featureTemperatureUnder = threshold;
  else return refuse(STATUS_INVALID_FIELD);
  warningsReview();
  return DONE;
}

/** For one namespace or, with the broadcast NSID, for all that are attached. DULBE is not offered (NSFEAT bit 2). */
function setErrorRecovery(nsid: u32, value: u32): u32 {
  if (nsid != <u32>NSID_BROADCAST) {
    const status = nsidCheck(nsid);
    if (status != DONE) return status;
  }
  if ((value & (ERROR_RECOVERY_RESERVED_MASK | ERROR_RECOVERY_DULBE)) != 0)
    return refuse(STATUS_INVALID_FIELD);
  if (nsid != <u32>NSID_BROADCAST) {
    errorRecoverySet(nsid, value);
    return DONE;
  }
  for (let each: u32 = 1; each <= <u32>NAMESPACE_COUNT; each++) errorRecoverySet(each, value);
  return DONE;
}

function setVolatileWriteCache(slot: Slot, value: u32): u32 {
  if ((value & WRITE_CACHE_RESERVED_MASK) != 0) return refuse(STATUS_INVALID_FIELD);
  // From here on each write is durable by itself; the flushes take care of those before, and of a first attempt
  // that a crash of the caller cut short.
  controller().featureWriteCache = value;
  return (value & WRITE_CACHE_ENABLE) == 0 ? flushAllBegin(slot) : DONE;
}

/** All queues are allocated, whatever was asked for; asking is over once a queue exists (Base 5.27.1.5). */
function setNumberOfQueues(slot: Slot, value: u32): u32 {
  const mask: u32 = (1 << QUEUES_SQ_Z_WIDTH) - 1;
  if ((value & mask) == <u32>QUEUES_Z_INVALID || value >> QUEUES_CQ_Z_SHIFT == <u32>QUEUES_Z_INVALID) {
    return refuse(STATUS_INVALID_FIELD);
  }
  if (ioQueuesExist()) return refuse(STATUS_COMMAND_SEQUENCE_ERROR);
  slot.result = (queuePairs() - 1) | ((queuePairs() - 1) << QUEUES_CQ_Z_SHIFT);
  return DONE;
}

function setInterruptCoalescing(value: u32): u32 {
  if ((value & COALESCING_RESERVED_MASK) != 0) return refuse(STATUS_INVALID_FIELD);
  controller().featureCoalescing = value;
  return DONE;
}

function setInterruptVector(value: u32): u32 {
  const vector = value & ((1 << VECTOR_IV_WIDTH) - 1);
  if ((value & VECTOR_RESERVED_MASK) != 0 || vector >= vectorCount()) return refuse(STATUS_INVALID_FIELD);
  vectorCoalescingDisable(vector, (value & VECTOR_COALESCING_DISABLE) != 0);
  return DONE;
}

function setWriteAtomicity(value: u32): u32 {
  if ((value & WRITE_ATOMICITY_RESERVED_MASK) != 0) return refuse(STATUS_INVALID_FIELD);
  controller().featureWriteAtomicity = value;
  return DONE;
}

function setAsyncEvents(value: u32): u32 {
  if ((value & ~ASYNC_EVENTS_OFFERED) != 0) return refuse(STATUS_INVALID_FIELD);
  controller().featureAsyncEvents = value;
  warningsReview();
  return DONE;
}
