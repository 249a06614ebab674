// The life of a command: fetched from its queue, executed by its handler, issued as a request, completed.
//
//   queue_poll        completions that waited -> commands that waited -> one round over the submission queues
//   completions_post  results of requests -> second parts of commands -> completions

import { SLOT_COUNT } from '../abi/memory-map.ts';
import {
  BLOCK_OK,
  COMMAND_REFUSED,
  COMMAND_SET_ADMIN,
  COMMAND_SET_NVM,
  OPERATION_COMPARE,
  OPERATION_COPY,
  OPERATION_COPY_IN,
  OPERATION_COPY_OUT,
  OPERATION_READ,
  OPERATION_VERIFY,
  OPERATION_WRITE,
  OPERATION_WRITE_ZEROES,
  REQUEST_FLAG_FUA,
} from '../abi/records.ts';
import { logPageRead } from '../admin/get-log-page.ts';
import { adminExecute, adminSupported } from '../admin/index.ts';
import { blockStatus } from '../command/block-result.ts';
import { compare } from '../command/compare.ts';
import { copy, copyNext, copyRanges } from '../command/copy.ts';
import { datasetManagement, datasetManagementRanges } from '../command/dataset-management.ts';
import { flush, flushBroadcast, flushNamespace } from '../command/flush.ts';
import { read } from '../command/read.ts';
import { verify } from '../command/verify.ts';
import { writeUncorrectable } from '../command/write-uncorrectable.ts';
import { write } from '../command/write.ts';
import { writeZeroes } from '../command/write-zeroes.ts';
import { flushAllBegin, flushAllNext } from '../dptr/flush-all.ts';
import { directFetch } from '../queue/direct.ts';
import { completionSlot, requestIssue } from '../queue/requests.ts';
import { walkLater } from '../queue/slots.ts';
import {
  ADMIN_ASYNC_EVENT_REQUEST,
  ADMIN_GET_LOG_PAGE,
  NSID_BROADCAST,
  NVM_COMPARE,
  NVM_COPY,
  NVM_DATASET_MANAGEMENT,
  NVM_FLUSH,
  NVM_READ,
  NVM_VERIFY,
  NVM_WRITE,
  NVM_WRITE_UNCORRECTABLE,
  NVM_WRITE_ZEROES,
  STATUS_INVALID_FIELD,
  STATUS_INVALID_OPCODE,
} from '../spec/nvme.ts';
import { Namespace } from '../wire/namespace.ts';
import { Completion } from '../wire/request.ts';
import { AGAIN, ISSUE, PENDING, Slot, SQID_DIRECT, SQID_INTERNAL, STAGE_FLUSH_ALL } from '../wire/slot.ts';
import { DONE, refuse } from '../wire/status.ts';
import { commandEnd } from '../admin/complete.ts';
import { writeCacheEnabled } from '../admin/features.ts';
import { healthRead, healthResult, healthVerified, healthWritten } from '../admin/health.ts';
import { featureDataSet } from '../admin/set-features-data.ts';
import { namespaceActive, nsidCheck } from '../admin/namespaces.ts';
import { shutdownContinue, stateAdvance } from './state.ts';

/** Runs a command from its start or from where a missing window stopped it; false when one is missing again. */
export function commandRun(slot: Slot): bool {
  if (slot.stage == STAGE_FLUSH_ALL) return commandProceed(slot, flushAllBegin(slot));
  return commandProceed(slot, slot.isAdmin ? adminCommand(slot) : ioCommand(slot));
}

/**
 * Runs the command in the mailbox, of this COMMAND_SET_*, whether or not the controller is enabled: its token, or
 * COMMAND_REFUSED. The result is taken by commands_take, now or after further polls.
 */
export function commandSubmit(set: u32): u32 {
  if (set != <u32>COMMAND_SET_ADMIN && set != <u32>COMMAND_SET_NVM) return COMMAND_REFUSED;
  const slot = directFetch(set == <u32>COMMAND_SET_ADMIN);
  if (slot === null) return COMMAND_REFUSED;
  const token = slot.tag;
  commandRun(slot);
  return token;
}

/** Does what a handler said: a status, or ISSUE, AGAIN, PENDING. */
function commandProceed(slot: Slot, code: u32): bool {
  switch (code) {
    case ISSUE:
      requestIssue(slot);
      return true;
    case AGAIN:
      walkLater(slot);
      return false;
    case PENDING:
      return true;
    default:
      commandEnd(slot, code);
      return true;
  }
}

/** Fused operations (FUSE) and SGLs (PSDT) are not offered, the bits between them are reserved: all of it is 0. */
function adminCommand(slot: Slot): u32 {
  const sqe = slot.sqe;
  // An event has nobody to wait for it but a queue's owner.
  if (slot.sqid == SQID_DIRECT && sqe.opcode == ADMIN_ASYNC_EVENT_REQUEST)
    return refuse(STATUS_INVALID_OPCODE);
  if (sqe.flags != 0 && adminSupported(sqe.opcode)) return refuse(STATUS_INVALID_FIELD);
  return adminExecute(slot);
}

