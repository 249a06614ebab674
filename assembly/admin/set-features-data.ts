// Set Features with data: Timestamp (0Eh) and Host Behavior Support (16h). The guest's buffer is read once, into the
// slot's private page; then the value is looked at. A command given directly brings no data, so it is refused.

import { dataIn } from '../dptr/transfer.ts';
import {
  FEATURES_FID_WIDTH,
  FID_TIMESTAMP,
  HOST_BEHAVIOR_ACRE,
  HOST_BEHAVIOR_BYTES,
  TIMESTAMP_BYTES,
} from '../spec/nvme-features.ts';
import { STATUS_INVALID_FIELD } from '../spec/nvme.ts';
import { controller } from '../wire/controller.ts';
import { Slot } from '../wire/slot.ts';
import { DONE, refuse } from '../wire/status.ts';
import { timestampSet } from './timestamp.ts';

export function featureDataBegin(slot: Slot, fid: u32): u32 {
  const sqe = slot.sqe;
  if (slot.isDirect || sqe.cdw11 != 0) return refuse(STATUS_INVALID_FIELD);
  return dataIn(slot, fid == <u32>FID_TIMESTAMP ? TIMESTAMP_BYTES : HOST_BEHAVIOR_BYTES);
}

/** The data are in the private page. */
export function featureDataSet(slot: Slot): u32 {
  const fid = slot.sqe.cdw10 & ((1 << FEATURES_FID_WIDTH) - 1);
  if (fid == <u32>FID_TIMESTAMP) {
    timestampSet(slot.data);
    return DONE;
  }
  // Extended telemetry and formats with protection information are not offered: all but ACRE stays 0.
  const retry = load<u8>(slot.data, HOST_BEHAVIOR_ACRE);
  if (retry > 1) return refuse(STATUS_INVALID_FIELD);
  for (let at: u32 = HOST_BEHAVIOR_ACRE + 1; at < <u32>HOST_BEHAVIOR_BYTES; at++) {
    if (load<u8>(slot.data + at) != 0) return refuse(STATUS_INVALID_FIELD);
  }
  controller().featureRetry = retry;
  return DONE;
}
