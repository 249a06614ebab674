// Read, Write, Flush, Write Zeroes, Dataset Management: each check, what the request says, and what a result becomes.
// Namespace 1 has 2,048 blocks of 512 bytes, namespace 3 has 4,096 of 4,096 bytes.

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
  NAMESPACE_FLAG_ACTIVE,
  NAMESPACE_FLAG_DEALLOCATE,
  NAMESPACE_FLAG_READ_ONLY,
  NAMESPACE_FLAG_VOLATILE_CACHE,
  OPERATION_COMPARE,
  OPERATION_COPY,
  OPERATION_COPY_IN,
  OPERATION_DEALLOCATE,
  OPERATION_FLUSH,
  OPERATION_READ,
  OPERATION_VERIFY,
  OPERATION_WRITE,
  OPERATION_WRITE_ZEROES,
  REQUEST_FLAG_DEALLOCATE,
  REQUEST_FLAG_FUA,
} from '../../assembly/abi/records.ts';
import { blockStatus } from '../../assembly/command/block-result.ts';
import { completionsPost } from '../../assembly/controller/dispatch.ts';
import {
  ADMIN_SET_FEATURES,
  NSID_BROADCAST,
  NVM_DATASET_MANAGEMENT,
  NVM_FLUSH,
  NVM_READ,
  NVM_WRITE,
  NVM_WRITE_ZEROES,
  SQE_CDW10,
  SQE_CDW11,
  SQE_PRP1,
  SQE_PRP2,
  STATUS_ABORT_REQUESTED,
  STATUS_CAPACITY_EXCEEDED,
  STATUS_COMPARE_FAILURE,
  STATUS_DATA_TRANSFER_ERROR,
  STATUS_DNR,
  STATUS_INTERNAL_ERROR,
  STATUS_INVALID_FIELD,
  STATUS_INVALID_NAMESPACE,
  STATUS_INVALID_OPCODE,
  STATUS_LBA_OUT_OF_RANGE,
  STATUS_NAMESPACE_NOT_READY,
  STATUS_NAMESPACE_WRITE_PROTECTED,
  STATUS_UNRECOVERED_READ_ERROR,
  STATUS_WRITE_FAULT,
} from '../../assembly/spec/nvme.ts';
import { CompletionQueue } from '../../assembly/wire/queue.ts';
import { Completion, Request, Segment } from '../../assembly/wire/request.ts';
import { answer, entry, io, ISSUED, ioWithBit, run, start } from './support/io.ts';
import { command, DATA, reap } from './support/machine.ts';

const INVALID_FIELD: u32 = STATUS_INVALID_FIELD | STATUS_DNR;
const INVALID_NAMESPACE: u32 = STATUS_INVALID_NAMESPACE | STATUS_DNR;
const OUT_OF_RANGE: u32 = STATUS_LBA_OUT_OF_RANGE | STATUS_DNR;
const PROTECTED: u32 = STATUS_NAMESPACE_WRITE_PROTECTED | STATUS_DNR;
const FUA: u32 = 1 << 30;
const ALL: u32 = NAMESPACE_FLAG_ACTIVE | NAMESPACE_FLAG_DEALLOCATE | NAMESPACE_FLAG_VOLATILE_CACHE;

/** Dataset Management with `count` ranges of (LBA, blocks) from DATA: the first status. */
function deallocate(nsid: u32, count: u32): u32 {
  const at = entry(NVM_DATASET_MANAGEMENT, nsid, 0, 0);
  store<u32>(at, count - 1, SQE_CDW10);
  store<u32>(at, 4, SQE_CDW11);
  return run();
}

/** A range in the slot's private page, as if it had been copied from the guest. */
function range(index: u32, first: u64, blocks: u32): void {
  const at = <usize>Request.at(0).data + index * 16;
  store<u32>(at, 0xdead, 0);
  store<u32>(at, blocks, 4);
  store<u64>(at, first, 8);
}