function ioCommand(slot: Slot): u32 {
  const sqe = slot.sqe;
  const opcode: u32 = sqe.opcode;
  if (!ioSupported(opcode)) return refuse(STATUS_INVALID_OPCODE);
  if (sqe.flags != 0) return refuse(STATUS_INVALID_FIELD);
  const nsid = sqe.nsid;
  if (!Namespace.inRange(nsid) || !namespaceActive(nsid)) {
    return opcode == NVM_FLUSH && nsid == <u32>NSID_BROADCAST ? flushBroadcast(slot) : nsidCheck(nsid);
  }
  const namespace = Namespace.at(nsid);
  switch (opcode) {
    case NVM_READ:
      return read(slot, namespace);
    case NVM_WRITE:
      return write(slot, namespace, !writeCacheEnabled());
    case NVM_FLUSH:
      return flush(slot, namespace);
    case NVM_WRITE_ZEROES:
      return writeZeroes(slot, namespace, !writeCacheEnabled());
    case NVM_DATASET_MANAGEMENT:
      return datasetManagement(slot, namespace);
    case NVM_COMPARE:
      return compare(slot, namespace);
    case NVM_VERIFY:
      return verify(slot, namespace);
    case NVM_WRITE_UNCORRECTABLE:
      return writeUncorrectable(slot, namespace);
    default:
      return copy(slot, namespace);
  }
}

const IO_OPCODES: u32 =
  (1 << NVM_FLUSH) |
  (1 << NVM_WRITE) |
  (1 << NVM_READ) |
  (1 << NVM_WRITE_UNCORRECTABLE) |
  (1 << NVM_COMPARE) |
  (1 << NVM_WRITE_ZEROES) |
  (1 << NVM_DATASET_MANAGEMENT) |
  (1 << NVM_VERIFY) |
  (1 << NVM_COPY);

/** Whether there is a handler for this opcode of the NVM command set. */
export function ioSupported(opcode: u32): bool {
  return opcode < 32 && (IO_OPCODES & (1 << opcode)) != 0;
}

/** The caller hands back `count` requests, whose results are in the completion ring. */
export function completionsPost(count: u32): void {
  const records = count < <u32>SLOT_COUNT ? count : SLOT_COUNT;
  for (let index: u32 = 0; index < records; index++) {
    const slot = completionSlot(index);
    if (slot !== null) commandReturned(slot, Completion.at(index).result);
  }
  stateAdvance();
}

function commandReturned(slot: Slot, result: u32): void {
  const operation: u32 = slot.operation;
  if (result != BLOCK_OK) healthResult(result);
  if (slot.sqid == SQID_INTERNAL) {
    shutdownContinue(slot);
  } else if (result != BLOCK_OK) {
    commandEnd(slot, blockStatus(result, operation));
  } else if (operation == OPERATION_READ) {
    healthRead(slot.requestLength);
    commandEnd(slot, DONE);
  } else if (operation == OPERATION_WRITE) {
    healthWritten(slot.requestLength);
    commandProceed(slot, writeSettle(slot));
  } else {
    commandProceed(slot, commandContinue(slot, operation));
  }
}

/** A write that began before the guest switched the volatile write cache off is flushed before it completes. */
function writeSettle(slot: Slot): u32 {
  if (writeCacheEnabled() || (slot.requestFlags & REQUEST_FLAG_FUA) != 0) return DONE;
  return flushNamespace(slot, Namespace.at(slot.sqe.nsid));
}

/** A request has succeeded that need not be the whole of its command. */
function commandContinue(slot: Slot, operation: u32): u32 {
  if (slot.stage == STAGE_FLUSH_ALL) return flushAllNext(slot);
  switch (operation) {
    case OPERATION_COPY_IN:
      return dataArrived(slot);
    case OPERATION_COPY_OUT:
      if (slot.sqid == 0 && slot.sqe.opcode == ADMIN_GET_LOG_PAGE) logPageRead(slot);
      return DONE;
    case OPERATION_WRITE_ZEROES:
      return writeSettle(slot);
    case OPERATION_COPY: {
      const next = copyNext(slot, Namespace.at(slot.sqe.nsid));
      // The last range ends like a Write Zeroes. A function that calls itself also stays out of line, where it does not
      // crowd the path of Read and Write.
      return next == DONE ? commandContinue(slot, OPERATION_WRITE_ZEROES) : next;
    }
    case OPERATION_COMPARE:
      healthRead(slot.requestLength);
      return DONE;
    case OPERATION_VERIFY:
      healthVerified(slot.requestLength);
      return DONE;
    default:
      return DONE;
  }
}

/** What a command read from the guest for the core itself is in the private page. */
function dataArrived(slot: Slot): u32 {
  if (slot.isAdmin) return featureDataSet(slot);
  const namespace = Namespace.at(slot.sqe.nsid);
  return slot.sqe.opcode == NVM_COPY
    ? copyRanges(slot, namespace, !writeCacheEnabled())
    : datasetManagementRanges(slot, namespace);
}
