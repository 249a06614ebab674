// A record of the window table: which 2 MiB of guest memory a window shows; and a record of the window-miss ring.
//
//    0                          4                          8
//   +--------------------------+--------------------------+--------+----------------------------------+
//   | page                     | flags                    | used   | reserved                         |
//   +--------------------------+--------------------------+--------+----------------------------------+
//
// Page and flags are compared in one load. The flags are the four highest bits of that word and a guest page number
// has 43 bits at most, so that no address a guest can name looks like a flag.

import { WINDOW_MISS_BYTES, WINDOW_RECORD_BYTES, WINDOW_TABLE_BASE } from '../abi/memory-map.ts';
import { WINDOW_MISS_PAGE, WINDOW_MISS_WINDOW } from '../abi/records.ts';

/** The window shows the page. */
export const WINDOW_VALID: u32 = 1 << 31;
/** One readable, writable and mapped region covers all of the page: an access needs no look at the regions. */
export const WINDOW_UNIFORM: u32 = 1 << 30;
/** The caller was asked to show the page. */
export const WINDOW_PENDING: u32 = 1 << 29;
/** Filled and not used since: no victim before whoever waits for it has had its turn. */
export const WINDOW_FRESH: u32 = 1 << 28;
/** Upper half of the word of a window that can be used without a further look. */
export const WINDOW_READY: u64 = (<u64>(WINDOW_VALID | WINDOW_UNIFORM)) << 32;
/** No window. */
export const WINDOW_NONE: u32 = 0xffffffff;

@unmanaged
export class Window {
  /** Guest physical address >> WINDOW_SHIFT. */
  page: u32;
  /** WINDOW_*; 0 = free. */
  flags: u32;
  /** 1 when used since the search for a victim last came by. */
  used: u8;
  reserved0: u8;
  reserved1: u16;
  reserved2: u32;

  @inline static at(index: u32): Window {
    return changetype<Window>(<usize>WINDOW_TABLE_BASE + <usize>index * WINDOW_RECORD_BYTES);
  }

  /** Page and flags. */
  @inline get word(): u64 {
    return load<u64>(changetype<usize>(this));
  }

  @inline set word(value: u64) {
    store<u64>(changetype<usize>(this), value);
  }
}

if (offsetof<Window>() != WINDOW_RECORD_BYTES) ERROR('Window');
if (offsetof<Window>('page') != 0 || offsetof<Window>('flags') != 4) ERROR('Window.word');

@unmanaged
export class WindowMiss {
  window: u32;
  page: u32;
}

if (offsetof<WindowMiss>() != WINDOW_MISS_BYTES) ERROR('WindowMiss');
if (offsetof<WindowMiss>('window') != WINDOW_MISS_WINDOW) ERROR('WindowMiss.window');
if (offsetof<WindowMiss>('page') != WINDOW_MISS_PAGE) ERROR('WindowMiss.page');
