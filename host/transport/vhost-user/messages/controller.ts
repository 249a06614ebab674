// GET_CONTROLLER and SET_CONTROLLER: what the controller is, and what the VMM decides about it.

import * as pci from '../../../../assembly/spec/pci.ts';
import * as spec from '../../../../assembly/spec/vhost-user-nvme.ts';
import { HEADER_BYTES } from '../../../../assembly/spec/vhost-user.ts';
import { reply, sizeCheck, viewOf } from './header.ts';
import type { ProtocolError } from './protocol-error.ts';
import { reserved } from './registers.ts';

export interface ControllerFacts {
  /** The registers CAP, 8 bytes, and VS, 4 bytes. */
  cap: Uint8Array;
  vs: Uint8Array;
  /** MSI-X vectors, one more than pairs of I/O queues. */
  vectors: number;
  /** Bytes of a state file. */
  stateBytes: number;
  /** The header of configuration space. */
  config: Uint8Array;
}

export function encodeController({ cap, vs, vectors, stateBytes, config }: ControllerFacts): Uint8Array {
  const view = reply(spec.REQUEST_GET_CONTROLLER, spec.CONTROLLER_REPLY_BYTES);
  const whole = new Uint8Array(view.buffer);
  const place = (at: number, bytes: Uint8Array): void => whole.set(bytes, HEADER_BYTES + at);
  const configured = (at: number, from: number, length: number): void =>
    place(at, config.subarray(from, from + length));
  place(spec.CONTROLLER_CAP, cap);
  place(spec.CONTROLLER_VS, vs);
  view.setUint32(HEADER_BYTES + spec.CONTROLLER_IO_QUEUE_PAIRS, vectors - 1, true);
  view.setUint32(HEADER_BYTES + spec.CONTROLLER_VECTORS, vectors, true);
  view.setUint32(HEADER_BYTES + spec.CONTROLLER_DOORBELL_BYTES, spec.DOORBELL_PAGE_BYTES, true);
  view.setBigUint64(HEADER_BYTES + spec.CONTROLLER_STATE_BYTES, BigInt(stateBytes), true);
  configured(spec.CONTROLLER_VENDOR_ID, pci.CONFIG_VENDOR_ID, 2);
  configured(spec.CONTROLLER_DEVICE_ID, pci.CONFIG_DEVICE_ID, 2);
  configured(spec.CONTROLLER_SUBSYSTEM_VENDOR_ID, pci.CONFIG_SUBSYSTEM_VENDOR_ID, 2);
  configured(spec.CONTROLLER_SUBSYSTEM_ID, pci.CONFIG_SUBSYSTEM_ID, 2);
  configured(spec.CONTROLLER_CLASS_REVISION, pci.CONFIG_REVISION, 4);
  view.setUint32(HEADER_BYTES + spec.CONTROLLER_DATA_BYTES_MAX, spec.COMMAND_DATA_BYTES_MAX, true);
  return whole;
}

export interface Limits {
  /** undefined: all that the target has. */
  ioQueuePairs: number | undefined;
  /** undefined: the target's own. Whether it is ASCII is not known yet. */
  serial: string | undefined;
}

export function parseLimits(payload: Uint8Array): Limits | ProtocolError {
  const wrong = sizeCheck(payload, spec.LIMITS_BYTES);
  if (wrong !== undefined) return wrong;
  const view = viewOf(payload);
  if (
    view.getUint32(spec.LIMITS_RESERVED, true) !== 0 ||
    view.getUint32(spec.LIMITS_RESERVED_2, true) !== 0
  ) {
    return reserved('limits');
  }
  const pairs = view.getUint32(spec.LIMITS_IO_QUEUE_PAIRS, true);
  const field = payload.subarray(spec.LIMITS_SERIAL, spec.LIMITS_SERIAL + spec.LIMITS_SERIAL_BYTES);
  const serial = String.fromCharCode(...field).replace(/[ \0]+$/, '');
  return { ioQueuePairs: pairs === 0 ? undefined : pairs, serial: serial === '' ? undefined : serial };
}
