// What is wrong with a message that a front end sent. A recoverable error is logged, and told where the front end waits
// for an answer; a fatal one ends the session, because nothing that follows on the socket can be trusted or because
// the front end would wait for ever.

import { constants } from 'node:os';

export type ProtocolErrorCode =
  /** The header contradicts itself or the message: version, reply flag, size. */
  | 'VHOST_USER_HEADER'
  /** A request with a number that is not known, or one that is not offered or was not negotiated. */
  | 'VHOST_USER_REQUEST'
  /** The payload is shorter or longer than the request. */
  | 'VHOST_USER_SIZE'
  /** More or fewer descriptors than the request has, or one of another kind. */
  | 'VHOST_USER_FDS'
  /** An address, number or count that cannot be. */
  | 'VHOST_USER_RANGE'
  /** The request came at a wrong time: a start without memory, doorbell memory while the controller runs. */
  | 'VHOST_USER_STATE'
  /** The controller refused the memory. */
  | 'VHOST_USER_MEMORY'
  /** The state that the front end gave back is not one to go on from. */
  | 'VHOST_USER_RESUME'
  /** What was under way did not end in time. */
  | 'VHOST_USER_TIMEOUT'
  /** This process has no memory or descriptor for what was asked. */
  | 'VHOST_USER_RESOURCE';

const { errno } = constants;

/** What the extended dialect answers; all others are EINVAL. */
const ERRNO: Partial<Record<ProtocolErrorCode, number>> = {
  VHOST_USER_REQUEST: errno.EOPNOTSUPP,
  VHOST_USER_STATE: errno.EBUSY,
  VHOST_USER_TIMEOUT: errno.ETIMEDOUT,
};

export interface ProtocolErrorOptions {
  /** The session ends. */
  fatal?: boolean;
  /** Positive; by default that of the code. */
  errno?: number;
}

/** A fault of the peer. */
export class ProtocolError extends Error {
  /** The session ends. */
  readonly fatal: boolean;
  /** What a reply that speaks errno says. */
  readonly errno: number;

  constructor(
    readonly code: ProtocolErrorCode,
    message: string,
    options: ProtocolErrorOptions = {},
  ) {
    super(message);
    this.name = 'ProtocolError';
    this.fatal = options.fatal ?? false;
    this.errno = options.errno ?? ERRNO[code] ?? errno.EINVAL;
  }
}

/** An address, number or count that cannot be. */
export function outOfRange(message: string): ProtocolError {
  return new ProtocolError('VHOST_USER_RANGE', message);
}

/** The request came at a wrong time. */
export function outOfState(message: string): ProtocolError {
  return new ProtocolError('VHOST_USER_STATE', message);
}

/** The same fault where the front end waits for an answer that there is none for. */
export function fatal(error: ProtocolError): ProtocolError {
  return new ProtocolError(error.code, error.message, { fatal: true });
}

export function fdsCheck(fds: readonly number[], least: number, most = least): ProtocolError | undefined {
  if (fds.length >= least && fds.length <= most) return undefined;
  const due = least === most ? `${least}` : `${least} to ${most}`;
  return new ProtocolError('VHOST_USER_FDS', `${fds.length} file descriptors where ${due} are due`);
}
