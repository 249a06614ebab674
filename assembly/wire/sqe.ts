// Submission queue entry: the Common Command Format (Base 3.3.3.1).
//
//    0        1        2                 4                          8                 12
//   +--------+--------+-----------------+--------------------------+-----------------+-----------------+
//   | OPC    | flags  | CID             | NSID                     | CDW2            | CDW3            |
//   +--------+--------+-----------------+--------------------------+-----------------+-----------------+
//   | MPTR                              (16)                       | PRP1                          (24) |
//   +--------------------------------------------------------------+-----------------+-----------------+
//   | PRP2                              (32)                       | CDW10      (40) | CDW11      (44) |
//   +-----------------+-----------------+--------------------------+-----------------+-----------------+
//   | CDW12      (48) | CDW13      (52) | CDW14               (56) | CDW15      (60) |
//   +-----------------+-----------------+--------------------------+-----------------+

import {
  SQE_BYTES,
  SQE_CDW10,
  SQE_CDW11,
  SQE_CDW12,
  SQE_CDW13,
  SQE_CDW14,
  SQE_CDW15,
  SQE_CDW2,
  SQE_CDW3,
  SQE_CID,
  SQE_FLAGS,
  SQE_MPTR,
  SQE_NSID,
  SQE_OPCODE,
  SQE_PRP1,
  SQE_PRP2,
} from '../spec/nvme.ts';

@unmanaged
export class Sqe {
  /** Opcode (OPC). */
  opcode: u8;
  /** Fused Operation (FUSE) in bits 1:0, PRP or SGL for Data Transfer (PSDT) in bits 7:6. */
  flags: u8;
  /** Command Identifier (CID): the guest's, unique among the outstanding commands of a queue. */
  cid: u16;
  /** Namespace Identifier (NSID). */
  nsid: u32;
  cdw2: u32;
  cdw3: u32;
  /** Metadata Pointer (MPTR): no namespace has metadata. */
  mptr: u64;
  /** Data Pointer (DPTR): PRP Entry 1. */
  prp1: u64;
  /** Data Pointer (DPTR): PRP Entry 2. */
  prp2: u64;
  cdw10: u32;
  cdw11: u32;
  cdw12: u32;
  cdw13: u32;
  cdw14: u32;
  cdw15: u32;

  @inline static at(address: usize): Sqe {
    return changetype<Sqe>(address);
  }

  /** CDW10 and CDW11 as one number: the Starting LBA of I/O commands. */
  @inline get slba(): u64 {
    return load<u64>(changetype<usize>(this), SQE_CDW10);
  }
}

if (offsetof<Sqe>() != SQE_BYTES) ERROR('Sqe');
if (offsetof<Sqe>('opcode') != SQE_OPCODE) ERROR('Sqe.opcode');
if (offsetof<Sqe>('flags') != SQE_FLAGS) ERROR('Sqe.flags');
if (offsetof<Sqe>('cid') != SQE_CID) ERROR('Sqe.cid');
if (offsetof<Sqe>('nsid') != SQE_NSID) ERROR('Sqe.nsid');
if (offsetof<Sqe>('cdw2') != SQE_CDW2) ERROR('Sqe.cdw2');
if (offsetof<Sqe>('cdw3') != SQE_CDW3) ERROR('Sqe.cdw3');
if (offsetof<Sqe>('mptr') != SQE_MPTR) ERROR('Sqe.mptr');
if (offsetof<Sqe>('prp1') != SQE_PRP1) ERROR('Sqe.prp1');
if (offsetof<Sqe>('prp2') != SQE_PRP2) ERROR('Sqe.prp2');
if (offsetof<Sqe>('cdw10') != SQE_CDW10) ERROR('Sqe.cdw10');
if (offsetof<Sqe>('cdw11') != SQE_CDW11) ERROR('Sqe.cdw11');
if (offsetof<Sqe>('cdw12') != SQE_CDW12) ERROR('Sqe.cdw12');
if (offsetof<Sqe>('cdw13') != SQE_CDW13) ERROR('Sqe.cdw13');
if (offsetof<Sqe>('cdw14') != SQE_CDW14) ERROR('Sqe.cdw14');
if (offsetof<Sqe>('cdw15') != SQE_CDW15) ERROR('Sqe.cdw15');
