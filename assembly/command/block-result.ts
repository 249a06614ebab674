// What became of a request, told to the guest: the one table from the block layer's results to NVMe status.
//
//   result          status                                         why this one
//   OUT_OF_RANGE    LBA Out of Range, DNR                          the namespace is smaller than the core was told
//   MEDIUM_ERROR    Unrecovered Read Error, or Write Fault         Linux reports EIO, after trying again
//   NO_SPACE        Capacity Exceeded, DNR                         Linux reports ENOSPC
//   READ_ONLY       Namespace is Write Protected, DNR              Linux reports a failed write
//   MEMORY_FAULT    Data Transfer Error                            memory was unmapped under the command
//   NOT_SUPPORTED   Internal Error, DNR                            the storage lied about what it can
//   CANCELED        Command Abort Requested                        may be tried again
//   BUSY            Namespace Not Ready                            may be tried again
//   MISCOMPARE      Compare Failure, DNR                           what Compare is for
//   SOURCE_ERROR    Unrecovered Read Error                         Copy could not read what it was to write
//   others          Internal Error                                 a caller that speaks another ABI

import {
  BLOCK_BUSY,
  BLOCK_CANCELED,
  BLOCK_MEDIUM_ERROR,
  BLOCK_MEMORY_FAULT,
  BLOCK_MISCOMPARE,
  BLOCK_NOT_SUPPORTED,
  BLOCK_NO_SPACE,
  BLOCK_OK,
  BLOCK_OUT_OF_RANGE,
  BLOCK_READ_ONLY,
  BLOCK_SOURCE_ERROR,
  OPERATION_COMPARE,
  OPERATION_READ,
  OPERATION_VERIFY,
} from '../abi/records.ts';
import {
  STATUS_ABORT_REQUESTED,
  STATUS_CAPACITY_EXCEEDED,
  STATUS_COMPARE_FAILURE,
  STATUS_DATA_TRANSFER_ERROR,
  STATUS_INTERNAL_ERROR,
  STATUS_LBA_OUT_OF_RANGE,
  STATUS_NAMESPACE_NOT_READY,
  STATUS_NAMESPACE_WRITE_PROTECTED,
  STATUS_UNRECOVERED_READ_ERROR,
  STATUS_WRITE_FAULT,
} from '../spec/nvme.ts';
import { DONE, refuse } from '../wire/status.ts';

/** The status of a command whose request of this OPERATION_* ended with this BLOCK_*. */
export function blockStatus(result: u32, operation: u32): u32 {
  switch (result) {
    case BLOCK_OK:
      return DONE;
    case BLOCK_OUT_OF_RANGE:
      return refuse(STATUS_LBA_OUT_OF_RANGE);
    case BLOCK_MEDIUM_ERROR:
      return reads(operation) ? STATUS_UNRECOVERED_READ_ERROR : STATUS_WRITE_FAULT;
    case BLOCK_NO_SPACE:
      return refuse(STATUS_CAPACITY_EXCEEDED);
    case BLOCK_READ_ONLY:
      return refuse(STATUS_NAMESPACE_WRITE_PROTECTED);
    case BLOCK_MEMORY_FAULT:
      return STATUS_DATA_TRANSFER_ERROR;
    case BLOCK_NOT_SUPPORTED:
      return refuse(STATUS_INTERNAL_ERROR);
    case BLOCK_CANCELED:
      return STATUS_ABORT_REQUESTED;
    case BLOCK_BUSY:
      return STATUS_NAMESPACE_NOT_READY;
    case BLOCK_MISCOMPARE:
      return refuse(STATUS_COMPARE_FAILURE);
    case BLOCK_SOURCE_ERROR:
      return STATUS_UNRECOVERED_READ_ERROR;
    default:
      return STATUS_INTERNAL_ERROR;
  }
}

function reads(operation: u32): bool {
  return operation == OPERATION_READ || operation == OPERATION_COMPARE || operation == OPERATION_VERIFY;
}
