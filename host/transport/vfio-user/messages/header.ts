// What all vfio-user messages share: the header, the reply, numbers in little-endian. The files of this
// folder are the messages as bytes (QEMU docs/interop/vfio-user.rst): for each one a parser of the request
// and an encoder of the reply. Pure: no sockets, no state, no descriptors. Parsers check syntax only (sizes,
// flags, reserved bits) and return a value or a ProtocolError; whether the device has such a region,
// interrupt or address is the session's business.
//
// Sizes: a request that carries `argsz` may be longer than its structure, as later versions of the protocol
// make it, and the rest is ignored; all others must have exactly their size.

import * as spec from '../../../../assembly/spec/vfio-user.ts';
import { fatal, ProtocolError } from './protocol-error.ts';

/** Largest `count` of one region access, announced as max_data_xfer_size: the protocol's default. */
export const MAX_DATA_XFER_SIZE = spec.DEFAULT_MAX_DATA_XFER_SIZE;
/**
 * Descriptors that one message may carry, announced as max_msg_fds. QEMU refuses servers that say more than
 * 16.
 */
export const MAX_MSG_FDS = 16;
/** Descriptors accepted all the same: clients exist that send those of all MSI-X vectors at once. */
export const MAX_RECEIVED_FDS = 128;
/** A whole message: the largest region write. */
export const MAX_MESSAGE_BYTES = spec.HEADER_BYTES + spec.REGION_ACCESS_BYTES + MAX_DATA_XFER_SIZE;

const HIGH_WORD = 2 ** 32;

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** A u64 as a number: exact up to 2^53, and beyond that still too large for anything it is compared with. */
export function u64Number(view: DataView, at: number): number {
  return view.getUint32(at + 4, true) * HIGH_WORD + view.getUint32(at, true);
}

export interface Header {
  /** Chosen by the sender, echoed in the reply; nothing follows from its value. */
  id: number;
  command: number;
  /** Bytes of the message with its header. */
  size: number;
  reply: boolean;
  noReply: boolean;
  /** In a reply: the command failed with `errno`, which may be 0. */
  error: boolean;
  errno: number;
  /** Bits of the flags that this version does not define, and FLAG_ERROR in a command. */
  reserved: number;
}

/** Parses the header of a whole message. Every error is fatal: the stream has lost its framing. */
export function parseHeader(message: Uint8Array): Header | ProtocolError {
  if (message.length < spec.HEADER_BYTES) {
    return fatal('VFIO_USER_HEADER', `a message of ${message.length} bytes is shorter than its header`);
  }
  const view = viewOf(message);
  const size = view.getUint32(spec.HEADER_SIZE, true);
  if (size !== message.length) {
    return fatal('VFIO_USER_HEADER', `the header says ${size} bytes, the message has ${message.length}`);
  }
  const flags = view.getUint32(spec.HEADER_FLAGS, true);
  const type = flags & spec.FLAG_TYPE_MASK;
  if (type !== spec.FLAG_TYPE_COMMAND && type !== spec.FLAG_TYPE_REPLY) {
    return fatal('VFIO_USER_HEADER', `message type ${type} is neither a command nor a reply`);
  }
  const reply = type === spec.FLAG_TYPE_REPLY;
  const known = spec.FLAG_TYPE_MASK | (reply ? spec.FLAG_ERROR : spec.FLAG_NO_REPLY);
  return {
    id: view.getUint16(spec.HEADER_ID, true),
    command: view.getUint16(spec.HEADER_COMMAND, true),
    size,
    reply,
    noReply: (flags & spec.FLAG_NO_REPLY) !== 0,
    error: (flags & spec.FLAG_ERROR) !== 0,
    errno: view.getUint32(spec.HEADER_ERROR, true),
    reserved: (flags & ~known) >>> 0,
  };
}

/** A reply of `payloadBytes` zeros, its header filled in. */
export function reply(header: Header, payloadBytes: number): DataView<ArrayBuffer> {
  const view = new DataView(new ArrayBuffer(spec.HEADER_BYTES + payloadBytes));
  view.setUint16(spec.HEADER_ID, header.id, true);
  view.setUint16(spec.HEADER_COMMAND, header.command, true);
  view.setUint32(spec.HEADER_SIZE, view.byteLength, true);
  view.setUint32(spec.HEADER_FLAGS, spec.FLAG_TYPE_REPLY, true);
  return view;
}

export function bytesOf(view: DataView<ArrayBuffer>): Uint8Array {
  return new Uint8Array(view.buffer);
}

/** A reply without payload: DMA_MAP, SET_IRQS, DEVICE_RESET. */
export function encodeEmptyReply(header: Header): Uint8Array {
  return bytesOf(reply(header, 0));
}

/** An error reply is a header alone; `errno` is positive. */
export function encodeErrorReply(header: Header, errno: number): Uint8Array {
  const view = reply(header, 0);
  view.setUint32(spec.HEADER_FLAGS, spec.FLAG_TYPE_REPLY | spec.FLAG_ERROR, true);
  view.setUint32(spec.HEADER_ERROR, errno, true);
  return bytesOf(view);
}

/** The reply is the first `payloadBytes` of the request's payload, and what `tail` adds. */
export function encodeEcho(
  header: Header,
  payload: Uint8Array,
  payloadBytes: number,
  tail?: Uint8Array,
): Uint8Array {
  const bytes = bytesOf(reply(header, payloadBytes + (tail?.length ?? 0)));
  bytes.set(payload.subarray(0, payloadBytes), spec.HEADER_BYTES);
  if (tail !== undefined) {
    bytes.set(tail, spec.HEADER_BYTES + payloadBytes);
  }
  return bytes;
}

export function wrongSize(payload: Uint8Array, expected: string): ProtocolError {
  return new ProtocolError(
    'VFIO_USER_SIZE',
    `a payload of ${payload.length} bytes where ${expected} are due`,
  );
}

/** The check of every request that begins with argsz: both the payload and argsz cover the structure. */
export function checkArgsz(payload: Uint8Array, bytes: number): ProtocolError | undefined {
  if (payload.length < bytes) {
    return wrongSize(payload, `at least ${bytes}`);
  }
  const argsz = viewOf(payload).getUint32(0, true);
  if (argsz < bytes) {
    return new ProtocolError('VFIO_USER_SIZE', `argsz is ${argsz}, the structure has ${bytes} bytes`);
  }
  return undefined;
}
