// Fills the entry to be submitted, one function a command. The entry and the data descriptor were cleared when the
// last command was submitted, so that each function writes only what its command has.

import { DRIVER_DATA_ADDRESS, DRIVER_DATA_BYTES, DRIVER_SQE } from '../abi/driver.ts';
import { FEATURES_FID_SHIFT, GET_FEATURES_SEL_SHIFT, SET_FEATURES_SAVE } from '../spec/nvme-features.ts';
import {
  IDENTIFY_BYTES,
  IDENTIFY_CNS_SHIFT,
  IDENTIFY_CNTID_SHIFT,
  IDENTIFY_CSI_SHIFT,
} from '../spec/nvme-identify.ts';
import { LOG_LID_SHIFT, LOG_NUMDL_Z_SHIFT } from '../spec/nvme-logs.ts';
import * as nvme from '../spec/nvme.ts';

function head(state: u32, opcode: u32, nsid: u32): u32 {
  const sqe = state + DRIVER_SQE;
  store<u8>(sqe, <u8>opcode, nvme.SQE_OPCODE);
  store<u32>(sqe, nsid, nvme.SQE_NSID);
  return sqe;
}

/** Where the command's data lies in guest memory, in one piece. */
export function dataSet(state: u32, low: u32, high: u32, bytes: u32): void {
  store<u32>(state, low, DRIVER_DATA_ADDRESS);
  store<u32>(state, high, DRIVER_DATA_ADDRESS + 4);
  store<u32>(state, bytes, DRIVER_DATA_BYTES);
}

/** Read, Write, Write Zeroes and what else names blocks: `blocks` from 1, `cdw12` the flags of that dword. */
export function blocksPrepare(
  state: u32,
  opcode: u32,
  nsid: u32,
  lbaLow: u32,
  lbaHigh: u32,
  blocks: u32,
  cdw12: u32,
): void {
  const sqe = head(state, opcode, nsid);
  store<u32>(sqe, lbaLow, nvme.SQE_CDW10);
  store<u32>(sqe, lbaHigh, nvme.SQE_CDW11);
  store<u32>(sqe, ((blocks - 1) & 0xffff) | cdw12, nvme.SQE_CDW12);
}

export function flushPrepare(state: u32, nsid: u32): void {
  head(state, nvme.NVM_FLUSH, nsid);
}

/** The ranges, 16 bytes each, are the command's data (`data_set`). */
export function datasetManagementPrepare(state: u32, nsid: u32, ranges: u32, attributes: u32): void {
  const sqe = head(state, nvme.NVM_DATASET_MANAGEMENT, nsid);
  store<u32>(sqe, (ranges - 1) & 0xff, nvme.SQE_CDW10);
  store<u32>(sqe, attributes, nvme.SQE_CDW11);
}

export function identifyPrepare(state: u32, cns: u32, nsid: u32, cntid: u32, csi: u32): void {
  const sqe = head(state, nvme.ADMIN_IDENTIFY, nsid);
  store<u32>(sqe, (cns << IDENTIFY_CNS_SHIFT) | (cntid << IDENTIFY_CNTID_SHIFT), nvme.SQE_CDW10);
  store<u32>(sqe, csi << IDENTIFY_CSI_SHIFT, nvme.SQE_CDW11);
  store<u32>(state, IDENTIFY_BYTES, DRIVER_DATA_BYTES);
}

/** `cdw11`: PC, IEN and vector, or PC, priority and CQID. */
export function queueCreatePrepare(
  state: u32,
  opcode: u32,
  qid: u32,
  entries: u32,
  low: u32,
  high: u32,
  cdw11: u32,
): void {
  const sqe = head(state, opcode, 0);
  store<u32>(sqe, low, nvme.SQE_PRP1);
  store<u32>(sqe, high, nvme.SQE_PRP1 + 4);
  store<u32>(sqe, qid | (((entries - 1) & 0xffff) << nvme.CREATE_QUEUE_QSIZE_Z_SHIFT), nvme.SQE_CDW10);
  store<u32>(sqe, cdw11, nvme.SQE_CDW11);
}

export function queueDeletePrepare(state: u32, opcode: u32, qid: u32): void {
  store<u32>(head(state, opcode, 0), qid, nvme.SQE_CDW10);
}

export function doorbellBuffersPrepare(state: u32, low: u32, high: u32, eventLow: u32, eventHigh: u32): void {
  const sqe = head(state, nvme.ADMIN_DOORBELL_BUFFER_CONFIG, 0);
  store<u32>(sqe, low, nvme.SQE_PRP1);
  store<u32>(sqe, high, nvme.SQE_PRP1 + 4);
  store<u32>(sqe, eventLow, nvme.SQE_PRP2);
  store<u32>(sqe, eventHigh, nvme.SQE_PRP2 + 4);
}

export function asyncEventPrepare(state: u32): void {
  head(state, nvme.ADMIN_ASYNC_EVENT_REQUEST, 0);
}

export function abortPrepare(state: u32, sqid: u32, cid: u32): void {
  store<u32>(head(state, nvme.ADMIN_ABORT, 0), sqid | (cid << nvme.ABORT_CID_SHIFT), nvme.SQE_CDW10);
}

/** `select`: SEL_*. */
export function featureGetPrepare(state: u32, fid: u32, select: u32, cdw11: u32, nsid: u32): void {
  const sqe = head(state, nvme.ADMIN_GET_FEATURES, nsid);
  store<u32>(sqe, (fid << FEATURES_FID_SHIFT) | (select << GET_FEATURES_SEL_SHIFT), nvme.SQE_CDW10);
  store<u32>(sqe, cdw11, nvme.SQE_CDW11);
}

export function featureSetPrepare(state: u32, fid: u32, save: u32, cdw11: u32, nsid: u32): void {
  const sqe = head(state, nvme.ADMIN_SET_FEATURES, nsid);
  const saved: u32 = save != 0 ? SET_FEATURES_SAVE : 0;
  store<u32>(sqe, (fid << FEATURES_FID_SHIFT) | saved, nvme.SQE_CDW10);
  store<u32>(sqe, cdw11, nvme.SQE_CDW11);
}

/** `bytes` a multiple of 4, from 4; `flags`: bits of CDW10 (LSP, RAE). */
export function logPagePrepare(
  state: u32,
  lid: u32,
  bytes: u32,
  offsetLow: u32,
  offsetHigh: u32,
  flags: u32,
  nsid: u32,
): void {
  const sqe = head(state, nvme.ADMIN_GET_LOG_PAGE, nsid);
  const dwords = (bytes >> 2) - 1;
  store<u32>(sqe, (lid << LOG_LID_SHIFT) | ((dwords & 0xffff) << LOG_NUMDL_Z_SHIFT) | flags, nvme.SQE_CDW10);
  store<u32>(sqe, dwords >> 16, nvme.SQE_CDW11);
  store<u32>(sqe, offsetLow, nvme.SQE_CDW12);
  store<u32>(sqe, offsetHigh, nvme.SQE_CDW13);
  store<u32>(state, bytes, DRIVER_DATA_BYTES);
}