describe('Read and Write', () => {
  beforeEach(() => {
    start(ALL, NAMESPACE_FLAG_ACTIVE);
  });

  it('say where and how much in bytes, with one segment for two pages that follow each other', () => {
    const at = entry(NVM_READ, 3, 5, 1);
    store<u64>(at, DATA + 0x1000, SQE_PRP2);
    expect(run()).toBe(ISSUED);
    const request = Request.at(0);
    expect(request.operation).toBe(<u16>OPERATION_READ);
    expect(request.nsid).toBe(3);
    expect(request.offset).toBe(5 * 4096);
    expect(request.length).toBe(8192);
    expect(request.segmentCount).toBe(1);
    expect(request.flags).toBe(0);
    expect(request.sqid).toBe(1);
    expect(Segment.at(request.segments).address).toBe(DATA);
    expect(Segment.at(request.segments).length).toBe(8192);
    expect(answer(BLOCK_OK)).toBe(0);
    entry(NVM_WRITE, 1, 2040, 7);
    expect(run()).toBe(ISSUED);
    expect(Request.at(0).operation).toBe(<u16>OPERATION_WRITE);
    expect(Request.at(0).length).toBe(4096);
    expect(answer(BLOCK_OK)).toBe(0);
  });

  it('LBA Out of Range: beyond the last block by one, and near 2^64', () => {
    const opcodes: u32[] = [NVM_READ, NVM_WRITE, NVM_WRITE_ZEROES];
    for (let index = 0; index < opcodes.length; index++) {
      const opcode = opcodes[index];
      expect(io(opcode, 1, 2047, 0)).toBe(ISSUED);
      expect(io(opcode, 1, 2048, 0)).toBe(OUT_OF_RANGE);
      expect(io(opcode, 1, 2047, 1)).toBe(OUT_OF_RANGE);
      expect(io(opcode, 1, 2041, 7)).toBe(OUT_OF_RANGE);
      expect(io(opcode, 1, u64.MAX_VALUE, 0)).toBe(OUT_OF_RANGE);
      expect(io(opcode, 1, u64.MAX_VALUE - 6, 7)).toBe(OUT_OF_RANGE);
      expect(io(opcode, 1, (<u64>1) << 55, 7)).toBe(OUT_OF_RANGE);
    }
  });

  it('Invalid Field: more than MDTS', () => {
    expect(io(NVM_READ, 3, 0, 256)).toBe(INVALID_FIELD);
    expect(io(NVM_WRITE, 3, 0, 0xffff)).toBe(INVALID_FIELD);
  });

  it('Invalid Namespace or Format: 0, beyond NN, broadcast; Invalid Field: not active', () => {
    const opcodes: u32[] = [NVM_READ, NVM_WRITE, NVM_WRITE_ZEROES, NVM_DATASET_MANAGEMENT, NVM_FLUSH];
    for (let index = 0; index < opcodes.length; index++) {
      const opcode = opcodes[index];
      expect(io(opcode, 0, 0, 0)).toBe(INVALID_NAMESPACE);
      expect(io(opcode, 257, 0, 0)).toBe(INVALID_NAMESPACE);
      expect(io(opcode, 2, 0, 0)).toBe(INVALID_FIELD);
      if (opcode != NVM_FLUSH) expect(io(opcode, NSID_BROADCAST, 0, 0)).toBe(INVALID_NAMESPACE);
    }
  });

  it('Invalid Field: each reserved bit; hints and what protection information would use are ignored', () => {
    // CDW12: NLB below 16; then Limited Retry, FUA, PRINFO and Storage Tag Check; CDW13: hints in the low byte.
    for (let bit: u32 = 16; bit < 32; bit++) {
      const known = bit == 24 || bit >= 26;
      expect(ioWithBit(NVM_READ, 12, bit)).toBe(known ? ISSUED : INVALID_FIELD);
      expect(ioWithBit(NVM_WRITE, 12, bit)).toBe(known ? ISSUED : INVALID_FIELD);
      expect(ioWithBit(NVM_WRITE_ZEROES, 12, bit)).toBe(known || bit == 25 ? ISSUED : INVALID_FIELD);
    }
    for (let bit: u32 = 0; bit < 32; bit++) {
      expect(ioWithBit(NVM_READ, 13, bit)).toBe(bit < 8 ? ISSUED : INVALID_FIELD);
      expect(ioWithBit(NVM_WRITE, 13, bit)).toBe(bit < 8 || bit > 15 ? ISSUED : INVALID_FIELD);
      expect(ioWithBit(NVM_WRITE_ZEROES, 13, bit)).toBe(INVALID_FIELD);
    }
    // Fused, SGLs, reserved.
    for (let bit: u32 = 8; bit < 16; bit++) {
      expect(ioWithBit(NVM_READ, 0, bit)).toBe(INVALID_FIELD);
      expect(ioWithBit(NVM_FLUSH, 0, bit)).toBe(INVALID_FIELD);
    }
  });

  it('Invalid Opcode: each one without a handler', () => {
    for (let opcode: u32 = 0; opcode < 256; opcode++) {
      const known = opcode < 3 || opcode == 4 || opcode == 5 || opcode == 8 || opcode == 9;
      if (known || opcode == 0x0c || opcode == 0x19) continue;
      expect(io(opcode, 1, 0, 0)).toBe(STATUS_INVALID_OPCODE | STATUS_DNR);
    }
  });

  it('Data Transfer Error: no memory there', () => {
    const at = entry(NVM_READ, 1, 0, 0);
    store<u64>(at, 0x400000, SQE_PRP1);
    expect(run()).toBe(STATUS_DATA_TRANSFER_ERROR | STATUS_DNR);
  });

  it('pass FUA on where there is a cache, and force it on writes when the cache is switched off', () => {
    entry(NVM_WRITE, 1, 0, FUA);
    expect(run()).toBe(ISSUED);
    expect(Request.at(0).flags).toBe(<u16>REQUEST_FLAG_FUA);
    answer(BLOCK_OK);
    entry(NVM_WRITE, 3, 0, FUA);
    expect(run()).toBe(ISSUED);
    expect(Request.at(0).flags).toBe(0);
    answer(BLOCK_OK);
    entry(NVM_READ, 1, 0, FUA);
    expect(run()).toBe(ISSUED);
    expect(Request.at(0).flags).toBe(<u16>REQUEST_FLAG_FUA);
    answer(BLOCK_OK);
    // Off: what is in the cache is flushed first.
    expect(command(ADMIN_SET_FEATURES, 0, 6, 0)).toBe(ISSUED);
    expect(Request.at(0).operation).toBe(<u16>OPERATION_FLUSH);
    Completion.at(0).slot = Request.at(0).slot;
    Completion.at(0).result = 0;
    completionsPost(1);
    expect(reap()).toBe(0);
    entry(NVM_WRITE, 1, 0, 0);
    expect(run()).toBe(ISSUED);
    expect(Request.at(0).flags).toBe(<u16>REQUEST_FLAG_FUA);
    answer(BLOCK_OK);
    entry(NVM_READ, 1, 0, 0);
    expect(run()).toBe(ISSUED);
    expect(Request.at(0).flags).toBe(0);
    answer(BLOCK_OK);
  });

  it('Namespace is Write Protected: every write, no read', () => {
    start(ALL | NAMESPACE_FLAG_READ_ONLY, NAMESPACE_FLAG_ACTIVE);
    expect(io(NVM_READ, 1, 0, 0)).toBe(ISSUED);
    expect(io(NVM_WRITE, 1, 0, 0)).toBe(PROTECTED);
    expect(io(NVM_WRITE_ZEROES, 1, 0, 0)).toBe(PROTECTED);
    expect(deallocate(1, 1)).toBe(PROTECTED);
  });
});

