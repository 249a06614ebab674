// ADMIN_COMMAND and IO_COMMAND: whole commands with their data.

import * as nvme from '../../../../assembly/spec/nvme.ts';
import * as spec from '../../../../assembly/spec/vhost-user-nvme.ts';
import { HEADER_BYTES } from '../../../../assembly/spec/vhost-user.ts';
import { reply, viewOf } from './header.ts';
import { outOfRange, ProtocolError } from './protocol-error.ts';
import { reserved } from './registers.ts';

/** The lowest bit of an opcode: data go to the controller. */
const OPCODE_TO_CONTROLLER = 1;

export interface Command {
  opcode: number;
  cid: number;
  /** The whole entry, 64 bytes. */
  entry: Uint8Array;
  /** What a command that transfers to the controller brings. */
  data: Uint8Array | undefined;
  /** Bytes of it, or else those that the front end has room for. */
  dataBytes: number;
}

/** `most`: bytes of data that a command of this set carries. */
export function parseCommand(payload: Uint8Array, most: number): Command | ProtocolError {
  if (payload.length < spec.COMMAND_DATA) return wrongSize(payload, spec.COMMAND_DATA);
  const view = viewOf(payload);
  const dataBytes = view.getUint32(spec.COMMAND_DATA_BYTES, true);
  if (dataBytes > most) return outOfRange(`${dataBytes} bytes of data, where a command carries ${most}`);
  const opcode = view.getUint8(spec.COMMAND_SQE + nvme.SQE_OPCODE);
  const brings = (opcode & OPCODE_TO_CONTROLLER) !== 0;
  const due = spec.COMMAND_DATA + (brings ? dataBytes : 0);
  if (payload.length !== due) return wrongSize(payload, due);
  if (view.getUint32(spec.COMMAND_RESERVED, true) !== 0) return reserved('a command');
  return {
    opcode,
    cid: view.getUint16(spec.COMMAND_SQE + nvme.SQE_CID, true),
    entry: payload.subarray(spec.COMMAND_SQE, spec.COMMAND_SQE + nvme.SQE_BYTES),
    data: brings ? payload.subarray(spec.COMMAND_DATA) : undefined,
    dataBytes,
  };
}

/** `status`: SCT << 8 | SC, with DNR. */
export function encodeCommandReply(
  request: number,
  cid: number,
  completion: { status: number; result: number; data: Uint8Array },
): Uint8Array {
  const { status, result, data } = completion;
  const view = reply(request, spec.COMMAND_REPLY_DATA + data.length);
  const entry = HEADER_BYTES + spec.COMMAND_REPLY_CQE;
  view.setUint32(entry + nvme.CQE_DW0, result, true);
  view.setUint16(entry + nvme.CQE_CID, cid, true);
  view.setUint16(entry + nvme.CQE_STATUS, status << nvme.CQE_STATUS_SHIFT, true);
  const whole = new Uint8Array(view.buffer);
  whole.set(data, HEADER_BYTES + spec.COMMAND_REPLY_DATA);
  return whole;
}

function wrongSize(payload: Uint8Array, due: number): ProtocolError {
  return new ProtocolError('VHOST_USER_SIZE', `a command of ${payload.length} bytes where ${due} are due`);
}
