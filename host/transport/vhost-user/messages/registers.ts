// Registers and PCI function: GET_REGISTER, SET_REGISTER, SET_FUNCTION, SET_DOORBELL, and what the back end tells of
// them: BACKEND_STATUS, BACKEND_SHADOW_DOORBELLS.

import * as nvme from '../../../../assembly/spec/nvme.ts';
import * as spec from '../../../../assembly/spec/vhost-user-nvme.ts';
import { FLAG_VERSION, HEADER_BYTES, HEADER_FLAGS } from '../../../../assembly/spec/vhost-user.ts';
import { reply, sizeCheck, viewOf } from './header.ts';
import { outOfRange, type ProtocolError } from './protocol-error.ts';

/** An access that is aligned and inside the registers. */
export interface RegisterAccess {
  /** In BAR0. */
  offset: number;
  /** Bytes: 4 or 8. */
  size: number;
}

export function parseGetRegister(payload: Uint8Array): RegisterAccess | ProtocolError {
  return sizeCheck(payload, spec.GET_REGISTER_BYTES) ?? accessOf(payload);
}

export interface RegisterWrite {
  offset: number;
  /** 4 or 8 of them. */
  bytes: Uint8Array;
}

export function parseSetRegister(payload: Uint8Array): RegisterWrite | ProtocolError {
  const access = sizeCheck(payload, spec.SET_REGISTER_BYTES) ?? accessOf(payload);
  if (access instanceof Error) return access;
  const { offset, size } = access;
  const value = payload.subarray(spec.REGISTER_VALUE, spec.SET_REGISTER_BYTES);
  if (value.subarray(size).some((byte) => byte !== 0)) {
    return outOfRange(`a value of more than ${size} bytes for the register at 0x${offset.toString(16)}`);
  }
  return { offset, bytes: value.subarray(0, size) };
}

function accessOf(payload: Uint8Array): RegisterAccess | ProtocolError {
  const view = viewOf(payload);
  const offset = view.getUint32(spec.REGISTER_OFFSET, true);
  const size = view.getUint32(spec.REGISTER_SIZE, true);
  if ((size !== 4 && size !== 8) || offset % size !== 0 || offset >= nvme.REG_DOORBELLS) {
    return outOfRange(`${size} bytes at 0x${offset.toString(16)} are no register`);
  }
  return { offset, size };
}

/** The value, zero-extended. */
export function encodeRegisterReply(bytes: Uint8Array): Uint8Array {
  const view = reply(spec.REQUEST_GET_REGISTER, spec.GET_REGISTER_REPLY_BYTES);
  const whole = new Uint8Array(view.buffer);
  whole.set(bytes, HEADER_BYTES + spec.GET_REGISTER_REPLY_VALUE);
  return whole;
}

/** What the guest wrote to configuration space, as the bytes that stand there. */
export interface FunctionWrite {
  /** PCI Command. */
  command: Uint8Array;
  /** MSI-X Message Control. */
  msixControl: Uint8Array;
}

export function parseFunction(payload: Uint8Array): FunctionWrite | ProtocolError {
  const wrong = sizeCheck(payload, spec.FUNCTION_BYTES);
  if (wrong !== undefined) return wrong;
  if (viewOf(payload).getUint32(spec.FUNCTION_RESERVED, true) !== 0) return reserved('a function');
  return {
    command: payload.subarray(spec.FUNCTION_COMMAND, spec.FUNCTION_COMMAND + 2),
    msixControl: payload.subarray(spec.FUNCTION_MSIX_CONTROL, spec.FUNCTION_MSIX_CONTROL + 2),
  };
}

/** A doorbell of one of `queuePairs` pairs of queues, the admin queues among them. */
export function parseDoorbell(payload: Uint8Array, queuePairs: number): RegisterWrite | ProtocolError {
  const wrong = sizeCheck(payload, spec.SET_DOORBELL_BYTES);
  if (wrong !== undefined) return wrong;
  const offset = viewOf(payload).getUint32(spec.DOORBELL_OFFSET, true);
  if (offset % nvme.DOORBELL_BYTES !== 0 || offset >= 2 * nvme.DOORBELL_BYTES * queuePairs) {
    return outOfRange(
      `a doorbell at 0x${offset.toString(16)}, where there are ${queuePairs} pairs of queues`,
    );
  }
  const bytes = payload.subarray(spec.DOORBELL_VALUE, spec.SET_DOORBELL_BYTES);
  return { offset: nvme.REG_DOORBELLS + offset, bytes };
}

export function encodeStatus(csts: number): Uint8Array {
  const view = backendRequest(spec.BACKEND_STATUS, spec.STATUS_BYTES);
  view.setUint32(HEADER_BYTES + spec.STATUS_CSTS, csts, true);
  return new Uint8Array(view.buffer);
}

export function encodeShadowDoorbells(isOn: boolean): Uint8Array {
  const view = backendRequest(spec.BACKEND_SHADOW_DOORBELLS, spec.SHADOW_DOORBELLS_BYTES);
  view.setUint32(HEADER_BYTES + spec.SHADOW_DOORBELLS_ON, isOn ? 1 : 0, true);
  return new Uint8Array(view.buffer);
}

/** What the back end sends of its own accord is a request: its flags are those of one. */
function backendRequest(request: number, payloadBytes: number): DataView<ArrayBuffer> {
  const view = reply(request, payloadBytes);
  view.setUint32(HEADER_FLAGS, FLAG_VERSION, true);
  return view;
}

export function reserved(what: string): ProtocolError {
  return outOfRange(`reserved fields of ${what} are not 0`);
}