describe('Write Zeroes', () => {
  it('is not limited by MDTS, and passes DEAC on where the namespace can', () => {
    start(ALL, NAMESPACE_FLAG_ACTIVE);
    entry(NVM_WRITE_ZEROES, 3, 0, 4095);
    expect(run()).toBe(ISSUED);
    expect(Request.at(0).operation).toBe(<u16>OPERATION_WRITE_ZEROES);
    expect(Request.at(0).length).toBe(4096 * 4096);
    expect(Request.at(0).segmentCount).toBe(0);
    answer(BLOCK_OK);
    entry(NVM_WRITE_ZEROES, 1, 8, (1 << 25) | FUA);
    expect(run()).toBe(ISSUED);
    expect(Request.at(0).flags).toBe(<u16>(REQUEST_FLAG_DEALLOCATE | REQUEST_FLAG_FUA));
    answer(BLOCK_OK);
    entry(NVM_WRITE_ZEROES, 3, 8, 1 << 25);
    expect(run()).toBe(ISSUED);
    expect(Request.at(0).flags).toBe(0);
    answer(BLOCK_OK);
  });
});

describe('Flush', () => {
  it('asks for it where there is a cache', () => {
    start(ALL, NAMESPACE_FLAG_ACTIVE);
    entry(NVM_FLUSH, 1, 0, 0);
    expect(run()).toBe(ISSUED);
    expect(Request.at(0).operation).toBe(<u16>OPERATION_FLUSH);
    expect(Request.at(0).nsid).toBe(1);
    expect(answer(BLOCK_MEDIUM_ERROR)).toBe(STATUS_WRITE_FAULT);
    expect(io(NVM_FLUSH, 3, 0, 0)).toBe(0);
  });

  it('of all namespaces asks each that has a cache, one after the other', () => {
    start(ALL, ALL);
    entry(NVM_FLUSH, NSID_BROADCAST, 0, 0);
    expect(run()).toBe(ISSUED);
    expect(Request.at(0).nsid).toBe(1);
    expect(answer(BLOCK_OK)).toBe(ISSUED);
    expect(Request.at(0).nsid).toBe(3);
    expect(answer(BLOCK_OK)).toBe(0);
    entry(NVM_FLUSH, NSID_BROADCAST, 0, 0);
    expect(run()).toBe(ISSUED);
    expect(answer(BLOCK_BUSY)).toBe(STATUS_NAMESPACE_NOT_READY);
    start(NAMESPACE_FLAG_ACTIVE, NAMESPACE_FLAG_ACTIVE);
    expect(io(NVM_FLUSH, NSID_BROADCAST, 0, 0)).toBe(0);
  });

  it('Invalid Field: each of its reserved dwords', () => {
    start(ALL, ALL);
    for (let dword: u32 = 10; dword < 16; dword++) {
      for (let bit: u32 = 0; bit < 32; bit++) expect(ioWithBit(NVM_FLUSH, dword, bit)).toBe(INVALID_FIELD);
    }
  });
});

