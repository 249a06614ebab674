// A core begins, or goes on from an image; and its guest's memory changes.

import {
  HEADER_BASE,
  IO_QUEUE_PAIRS_MAX,
  WINDOW_BASE_MIN,
  WINDOW_BYTES,
  WINDOW_COUNT_MAX,
  WINDOW_COUNT_MIN,
} from '../abi/memory-map.ts';
import {
  EVENT_SHADOW_DOORBELLS,
  HEADER_ABI_VERSION,
  HEADER_IMAGE_BYTES,
  HEADER_MAGIC,
  HEADER_WINDOW_BASE,
  HEADER_WINDOW_COUNT,
  INIT_IMAGE_FOREIGN,
  INIT_OK,
  INIT_WINDOWS_INVALID,
  REGION_OK,
} from '../abi/records.ts';
import { ABI_VERSION, IMAGE_MAGIC_HI, IMAGE_MAGIC_LO } from '../abi/version.ts';
import { regionAdd, regionRemove, regionsClear } from '../guest/regions.ts';
import { Guest } from '../guest/state.ts';
import { windowsClear } from '../guest/windows.ts';
import { eventRecord } from '../queue/event-records.ts';
import { queuesInit } from '../queue/lifecycle.ts';
import { queuesResume } from '../queue/resume.ts';
import { walksRestart } from '../queue/slots.ts';
import { controller } from '../wire/controller.ts';
import { Scheduler } from '../wire/queue.ts';
import { controllerInit, controllerResume } from './state.ts';

const MAGIC: u64 = (<u64>IMAGE_MAGIC_LO) | ((<u64>IMAGE_MAGIC_HI) << 32);
const WASM_PAGE_SHIFT: u32 = 16;

/** The version of the agreement that abi/README.md describes. */
export function abiVersion(): u32 {
  return ABI_VERSION;
}

/** Power-on: INIT_*. */
export function coreInit(windowBase: u32, windowCount: u32): u32 {
  if (!windowsValid(windowBase, windowCount)) return INIT_WINDOWS_INVALID;
  const result = controllerInit();
  if (result != INIT_OK) return result;
  const c = controller();
  queuesInit(c.slots, c.queuePairs, c.queueEntries);
  memoryBegin(windowBase, windowCount);
  return INIT_OK;
}

/** Goes on from the image that was loaded: INIT_*. Regions and windows are the caller's to add anew. */
export function coreResume(windowBase: u32, windowCount: u32): u32 {
  if (load<u64>(HEADER_BASE, HEADER_MAGIC) != MAGIC) return INIT_IMAGE_FOREIGN;
  if (load<u32>(HEADER_BASE, HEADER_ABI_VERSION) != ABI_VERSION) return INIT_IMAGE_FOREIGN;
  if (load<u32>(HEADER_BASE, HEADER_IMAGE_BYTES) != WINDOW_BASE_MIN) return INIT_IMAGE_FOREIGN;
  if (!windowsValid(windowBase, windowCount)) return INIT_WINDOWS_INVALID;
  const result = controllerResume();
  if (result != INIT_OK) return result;
  memoryBegin(windowBase, windowCount);
  queuesResume();
  const s = Scheduler.get();
  if (s.events != 0) eventRecord(EVENT_SHADOW_DOORBELLS, 0, 0, 0, 0, 0, s.shadowBase);
  // Whatever waits has another try at the next poll, which is due before any sleep.
  Guest.get().missRefused = 1;
  return INIT_OK;
}

/** The windows lie behind the image, begin on a Wasm page and end within linear memory. */
function windowsValid(base: u32, count: u32): bool {
  if (count < <u32>WINDOW_COUNT_MIN || count > <u32>WINDOW_COUNT_MAX) return false;
  if (base < <u32>WINDOW_BASE_MIN || base & ((1 << WASM_PAGE_SHIFT) - 1)) return false;
  return <u64>base + <u64>count * WINDOW_BYTES <= (<u64>memory.size()) << WASM_PAGE_SHIFT;
}

function memoryBegin(windowBase: u32, windowCount: u32): void {
  store<u64>(HEADER_BASE, MAGIC, HEADER_MAGIC);
  store<u32>(HEADER_BASE, ABI_VERSION, HEADER_ABI_VERSION);
  store<u32>(HEADER_BASE, WINDOW_BASE_MIN, HEADER_IMAGE_BYTES);
  store<u32>(HEADER_BASE, windowBase, HEADER_WINDOW_BASE);
  store<u32>(HEADER_BASE, windowCount, HEADER_WINDOW_COUNT);
  regionsClear();
  windowsClear(windowBase, windowCount);
}

/** The region in the mailbox becomes guest memory: REGION_*. */
export function memoryAdd(): u32 {
  return memoryChanged(regionAdd());
}

/** The region in the mailbox is guest memory no longer: REGION_*. */
export function memoryRemove(): u32 {
  return memoryChanged(regionRemove());
}

function memoryChanged(result: u32): u32 {
  if (result == REGION_OK) {
    walksRestart();
    // Whatever waits for memory has another try at the next poll.
    Guest.get().missRefused = 1;
  }
  return result;
}

if (IO_QUEUE_PAIRS_MAX > 64) ERROR('Scheduler.live has a bit for each I/O submission queue');
