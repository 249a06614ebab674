// The refusal of a call that comes at a wrong time.

import { constants } from 'node:os';
import { DeviceError } from '../transport/device.ts';

/** EBUSY, with a sentence that says why. */
export function busy(message: string): DeviceError {
  return new DeviceError('CONTROLLER_BUSY', constants.errno.EBUSY, message);
}
