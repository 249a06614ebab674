// Get Log Page (Base 5.16) with offsets (LPOL, LPOU) and 32-bit lengths (NUMDL, NUMDU). Every page is built whole in
// the slot's private memory and then moved down by the offset: one place decides what a guest may see of it. Pages of
// index type do not exist here, nor pages of one namespace; a length beyond the page reads zeros.

import { CONFIG_BASE, DATA_BUFFER_BYTES } from '../abi/memory-map.ts';
import { CONFIG_FIRMWARE } from '../abi/records.ts';
import { asyncEventClear } from './async-events.ts';
import { changedClear, changedFill, changesReview } from './changed-namespaces.ts';
import { errorLogFill } from './error-log.ts';
import { healthLogFill } from './health.ts';
import { nsidIsController } from './namespaces.ts';
import { ERROR_LOG_ENTRIES, controller } from '../wire/controller.ts';
import { TRANSFER_BYTES_MAX, dataOut } from '../dptr/transfer.ts';
import { CSI_NVM, IDCTRL_FR_BYTES } from '../spec/nvme-identify.ts';
import {
  LID_CHANGED_NAMESPACES,
  LID_EFFECTS,
  LID_ERROR,
  LID_FEATURES,
  LID_FIRMWARE_SLOT,
  LID_MI_EFFECTS,
  LID_SMART,
  LID_SUPPORTED_PAGES,
  LOG_CDW14_RESERVED_MASK,
  LOG_CHANGED_BYTES,
  LOG_CSI_SHIFT,
  LOG_EFFECTS_BYTES,
  LOG_ERROR_ENTRY_BYTES,
  LOG_FEATURES_BYTES,
  LOG_FIRMWARE_AFI,
  LOG_FIRMWARE_BYTES,
  LOG_FIRMWARE_FRS1,
  LOG_LID_WIDTH,
  LOG_LSI_SHIFT,
  LOG_LSP_SHIFT,
  LOG_LSP_WIDTH,
  LOG_MI_EFFECTS_BYTES,
  LOG_NUMDL_Z_SHIFT,
  LOG_NUMDU_WIDTH,
  LOG_OFFSET_ALIGN_MASK,
  LOG_OFFSET_TYPE_INDEX,
  LOG_RAE,
  LOG_SMART_BYTES,
  LOG_SUPPORTED_BYTES,
  LOG_SUPPORTED_LSUPP,
  LOG_UUID_INDEX_WIDTH,
} from '../spec/nvme-logs.ts';
import { STATUS_INVALID_FIELD, STATUS_INVALID_LOG_PAGE, STATUS_INVALID_NAMESPACE } from '../spec/nvme.ts';
import { Namespace } from '../wire/namespace.ts';
import { Slot } from '../wire/slot.ts';
import { DONE, refuse } from '../wire/status.ts';
import { effectsFill, featuresFill } from './effects.ts';

if (ERROR_LOG_ENTRIES * LOG_ERROR_ENTRY_BYTES > <u32>DATA_BUFFER_BYTES)
  ERROR('the error log must fit a private page');

export function getLogPage(slot: Slot): u32 {
  const sqe = slot.sqe;
  const lid = sqe.cdw10 & ((1 << LOG_LID_WIDTH) - 1);
  const size = logBytes(lid);
  if (size == 0) return refuse(STATUS_INVALID_LOG_PAGE);
  const status = fieldsCheck(slot);
  if (status != DONE) return status;
  // 64 bits: NUMD counts dwords from zero in 32 bits, and the largest of them is 16 GiB.
  const dwords: u64 =
    ((<u64>(sqe.cdw11 & ((1 << LOG_NUMDU_WIDTH) - 1))) << 16) | (sqe.cdw10 >> LOG_NUMDL_Z_SHIFT);
  const bytes = (dwords + 1) << 2;
  if (bytes > <u64>TRANSFER_BYTES_MAX) return refuse(STATUS_INVALID_FIELD);
  const offset = (<u64>sqe.cdw12) | ((<u64>sqe.cdw13) << 32);
  if (offset > <u64>size) return refuse(STATUS_INVALID_FIELD);
  logFill(lid, slot.data);
  windowShow(slot.data, size, <u32>offset);
  const code = dataOut(slot, <u32>bytes);
  // At its end already: there is no guest's buffer to wait for.
  if (code == DONE) logPageRead(slot);
  return code;
}

