// The header of vhost-user messages (QEMU docs/interop/vhost-user.rst, "Header"), and replies. The files of this folder
// are the messages as bytes: parsers of requests, encoders of replies. Pure: no sockets, no state, no descriptors.

import * as extended from '../../../../assembly/spec/vhost-user-nvme.ts';
import * as spec from '../../../../assembly/spec/vhost-user.ts';
import { ProtocolError } from './protocol-error.ts';

/** A whole message of either dialect. */
export const MAX_MESSAGE_BYTES = spec.HEADER_BYTES + extended.EXTENDED_PAYLOAD_BYTES_MAX;

export interface Header {
  request: number;
  /** The front end waits for an answer, also to a request that has none of its own. */
  needReply: boolean;
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Parses the header of a whole message. Every error is fatal: the stream has lost its framing. */
export function parseHeader(message: Uint8Array): Header | ProtocolError {
  if (message.length < spec.HEADER_BYTES) {
    return fatal(`a message of ${message.length} bytes is shorter than its header`);
  }
  const view = viewOf(message);
  const size = view.getUint32(spec.HEADER_SIZE, true);
  if (size !== message.length - spec.HEADER_BYTES) {
    return fatal(`the header says ${size} bytes of payload, there are ${message.length - spec.HEADER_BYTES}`);
  }
  const flags = view.getUint32(spec.HEADER_FLAGS, true);
  if ((flags & ~spec.FLAG_NEED_REPLY) !== spec.FLAG_VERSION) {
    return fatal(`flags 0x${flags.toString(16)} are not those of a request of version 1`);
  }
  return {
    request: view.getUint32(spec.HEADER_REQUEST, true),
    needReply: (flags & spec.FLAG_NEED_REPLY) !== 0,
  };
}

/** A reply of `payloadBytes` zeros, its header filled in. The 2019 device compares the flags with 5. */
export function reply(request: number, payloadBytes: number): DataView<ArrayBuffer> {
  const view = new DataView(new ArrayBuffer(spec.HEADER_BYTES + payloadBytes));
  view.setUint32(spec.HEADER_REQUEST, request, true);
  view.setUint32(spec.HEADER_FLAGS, spec.FLAG_VERSION | spec.FLAG_REPLY, true);
  view.setUint32(spec.HEADER_SIZE, payloadBytes, true);
  return view;
}

/** A reply that is one number: a register, features, and acknowledgements (0 done). */
export function encodeU64Reply(request: number, value: bigint): Uint8Array {
  const view = reply(request, spec.U64_BYTES);
  view.setBigUint64(spec.HEADER_BYTES, value, true);
  return new Uint8Array(view.buffer);
}

/** The number that is a request's whole payload. */
export function parseU64(payload: Uint8Array): bigint | ProtocolError {
  return sizeCheck(payload, spec.U64_BYTES) ?? viewOf(payload).getBigUint64(0, true);
}

export function sizeCheck(payload: Uint8Array, bytes: number): ProtocolError | undefined {
  if (payload.length === bytes) return undefined;
  return new ProtocolError('VHOST_USER_SIZE', `a payload of ${payload.length} bytes where ${bytes} are due`);
}

function fatal(message: string): ProtocolError {
  return new ProtocolError('VHOST_USER_HEADER', message, { fatal: true });
}
