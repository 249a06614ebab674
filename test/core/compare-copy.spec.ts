// Compare, Verify, Write Uncorrectable and Copy: each check, what the requests say, and what a result becomes.

import {
  BLOCK_MEDIUM_ERROR,
  BLOCK_MISCOMPARE,
  BLOCK_NO_SPACE,
  BLOCK_OK,
  BLOCK_SOURCE_ERROR,
  NAMESPACE_FLAG_ACTIVE,
  NAMESPACE_FLAG_READ_ONLY,
  NAMESPACE_FLAG_VOLATILE_CACHE,
  OPERATION_COMPARE,
  OPERATION_COPY,
  OPERATION_COPY_IN,
  OPERATION_VERIFY,
  OPERATION_WRITE_UNCORRECTABLE,
  REQUEST_FLAG_FUA,
} from '../../assembly/abi/records.ts';
import {
  NSID_BROADCAST,
  NVM_COMPARE,
  NVM_COPY,
  NVM_VERIFY,
  NVM_WRITE_UNCORRECTABLE,
  STATUS_CAPACITY_EXCEEDED,
  STATUS_COMMAND_SIZE_LIMIT_EXCEEDED,
  STATUS_COMPARE_FAILURE,
  STATUS_DATA_TRANSFER_ERROR,
  STATUS_DNR,
  STATUS_INVALID_FIELD,
  STATUS_INVALID_NAMESPACE,
  STATUS_LBA_OUT_OF_RANGE,
  STATUS_NAMESPACE_WRITE_PROTECTED,
  STATUS_UNRECOVERED_READ_ERROR,
  STATUS_WRITE_FAULT,
  SQE_PRP1,
} from '../../assembly/spec/nvme.ts';
import { CompletionQueue } from '../../assembly/wire/queue.ts';
import { persistent } from '../../assembly/wire/persistent.ts';
import { Request, Segment } from '../../assembly/wire/request.ts';
import { answer, entry, io, ISSUED, ioWithBit, resultOf, run, start } from './support/io.ts';
import { DATA } from './support/machine.ts';

const INVALID_FIELD: u32 = STATUS_INVALID_FIELD | STATUS_DNR;
const INVALID_NAMESPACE: u32 = STATUS_INVALID_NAMESPACE | STATUS_DNR;
const OUT_OF_RANGE: u32 = STATUS_LBA_OUT_OF_RANGE | STATUS_DNR;
const PROTECTED: u32 = STATUS_NAMESPACE_WRITE_PROTECTED | STATUS_DNR;
const SIZE_LIMIT: u32 = STATUS_COMMAND_SIZE_LIMIT_EXCEEDED | STATUS_DNR;
const CACHED: u32 = NAMESPACE_FLAG_ACTIVE | NAMESPACE_FLAG_VOLATILE_CACHE;
const FUA: u32 = 1 << 30;

/** Copy of `count` ranges to `sdlba`: the first status. */
function copy(nsid: u32, count: u32, sdlba: u64, cdw12: u32 = 0): u32 {
  entry(NVM_COPY, nsid, sdlba, (count - 1) | cdw12);
  return run();
}

/** A source range in the slot's private page, as if it had been copied from the guest. */
function range(index: u32, first: u64, blocks: u32): void {
  const at = <usize>Request.at(0).data + index * 32;
  memory.fill(at, 0xdd, 32);
  store<u64>(at, first, 8);
  store<u16>(at, <u16>(blocks - 1), 16);
}

