// One I/O queue on the small machine: a command is an entry, `run` rings for it, and a request that comes of it is
// answered by the test. Namespace 1 has 2,048 blocks of 512 bytes, namespace 3 has 4,096 of 4,096 bytes.

import { BLOCK_OK } from '../../../assembly/abi/records.ts';
import { completionsPost } from '../../../assembly/controller/dispatch.ts';
import { doorbellWrite, queuePoll } from '../../../assembly/controller/poll.ts';
import { requestsTake } from '../../../assembly/queue/requests.ts';
import {
  ADMIN_CREATE_IO_CQ,
  ADMIN_CREATE_IO_SQ,
  SQE_CDW10,
  SQE_CDW11,
  SQE_CDW12,
  SQE_NSID,
  SQE_PRP1,
  SQE_PRP2,
} from '../../../assembly/spec/nvme.ts';
import { CompletionQueue, SubmissionQueue } from '../../../assembly/wire/queue.ts';
import { Completion, Request } from '../../../assembly/wire/request.ts';
import { boot, DATA, MEMORY, reap, sqe, submit } from './machine.ts';

const CQ: u32 = 0x40000;
const SQ: u32 = 0x50000;
/** `run`: the command has not completed: a request was taken. */
export const ISSUED: u32 = 0xffffffff;

/** The usual machine with queue 1. */
export function start(flags1: u32, flags3: u32): void {
  boot(flags1, flags3);
  const create = sqe(ADMIN_CREATE_IO_CQ);
  store<u64>(create, CQ, SQE_PRP1);
  store<u32>(create, 1 | (63 << 16), SQE_CDW10);
  store<u32>(create, 3 | (1 << 16), SQE_CDW11);
  submit();
  assert(reap() == 0);
  const pair = sqe(ADMIN_CREATE_IO_SQ);
  store<u64>(pair, SQ, SQE_PRP1);
  store<u32>(pair, 1 | (63 << 16), SQE_CDW10);
  store<u32>(pair, 1 | (1 << 16), SQE_CDW11);
  submit();
  assert(reap() == 0);
}

/** The next entry of queue 1, cleared, with PRP1 and PRP2 in two pages. */
export function entry(opcode: u32, nsid: u32, slba: u64, cdw12: u32): usize {
  const at = <usize>MEMORY + SQ + SubmissionQueue.at(1).tail * 64;
  memory.fill(at, 0, 64);
  store<u8>(at, <u8>opcode);
  store<u32>(at, nsid, SQE_NSID);
  store<u64>(at, DATA, SQE_PRP1);
  store<u64>(at, DATA + 0x4000, SQE_PRP2);
  store<u64>(at, slba, SQE_CDW10);
  store<u32>(at, cdw12, SQE_CDW12);
  return at;
}

/** Rings for the entry: the status of its completion, or ISSUED with the request in the ring. */
export function run(): u32 {
  doorbellWrite(0x1008, (SubmissionQueue.at(1).tail + 1) % 64);
  queuePoll(8, 0);
  return completed();
}

/** Consumes one completion of queue 1, or takes the request. */
function completed(): u32 {
  const cq = CompletionQueue.at(1);
  if (cq.head == <u32>cq.tail) {
    assert(requestsTake() == 1);
    return ISSUED;
  }
  const status: u32 = load<u16>(<usize>MEMORY + CQ + cq.head * 16, 14) >> 1;
  doorbellWrite(0x100c, (cq.head + 1) % 64);
  return status;
}

/** Dword 0 of the completion that was consumed last. */
export function resultOf(): u32 {
  const head: u32 = CompletionQueue.at(1).head;
  return load<u32>(<usize>MEMORY + CQ + ((head + 63) % 64) * 16);
}

/** Hands the request back with a result; then as `completed`. */
export function answer(blockResult: u32): u32 {
  Completion.at(0).slot = Request.at(0).slot;
  Completion.at(0).result = blockResult;
  completionsPost(1);
  return completed();
}

/** One command, whose request succeeds: its status, or ISSUED. */
export function io(opcode: u32, nsid: u32, slba: u64, cdw12: u32): u32 {
  entry(opcode, nsid, slba, cdw12);
  const status = run();
  if (status == ISSUED) assert(answer(BLOCK_OK) == 0);
  return status;
}

/** The same for namespace 1 with one bit set somewhere. */
export function ioWithBit(opcode: u32, dword: u32, bit: u32): u32 {
  const at = entry(opcode, 1, 0, 0) + dword * 4;
  store<u32>(at, load<u32>(at) ^ (1 << bit));
  const status = run();
  if (status == ISSUED) assert(answer(BLOCK_OK) == 0);
  return status;
}
