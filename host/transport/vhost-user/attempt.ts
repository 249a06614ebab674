// Calls of the device that may be refused: what the controller refuses is a fault of the peer.

import { DeviceError } from '../device.ts';
import { ProtocolError, type ProtocolErrorCode } from './messages/protocol-error.ts';

export function attempt(code: ProtocolErrorCode, call: () => void): ProtocolError | undefined {
  try {
    call();
    return undefined;
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error;
    return new ProtocolError(code, `${error.message} (${error.code})`, { errno: error.errno });
  }
}
