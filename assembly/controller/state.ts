// The life of a controller: CC.EN, CSTS.RDY, CSTS.CFS and shutdown (Base 3.5 to 3.7).
//
//                EN 0->1, no request outstanding              EN 1->0
//   DISABLED ───────────────────────────────────> READY ───────────────────┐
//      ^  │  EN 0->1, requests of an earlier life   ^ │                    v
//      │  └──────────────> ENABLING ────────────────┘ │ lost            DISABLING
//      │                   (RDY 0)     none left      v              (RDY 1 until none
//      │                                            FAILED ─EN 1->0──> is outstanding)
//      └───────────────────────────────────────────────────────────────────┘
//
// Registers change here and nowhere else. Fetching stops with EN, CFS and the first shutdown notification; requests
// that are with the caller are waited for, because they may still write to the guest's memory.

import { CONTROLLER_BASE, CONTROLLER_SIZE } from '../abi/memory-map.ts';
import {
  EVENT_CONTROLLER_DISABLED,
  EVENT_CONTROLLER_FAILED,
  EVENT_CONTROLLER_READY,
  EVENT_CONTROLLER_SHUTDOWN,
  FAILED_ADMIN_QUEUE,
  FAILED_BY_CALLER,
  FAILED_CONFIGURATION,
  FAILED_KEEP_ALIVE,
  INIT_OK,
  START_ENABLED,
  START_OK,
} from '../abi/records.ts';
import { adminQueueCreate, queuesReset } from '../queue/lifecycle.ts';
import { requestsOutstanding } from '../queue/slots.ts';
import {
  AQA_ACQS_Z_SHIFT,
  AQA_ACQS_Z_WIDTH,
  AQA_ASQS_Z_SHIFT,
  AQA_ASQS_Z_WIDTH,
  CC_AMS_ROUND_ROBIN,
  CC_AMS_SHIFT,
  CC_AMS_WIDTH,
  CC_CSS_NVM,
  CC_CSS_SHIFT,
  CC_CSS_WIDTH,
  CC_EN,
  CC_IOCQES_SHIFT,
  CC_IOSQES_SHIFT,
  CC_MPS_SHIFT,
  CC_MPS_WIDTH,
  CC_SHN_NONE,
  CC_SHN_SHIFT,
  CC_SHN_WIDTH,
  CQE_SHIFT,
  CSTS_CFS,
  CSTS_RDY,
  CSTS_SHST_COMPLETE,
  CSTS_SHST_NORMAL,
  CSTS_SHST_OCCURRING,
  CSTS_SHST_SHIFT,
  CSTS_SHST_WIDTH,
  PAGE_BYTES,
  QUEUE_ENTRIES_MIN,
  SQE_SHIFT,
  STATUS_KEEP_ALIVE_EXPIRED,
} from '../spec/nvme.ts';
import { Scheduler } from '../wire/queue.ts';
import { SLOT_NONE, Slot } from '../wire/slot.ts';
import { asyncEventsReset } from '../admin/async-events.ts';
import { configAccept } from './config.ts';
import { eventRecord } from '../queue/event-records.ts';
import { changesReset } from '../admin/changed-namespaces.ts';
import { errorLogAddEvent } from '../admin/error-log.ts';
import { featuresReset } from '../admin/features.ts';
import { persistentBegin, persistentCheck, persistentRunning } from '../admin/saved-features.ts';
import { clockStart } from '../admin/health.ts';
import {
  LIFE_DISABLED,
  LIFE_DISABLING,
  LIFE_ENABLING,
  LIFE_FAILED,
  LIFE_READY,
  controller,
} from '../wire/controller.ts';
import {
  SHUTDOWN_FLUSHING,
  SHUTDOWN_LATER,
  SHUTDOWN_NOTHING,
  shutdownFlushBegin,
  shutdownFlushNext,
} from './shutdown.ts';

/** CC as far as this controller has it: EN, CSS, MPS, AMS, SHN, IOSQES, IOCQES. */
const CC_WRITABLE: u32 = 0x00fffff1;

/** core_init: a controller at power-on with what the CONFIG and NAMESPACE areas say. INIT_*. */
export function controllerInit(): u32 {
  memory.fill(CONTROLLER_BASE, 0, CONTROLLER_SIZE);
  const result = configAccept();
  if (result != <u32>INIT_OK) return result;
  persistentBegin();
  featuresReset();
  return INIT_OK;
}

/** core_resume: the image goes on; its configuration is looked at again, since the image came from outside. INIT_*. */
export function controllerResume(): u32 {
  clockStart();
  persistentCheck();
  return configAccept();
}

