// REGION_READ, REGION_WRITE and REGION_WRITE_MULTI: accesses to BARs and config space; DEVICE_RESET.

import * as spec from '../../../../assembly/spec/vfio-user.ts';
import { encodeEcho, MAX_DATA_XFER_SIZE, u64Number, viewOf, wrongSize, type Header } from './header.ts';
import { ProtocolError } from './protocol-error.ts';

// ---- VFIO_USER_REGION_READ, VFIO_USER_REGION_WRITE -----------------------------------------------------------

export interface RegionReadRequest {
  region: number;
  /** Bytes from the start of the region. */
  offset: number;
  /** Bytes, 1 to MAX_DATA_XFER_SIZE. */
  count: number;
}

export interface RegionWriteRequest extends RegionReadRequest {
  /** `count` bytes; a view of the message. */
  data: Uint8Array;
}

function parseRegionAccess(payload: Uint8Array): RegionReadRequest | ProtocolError {
  const view = viewOf(payload);
  const count = view.getUint32(spec.REGION_ACCESS_COUNT, true);
  if (count === 0 || count > MAX_DATA_XFER_SIZE) {
    return new ProtocolError('VFIO_USER_RANGE', `a region access of ${count} bytes`);
  }
  const offset = u64Number(view, spec.REGION_ACCESS_OFFSET);
  return { region: view.getUint32(spec.REGION_ACCESS_REGION, true), offset, count };
}

export function parseRegionRead(payload: Uint8Array): RegionReadRequest | ProtocolError {
  if (payload.length !== spec.REGION_ACCESS_BYTES) {
    return wrongSize(payload, `${spec.REGION_ACCESS_BYTES}`);
  }
  return parseRegionAccess(payload);
}

/** The request's structure again, with what was read. */
export function encodeRegionReadReply(header: Header, payload: Uint8Array, data: Uint8Array): Uint8Array {
  return encodeEcho(header, payload, spec.REGION_ACCESS_BYTES, data);
}

export function parseRegionWrite(payload: Uint8Array): RegionWriteRequest | ProtocolError {
  if (payload.length < spec.REGION_ACCESS_BYTES) {
    return wrongSize(payload, `at least ${spec.REGION_ACCESS_BYTES}`);
  }
  const access = parseRegionAccess(payload);
  if (access instanceof ProtocolError) {
    return access;
  }
  if (payload.length !== spec.REGION_ACCESS_DATA + access.count) {
    return wrongSize(payload, `${spec.REGION_ACCESS_DATA} and ${access.count}`);
  }
  return { ...access, data: payload.subarray(spec.REGION_ACCESS_DATA) };
}

/** The request's structure again, without its data. */
export function encodeRegionWriteReply(header: Header, payload: Uint8Array): Uint8Array {
  return encodeEcho(header, payload, spec.REGION_ACCESS_BYTES);
}

// ---- VFIO_USER_DEVICE_RESET ----------------------------------------------------------------------------------

export function parseDeviceReset(payload: Uint8Array): ProtocolError | undefined {
  return payload.length === 0 ? undefined : wrongSize(payload, 'none');
}

// ---- VFIO_USER_REGION_WRITE_MULTI ----------------------------------------------------------------------------

/** The writes in their order. QEMU sends its whole array whatever the count says: the rest is ignored. */
export function parseRegionWriteMulti(payload: Uint8Array): RegionWriteRequest[] | ProtocolError {
  if (payload.length < spec.WRITE_MULTI_WRITES) {
    return wrongSize(payload, `at least ${spec.WRITE_MULTI_WRITES}`);
  }
  const view = viewOf(payload);
  const writes = u64Number(view, spec.WRITE_MULTI_COUNT);
  if (spec.WRITE_MULTI_WRITES + writes * spec.WRITE_MULTI_WRITE_BYTES > payload.length) {
    return wrongSize(payload, `${writes} writes`);
  }
  const requests: RegionWriteRequest[] = [];
  for (let index = 0; index < writes; index++) {
    const at = spec.WRITE_MULTI_WRITES + index * spec.WRITE_MULTI_WRITE_BYTES;
    const write = payload.subarray(at, at + spec.WRITE_MULTI_WRITE_BYTES);
    const access = parseRegionAccess(write);
    if (access instanceof ProtocolError) {
      return access;
    }
    if (access.count > spec.WRITE_MULTI_DATA_BYTES) {
      return new ProtocolError(
        'VFIO_USER_RANGE',
        `write ${index} of ${access.count} bytes in REGION_WRITE_MULTI`,
      );
    }
    const data = write.subarray(spec.REGION_ACCESS_DATA, spec.REGION_ACCESS_DATA + access.count);
    requests.push({ ...access, data });
  }
  return requests;
}

/** The number of writes, all of which were done. */
export function encodeRegionWriteMultiReply(header: Header, payload: Uint8Array): Uint8Array {
  return encodeEcho(header, payload, spec.WRITE_MULTI_REPLY_BYTES);
}
