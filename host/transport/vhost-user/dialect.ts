// What the two dialects of vhost-user-nvme have in common towards the session: a request comes in, its outcome goes
// back, at once or when its effect is complete.

import type { Header } from './messages/header.ts';
import type { ProtocolError } from './messages/protocol-error.ts';

/** A whole message. */
export interface Request extends Header {
  payload: Uint8Array;
  /** What is still in it when the request was begun is closed. */
  fds: number[];
}

/** An answer that a request has of its own. */
export interface Answer {
  /** A whole message. */
  bytes: Uint8Array;
  /** Go with it, and stay the dialect's. */
  fds?: readonly number[];
}

/** What became of a request: it is done, has an answer, or was refused. */
export type Outcome = Answer | ProtocolError | undefined;

export interface Dialect {
  /** Payloads above are refused. */
  readonly payloadBytesMax: number;
  /**
   * Begins what a request asks for. An error that is returned is its outcome, and the session's end if it is fatal;
   * else `finish` is called once.
   */
  begin(request: Request, finish: (outcome: Outcome) => void): ProtocolError | undefined;
  /** The answer to a request that is done and has none of its own; undefined where nobody waits for it. */
  acknowledgement(header: Header): Uint8Array | undefined;
  /** The same for one that was refused. */
  refusal(header: Header, error: ProtocolError): Uint8Array | undefined;
  /** The target is about to end. */
  drain(done: () => void): void;
  /** The front end is gone. Nothing that is under way touches the device any more. */
  close(): void;
}
