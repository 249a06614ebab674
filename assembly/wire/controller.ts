// The controller's scalar state: one fixed overlay on the CONTROLLER area of the state image, and the small tables
// behind it. Nothing of a controller is kept in a Wasm global; whoever loads the image has the controller.
//
//   offset   bytes
//   0x0000     512   ControllerRecord: registers, life cycle, features, events, health
//   0x0200     512   Error Recovery of each namespace: TLER, u16 (feature 05h)
//   0x0400     128   Interrupt Vector Configuration: one byte a vector, 1 = coalescing disabled (feature 09h)
//   0x0480     128   pending asynchronous events: PENDING_EVENTS_MAX words, DW0 of their completions
//   0x0500      64   changed namespaces: a bit each, and which of them a log page showed (log 04h)
//   0x1000    4096   Error Information log: ERROR_LOG_ENTRIES entries, a ring

import { CONTROLLER_BASE, CONTROLLER_SIZE, IO_QUEUE_PAIRS_MAX, NAMESPACE_COUNT } from '../abi/memory-map.ts';
import { LOG_ERROR_ENTRY_BYTES } from '../spec/nvme-logs.ts';
import {
  CC_IOCQES_SHIFT,
  CC_IOCQES_WIDTH,
  CC_IOSQES_SHIFT,
  CC_IOSQES_WIDTH,
  CQE_SHIFT,
  SQE_SHIFT,
} from '../spec/nvme.ts';

/** Asynchronous Event Requests that may be outstanding (AERL + 1). */
export const AER_LIMIT: u32 = 4;
/** Abort commands that may be outstanding (ACL + 1). Each is executed at once, so more of them do no harm. */
export const ABORT_LIMIT: u32 = 4;
/** Asynchronous events that wait for a request or for their type to be unmasked; more of them are dropped. */
export const PENDING_EVENTS_MAX: u32 = 32;
/** Entries of the Error Information log (ELPE + 1). */
export const ERROR_LOG_ENTRIES: u32 = 64;
/** Interrupt vectors: the admin queue's and one for each I/O queue pair. */
export const VECTOR_COUNT_MAX: u32 = IO_QUEUE_PAIRS_MAX + 1;

export const CONTROLLER_RECORD_BYTES: u32 = 512;
export const ERROR_RECOVERY_BASE: u32 = CONTROLLER_BASE + 0x200;
export const VECTOR_CONFIG_BASE: u32 = CONTROLLER_BASE + 0x400;
export const PENDING_EVENTS_BASE: u32 = CONTROLLER_BASE + 0x480;
export const CHANGED_BASE: u32 = CONTROLLER_BASE + 0x500;
export const CHANGED_BYTES: u32 = NAMESPACE_COUNT / 8;
export const CHANGED_SHOWN_BASE: u32 = CHANGED_BASE + CHANGED_BYTES;
export const ERROR_LOG_BASE: u32 = CONTROLLER_BASE + 0x1000;

/** CC.EN is 0. */
export const LIFE_DISABLED: u8 = 0;
/** CC.EN is 1; requests of an earlier life are still with the caller, so CSTS.RDY stays 0. */
export const LIFE_ENABLING: u8 = 1;
/** CSTS.RDY is 1. */
export const LIFE_READY: u8 = 2;
/** CC.EN became 0; CSTS.RDY stays 1 until the caller has handed back every request. */
export const LIFE_DISABLING: u8 = 3;
/** CSTS.CFS is 1: nothing but a reset helps. */
export const LIFE_FAILED: u8 = 4;

@unmanaged
export class ControllerRecord {
  /** Admin queue base addresses as written (ASQ, ACQ). */
  asq: u64;
  acq: u64;
  /** Registers as the guest reads them. */
  aqa: u32;
  cc: u32;
  csts: u32;
  /** Interrupt mask, one bit a vector (INTMS and INTMC show the same). */
  interruptMask: u32;