describe('Dataset Management', () => {
  beforeEach(() => {
    start(ALL, NAMESPACE_FLAG_ACTIVE);
  });

  it('reads the ranges once, then deallocates those that are not empty', () => {
    expect(deallocate(1, 3)).toBe(ISSUED);
    expect(Request.at(0).operation).toBe(<u16>OPERATION_COPY_IN);
    expect(Request.at(0).length).toBe(48);
    expect(Request.at(0).nsid).toBe(0);
    range(0, 0, 8);
    range(1, 2048, 0);
    range(2, 2040, 8);
    expect(answer(BLOCK_OK)).toBe(ISSUED);
    const request = Request.at(0);
    expect(request.operation).toBe(<u16>OPERATION_DEALLOCATE);
    expect(request.nsid).toBe(1);
    expect(request.segmentCount).toBe(2);
    expect(request.length).toBe(8192);
    expect(Segment.at(request.segments).address).toBe(0);
    expect(Segment.at(request.segments).length).toBe(4096);
    expect(Segment.at(request.segments + 16).address).toBe(2040 * 512);
    expect(answer(BLOCK_OK)).toBe(0);
  });

  it('takes 256 ranges', () => {
    expect(deallocate(1, 256)).toBe(ISSUED);
    expect(Request.at(0).length).toBe(4096);
    for (let index: u32 = 0; index < 256; index++) range(index, index * 8, 1);
    expect(answer(BLOCK_OK)).toBe(ISSUED);
    expect(Request.at(0).segmentCount).toBe(256);
    expect(answer(BLOCK_OK)).toBe(0);
  });

  it('LBA Out of Range: one bad range of several', () => {
    const firsts: u64[] = [2048, 2041, u64.MAX_VALUE];
    for (let index = 0; index < firsts.length; index++) {
      expect(deallocate(1, 2)).toBe(ISSUED);
      range(0, 0, 8);
      range(1, firsts[index], 8);
      expect(answer(BLOCK_OK)).toBe(OUT_OF_RANGE);
    }
  });

  it('is done without Deallocate, with empty ranges, and where nothing can be freed', () => {
    const at = entry(NVM_DATASET_MANAGEMENT, 1, 0, 0);
    store<u32>(at, 3, SQE_CDW11);
    expect(run()).toBe(0);
    expect(deallocate(1, 1)).toBe(ISSUED);
    range(0, 5, 0);
    expect(answer(BLOCK_OK)).toBe(0);
    expect(deallocate(3, 1)).toBe(ISSUED);
    range(0, 5, 1);
    expect(answer(BLOCK_OK)).toBe(0);
  });

  it('Invalid Field: reserved bits of CDW10 and CDW11', () => {
    for (let bit: u32 = 8; bit < 32; bit++)
      expect(ioWithBit(NVM_DATASET_MANAGEMENT, 10, bit)).toBe(INVALID_FIELD);
    for (let bit: u32 = 3; bit < 32; bit++)
      expect(ioWithBit(NVM_DATASET_MANAGEMENT, 11, bit)).toBe(INVALID_FIELD);
  });
});

