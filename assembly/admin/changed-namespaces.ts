// The Changed Namespace List log (LID 04h, Base 5.16.1.5) and the event that says it is worth reading: Namespace
// Attribute Changed. A namespace stays in the list until a page that showed it has reached the guest, and a change in
// between keeps it there.

import { NAMESPACE_COUNT } from '../abi/memory-map.ts';
import { AEC_NAMESPACE_ATTRIBUTE } from '../spec/nvme-features.ts';
import {
  AEN_NOTICE_NAMESPACE_ATTRIBUTE,
  AEN_TYPE_NOTICE,
  LID_CHANGED_NAMESPACES,
  LOG_CHANGED_BYTES,
} from '../spec/nvme-logs.ts';
import { CHANGED_BASE, CHANGED_SHOWN_BASE, CHANGED_BYTES, controller } from '../wire/controller.ts';
import { asyncEventDrop, asyncEventPost } from './async-events.ts';

if (NAMESPACE_COUNT * 4 > LOG_CHANGED_BYTES) ERROR('every namespace must fit the list');

/** This namespace came, went, or is not what Identify said of it. */
export function namespaceChanged(nsid: u32): void {
  const index = nsid - 1;
  const bit = bitOf(index);
  const at = index >> 3;
  store<u8>(CHANGED_BASE + at, load<u8>(CHANGED_BASE + at) | bit);
  store<u8>(CHANGED_SHOWN_BASE + at, load<u8>(CHANGED_SHOWN_BASE + at) & ~bit);
  changesReview();
}

/** Reports the event where the guest asked for it (feature 0Bh) and there is a change to read about. */
export function changesReview(): void {
  if ((controller().featureAsyncEvents & AEC_NAMESPACE_ATTRIBUTE) == 0) return;
  for (let at: u32 = 0; at < CHANGED_BYTES; at++) {
    if (load<u8>(CHANGED_BASE + at) == 0) continue;
    asyncEventPost(AEN_TYPE_NOTICE, AEN_NOTICE_NAMESPACE_ATTRIBUTE, LID_CHANGED_NAMESPACES);
    return;
  }
}

/** Writes the list over 4,096 bytes of zeros. */
export function changedFill(at: usize): void {
  let place = at;
  for (let index: u32 = 0; index < <u32>NAMESPACE_COUNT; index++) {
    if ((load<u8>(CHANGED_BASE + (index >> 3)) & bitOf(index)) == 0) continue;
    store<u32>(place, index + 1);
    place += 4;
  }
  memory.copy(CHANGED_SHOWN_BASE, CHANGED_BASE, CHANGED_BYTES);
}

/** A page has reached the guest, which wants no more of it: what it showed is no news any more, nor is its event. */
export function changedClear(): void {
  for (let at: u32 = 0; at < CHANGED_BYTES; at++) {
    store<u8>(CHANGED_BASE + at, load<u8>(CHANGED_BASE + at) & ~load<u8>(CHANGED_SHOWN_BASE + at));
    store<u8>(CHANGED_SHOWN_BASE + at, 0);
  }
  asyncEventDrop(AEN_TYPE_NOTICE, AEN_NOTICE_NAMESPACE_ATTRIBUTE, LID_CHANGED_NAMESPACES);
}

/** A reset: the guest will look at every namespace. */
export function changesReset(): void {
  memory.fill(CHANGED_BASE, 0, 2 * CHANGED_BYTES);
}

function bitOf(index: u32): u8 {
  const bit: u32 = 1 << (index & 7);
  return <u8>bit;
}
