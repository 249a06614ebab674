// How the requests of the extended dialect are begun, and what they share.

import type { Outcome, Request } from '../dialect.ts';
import { sizeCheck } from '../messages/header.ts';
import { fdsCheck, type ProtocolError } from '../messages/protocol-error.ts';

export type Finish = (outcome: Outcome) => void;

/** Begins a request as `Dialect.begin` does. */
export type Handler = (request: Request, finish: Finish) => ProtocolError | undefined;

/** What handles which request. */
export type Handlers = readonly (readonly [request: number, handler: Handler])[];

/** The request is done, with an answer of its own or without; returns that nothing is wrong with it. */
export function done(finish: Finish, bytes?: Uint8Array): ProtocolError | undefined {
  finish(bytes === undefined ? undefined : { bytes });
  return undefined;
}

/** What is wrong with a request that has neither payload nor descriptors. */
export function emptyCheck({ payload, fds }: Request): ProtocolError | undefined {
  return sizeCheck(payload, 0) ?? fdsCheck(fds, 0);
}
