// One front end's session: a state machine without I/O. `handle` takes a whole message with its descriptors, gives it
// to the dialect that the first message chose, and sends what comes of it through an injected function. It owns every
// descriptor it is given, from the call on.
//
// One message at a time: what follows waits, `ready` is false, until the effect of the one before is complete. So
// replies leave in the order of their requests.

import * as extended from '../../../assembly/spec/vhost-user-nvme.ts';
import * as spec from '../../../assembly/spec/vhost-user.ts';
import type { SessionPort } from '../socket/connection.ts';
import type { Dialect, Outcome } from './dialect.ts';
import { ExtendedDialect, type ExtendedOptions } from './extended/dialect.ts';
import { LegacyDialect } from './legacy.ts';
import { parseHeader, type Header } from './messages/header.ts';
import { ProtocolError } from './messages/protocol-error.ts';

export interface SessionOptions extends SessionPort, ExtendedOptions {}

/** With these a front end of the extended dialect begins; all others are the legacy one's affair. */
const HANDSHAKE = new Set<number>([
  spec.REQUEST_GET_FEATURES,
  spec.REQUEST_SET_FEATURES,
  spec.REQUEST_SET_OWNER,
  spec.REQUEST_GET_PROTOCOL_FEATURES,
  spec.REQUEST_SET_PROTOCOL_FEATURES,
]);

export class Session {
  readonly #options: SessionOptions;
  #dialect: Dialect | undefined;
  #busy = false;
  /** `handle` runs: an effect that completes now has kept nobody waiting. */
  #handling = false;
  #closed = false;

  constructor(options: SessionOptions) {
    this.#options = options;
  }

  /** Whether `handle` may be called. */
  get ready(): boolean {
    return !this.#busy;
  }

  /**
   * Handles a whole message; `fds` becomes empty. An error that is returned ends the session: the caller closes the
   * socket and the session.
   */
  handle(message: Uint8Array, fds: number[]): ProtocolError | undefined {
    this.#handling = true;
    this.#busy = true;
    const error = this.#dispatch(message, fds);
    for (const fd of fds.splice(0)) this.#options.closeFd(fd);
    this.#handling = false;
    return error;
  }

  /** The target is about to end: the dialect puts down what outlives it. */
  drain(done: () => void): void {
    if (this.#dialect === undefined) done();
    else this.#dialect.drain(done);
  }

  /** The front end is gone. `done` comes when the device can serve the next one. */
  close(done: () => void): void {
    this.#closed = true;
    this.#dialect?.close();
    this.#options.device.disconnect(done);
  }

  /** Returns fatal errors; all others are logged, and told to a front end that wants to know. */
  #dispatch(message: Uint8Array, fds: number[]): ProtocolError | undefined {
    const header = parseHeader(message);
    if (header instanceof ProtocolError) return header;
    this.#dialect ??= this.#choose(header);
    const payload = message.subarray(spec.HEADER_BYTES);
    if (payload.length > this.#dialect.payloadBytesMax) return tooLong(payload.length);
    const error = this.#dialect.begin({ ...header, payload, fds }, (outcome) =>
      this.#finish(header, outcome),
    );
    if (error === undefined || error.fatal) return error;
    this.#finish(header, error);
    return undefined;
  }

  #choose({ request }: Header): Dialect {
    const isExtended = HANDSHAKE.has(request) || request >= extended.REQUEST_GET_CONTROLLER;
    this.#options.log.debug('dialect chosen', { dialect: isExtended ? 'extended' : 'legacy', request });
    return isExtended ? new ExtendedDialect(this.#options) : new LegacyDialect(this.#options);
  }

  /** The effect of a message is complete, or was refused. */
  #finish(header: Header, outcome: Outcome): void {
    if (this.#closed || this.#dialect === undefined) return;
    this.#busy = false;
    if (outcome instanceof ProtocolError) {
      const fields = { code: outcome.code, request: header.request };
      const { log } = this.#options;
      log.limited('vhost-user').warn(`refused a vhost-user message: ${outcome.message}`, fields);
      const refusal = this.#dialect.refusal(header, outcome);
      if (refusal !== undefined) this.#options.send(refusal);
    } else if (outcome !== undefined) {
      this.#options.send(outcome.bytes, outcome.fds);
    } else {
      const acknowledgement = this.#dialect.acknowledgement(header);
      if (acknowledgement !== undefined) this.#options.send(acknowledgement);
    }
    if (!this.#handling) this.#options.resumed();
  }
}

function tooLong(bytes: number): ProtocolError {
  const message = `a payload of ${bytes} bytes is longer than any of this dialect`;
  return new ProtocolError('VHOST_USER_HEADER', message, { fatal: true });
}