describe('results of requests', () => {
  it('become the status that Linux understands best', () => {
    expect(blockStatus(BLOCK_OK, OPERATION_READ)).toBe(0);
    expect(blockStatus(BLOCK_OUT_OF_RANGE, OPERATION_READ)).toBe(OUT_OF_RANGE);
    expect(blockStatus(BLOCK_MEDIUM_ERROR, OPERATION_READ)).toBe(STATUS_UNRECOVERED_READ_ERROR);
    expect(blockStatus(BLOCK_MEDIUM_ERROR, OPERATION_WRITE)).toBe(STATUS_WRITE_FAULT);
    expect(blockStatus(BLOCK_NO_SPACE, OPERATION_WRITE)).toBe(STATUS_CAPACITY_EXCEEDED | STATUS_DNR);
    expect(blockStatus(BLOCK_READ_ONLY, OPERATION_WRITE)).toBe(PROTECTED);
    expect(blockStatus(BLOCK_MEMORY_FAULT, OPERATION_READ)).toBe(STATUS_DATA_TRANSFER_ERROR);
    expect(blockStatus(BLOCK_NOT_SUPPORTED, OPERATION_FLUSH)).toBe(STATUS_INTERNAL_ERROR | STATUS_DNR);
    expect(blockStatus(BLOCK_CANCELED, OPERATION_READ)).toBe(STATUS_ABORT_REQUESTED);
    expect(blockStatus(BLOCK_BUSY, OPERATION_READ)).toBe(STATUS_NAMESPACE_NOT_READY);
    expect(blockStatus(BLOCK_MISCOMPARE, OPERATION_COMPARE)).toBe(STATUS_COMPARE_FAILURE | STATUS_DNR);
    expect(blockStatus(BLOCK_MEDIUM_ERROR, OPERATION_COMPARE)).toBe(STATUS_UNRECOVERED_READ_ERROR);
    expect(blockStatus(BLOCK_MEDIUM_ERROR, OPERATION_VERIFY)).toBe(STATUS_UNRECOVERED_READ_ERROR);
    expect(blockStatus(BLOCK_MEDIUM_ERROR, OPERATION_COPY)).toBe(STATUS_WRITE_FAULT);
    expect(blockStatus(BLOCK_SOURCE_ERROR, OPERATION_COPY)).toBe(STATUS_UNRECOVERED_READ_ERROR);
    for (let unknown: u32 = 11; unknown < 300; unknown++) {
      expect(blockStatus(unknown, OPERATION_READ)).toBe(STATUS_INTERNAL_ERROR);
    }
  });

  it('reach the guest, and the caller cannot end a command twice', () => {
    start(ALL, ALL);
    entry(NVM_READ, 1, 0, 0);
    expect(run()).toBe(ISSUED);
    expect(answer(BLOCK_NO_SPACE)).toBe(STATUS_CAPACITY_EXCEEDED | STATUS_DNR);
    const tail = CompletionQueue.at(1).tail;
    completionsPost(1);
    completionsPost(0xffffffff);
    expect(CompletionQueue.at(1).tail).toBe(tail);
  });
});