/** Whether commands may be fetched: CSTS.RDY without CFS, and no shutdown was asked for. */
export function controllerEnabled(): bool {
  const c = controller();
  return c.life == LIFE_READY && field(c.csts, CSTS_SHST_SHIFT, CSTS_SHST_WIDTH) == 0;
}

/** The guest writes CC. */
export function configurationWrite(value: u32): void {
  const c = controller();
  const wanted = value & CC_WRITABLE;
  const wasEnabled = (c.cc & CC_EN) != 0;
  if (wasEnabled && (wanted & CC_EN) == 0) {
    disable();
    return;
  }
  const before = field(c.cc, CC_SHN_SHIFT, CC_SHN_WIDTH);
  c.cc = wanted;
  // While a reset is still under way the new EN waits: stateAdvance comes back to it.
  if (!wasEnabled && (wanted & CC_EN) != 0 && c.life == LIFE_DISABLED) enable();
  if (before == <u32>CC_SHN_NONE) shutdownBegin();
}

/** Goes on with what waits for requests to come back. Called at the end of each queue_poll and completions_post. */
export function stateAdvance(): void {
  const c = controller();
  const shuttingDown = field(c.csts, CSTS_SHST_SHIFT, CSTS_SHST_WIDTH) == <u32>CSTS_SHST_OCCURRING;
  if (c.life != LIFE_DISABLING && c.life != LIFE_ENABLING && !shuttingDown) return;
  if (requestsOutstanding() != 0) return;
  if (c.life == LIFE_DISABLING) disabled();
  else if (c.life == LIFE_ENABLING) ready();
  else shutdownAdvance();
}

/** Function level reset and the like: all registers and features to power-on values at once (Base 3.7.2). */
export function controllerReset(): void {
  const c = controller();
  const announced = c.cc != 0 || c.csts != 0;
  queuesReset();
  asyncEventsReset();
  changesReset();
  featuresReset();
  c.cc = 0;
  c.csts = 0;
  c.aqa = 0;
  c.asq = 0;
  c.acq = 0;
  c.interruptMask = 0;
  c.shutdownFlushing = 0;
  c.queueless = 0;
  c.life = LIFE_DISABLED;
  if (announced) eventRecord(EVENT_CONTROLLER_DISABLED, 0, 0, 0, 0, 0, 0);
}

/** The caller lost something that the controller needs (memory, a backend): CSTS.CFS, and nothing is fetched. */
export function controllerFail(): void {
  fail(FAILED_BY_CALLER, 0);
}

/** The guest has not kept its promise (Base 3.9.2): an error entry, CSTS.CFS, and nothing is fetched. */
export function keepAliveExpire(): void {
  errorLogAddEvent(STATUS_KEEP_ALIVE_EXPIRED);
  fail(FAILED_KEEP_ALIVE, controller().keepAliveTimeout);
}

/** The request of a slot that belongs to no queue (SQID_INTERNAL) has completed. */
export function shutdownContinue(slot: Slot): void {
  if (!shutdownFlushNext(slot)) return;
  controller().shutdownFlushing = 0;
  shutdownDone();
}

/**
 * Enables the controller without an admin queue, for callers whose peer keeps that queue and the registers itself:
 * START_*. From here on it is disabled, reset and shut down as any other.
 */
export function controllerStart(): u32 {
  const c = controller();
  if ((c.cc & CC_EN) != 0 || c.life == LIFE_FAILED) return START_ENABLED;
  c.queueless = 1;
  configurationWrite(CC_EN | (SQE_SHIFT << CC_IOSQES_SHIFT) | (CQE_SHIFT << CC_IOCQES_SHIFT));
  return START_OK;
}

function enable(): void {
  const c = controller();
  c.life = LIFE_ENABLING;
  // A shutdown that was asked for while EN was 0 belongs to the life before.
  if (field(c.cc, CC_SHN_SHIFT, CC_SHN_WIDTH) == <u32>CC_SHN_NONE) shutdownStatus(CSTS_SHST_NORMAL);
  if (requestsOutstanding() == 0) ready();
}

/** CC.EN is 1 and no request of an earlier life can touch the guest's memory any more. */
function ready(): void {
  const c = controller();
  if (!configurationSupported(c.cc)) {
    fail(FAILED_CONFIGURATION, c.cc);
    return;
  }
  if (c.queueless == 0 && !adminQueueBegin()) return;
  c.csts = (c.csts & ~CSTS_CFS) | CSTS_RDY;
  c.life = LIFE_READY;
  persistentRunning(true);
  eventRecord(EVENT_CONTROLLER_READY, 0, 0, 0, 0, 0, c.cc);
}

