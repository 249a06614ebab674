// SET_KICK and SET_NOTIFIER: which eventfd stands for what.

import * as spec from '../../../../assembly/spec/vhost-user-nvme.ts';
import { sizeCheck, viewOf } from './header.ts';
import { outOfRange, type ProtocolError } from './protocol-error.ts';
import { reserved } from './registers.ts';

/** The id of one of `queuePairs` pairs of queues, the admin queues among them. */
export function parseKick(payload: Uint8Array, queuePairs: number): number | ProtocolError {
  const wrong = sizeCheck(payload, spec.KICK_BYTES);
  if (wrong !== undefined) return wrong;
  const view = viewOf(payload);
  if (view.getUint32(spec.KICK_RESERVED, true) !== 0) return reserved('a kick');
  const qid = view.getUint32(spec.KICK_QID, true);
  return qid < queuePairs ? qid : outOfRange(`a kick of queue ${qid}, where ${queuePairs - 1} is the last`);
}

export interface NotifierChange {
  kind: 'intx' | 'msix';
  vector: number;
  /** NOTIFIER_*. */
  action: number;
}

/** A vector of `vectors`, or INTx. */
export function parseNotifier(payload: Uint8Array, vectors: number): NotifierChange | ProtocolError {
  const wrong = sizeCheck(payload, spec.NOTIFIER_BYTES);
  if (wrong !== undefined) return wrong;
  const view = viewOf(payload);
  const vector = view.getUint32(spec.NOTIFIER_VECTOR, true);
  const action = view.getUint32(spec.NOTIFIER_ACTION, true);
  const isIntx = vector === spec.NOTIFIER_VECTOR_INTX;
  if (!isIntx && vector >= vectors) return outOfRange(`a notifier of vector ${vector} of ${vectors}`);
  if (action > spec.NOTIFIER_UNMASK || (isIntx && action === spec.NOTIFIER_MASK)) {
    return outOfRange(`action ${action} for a notifier of ${isIntx ? 'INTx' : `vector ${vector}`}`);
  }
  return isIntx ? { kind: 'intx', vector: 0, action } : { kind: 'msix', vector, action };
}
