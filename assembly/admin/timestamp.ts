// Timestamp (feature 0Eh, Base 5.27.1.10): milliseconds that the guest sets and the core counts on from, by the `now`
// of each poll. A Controller Level Reset sets it to 0. Another process that goes on has another clock: what passed in
// between is not counted, and Synch says so.

import {
  TIMESTAMP_ATTRIBUTES,
  TIMESTAMP_MILLISECONDS_WIDTH,
  TIMESTAMP_ORIGIN_RESET,
  TIMESTAMP_ORIGIN_SET,
  TIMESTAMP_ORIGIN_SHIFT,
  TIMESTAMP_SYNCH,
} from '../spec/nvme-features.ts';
import { controller } from '../wire/controller.ts';

const MILLISECONDS_MASK: u64 = ((<u64>1) << TIMESTAMP_MILLISECONDS_WIDTH) - 1;

/** The 8 bytes of Set Features; the guest's attributes are reserved. */
export function timestampSet(at: usize): void {
  timestampBegin(load<u64>(at) & MILLISECONDS_MASK, TIMESTAMP_ORIGIN_SET);
}

export function timestampReset(): void {
  timestampBegin(0, TIMESTAMP_ORIGIN_RESET);
}

/** Writes 8 bytes. */
export function timestampFill(at: usize): void {
  const c = controller();
  const value = timestampNow() & MILLISECONDS_MASK;
  const synch = c.timestampGap != 0 ? TIMESTAMP_SYNCH : 0;
  store<u64>(at, value);
  store<u8>(at, <u8>(((<u32>c.timestampOrigin) << TIMESTAMP_ORIGIN_SHIFT) | synch), TIMESTAMP_ATTRIBUTES);
}

/** The caller's clock starts anew: what it counted so far is kept. To be called before `now` changes. */
export function timestampFold(): void {
  const c = controller();
  c.timestampBase = timestampNow();
  c.timestampGap = 1;
}

/** The clock that starts anew begins with this value. */
export function timestampClock(now: u64): void {
  controller().timestampSince = now;
}

function timestampNow(): u64 {
  const c = controller();
  return c.timestampBase + (c.now - c.timestampSince) / 1000;
}

function timestampBegin(milliseconds: u64, origin: u32): void {
  const c = controller();
  c.timestampBase = milliseconds;
  c.timestampSince = c.now;
  c.timestampOrigin = <u8>origin;
  c.timestampGap = 0;
}
