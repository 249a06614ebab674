// Identifiers that an operator may configure: NGUID, EUI64, UUID, serial and model number, NQN.

import { UsageError } from './usage-error.ts';

/** Bytes of an NQN without its terminator (NVM Express Base Specification 2.0, 4.5). */
const NQN_BYTES_MAX = 223;

/** `bytes` bytes in hexadecimal; dashes, colons and dots may separate digits. Not all zeros: that means "none". */
export function parseHexId(name: string, text: string, bytes: number): Uint8Array {
  const digits = text.replace(/^0x/i, '').replace(/[-:.]/g, '');
  if (digits.length !== bytes * 2 || !/^[0-9a-f]+$/i.test(digits)) {
    throw new UsageError(
      'ID_INVALID',
      `${name}=${text} is not possible: give ${bytes * 2} hexadecimal digits (${bytes} bytes)`,
    );
  }
  if (/^0+$/.test(digits)) {
    throw new UsageError(
      'ID_INVALID',
      `${name}=${text} means "none" in NVMe: leave it out, or give another value`,
    );
  }
  return Uint8Array.from(Buffer.from(digits, 'hex'));
}

/** A UUID in its usual form, 8-4-4-4-12 digits. */
export function parseUuid(name: string, text: string): Uint8Array {
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text)) {
    throw new UsageError(
      'ID_INVALID',
      `${name}=${text} is not a UUID: it looks like 6ba7b810-9dad-41d1-80b4-00c04fd430c8 (uuidgen makes one)`,
    );
  }
  return parseHexId(name, text, 16);
}

/** Printable ASCII of 1 to `length` characters, no blank at either end: NVMe pads with blanks. */
export function parseAscii(name: string, text: string, length: number): string {
  if (text.length > length || !/^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/.test(text)) {
    throw new UsageError(
      'ID_INVALID',
      `${name} '${text}' is not possible: give 1 to ${length} printable ASCII characters, no blank at either end`,
    );
  }
  return text;
}

/** An NVMe Qualified Name: `nqn.2014-08.org.nvmexpress:uuid:...` or `nqn.yyyy-mm.reversed.domain:name`. */
export function parseNqn(name: string, text: string): string {
  if (!/^nqn\.\d{4}-(0[1-9]|1[0-2])\.[^\s:]+(:\S*)?$/.test(text)) {
    throw new UsageError(
      'ID_INVALID',
      `${name} '${text}' is not an NVMe Qualified Name: it looks like nqn.2026-01.com.example:storage-1`,
    );
  }
  if (Buffer.byteLength(text) > NQN_BYTES_MAX) {
    throw new UsageError(
      'ID_INVALID',
      `${name} is ${Buffer.byteLength(text)} bytes long: an NVMe Qualified Name has at most ${NQN_BYTES_MAX}`,
    );
  }
  return text;
}