describe('Compare, Verify and Write Uncorrectable', () => {
  beforeEach(() => {
    start(CACHED, NAMESPACE_FLAG_ACTIVE);
  });

  it('LBA Out of Range: beyond the last block by one, and near 2^64', () => {
    const opcodes: u32[] = [NVM_COMPARE, NVM_VERIFY, NVM_WRITE_UNCORRECTABLE];
    for (let index = 0; index < opcodes.length; index++) {
      const opcode = opcodes[index];
      expect(io(opcode, 1, 2047, 0)).toBe(ISSUED);
      expect(io(opcode, 1, 2048, 0)).toBe(OUT_OF_RANGE);
      expect(io(opcode, 1, 2041, 7)).toBe(OUT_OF_RANGE);
      expect(io(opcode, 1, u64.MAX_VALUE - 6, 7)).toBe(OUT_OF_RANGE);
      expect(io(opcode, 0, 0, 0)).toBe(INVALID_NAMESPACE);
      expect(io(opcode, NSID_BROADCAST, 0, 0)).toBe(INVALID_NAMESPACE);
      expect(io(opcode, 2, 0, 0)).toBe(INVALID_FIELD);
    }
  });

  it('Invalid Field: each reserved bit', () => {
    for (let bit: u32 = 16; bit < 32; bit++) {
      const known = bit == 24 || bit >= 26;
      expect(ioWithBit(NVM_COMPARE, 12, bit)).toBe(known ? ISSUED : INVALID_FIELD);
      expect(ioWithBit(NVM_VERIFY, 12, bit)).toBe(known ? ISSUED : INVALID_FIELD);
      expect(ioWithBit(NVM_WRITE_UNCORRECTABLE, 12, bit)).toBe(INVALID_FIELD);
    }
    for (let bit: u32 = 0; bit < 32; bit++) {
      expect(ioWithBit(NVM_COMPARE, 13, bit)).toBe(INVALID_FIELD);
      expect(ioWithBit(NVM_VERIFY, 13, bit)).toBe(INVALID_FIELD);
      for (let dword: u32 = 13; dword < 16; dword++) {
        expect(ioWithBit(NVM_WRITE_UNCORRECTABLE, dword, bit)).toBe(INVALID_FIELD);
      }
    }
    // Fused, SGLs, reserved.
    for (let bit: u32 = 8; bit < 16; bit++) {
      expect(ioWithBit(NVM_COMPARE, 0, bit)).toBe(INVALID_FIELD);
      expect(ioWithBit(NVM_VERIFY, 0, bit)).toBe(INVALID_FIELD);
      expect(ioWithBit(NVM_WRITE_UNCORRECTABLE, 0, bit)).toBe(INVALID_FIELD);
    }
  });

  it('Compare names guest memory that may be read-only, and ends with what was found', () => {
    entry(NVM_COMPARE, 1, 8, 3 | FUA);
    expect(run()).toBe(ISSUED);
    const request = Request.at(0);
    expect(request.operation).toBe(<u16>OPERATION_COMPARE);
    expect(request.offset).toBe(4096);
    expect(request.length).toBe(2048);
    expect(request.flags).toBe(<u16>REQUEST_FLAG_FUA);
    expect(request.segmentCount).toBe(1);
    expect(Segment.at(request.segments).address).toBe(DATA);
    expect(answer(BLOCK_OK)).toBe(0);
    entry(NVM_COMPARE, 1, 8, 3);
    expect(run()).toBe(ISSUED);
    expect(answer(BLOCK_MISCOMPARE)).toBe(STATUS_COMPARE_FAILURE | STATUS_DNR);
    entry(NVM_COMPARE, 1, 8, 3);
    expect(run()).toBe(ISSUED);
    expect(answer(BLOCK_MEDIUM_ERROR)).toBe(STATUS_UNRECOVERED_READ_ERROR);
    expect(io(NVM_COMPARE, 3, 0, 256)).toBe(INVALID_FIELD, 'more than MDTS');
    const at = entry(NVM_COMPARE, 1, 0, 0);
    store<u64>(at, 0x400000, SQE_PRP1);
    expect(run()).toBe(STATUS_DATA_TRANSFER_ERROR | STATUS_DNR);
  });

  it('Verify and Write Uncorrectable move no data and are not limited by MDTS', () => {
    entry(NVM_VERIFY, 3, 0, 4095);
    expect(run()).toBe(ISSUED);
    expect(Request.at(0).operation).toBe(<u16>OPERATION_VERIFY);
    expect(Request.at(0).length).toBe(4096 * 4096);
    expect(Request.at(0).segmentCount).toBe(0);
    expect(answer(BLOCK_MEDIUM_ERROR)).toBe(STATUS_UNRECOVERED_READ_ERROR);
    entry(NVM_WRITE_UNCORRECTABLE, 3, 1, 4094);
    expect(run()).toBe(ISSUED);
    expect(Request.at(0).operation).toBe(<u16>OPERATION_WRITE_UNCORRECTABLE);
    expect(Request.at(0).offset).toBe(4096);
    expect(Request.at(0).length).toBe(4095 * 4096);
    expect(Request.at(0).flags).toBe(0);
    expect(answer(BLOCK_NO_SPACE)).toBe(STATUS_CAPACITY_EXCEEDED | STATUS_DNR);
  });

  it('count in the health log: Compare as a read, Verify as data units, the others not at all', () => {
    const record = persistent();
    expect(io(NVM_COMPARE, 1, 0, 7)).toBe(ISSUED);
    expect(record.commandsRead).toBe(1);
    expect(record.unitsRead).toBe(8);
    expect(io(NVM_VERIFY, 1, 0, 7)).toBe(ISSUED);
    expect(record.commandsRead).toBe(1);
    expect(record.unitsRead).toBe(16);
    expect(io(NVM_WRITE_UNCORRECTABLE, 1, 0, 7)).toBe(ISSUED);
    expect(copy(1, 1, 0)).toBe(ISSUED);
    range(0, 8, 8);
    expect(answer(BLOCK_OK)).toBe(ISSUED);
    expect(answer(BLOCK_OK)).toBe(0);
    expect(record.commandsWritten).toBe(0);
    expect(record.unitsWritten).toBe(0);
    expect(record.unitsRead).toBe(16);
    expect(record.mediaErrors).toBe(0);
  });

  it('a read-only namespace takes what reads', () => {
    start(NAMESPACE_FLAG_ACTIVE | NAMESPACE_FLAG_READ_ONLY, NAMESPACE_FLAG_ACTIVE);
    expect(io(NVM_COMPARE, 1, 0, 0)).toBe(ISSUED);
    expect(io(NVM_VERIFY, 1, 0, 0)).toBe(ISSUED);
    expect(io(NVM_WRITE_UNCORRECTABLE, 1, 0, 0)).toBe(PROTECTED);
    expect(copy(1, 1, 0)).toBe(PROTECTED);
  });
});

