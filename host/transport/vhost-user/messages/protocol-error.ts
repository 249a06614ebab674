// What is wrong with a message that a front end sent. A recoverable error is logged, and told where the front end waits
// for an acknowledgement; a fatal one ends the session, because nothing that follows on the socket can be trusted or
// because the front end would wait for ever.

export type ProtocolErrorCode =
  /** The header contradicts itself or the message: version, reply flag, size. */
  | 'VHOST_USER_HEADER'
  /** A request with a number that is not known, or one that needs an answer which is not offered. */
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
  | 'VHOST_USER_MEMORY';

/** A fault of the peer. */
export class ProtocolError extends Error {
  constructor(
    readonly code: ProtocolErrorCode,
    message: string,
    /** The session ends. */
    readonly fatal: boolean = false,
  ) {
    super(message);
    this.name = 'ProtocolError';
  }
}
