// The private requests of the 2019 device: admin commands with their replies, interrupts, doorbells.

import * as nvme from '../../../../assembly/spec/nvme.ts';
import * as spec from '../../../../assembly/spec/vhost-user.ts';
import { reply, sizeCheck, viewOf } from './header.ts';
import { ProtocolError } from './protocol-error.ts';

// ---- NVME_ADMIN ------------------------------------------------------------------------------------------------

export interface AdminCommand {
  opcode: number;
  cid: number;
  nsid: number;
  cdw10: number;
  cdw11: number;
  /** The whole entry, 64 bytes. */
  entry: Uint8Array;
}

export function parseAdmin(payload: Uint8Array): AdminCommand | ProtocolError {
  const wrong = sizeCheck(payload, spec.ADMIN_BYTES);
  if (wrong !== undefined) return wrong;
  const view = viewOf(payload);
  return {
    opcode: view.getUint8(nvme.SQE_OPCODE),
    cid: view.getUint16(nvme.SQE_CID, true),
    nsid: view.getUint32(nvme.SQE_NSID, true),
    cdw10: view.getUint32(nvme.SQE_CDW10, true),
    cdw11: view.getUint32(nvme.SQE_CDW11, true),
    entry: payload,
  };
}

/** An entry of zeros but for these fields: at start the device leaves rubbish from its stack in all others. */
export function encodeEntry(opcode: number, cid: number, nsid: number, cdw10: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(spec.ADMIN_BYTES));
  view.setUint8(nvme.SQE_OPCODE, opcode);
  view.setUint16(nvme.SQE_CID, cid, true);
  view.setUint32(nvme.SQE_NSID, nsid, true);
  view.setUint32(nvme.SQE_CDW10, cdw10, true);
  return new Uint8Array(view.buffer);
}

/** The same entry with another CDW11. */
export function withCdw11(entry: Uint8Array, cdw11: number): Uint8Array {
  const copy = Uint8Array.from(entry);
  viewOf(copy).setUint32(nvme.SQE_CDW11, cdw11, true);
  return copy;
}

/**
 * The reply: status (SCT << 8 | SC, with DNR) and dword 0. With `data`, however long, it is 4,112 bytes, as for every
 * Identify; what is not sent and what there is none of is zero.
 */
export function encodeAdminReply(cid: number, status: number, result: number, data?: Uint8Array): Uint8Array {
  const bytes = data === undefined ? spec.ADMIN_REPLY_BYTES : spec.ADMIN_REPLY_DATA_BYTES;
  const view = reply(spec.REQUEST_NVME_ADMIN, bytes);
  view.setUint32(spec.HEADER_BYTES + nvme.CQE_DW0, result, true);
  view.setUint16(spec.HEADER_BYTES + nvme.CQE_CID, cid, true);
  view.setUint16(spec.HEADER_BYTES + nvme.CQE_STATUS, status << nvme.CQE_STATUS_SHIFT, true);
  const whole = new Uint8Array(view.buffer);
  if (data !== undefined) {
    const room = spec.ADMIN_REPLY_DATA_BYTES - spec.ADMIN_REPLY_DATA;
    whole.set(data.subarray(0, room), spec.HEADER_BYTES + spec.ADMIN_REPLY_DATA);
  }
  return whole;
}

// ---- NVME_SET_CQ_CALL ------------------------------------------------------------------------------------------

export interface CqCall {
  cqid: number;
  hasFd: boolean;
}

export function parseCqCall(payload: Uint8Array): CqCall | ProtocolError {
  const wrong = sizeCheck(payload, spec.U64_BYTES);
  if (wrong !== undefined) return wrong;
  const value = viewOf(payload).getBigUint64(0, true);
  const known = BigInt(spec.CQ_CALL_ID_MASK | spec.CQ_CALL_NO_FD);
  const cqid = Number(value & BigInt(spec.CQ_CALL_ID_MASK));
  if ((value & ~known) !== 0n || cqid === 0 || cqid > spec.LEGACY_QUEUE_PAIRS_MAX) {
    return new ProtocolError('VHOST_USER_RANGE', `an eventfd for completion queue 0x${value.toString(16)}`);
  }
  return { cqid, hasFd: (value & BigInt(spec.CQ_CALL_NO_FD)) === 0n };
}

// ---- NVME_IO_CMD -----------------------------------------------------------------------------------------------

export interface Doorbell {
  /** Offset in BAR0. */
  offset: number;
  value: number;
}

export function parseIoCmd(payload: Uint8Array): Doorbell | ProtocolError {
  const wrong = sizeCheck(payload, spec.IO_CMD_BYTES);
  if (wrong !== undefined) return wrong;
  const view = viewOf(payload);
  const type = view.getUint32(spec.IO_CMD_TYPE, true);
  const qid = view.getUint32(spec.IO_CMD_QID, true);
  if (type !== spec.IO_CMD_TYPE_SUBMISSION && type !== spec.IO_CMD_TYPE_COMPLETION) {
    return new ProtocolError('VHOST_USER_RANGE', `a doorbell of type ${type}`);
  }
  if (qid === 0 || qid > spec.LEGACY_QUEUE_PAIRS_MAX) {
    return new ProtocolError('VHOST_USER_RANGE', `a doorbell of queue ${qid}`);
  }
  const index = 2 * qid + (type === spec.IO_CMD_TYPE_COMPLETION ? 1 : 0);
  return {
    offset: nvme.REG_DOORBELLS + index * nvme.DOORBELL_BYTES,
    value: view.getUint32(spec.IO_CMD_VALUE, true),
  };
}