  /** LIFE_*. */
  life: u8;
  /** 1 while shutdown processing runs: the flushes of its namespaces. */
  shutdownFlushing: u8;
  /** Asynchronous Event Requests outstanding. */
  aerCount: u8;
  /** Asynchronous event types that are masked until their log page was read: bit per type. */
  eventMask: u8;
  /** Pending asynchronous events. */
  pendingEventCount: u8;
  /** Newest entry of the Error Information log, as an index of the ring. */
  errorLogHead: u8;
  /** SMART critical warnings that were already reported since the log was last read. */
  warningsReported: u8;
  /** 1 once queue_poll has told the time. */
  clockRunning: u8;

  /** Slots of the outstanding Asynchronous Event Requests, oldest first. */
  aerSlot0: u16;
  aerSlot1: u16;
  aerSlot2: u16;
  aerSlot3: u16;
  /** Log page of the event that masked its type, one byte a type. */
  eventLid: u32;

  /** Arbitration (01h). */
  featureArbitration: u32;
  /** Power Management (02h). */
  featurePower: u32;
  /** Temperature Threshold (04h), composite: over and under, kelvins. */
  featureTemperatureOver: u16;
  featureTemperatureUnder: u16;
  /** Volatile Write Cache (06h). */
  featureWriteCache: u32;
  /** Interrupt Coalescing (08h). */
  featureCoalescing: u32;
  /** Write Atomicity Normal (0Ah). */
  featureWriteAtomicity: u32;
  /** Asynchronous Event Configuration (0Bh). */
  featureAsyncEvents: u32;
  /** Keep Alive Timer (0Fh): milliseconds, 0 = off. */
  keepAliveTimeout: u32;
  /** `now` when the present timeout began. */
  keepAliveSince: u64;
  /** Timestamp (0Eh): milliseconds when the count began, and the `now` of that moment. */
  timestampBase: u64;
  timestampSince: u64;
  /** TIMESTAMP_ORIGIN_*; 1 when the clock has stood still since. */
  timestampOrigin: u8;
  timestampGap: u8;
  /** Host Behavior Support (16h): ACRE. */
  featureRetry: u8;
  reserved1: u8;
  reserved2: u32;

  /** Latest `now` of queue_poll, microseconds. */
  now: u64;

  /** Records in the EVENT area since they were last taken, and those that found no room. */
  eventCount: u32;
  eventDropped: u32;

  /** The image's configuration, checked once by core_init and kept where the guest cannot matter. */
  queuePairs: u16;
  queueEntries: u16;
  slots: u16;
  /** 1 when some active namespace has a volatile write cache. */
  volatileCache: u8;
  /** 1 when the caller enabled the controller (controller_start): there is no admin queue. */
  queueless: u8;
  configFlags: u32;

  /** Whether CC.IOSQES and CC.IOCQES are what the creation of I/O queues needs (Base 3.1.3.5): 64 and 16 bytes. */
  @inline get entrySizesSet(): bool {
    return (
      ((this.cc >> CC_IOSQES_SHIFT) & ((1 << CC_IOSQES_WIDTH) - 1)) == <u32>SQE_SHIFT &&
      ((this.cc >> CC_IOCQES_SHIFT) & ((1 << CC_IOCQES_WIDTH) - 1)) == <u32>CQE_SHIFT
    );
  }
}

/** The one controller of this image. */
export function controller(): ControllerRecord {
  return changetype<ControllerRecord>(<usize>CONTROLLER_BASE);
}

if (offsetof<ControllerRecord>() > CONTROLLER_RECORD_BYTES)
  ERROR('ControllerRecord is larger than its place');
if (offsetof<ControllerRecord>('aerSlot0') != 40) ERROR('AER slots are expected at byte 40');
if (offsetof<ControllerRecord>('now') % 8 != 0) ERROR('times must be 8-byte aligned');
if (NAMESPACE_COUNT * 2 > 0x200) ERROR('Error Recovery table is too small');
if (VECTOR_COUNT_MAX > 128) ERROR('vector table is too small');
if (CHANGED_BYTES * 2 > 64) ERROR('the bits of changed namespaces are too many');
if (PENDING_EVENTS_MAX * 4 > 128) ERROR('event queue is too small');
if (ERROR_LOG_ENTRIES * LOG_ERROR_ENTRY_BYTES > 0x1000) ERROR('error log is too small');
if (CONTROLLER_SIZE < 0x2000) ERROR('CONTROLLER area is too small');
