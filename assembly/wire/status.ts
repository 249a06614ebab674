// How a handler says what became of a command: Status Code Type << 8 | Status Code, with Do Not Retry in bit 14.
// Shifted left by one and with the phase in bit 0 it is the upper half of a CQE's dword 3. A handler that is not at
// its end returns PENDING (slot.ts), which no status equals.

import { STATUS_DNR, STATUS_SUCCESS } from '../spec/nvme.ts';

/** Success. */
export const DONE: u32 = STATUS_SUCCESS;

/** The command is wrong and will be wrong again: this status with Do Not Retry. */
export function refuse(status: u32): u32 {
  return status | STATUS_DNR;
}
