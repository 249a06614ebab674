// The driver: the other side of the queues that a core serves. It builds submission queue entries and PRPs in guest
// memory, says which doorbells to write, and takes completions off. It is every test's and benchmark's guest, and the
// heart of a backend that speaks to another NVMe controller. It touches no device: whoever calls it writes the
// doorbells, and does the registers of BAR0.
//
// All arguments and results are u32; an address of 64 bits is two, the low one first. `state` is the linear
// address of
// the driver's state, DRIVER_STATE_BYTES of it, aligned to 16: an instance serves any number of states and keeps
// nothing outside them. Areas, records and codes are in abi/driver.ts.
//
//   driver_init(state, guest_base, guest_bytes, gpa_lo, gpa_hi)
//       Clears the state. Guest memory of `guest_bytes`, whose guest physical address is `gpa`, is visible at linear
//       address `guest_base` (not 0).
//   cq_create(state, cqid, gpa_lo, gpa_hi, entries) -> DRIVER_OK | DRIVER_INVALID
//       Clears and remembers a ring. To the controller it is announced by a Create I/O Completion Queue, or by ACQ.
//   sq_create(state, sqid, cqid, gpa_lo, gpa_hi, entries, depth, lists_lo, lists_hi, list_pages) -> likewise
//       `depth` CIDs (to DRIVER_COMMANDS_MAX) may be outstanding, even more than the ring has entries. At `lists` are
//       2 * depth pages for PRP lists, or none (list_pages = 0) where no data is longer than two pages.
// queue_reset(state)                     Forgets all queues, commands and shadow doorbells (after a controller
// reset).
//   prepare_clear(state)                   An empty entry. command_submit leaves one behind.
//   data_set(state, gpa_lo, gpa_hi, bytes) The command's data; for scattered data fill DRIVER_PAGES and DATA_PAGES.
//   blocks_prepare(state, opcode, nsid, lba_lo, lba_hi, blocks, cdw12_flags)    Read, Write, Write Zeroes
//   flush_prepare(state, nsid)
//   dataset_management_prepare(state, nsid, ranges, attributes)                 the ranges are the data
//   identify_prepare(state, cns, nsid, cntid, csi)                              4,096 bytes of data
//   create_queue_prepare(state, opcode, qid, entries, gpa_lo, gpa_hi, cdw11)    Create I/O SQ and CQ
//   delete_queue_prepare(state, opcode, qid)
//   doorbell_buffers_prepare(state, shadow_lo, shadow_hi, event_lo, event_hi)
//   async_event_prepare(state)
//   abort_prepare(state, sqid, cid)
//   feature_get_prepare(state, fid, select, cdw11, nsid)
//   feature_set_prepare(state, fid, save, cdw11, nsid)
//   log_page_prepare(state, lid, bytes, offset_lo, offset_hi, cdw10_flags, nsid)
//       Fill the entry at DRIVER_SQE; a caller may change any byte of it before it submits.
//   command_submit(state, sqid) -> CID | SUBMIT_FULL | SUBMIT_INVALID
//       Chooses the CID, builds PRPs if DATA_BYTES is not 0, puts the entry into the ring.
//   sq_doorbell(state, sqid), cq_doorbell(state, cqid) -> value for the doorbell register | DOORBELL_NONE
//       DOORBELL_NONE: nothing changed, or the shadow doorbell was enough.
//   doorbell_buffers_use(state, shadow_lo, shadow_hi, event_lo, event_hi) -> DRIVER_OK | DRIVER_INVALID
//       After Doorbell Buffer Config succeeded. All zeros: MMIO only again.
//   completions_reap(state, cqid, max) -> number of records at DRIVER_COMPLETIONS, at most DRIVER_COMMANDS_MAX
//   outstanding(state, sqid) -> commands submitted and not reaped
//   load_step(state) -> number of completions reaped; the load is described at DRIVER_LOAD

import {
  DRIVER_COMPLETION_QUEUES,
  DRIVER_QUEUE_BYTES,
  DRIVER_QUEUE_COUNT,
  DRIVER_STATE_BYTES,
  DRIVER_SUBMISSION_QUEUES,
} from '../abi/driver.ts';
import { loadStep } from './load.ts';
import {
  abortPrepare,
  asyncEventPrepare,
  blocksPrepare,
  dataSet,
  datasetManagementPrepare,
  doorbellBuffersPrepare,
  featureGetPrepare,
  featureSetPrepare,
  flushPrepare,
  identifyPrepare,
  logPagePrepare,
  queueCreatePrepare,
  queueDeletePrepare,
} from './prepare.ts';
import {
  commandSubmit,
  completionDoorbell,
  completionQueueCreate,
  completionsReap,
  doorbellBuffersUse,
  prepareClear,
  submissionDoorbell,
  submissionQueueCreate,
} from './queue.ts';
import { Driver, Submission, u64Of } from './state.ts';

export {
  abortPrepare as abort_prepare,
  asyncEventPrepare as async_event_prepare,
  blocksPrepare as blocks_prepare,
  commandSubmit as command_submit,
  completionDoorbell as cq_doorbell,
  completionQueueCreate as cq_create,
  completionsReap as completions_reap,
  dataSet as data_set,
  datasetManagementPrepare as dataset_management_prepare,
  doorbellBuffersPrepare as doorbell_buffers_prepare,
  featureGetPrepare as feature_get_prepare,
  featureSetPrepare as feature_set_prepare,
  flushPrepare as flush_prepare,
  identifyPrepare as identify_prepare,
  loadStep as load_step,
  logPagePrepare as log_page_prepare,
  prepareClear as prepare_clear,
  queueCreatePrepare as create_queue_prepare,
  queueDeletePrepare as delete_queue_prepare,
  submissionDoorbell as sq_doorbell,
  submissionQueueCreate as sq_create,
};

export function driver_init(state: u32, guestBase: u32, guestBytes: u32, gpaLow: u32, gpaHigh: u32): void {
  memory.fill(state, 0, DRIVER_STATE_BYTES);
  const driver = Driver.at(state);
  driver.guestBase = guestBase;
  driver.guestBytes = guestBytes;
  driver.guestAddress = u64Of(gpaLow, gpaHigh);
}

export function queue_reset(state: u32): void {
  const bytes = DRIVER_QUEUE_COUNT * DRIVER_QUEUE_BYTES;
  memory.fill(state + DRIVER_SUBMISSION_QUEUES, 0, bytes);
  memory.fill(state + DRIVER_COMPLETION_QUEUES, 0, bytes);
  doorbellBuffersUse(state, 0, 0);
  prepareClear(state);
}

export function doorbell_buffers_use(
  state: u32,
  shadowLow: u32,
  shadowHigh: u32,
  eventLow: u32,
  eventHigh: u32,
): u32 {
  return doorbellBuffersUse(state, u64Of(shadowLow, shadowHigh), u64Of(eventLow, eventHigh));
}

export function outstanding(state: u32, sqid: u32): u32 {
  return sqid < <u32>DRIVER_QUEUE_COUNT ? <u32>Submission.at(state, sqid).outstanding : 0;
}
