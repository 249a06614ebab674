// Arithmetic of a ring of `size` entries (Base 3.3.1): positions run from 0 to size - 1 and wrap; one entry always
// stays empty, so that head == tail means empty.

/** The position after `position`. */
export function ringNext(position: u32, size: u32): u32 {
  const next = position + 1;
  return next == size ? 0 : next;
}

/** Entries from `head` up to `tail`: 0 to size - 1. */
export function ringUsed(head: u32, tail: u32, size: u32): u32 {
  return tail >= head ? tail - head : tail + size - head;
}

/** The position before `position`. */
export function ringPrevious(position: u32, size: u32): u32 {
  return position == 0 ? size - 1 : position - 1;
}
