// DEVICE_GET_INFO, DEVICE_GET_REGION_INFO and DEVICE_GET_IRQ_INFO: what the device has.

import * as spec from '../../../../assembly/spec/vfio-user.ts';
import { bytesOf, checkArgsz, reply, viewOf, type Header } from './header.ts';
import type { ProtocolError } from './protocol-error.ts';

// ---- VFIO_USER_DEVICE_GET_INFO -------------------------------------------------------------------------------

export function parseDeviceInfo(payload: Uint8Array): ProtocolError | undefined {
  return checkArgsz(payload, spec.DEVICE_INFO_BYTES);
}

/** A PCI device that can be reset, with the regions and interrupt types that PCI devices have. */
export function encodeDeviceInfoReply(header: Header): Uint8Array {
  const view = reply(header, spec.DEVICE_INFO_BYTES);
  const at = spec.HEADER_BYTES;
  view.setUint32(at + spec.DEVICE_INFO_ARGSZ, spec.DEVICE_INFO_BYTES, true);
  view.setUint32(at + spec.DEVICE_INFO_FLAGS, spec.DEVICE_FLAG_PCI | spec.DEVICE_FLAG_RESET, true);
  view.setUint32(at + spec.DEVICE_INFO_NUM_REGIONS, spec.REGION_INDEX_COUNT, true);
  view.setUint32(at + spec.DEVICE_INFO_NUM_IRQS, spec.IRQ_INDEX_COUNT, true);
  return bytesOf(view);
}

// ---- VFIO_USER_DEVICE_GET_REGION_INFO ------------------------------------------------------------------------

/** The index of the region asked for. */
export function parseRegionInfo(payload: Uint8Array): number | ProtocolError {
  const view = viewOf(payload);
  return checkArgsz(payload, spec.REGION_INFO_BYTES) ?? view.getUint32(spec.REGION_INFO_INDEX, true);
}

/** `bytes` 0: there is no such region, it has no flags either. */
export function encodeRegionInfoReply(header: Header, index: number, bytes: number): Uint8Array {
  const view = reply(header, spec.REGION_INFO_BYTES);
  const at = spec.HEADER_BYTES;
  const flags = bytes === 0 ? 0 : spec.REGION_FLAG_READ | spec.REGION_FLAG_WRITE;
  view.setUint32(at + spec.REGION_INFO_ARGSZ, spec.REGION_INFO_BYTES, true);
  view.setUint32(at + spec.REGION_INFO_FLAGS, flags, true);
  view.setUint32(at + spec.REGION_INFO_INDEX, index, true);
  view.setUint32(at + spec.REGION_INFO_SIZE, bytes, true);
  return bytesOf(view);
}

// ---- VFIO_USER_DEVICE_GET_IRQ_INFO ---------------------------------------------------------------------------

/** The index of the interrupt type asked for. */
export function parseIrqInfo(payload: Uint8Array): number | ProtocolError {
  const view = viewOf(payload);
  return checkArgsz(payload, spec.IRQ_INFO_BYTES) ?? view.getUint32(spec.IRQ_INFO_INDEX, true);
}

/** `flags`: IRQ_FLAG_*. */
export function encodeIrqInfoReply(header: Header, index: number, flags: number, count: number): Uint8Array {
  const view = reply(header, spec.IRQ_INFO_BYTES);
  const at = spec.HEADER_BYTES;
  view.setUint32(at + spec.IRQ_INFO_ARGSZ, spec.IRQ_INFO_BYTES, true);
  view.setUint32(at + spec.IRQ_INFO_FLAGS, flags, true);
  view.setUint32(at + spec.IRQ_INFO_INDEX, index, true);
  view.setUint32(at + spec.IRQ_INFO_COUNT, count, true);
  return bytesOf(view);
}
