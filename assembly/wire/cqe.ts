// Completion queue entry (Base 3.3.3.2).
//
//    0                          4                          8             10            12            14
//   +--------------------------+--------------------------+-------------+-------------+-------------+-------------+
//   | DW0: command specific    | DW1: command specific    | SQHD        | SQID        | CID         | P | status  |
//   +--------------------------+--------------------------+-------------+-------------+-------------+-------------+

import {
  CQE_BYTES,
  CQE_CID,
  CQE_DW0,
  CQE_DW1,
  CQE_SQHD,
  CQE_SQID,
  CQE_STATUS,
  CQE_STATUS_PHASE_SHIFT,
  CQE_STATUS_SHIFT,
} from '../spec/nvme.ts';

@unmanaged
export class Cqe {
  /** Command specific result. */
  dw0: u32;
  /** Command specific; no command of ours uses it. */
  dw1: u32;
  /** SQ Head Pointer (SQHD): entries before it may be used again. */
  sqhd: u16;
  /** SQ Identifier (SQID). */
  sqid: u16;
  /** Command Identifier (CID), as in the SQE. */
  cid: u16;
  /** Phase Tag (P) in bit 0, status in bits 15:1. */
  status: u16;

  @inline static at(address: usize): Cqe {
    return changetype<Cqe>(address);
  }

  /** The last dword: what makes the entry valid, written in one atomic store. */
  @inline static last(cid: u16, status: u16, phase: u32): u32 {
    return (
      (<u32>cid) |
      ((((<u32>status) << CQE_STATUS_SHIFT) | (phase << CQE_STATUS_PHASE_SHIFT)) <<
        ((CQE_STATUS - CQE_CID) * 8))
    );
  }
}

if (offsetof<Cqe>() != CQE_BYTES) ERROR('Cqe');
if (offsetof<Cqe>('dw0') != CQE_DW0) ERROR('Cqe.dw0');
if (offsetof<Cqe>('dw1') != CQE_DW1) ERROR('Cqe.dw1');
if (offsetof<Cqe>('sqhd') != CQE_SQHD) ERROR('Cqe.sqhd');
if (offsetof<Cqe>('sqid') != CQE_SQID) ERROR('Cqe.sqid');
if (offsetof<Cqe>('cid') != CQE_CID) ERROR('Cqe.cid');
if (offsetof<Cqe>('status') != CQE_STATUS) ERROR('Cqe.status');
