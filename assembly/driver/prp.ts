// Describes data by PRPs (Base 4.1.1): PRP1 alone, PRP1 and PRP2, or PRP1 and a list. Each CID owns two pages of guest
// memory for its list:
//
//   list page 0                          list page 1
//   [ . . . . | e1 e2 e3 ... pointer ]-> [ eN eN+1 ... ]
//             ^ DATA_LIST_OFFSET
//
// A list may begin in the middle of its page; if it does not end there, the last entry of the page points at the next.

import {
  DRIVER_DATA_ADDRESS,
  DRIVER_DATA_BYTES,
  DRIVER_DATA_LIST_OFFSET,
  DRIVER_DATA_PAGES,
  DRIVER_PAGES,
  DRIVER_PAGES_MAX,
} from '../abi/driver.ts';
import {
  PAGE_BYTES,
  PAGE_SHIFT,
  PRP_ENTRIES_PER_PAGE,
  PRP_ENTRY_SHIFT,
  SQE_PRP1,
  SQE_PRP2,
} from '../spec/nvme.ts';
import { Submission } from './state.ts';

const OFFSET_MASK: u32 = PAGE_BYTES - 1;

/** Guest physical address of page `index` of the data. */
function pageAt(state: u32, scattered: bool, first: u64, index: u32): u64 {
  if (scattered) return load<u64>(state + (index << PRP_ENTRY_SHIFT), DRIVER_PAGES);
  return first + ((<u64>index) << PAGE_SHIFT);
}

/** Writes PRP1, PRP2 and the list of command `cid` for the data that the state describes; false: it cannot be. */
export function prpBuild(state: u32, queue: Submission, cid: u32, sqe: u32): bool {
  const bytes = load<u32>(state, DRIVER_DATA_BYTES);
  const address = load<u64>(state, DRIVER_DATA_ADDRESS);
  const scattered = load<u32>(state, DRIVER_DATA_PAGES) != 0;
  const offset = (<u32>address) & OFFSET_MASK;
  const first = scattered ? load<u64>(state, DRIVER_PAGES) : address - <u64>offset;
  if (bytes > (<u32>DRIVER_PAGES_MAX) << PAGE_SHIFT) return false;
  const pages = (offset + bytes + OFFSET_MASK) >> PAGE_SHIFT;
  if (pages > <u32>DRIVER_PAGES_MAX) return false;
  store<u64>(sqe, first + <u64>offset, SQE_PRP1);
  if (pages < 2) {
    store<u64>(sqe, 0, SQE_PRP2);
    return true;
  }
  if (pages == 2) {
    store<u64>(sqe, pageAt(state, scattered, first, 1), SQE_PRP2);
    return true;
  }
  return listBuild(state, queue, cid, sqe, scattered, first, pages);
}

function listBuild(
  state: u32,
  queue: Submission,
  cid: u32,
  sqe: u32,
  scattered: bool,
  first: u64,
  pages: u32,
): bool {
  const offset = load<u32>(state, DRIVER_DATA_LIST_OFFSET);
  if (queue.listPages == 0 || offset >= <u32>PAGE_BYTES || (offset & 7) != 0) return false;
  const begin = (cid << (PAGE_SHIFT + 1)) + offset;
  store<u64>(sqe, queue.listsAddress + <u64>begin, SQE_PRP2);
  let room: u32 = PRP_ENTRIES_PER_PAGE - (offset >> PRP_ENTRY_SHIFT);
  let entry: u32 = queue.lists + begin;
  for (let index: u32 = 1; index < pages; index++) {
    if (room == 1 && index + 1 < pages) {
      const next = (cid << (PAGE_SHIFT + 1)) + PAGE_BYTES;
      store<u64>(entry, queue.listsAddress + <u64>next);
      entry = queue.lists + next;
      room = PRP_ENTRIES_PER_PAGE;
    }
    store<u64>(entry, pageAt(state, scattered, first, index));
    entry += 1 << PRP_ENTRY_SHIFT;
    room--;
  }
  return true;
}
