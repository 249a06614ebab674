// Set Features (Base 5.27). SV saves what saved-features.ts lists, and is refused for the rest. A value that this
// controller cannot honour (a power state, a sensor, a vector that does not exist, a reserved bit) is Invalid Field
// rather than stored and forgotten. Timestamp and Host Behavior Support bring data, which set-features-data.ts takes.
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
import { changesReview } from './changed-namespaces.ts';
import { warningsReview } from './health.ts';
import { keepAliveSet } from './keep-alive.ts';
import { nsidCheck, nsidIsController } from './namespaces.ts';
import { featureSave, featureSaveable } from './saved-features.ts';
import { featureDataBegin } from './set-features-data.ts';
import { controller } from '../wire/controller.ts';
import { persistent } from '../wire/persistent.ts';
import { flushAllBegin } from '../dptr/flush-all.ts';
import { ioQueuesExist } from '../queue/lifecycle.ts';
import {
  AEC_NAMESPACE_ATTRIBUTE,
  ARBITRATION_RESERVED_MASK,
  COALESCING_RESERVED_MASK,
  ERROR_RECOVERY_DULBE,
  ERROR_RECOVERY_RESERVED_MASK,
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
  POWER_RESERVED_MASK,
  POWER_STATE_WIDTH,
  PROGRESS_RESERVED_MASK,
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
import { ISSUE, Slot } from '../wire/slot.ts';
import { DONE, refuse } from '../wire/status.ts';

/** Asynchronous Event Configuration: the five SMART warnings that mean something here, and the notices of OAES. */
const ASYNC_EVENTS_OFFERED: u32 = 0x1f | AEC_NAMESPACE_ATTRIBUTE;

export function setFeatures(slot: Slot): u32 {
  const sqe = slot.sqe;
  const fid = sqe.cdw10 & ((1 << FEATURES_FID_WIDTH) - 1);
  if ((sqe.cdw10 & SET_FEATURES_CDW10_RESERVED_MASK) != 0) return refuse(STATUS_INVALID_FIELD);
  // CDW14: the UUID Index selects from a list that does not exist here, the rest is reserved.
  if ((sqe.cdw12 | sqe.cdw13 | sqe.cdw14 | sqe.cdw15) != 0) return refuse(STATUS_INVALID_FIELD);
  if (!featureSupported(fid)) return refuse(STATUS_INVALID_FIELD);
  const save = (sqe.cdw10 & SET_FEATURES_SAVE) != 0;
  if (save && !featureSaveable(fid)) return refuse(STATUS_FEATURE_NOT_SAVEABLE);
  if (!featureNamespaceSpecific(fid) && !nsidIsController(sqe.nsid)) {
    return refuse(
      Namespace.inRange(sqe.nsid) ? STATUS_FEATURE_NOT_NAMESPACE_SPECIFIC : STATUS_INVALID_NAMESPACE,
    );
  }
  const status = valueSet(slot, fid);
  // ISSUE: the value holds already, what is left is to flush.
  if (save && (status == DONE || status == ISSUE)) valueSave(fid);
  return status;
}

function valueSet(slot: Slot, fid: u32): u32 {
  const sqe = slot.sqe;
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
    case FID_TIMESTAMP:
    case FID_HOST_BEHAVIOR:
      return featureDataBegin(slot, fid);
    case FID_KEEP_ALIVE_TIMER:
      keepAliveSet(sqe.cdw11);
      return DONE;
    case FID_SOFTWARE_PROGRESS_MARKER:
      return setProgressMarker(sqe.cdw11);
    default:
      return refuse(STATUS_INVALID_FIELD);
  }
}

/** The value that was just set outlives resets and power. */
function valueSave(fid: u32): void {
  const c = controller();
  switch (fid) {
    case FID_ARBITRATION:
      featureSave(fid, c.featureArbitration);
      return;
    case FID_POWER_MANAGEMENT:
      featureSave(fid, c.featurePower);
      return;
    case FID_TEMPERATURE_THRESHOLD:
      featureSave(fid, (<u32>c.featureTemperatureOver) | ((<u32>c.featureTemperatureUnder) << 16));
      return;
    case FID_VOLATILE_WRITE_CACHE:
      featureSave(fid, c.featureWriteCache);
      return;
    case FID_INTERRUPT_COALESCING:
      featureSave(fid, c.featureCoalescing);
      return;
    case FID_WRITE_ATOMICITY:
      featureSave(fid, c.featureWriteAtomicity);
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
  changesReview();
  return DONE;
}

/** Persistent by itself (Base 5.27.1.24): with or without Save. */
function setProgressMarker(value: u32): u32 {
  if ((value & PROGRESS_RESERVED_MASK) != 0) return refuse(STATUS_INVALID_FIELD);
  persistent().progress = value;
  return DONE;
}