/** Creates the admin queue that AQA, ASQ and ACQ describe; false: it cannot work, the controller has failed. */
function adminQueueBegin(): bool {
  const c = controller();
  const sqEntries = field(c.aqa, AQA_ASQS_Z_SHIFT, AQA_ASQS_Z_WIDTH) + 1;
  const cqEntries = field(c.aqa, AQA_ACQS_Z_SHIFT, AQA_ACQS_Z_WIDTH) + 1;
  if (sqEntries < <u32>QUEUE_ENTRIES_MIN || cqEntries < <u32>QUEUE_ENTRIES_MIN) {
    fail(FAILED_ADMIN_QUEUE, c.aqa);
    return false;
  }
  if ((c.asq & (PAGE_BYTES - 1)) != 0 || (c.acq & (PAGE_BYTES - 1)) != 0) {
    fail(FAILED_ADMIN_QUEUE, (c.asq & (PAGE_BYTES - 1)) != 0 ? c.asq : c.acq);
    return false;
  }
  const reason = adminQueueCreate(c.asq, c.acq, sqEntries, cqEntries);
  if (reason != 0) {
    fail(reason, c.asq);
    return false;
  }
  return true;
}

/** CC.CSS, CC.MPS and CC.AMS against CAP. Entry sizes are looked at when an I/O queue is created. */
function configurationSupported(cc: u32): bool {
  return (
    field(cc, CC_CSS_SHIFT, CC_CSS_WIDTH) == <u32>CC_CSS_NVM &&
    field(cc, CC_MPS_SHIFT, CC_MPS_WIDTH) == 0 &&
    field(cc, CC_AMS_SHIFT, CC_AMS_WIDTH) == <u32>CC_AMS_ROUND_ROBIN
  );
}

/** CC.EN became 0: Controller Reset (Base 3.7.2). AQA, ASQ and ACQ stay, RDY waits for outstanding requests. */
function disable(): void {
  const c = controller();
  queuesReset();
  asyncEventsReset();
  changesReset();
  featuresReset();
  c.cc = 0;
  c.interruptMask = 0;
  c.shutdownFlushing = 0;
  c.queueless = 0;
  c.life = LIFE_DISABLING;
  stateAdvance();
}

function disabled(): void {
  const c = controller();
  c.csts = 0;
  c.life = LIFE_DISABLED;
  eventRecord(EVENT_CONTROLLER_DISABLED, 0, 0, 0, 0, 0, 0);
  // The guest did not wait for RDY to fall before it enabled the controller again.
  if ((c.cc & CC_EN) != 0) enable();
  shutdownBegin();
}

function fail(reason: u32, value: u64): void {
  const c = controller();
  if ((c.csts & CSTS_CFS) != 0) return;
  c.csts |= CSTS_CFS;
  // A controller that is disabled has nothing left to lose: the next enable is a new life.
  if ((c.cc & CC_EN) != 0) c.life = LIFE_FAILED;
  eventRecord(EVENT_CONTROLLER_FAILED, 0, 0, 0, 0, reason, value);
}

/** CC.SHN left 00b (Base 3.6.1): commands that were fetched complete, then the caches are flushed. */
function shutdownBegin(): void {
  const c = controller();
  if (field(c.cc, CC_SHN_SHIFT, CC_SHN_WIDTH) == <u32>CC_SHN_NONE) return;
  if (field(c.csts, CSTS_SHST_SHIFT, CSTS_SHST_WIDTH) != 0) return;
  shutdownStatus(CSTS_SHST_OCCURRING);
  stateAdvance();
}

/** No request is outstanding. Commands that wait for a window come first; then flush, or be done. */
function shutdownAdvance(): void {
  const c = controller();
  if (c.shutdownFlushing != 0 || Scheduler.get().walkFirst != SLOT_NONE) return;
  const begun = c.life == LIFE_READY ? shutdownFlushBegin() : SHUTDOWN_NOTHING;
  if (begun == SHUTDOWN_LATER) return;
  if (begun == SHUTDOWN_FLUSHING) c.shutdownFlushing = 1;
  else shutdownDone();
}

function shutdownDone(): void {
  const c = controller();
  shutdownStatus(CSTS_SHST_COMPLETE);
  persistentRunning(false);
  eventRecord(EVENT_CONTROLLER_SHUTDOWN, 0, 0, 0, 0, field(c.cc, CC_SHN_SHIFT, CC_SHN_WIDTH), 0);
}

function shutdownStatus(status: u32): void {
  const c = controller();
  c.csts = (c.csts & ~(((1 << CSTS_SHST_WIDTH) - 1) << CSTS_SHST_SHIFT)) | (status << CSTS_SHST_SHIFT);
}

function field(value: u32, shift: u32, width: u32): u32 {
  return (value >> shift) & ((1 << width) - 1);
}
