// What is wrong with a message that a client sent. Two fates: a recoverable error is answered with an error
// reply and the session goes on; a fatal one ends the session, because nothing that follows on the socket can
// be trusted.

import { constants } from 'node:os';

export type ProtocolErrorCode =
  /** The header contradicts itself or the message: size or type. */
  | 'VFIO_USER_HEADER'
  /** The first message is not VERSION. */
  | 'VFIO_USER_VERSION_MISSING'
  /** VERSION came a second time. */
  | 'VFIO_USER_VERSION_REPEATED'
  /** VERSION asks for a major version that is not spoken here. */
  | 'VFIO_USER_VERSION_UNSUPPORTED'
  /** The capabilities of VERSION are not the JSON that the protocol describes. */
  | 'VFIO_USER_VERSION_MALFORMED'
  /** The payload is shorter or longer than the command allows, or its argsz is too small. */
  | 'VFIO_USER_SIZE'
  /** Flags that are reserved, contradict each other, or are missing. */
  | 'VFIO_USER_FLAGS'
  /** An index, offset or count outside of what the device has. */
  | 'VFIO_USER_RANGE'
  /** Fewer file descriptors than the command needs. */
  | 'VFIO_USER_FDS'
  /** A command, or a form of one, that is not offered. */
  | 'VFIO_USER_NOT_SUPPORTED';

/** A fault of the peer; `errno` is positive and goes into the error reply, if one is sent. */
export class ProtocolError extends Error {
  constructor(
    readonly code: ProtocolErrorCode,
    message: string,
    readonly errno: number = constants.errno.EINVAL,
    /** The session ends. */
    readonly fatal: boolean = false,
  ) {
    super(message);
    this.name = 'ProtocolError';
  }
}

/** A command or a form of one that this server does not offer: EOPNOTSUPP, which Linux also calls ENOTSUP. */
export function notSupported(message: string): ProtocolError {
  return new ProtocolError('VFIO_USER_NOT_SUPPORTED', message, constants.errno.EOPNOTSUPP);
}

/** A fault after which the session ends. */
export function fatal(code: ProtocolErrorCode, message: string): ProtocolError {
  return new ProtocolError(code, message, constants.errno.EPROTO, true);
}
