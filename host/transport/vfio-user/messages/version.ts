// VERSION: the first message of a session, in which both sides say what they can.

import * as spec from '../../../../assembly/spec/vfio-user.ts';
import { bytesOf, MAX_DATA_XFER_SIZE, MAX_MSG_FDS, reply, viewOf, type Header } from './header.ts';
import { fatal, ProtocolError } from './protocol-error.ts';

/** Capabilities longer than this are refused: QEMU's take 210 bytes. */
export const MAX_VERSION_DATA_BYTES = 4096;

// ---- VFIO_USER_VERSION ---------------------------------------------------------------------------------------

/** What the client said of itself; undefined where it said nothing. */
export interface VersionRequest {
  major: number;
  minor: number;
  maxMsgFds: number | undefined;
  maxDataXferSize: number | undefined;
  maxDmaMaps: number | undefined;
  pgsizes: number | undefined;
  writeMultiple: boolean | undefined;
}

function malformed(what: string): ProtocolError {
  return fatal('VFIO_USER_VERSION_MALFORMED', `the capabilities of VERSION ${what}`);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The `capabilities` object of the version data, empty where there is none. */
function parseCapabilities(data: Uint8Array): Record<string, unknown> | ProtocolError {
  if (data.length === 0) {
    return {};
  }
  if (data.length > MAX_VERSION_DATA_BYTES) {
    return malformed(`take ${data.length} bytes, more than ${MAX_VERSION_DATA_BYTES}`);
  }
  if (data[data.length - 1] !== 0) {
    return malformed('do not end in NUL');
  }
  if (data.length === 1) {
    return {};
  }
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(data.subarray(0, -1)));
  } catch {
    return malformed('are not JSON');
  }
  if (!isObject(json)) {
    return malformed('are not a JSON object');
  }
  const capabilities = json['capabilities'] ?? {};
  return isObject(capabilities) ? capabilities : malformed('hold no object "capabilities"');
}

/** Capabilities that this server does not know are ignored, as the protocol wants. Every error is fatal. */
export function parseVersion(payload: Uint8Array): VersionRequest | ProtocolError {
  if (payload.length < spec.VERSION_BYTES) {
    return fatal('VFIO_USER_SIZE', `a VERSION payload of ${payload.length} bytes where 4 or more are due`);
  }
  const capabilities = parseCapabilities(payload.subarray(spec.VERSION_DATA));
  if (capabilities instanceof ProtocolError) {
    return capabilities;
  }
  const numbers: (number | undefined)[] = [];
  for (const name of ['max_msg_fds', 'max_data_xfer_size', 'max_dma_maps', 'pgsizes']) {
    const value = capabilities[name];
    if (value !== undefined && !(typeof value === 'number' && Number.isSafeInteger(value) && value >= 0)) {
      return malformed(`give no whole number for "${name}"`);
    }
    numbers.push(value);
  }
  const writeMultiple = capabilities['write_multiple'];
  if (writeMultiple !== undefined && typeof writeMultiple !== 'boolean') {
    return malformed('give no boolean for "write_multiple"');
  }
  const [maxMsgFds, maxDataXferSize, maxDmaMaps, pgsizes] = numbers;
  const view = viewOf(payload);
  return {
    major: view.getUint16(spec.VERSION_MAJOR, true),
    minor: view.getUint16(spec.VERSION_MINOR, true),
    maxMsgFds,
    maxDataXferSize,
    maxDmaMaps,
    pgsizes,
    writeMultiple,
  };
}

/** What this server says of itself. */
export interface VersionReply {
  /** Regions that can be mapped at a time; never more than the client offered. */
  maxDmaMaps: number;
  writeMultiple: boolean;
}

/**
 * The reply to a request of `requestBytes`, never longer than that: QEMU receives it into the request's own
 * buffer and ends where it does not fit. What does not fit is left out, which every peer must take for the
 * defaults.
 */
export function encodeVersionReply(header: Header, version: VersionReply, requestBytes: number): Uint8Array {
  const all = {
    max_msg_fds: MAX_MSG_FDS,
    max_data_xfer_size: MAX_DATA_XFER_SIZE,
    max_dma_maps: version.maxDmaMaps,
    write_multiple: version.writeMultiple,
  };
  const room = requestBytes - spec.HEADER_BYTES - spec.VERSION_BYTES;
  const candidates = [all, { max_msg_fds: MAX_MSG_FDS, max_dma_maps: version.maxDmaMaps }];
  const data = candidates
    .map((capabilities) => new TextEncoder().encode(`${JSON.stringify({ capabilities })}\0`))
    .find((json) => json.length <= room);
  const view = reply(header, spec.VERSION_BYTES + (data?.length ?? 0));
  view.setUint16(spec.HEADER_BYTES + spec.VERSION_MAJOR, spec.PROTOCOL_MAJOR, true);
  view.setUint16(spec.HEADER_BYTES + spec.VERSION_MINOR, spec.PROTOCOL_MINOR, true);
  const bytes = bytesOf(view);
  if (data !== undefined) {
    bytes.set(data, spec.HEADER_BYTES + spec.VERSION_DATA);
  }
  return bytes;
}
