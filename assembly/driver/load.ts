// The load generator: one call reaps what is done and submits until the depth is reached, so that a benchmark crosses
// into Wasm once a batch. Its random numbers come from the seed in its state: the same seed, the same commands.

import {
  DRIVER_COMPLETIONS,
  DRIVER_DATA_ADDRESS,
  DRIVER_DATA_BYTES,
  DRIVER_DATA_PAGES,
  DRIVER_LOAD,
  DRIVER_PAGES,
  LOAD_FLAG_RANDOM,
  LOAD_FLAG_SCATTERED,
  REAPED_FLAGS,
  REAPED_STATUS,
  SUBMIT_INVALID,
} from '../abi/driver.ts';
import { NVM_FLUSH, NVM_WRITE_ZEROES, PAGE_SHIFT, PRP_ENTRY_SHIFT } from '../spec/nvme.ts';
import { blocksPrepare, flushPrepare } from './prepare.ts';
import { commandSubmit, completionTake } from './queue.ts';
import { Submission } from './state.ts';

/** The fields LOAD_* of abi/driver.ts. */
@unmanaged
class Load {
  sqid: u32;
  nsid: u32;
  opcode: u32;
  depth: u32;
  blocks: u32;
  blockBytes: u32;
  flags: u32;
  cdw12: u32;
  firstLba: u64;
  units: u64;
  seed: u64;
  next: u64;
  buffer: u64;
  limit: u64;
  submitted: u64;
  completed: u64;
  failed: u64;
}

/** Reaps, then submits; returns the number reaped. Doorbells are the caller's to write. */
export function loadStep(state: u32): u32 {
  const generator = changetype<Load>(<usize>state + DRIVER_LOAD);
  const queue = Submission.at(state, generator.sqid);
  const reaped = loadReap(state, generator, <u32>queue.cqid);
  while (<u32>queue.outstanding < generator.depth) {
    if (generator.limit != 0 && generator.submitted >= generator.limit) break;
    if (!loadSubmit(state, generator, queue)) break;
    generator.submitted += 1;
  }
  return reaped;
}

function loadReap(state: u32, generator: Load, cqid: u32): u32 {
  const record = state + DRIVER_COMPLETIONS;
  let count: u32 = 0;
  while (completionTake(state, cqid, record)) {
    if (load<u16>(record, REAPED_STATUS) != 0 || load<u16>(record, REAPED_FLAGS) != 0) generator.failed += 1;
    count++;
  }
  generator.completed += <u64>count;
  return count;
}

function loadSubmit(state: u32, generator: Load, queue: Submission): bool {
  const opcode = generator.opcode;
  if (opcode == NVM_FLUSH) {
    flushPrepare(state, generator.nsid);
    return commandSubmit(state, generator.sqid) < SUBMIT_INVALID;
  }
  const lba = generator.firstLba + unitNext(generator) * <u64>generator.blocks;
  blocksPrepare(state, opcode, generator.nsid, <u32>lba, <u32>(lba >> 32), generator.blocks, generator.cdw12);
  if (opcode != NVM_WRITE_ZEROES) {
    const bytes = generator.blocks * generator.blockBytes;
    const buffer = generator.buffer + <u64>queue.free * <u64>bytes;
    store<u64>(state, buffer, DRIVER_DATA_ADDRESS);
    store<u32>(state, bytes, DRIVER_DATA_BYTES);
    if ((generator.flags & LOAD_FLAG_SCATTERED) != 0) pagesScatter(state, buffer, bytes);
  }
  return commandSubmit(state, generator.sqid) < SUBMIT_INVALID;
}

function unitNext(generator: Load): u64 {
  if ((generator.flags & LOAD_FLAG_RANDOM) == 0) {
    const unit = generator.next;
    generator.next = unit + 1 < generator.units ? unit + 1 : 0;
    return unit;
  }
  let x = generator.seed;
  x ^= x << 13;
  x ^= x >> 7;
  x ^= x << 17;
  generator.seed = x;
  return ((x >> 32) * generator.units) >> 32;
}

function pagesScatter(state: u32, buffer: u64, bytes: u32): void {
  const pages = bytes >> PAGE_SHIFT;
  for (let index: u32 = 0; index < pages; index++) {
    const page = buffer + ((<u64>(pages - 1 - index)) << PAGE_SHIFT);
    store<u64>(state + (index << PRP_ENTRY_SHIFT), page, DRIVER_PAGES);
  }
  store<u32>(state, 1, DRIVER_DATA_PAGES);
}
