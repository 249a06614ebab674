// QUIESCE, GET_STATE, SET_STATE: what a controller is stopped with, kept in and resumed from.

import * as spec from '../../../../assembly/spec/vhost-user-nvme.ts';
import { HEADER_BYTES } from '../../../../assembly/spec/vhost-user.ts';
import { parseU64, reply } from './header.ts';
import { outOfRange, ProtocolError } from './protocol-error.ts';

/** Whether to stop; else to go on. */
export function parseQuiesce(payload: Uint8Array): boolean | ProtocolError {
  const action = parseU64(payload);
  if (typeof action !== 'bigint') return action;
  if (action === BigInt(spec.QUIESCE_STOP)) return true;
  return action === BigInt(spec.QUIESCE_GO_ON) ? false : outOfRange(`action ${action} of QUIESCE`);
}

/** The file itself goes with it. */
export function encodeGetStateReply(bytes: number): Uint8Array {
  const view = reply(spec.REQUEST_GET_STATE, spec.GET_STATE_REPLY_BYTES);
  view.setBigUint64(HEADER_BYTES + spec.GET_STATE_REPLY_SIZE, BigInt(bytes), true);
  return new Uint8Array(view.buffer);
}

/** Bytes of the state in the file. More than a number can hold is no size of a file: it becomes one that none has. */
export function parseSetState(payload: Uint8Array): number | ProtocolError {
  const size = parseU64(payload);
  if (typeof size !== 'bigint') return size;
  return Number(size > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : size);
}

/** STATE_* of each refusal, and what it means to a person. */
const REFUSALS = {
  foreign: [spec.STATE_FOREIGN, 'it is no state of this target, or not as long as it says'],
  version: [spec.STATE_VERSION, 'it is of another version'],
  unclean: [spec.STATE_UNCLEAN, 'the target that wrote it died before it had finished'],
  configuration: [spec.STATE_CONFIGURATION, 'namespaces, limits or identity are others now'],
  damaged: [spec.STATE_DAMAGED, 'it contradicts itself'],
} as const;

/** The state that came back is not one to go on from. */
export class StateRefused extends ProtocolError {
  /** STATE_*. */
  readonly reason: number;

  constructor(refusal: keyof typeof REFUSALS) {
    const [reason, meaning] = REFUSALS[refusal];
    super('VHOST_USER_RESUME', `the state of the controller is not taken, which begins anew: ${meaning}`);
    this.reason = reason;
  }
}

/** SET_STATE alone has an answer of one size whatever came of it. */
export function encodeSetStateReply(error?: ProtocolError): Uint8Array {
  const view = reply(spec.REQUEST_SET_STATE, spec.SET_STATE_REPLY_BYTES);
  view.setBigUint64(HEADER_BYTES + spec.REPLY_RESULT, BigInt(error?.errno ?? 0), true);
  const reason = error instanceof StateRefused ? error.reason : spec.STATE_RESUMED;
  view.setUint32(HEADER_BYTES + spec.SET_STATE_REPLY_REASON, reason, true);
  return new Uint8Array(view.buffer);
}
