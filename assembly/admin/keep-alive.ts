// Keep Alive (Base 3.9 and 5.18), command based: the guest sets a timeout (feature 0Fh) and sends a Keep Alive within
// each. The timer is a figure that every poll compares with its own `now`; controller/state.ts says what happens when
// it expires. A caller that comes much later than deadline_next asked it to was stopped itself, and so was the guest's
// chance to be heard: the guest then gets its whole time again.

import { STATUS_INVALID_FIELD } from '../spec/nvme.ts';
import { controller } from '../wire/controller.ts';
import { Slot } from '../wire/slot.ts';
import { DONE, refuse } from '../wire/status.ts';

/** Granularity of the timer (KAS), in units of 100 ms. */
export const KEEP_ALIVE_GRANULARITY: u32 = 10;

const GRANULARITY_MILLISECONDS: u64 = KEEP_ALIVE_GRANULARITY * 100;
const GRANULARITY_MICROSECONDS: u64 = GRANULARITY_MILLISECONDS * 1000;

export function keepAlive(slot: Slot): u32 {
  const sqe = slot.sqe;
  if ((sqe.cdw10 | sqe.cdw11 | sqe.cdw12 | sqe.cdw13 | sqe.cdw14 | sqe.cdw15) != 0) {
    return refuse(STATUS_INVALID_FIELD);
  }
  keepAliveRestart();
  return DONE;
}

/** Keep Alive Timeout in milliseconds, rounded up to the granularity; 0 switches the timer off. */
export function keepAliveSet(milliseconds: u32): void {
  const c = controller();
  const units = (<u64>milliseconds + GRANULARITY_MILLISECONDS - 1) / GRANULARITY_MILLISECONDS;
  c.keepAliveTimeout =
    <u32>min<u64>(units, 0xffffffff / GRANULARITY_MILLISECONDS) * <u32>GRANULARITY_MILLISECONDS;
  keepAliveRestart();
}

/** The whole time begins. */
export function keepAliveRestart(): void {
  const c = controller();
  c.keepAliveSince = c.now;
}

/** Microseconds from the last `now` until the timer expires. There is a timeout. */
export function keepAliveLeft(): u64 {
  const c = controller();
  const passed = c.now - c.keepAliveSince;
  const timeout = <u64>c.keepAliveTimeout * 1000;
  return passed < timeout ? timeout - passed : 0;
}

/** Whether the timer has expired. There is a timeout, and what the guest had submitted has been looked at. */
export function keepAliveExpired(): bool {
  const c = controller();
  const passed = c.now - c.keepAliveSince;
  const timeout = <u64>c.keepAliveTimeout * 1000;
  if (passed < timeout) return false;
  if (passed - timeout <= GRANULARITY_MICROSECONDS) return true;
  keepAliveRestart();
  return false;
}