/** The page of this slot's command has reached the guest: without RAE the event that it explains is cleared. */
export function logPageRead(slot: Slot): void {
  const cdw10 = slot.sqe.cdw10;
  if ((cdw10 & LOG_RAE) != 0) return;
  const lid = cdw10 & ((1 << LOG_LID_WIDTH) - 1);
  if (lid == <u32>LID_SMART) controller().warningsReported = 0;
  if (lid == <u32>LID_CHANGED_NAMESPACES) changedClear();
  asyncEventClear(lid);
  // What changed while the page was on its way has an event of its own.
  if (lid == <u32>LID_CHANGED_NAMESPACES) changesReview();
}

/** Size of a log page; 0: there is no such page here. */
function logBytes(lid: u32): u32 {
  switch (lid) {
    case LID_SUPPORTED_PAGES:
      return LOG_SUPPORTED_BYTES;
    case LID_ERROR:
      return ERROR_LOG_ENTRIES * LOG_ERROR_ENTRY_BYTES;
    case LID_SMART:
      return LOG_SMART_BYTES;
    case LID_FIRMWARE_SLOT:
      return LOG_FIRMWARE_BYTES;
    case LID_CHANGED_NAMESPACES:
      return LOG_CHANGED_BYTES;
    case LID_EFFECTS:
      return LOG_EFFECTS_BYTES;
    case LID_FEATURES:
      return LOG_FEATURES_BYTES;
    case LID_MI_EFFECTS:
      return LOG_MI_EFFECTS_BYTES;
    default:
      return 0;
  }
}

/** NSID, then everything that these pages do not use: LSP, LSI, UUID index, index offsets, other command sets. */
function fieldsCheck(slot: Slot): u32 {
  const sqe = slot.sqe;
  if (!nsidIsController(sqe.nsid)) {
    return refuse(Namespace.inRange(sqe.nsid) ? STATUS_INVALID_FIELD : STATUS_INVALID_NAMESPACE);
  }
  const csi = sqe.cdw14 >> LOG_CSI_SHIFT;
  if (
    ((sqe.cdw10 >> LOG_LSP_SHIFT) & ((1 << LOG_LSP_WIDTH) - 1)) != 0 ||
    sqe.cdw11 >> LOG_LSI_SHIFT != 0 ||
    (sqe.cdw12 & LOG_OFFSET_ALIGN_MASK) != 0 ||
    (sqe.cdw14 & ((1 << LOG_UUID_INDEX_WIDTH) - 1)) != 0 ||
    sqe.cdw15 != 0 ||
    (sqe.cdw14 & (LOG_OFFSET_TYPE_INDEX | LOG_CDW14_RESERVED_MASK)) != 0 ||
    csi != <u32>CSI_NVM
  ) {
    return refuse(STATUS_INVALID_FIELD);
  }
  return DONE;
}

function logFill(lid: u32, at: usize): void {
  memory.fill(at, 0, DATA_BUFFER_BYTES);
  switch (lid) {
    case LID_SUPPORTED_PAGES:
      for (let each: u32 = 0; each < 256; each++) {
        if (logBytes(each) != 0) store<u32>(at + (each << 2), LOG_SUPPORTED_LSUPP);
      }
      return;
    case LID_ERROR:
      errorLogFill(at);
      return;
    case LID_SMART:
      healthLogFill(at);
      return;
    case LID_FIRMWARE_SLOT:
      store<u8>(at, 1, LOG_FIRMWARE_AFI);
      memory.copy(at + LOG_FIRMWARE_FRS1, CONFIG_BASE + CONFIG_FIRMWARE, IDCTRL_FR_BYTES);
      return;
    case LID_CHANGED_NAMESPACES:
      changedFill(at);
      return;
    case LID_EFFECTS:
      effectsFill(at);
      return;
    case LID_FEATURES:
      featuresFill(at);
      return;
    default:
      // NVMe-MI Commands Supported and Effects: none, all zeros.
      return;
  }
}

/** Moves the page down so that it begins at `offset` (at most `size`); behind its end are zeros. */
function windowShow(at: usize, size: u32, offset: u32): void {
  memory.copy(at, at + offset, size - offset);
  memory.fill(at + size - offset, 0, offset);
}