describe('Copy', () => {
  beforeEach(() => {
    start(CACHED, NAMESPACE_FLAG_ACTIVE);
  });

  it('reads the ranges once, then copies one behind the other', () => {
    expect(copy(1, 3, 100, FUA)).toBe(ISSUED);
    expect(Request.at(0).operation).toBe(<u16>OPERATION_COPY_IN);
    expect(Request.at(0).length).toBe(96);
    range(0, 8, 4);
    range(1, 2040, 8);
    range(2, 0, 1);
    expect(answer(BLOCK_OK)).toBe(ISSUED);
    const request = Request.at(0);
    expect(request.operation).toBe(<u16>OPERATION_COPY);
    expect(request.nsid).toBe(1);
    expect(request.flags).toBe(<u16>REQUEST_FLAG_FUA);
    expect(request.segmentCount).toBe(1);
    expect(request.offset).toBe(100 * 512);
    expect(request.length).toBe(4 * 512);
    expect(Segment.at(request.segments).address).toBe(8 * 512);
    expect(Segment.at(request.segments).length).toBe(4 * 512);
    expect(answer(BLOCK_OK)).toBe(ISSUED);
    expect(request.offset).toBe(104 * 512);
    expect(request.length).toBe(8 * 512);
    expect(Segment.at(request.segments).address).toBe(2040 * 512);
    expect(answer(BLOCK_OK)).toBe(ISSUED);
    expect(request.offset).toBe(112 * 512);
    expect(request.length).toBe(512);
    expect(answer(BLOCK_OK)).toBe(0);
    expect(resultOf()).toBe(0);
  });

  it('Dword 0 is the lowest range that was not copied', () => {
    expect(copy(1, 2, 100)).toBe(ISSUED);
    range(0, 0, 1);
    range(1, 1, 1);
    expect(answer(BLOCK_OK)).toBe(ISSUED);
    expect(answer(BLOCK_OK)).toBe(ISSUED);
    expect(answer(BLOCK_SOURCE_ERROR)).toBe(STATUS_UNRECOVERED_READ_ERROR);
    expect(resultOf()).toBe(1);
    expect(copy(1, 2, 100)).toBe(ISSUED);
    range(0, 0, 1);
    range(1, 1, 1);
    expect(answer(BLOCK_OK)).toBe(ISSUED);
    expect(answer(BLOCK_MEDIUM_ERROR)).toBe(STATUS_WRITE_FAULT);
    expect(resultOf()).toBe(0);
    expect(CompletionQueue.at(1).places).toBe(63);
  });

  it('Command Size Limit Exceeded: MSRC, MSSRL, MCL', () => {
    expect(copy(1, 129, 0)).toBe(SIZE_LIMIT);
    expect(copy(3, 128, 0)).toBe(ISSUED);
    expect(Request.at(0).length).toBe(4096);
    for (let index: u32 = 0; index < 128; index++) range(index, 0, 1);
    expect(answer(BLOCK_OK)).toBe(ISSUED);
    for (let index: u32 = 1; index < 128; index++) expect(answer(BLOCK_OK)).toBe(ISSUED);
    expect(answer(BLOCK_OK)).toBe(0);
    expect(copy(3, 2, 0)).toBe(ISSUED);
    range(0, 0, 256);
    range(1, 0, 257);
    expect(answer(BLOCK_OK)).toBe(SIZE_LIMIT);
    expect(copy(3, 17, 0)).toBe(ISSUED);
    for (let index: u32 = 0; index < 17; index++) range(index, 0, index == 16 ? 1 : 256);
    expect(answer(BLOCK_OK)).toBe(SIZE_LIMIT);
    expect(copy(3, 16, 0)).toBe(ISSUED);
    for (let index: u32 = 0; index < 16; index++) range(index, 0, 256);
    expect(answer(BLOCK_OK)).toBe(ISSUED);
    for (let index: u32 = 1; index < 16; index++) expect(answer(BLOCK_OK)).toBe(ISSUED);
    expect(answer(BLOCK_OK)).toBe(0);
  });

  it('LBA Out of Range: a source, the destination; nothing was copied then', () => {
    const firsts: u64[] = [2048, 2041, u64.MAX_VALUE];
    for (let index = 0; index < firsts.length; index++) {
      expect(copy(1, 2, 0)).toBe(ISSUED);
      range(0, 0, 8);
      range(1, firsts[index], 8);
      expect(answer(BLOCK_OK)).toBe(OUT_OF_RANGE);
      expect(resultOf()).toBe(0);
      expect(copy(1, 1, firsts[index])).toBe(ISSUED);
      range(0, 0, 8);
      expect(answer(BLOCK_OK)).toBe(OUT_OF_RANGE);
    }
  });

  it('Invalid Field: other formats, directives, reserved bits', () => {
    for (let format: u32 = 1; format < 16; format++) expect(copy(1, 1, 0, format << 8)).toBe(INVALID_FIELD);
    for (let bit: u32 = 16; bit < 24; bit++) expect(copy(1, 1, 0, 1 << bit)).toBe(INVALID_FIELD);
    for (let bit: u32 = 0; bit < 16; bit++) expect(ioWithBit(NVM_COPY, 13, bit)).toBe(INVALID_FIELD);
    expect(copy(0, 1, 0)).toBe(INVALID_NAMESPACE);
    expect(copy(NSID_BROADCAST, 1, 0)).toBe(INVALID_NAMESPACE);
    expect(copy(2, 1, 0)).toBe(INVALID_FIELD);
  });
});
