// The admin command set (Base 5): which opcodes exist, and who executes each. A handler returns a status, or says
// that the command goes on (slot.ts).

import { shadowDoorbellsOffered } from './features.ts';
import {
  ADMIN_ABORT,
  ADMIN_ASYNC_EVENT_REQUEST,
  ADMIN_CREATE_IO_CQ,
  ADMIN_CREATE_IO_SQ,
  ADMIN_DELETE_IO_CQ,
  ADMIN_DELETE_IO_SQ,
  ADMIN_DOORBELL_BUFFER_CONFIG,
  ADMIN_GET_FEATURES,
  ADMIN_GET_LOG_PAGE,
  ADMIN_IDENTIFY,
  ADMIN_KEEP_ALIVE,
  ADMIN_SET_FEATURES,
  STATUS_INVALID_OPCODE,
} from '../spec/nvme.ts';
import { controller } from '../wire/controller.ts';
import { Slot } from '../wire/slot.ts';
import { refuse } from '../wire/status.ts';
import { abort } from './abort.ts';
import { asyncEventRequest } from './async-event-request.ts';
import { createIoCq } from './create-io-cq.ts';
import { createIoSq } from './create-io-sq.ts';
import { deleteIoCq } from './delete-io-cq.ts';
import { deleteIoSq } from './delete-io-sq.ts';
import { doorbellBufferConfig } from './doorbell-buffer-config.ts';
import { getFeatures } from './get-features.ts';
import { getLogPage } from './get-log-page.ts';
import { identify } from './identify.ts';
import { keepAlive } from './keep-alive.ts';
import { setFeatures } from './set-features.ts';

/** Executes a command of the admin queue, or goes on with it. */
export function adminExecute(slot: Slot): u32 {
  const opcode: u32 = slot.sqe.opcode;
  switch (opcode) {
    case ADMIN_DELETE_IO_SQ:
      return deleteIoSq(slot);
    case ADMIN_CREATE_IO_SQ:
      return createIoSq(slot, controller().entrySizesSet);
    case ADMIN_GET_LOG_PAGE:
      return getLogPage(slot);
    case ADMIN_DELETE_IO_CQ:
      return deleteIoCq(slot);
    case ADMIN_CREATE_IO_CQ:
      return createIoCq(slot, controller().entrySizesSet);
    case ADMIN_IDENTIFY:
      return identify(slot);
    case ADMIN_ABORT:
      return abort(slot);
    case ADMIN_SET_FEATURES:
      return setFeatures(slot);
    case ADMIN_GET_FEATURES:
      return getFeatures(slot);
    case ADMIN_ASYNC_EVENT_REQUEST:
      return asyncEventRequest(slot);
    case ADMIN_KEEP_ALIVE:
      return keepAlive(slot);
    case ADMIN_DOORBELL_BUFFER_CONFIG:
      if (shadowDoorbellsOffered()) return doorbellBufferConfig(slot);
      return refuse(STATUS_INVALID_OPCODE);
    default:
      return refuse(STATUS_INVALID_OPCODE);
  }
}

/** Whether adminExecute knows this opcode: the Commands Supported and Effects log says so. */
export function adminSupported(opcode: u32): bool {
  switch (opcode) {
    case ADMIN_DELETE_IO_SQ:
    case ADMIN_CREATE_IO_SQ:
    case ADMIN_GET_LOG_PAGE:
    case ADMIN_DELETE_IO_CQ:
    case ADMIN_CREATE_IO_CQ:
    case ADMIN_IDENTIFY:
    case ADMIN_ABORT:
    case ADMIN_SET_FEATURES:
    case ADMIN_GET_FEATURES:
    case ADMIN_ASYNC_EVENT_REQUEST:
    case ADMIN_KEEP_ALIVE:
      return true;
    case ADMIN_DOORBELL_BUFFER_CONFIG:
      return shadowDoorbellsOffered();
    default:
      return false;
  }
}
