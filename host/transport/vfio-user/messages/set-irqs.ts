// DEVICE_SET_IRQS: which eventfd an interrupt signals, and interrupts masked, unmasked or raised by the
// client.

import * as spec from '../../../../assembly/spec/vfio-user.ts';
import { checkArgsz, viewOf } from './header.ts';
import { ProtocolError } from './protocol-error.ts';

// ---- VFIO_USER_DEVICE_SET_IRQS -------------------------------------------------------------------------------

export interface SetIrqsRequest {
  index: number;
  start: number;
  count: number;
  data: 'none' | 'bool' | 'eventfd';
  action: 'mask' | 'unmask' | 'trigger';
  /** With data 'bool': one byte an interrupt, `count` of them. */
  bools: Uint8Array | undefined;
}

const SET_IRQS_DATA = new Map<number, SetIrqsRequest['data']>([
  [spec.SET_IRQS_DATA_NONE, 'none'],
  [spec.SET_IRQS_DATA_BOOL, 'bool'],
  [spec.SET_IRQS_DATA_EVENTFD, 'eventfd'],
]);

const SET_IRQS_ACTION = new Map<number, SetIrqsRequest['action']>([
  [spec.SET_IRQS_ACTION_MASK, 'mask'],
  [spec.SET_IRQS_ACTION_UNMASK, 'unmask'],
  [spec.SET_IRQS_ACTION_TRIGGER, 'trigger'],
]);

export function parseSetIrqs(payload: Uint8Array): SetIrqsRequest | ProtocolError {
  const wrong = checkArgsz(payload, spec.SET_IRQS_BYTES);
  if (wrong !== undefined) {
    return wrong;
  }
  const view = viewOf(payload);
  const flags = view.getUint32(spec.SET_IRQS_FLAGS, true);
  const data = SET_IRQS_DATA.get(flags & spec.SET_IRQS_DATA_MASK);
  const action = SET_IRQS_ACTION.get(flags & spec.SET_IRQS_ACTIONS);
  const undefinedBits = flags & ~(spec.SET_IRQS_DATA_MASK | spec.SET_IRQS_ACTIONS);
  if (data === undefined || action === undefined || undefinedBits !== 0) {
    const text = `SET_IRQS flags 0x${flags.toString(16)} are not one kind of data and one action`;
    return new ProtocolError('VFIO_USER_FLAGS', text);
  }
  const count = view.getUint32(spec.SET_IRQS_COUNT, true);
  let bools: Uint8Array | undefined;
  if (data === 'bool') {
    const end = spec.SET_IRQS_BYTES + count;
    const longer = checkArgsz(payload, end);
    if (longer !== undefined) {
      return longer;
    }
    bools = payload.subarray(spec.SET_IRQS_DATA, end);
  }
  const start = view.getUint32(spec.SET_IRQS_START, true);
  return { index: view.getUint32(spec.SET_IRQS_INDEX, true), start, count, data, action, bools };
}
