// Draws entries, PRPs and guest memory for the fuzzer: mostly what a driver would write, with a bit or a field gone
// wrong, and sometimes plain noise. Data is aimed at the upper part of guest memory; the queues lie in the lower one.

import * as nvme from '../../assembly/spec/nvme.ts';
import type { GuestMemory } from '../support/guest-memory.ts';
import type { Random } from '../support/random.ts';

/** Where data goes: its guest physical address and bytes. */
export const FUZZ_DATA = 6 << 20;
export const FUZZ_DATA_BYTES = 8 << 20;
/** Pages for lists, below the data. */
const LISTS = 5 << 20;
const LIST_PAGES = 8;

export interface Drawn {
  bytes: Uint8Array;
  /** It may stay outstanding for ever: an Asynchronous Event Request. */
  mayWait: boolean;
}

const ADMIN_OPCODES = [
  nvme.ADMIN_GET_LOG_PAGE,
  nvme.ADMIN_IDENTIFY,
  nvme.ADMIN_ABORT,
  nvme.ADMIN_SET_FEATURES,
  nvme.ADMIN_GET_FEATURES,
  nvme.ADMIN_ASYNC_EVENT_REQUEST,
];
const NVM_OPCODES = [
  nvme.NVM_READ,
  nvme.NVM_READ,
  nvme.NVM_WRITE,
  nvme.NVM_WRITE,
  nvme.NVM_FLUSH,
  nvme.NVM_WRITE_ZEROES,
  nvme.NVM_DATASET_MANAGEMENT,
];

/** Opcodes that change what exists would end the bookkeeping of an episode: they have tests of their own. */
const ADMIN_EXCLUDED = new Set([
  nvme.ADMIN_DELETE_IO_SQ,
  nvme.ADMIN_CREATE_IO_SQ,
  nvme.ADMIN_DELETE_IO_CQ,
  nvme.ADMIN_CREATE_IO_CQ,
  nvme.ADMIN_DOORBELL_BUFFER_CONFIG,
]);

/** An entry for the admin queue or an I/O queue; its CID is left to the driver. */
export function entryDraw(random: Random, admin: boolean, memory: GuestMemory): Drawn {
  const bytes = new Uint8Array(nvme.SQE_BYTES);
  const view = new DataView(bytes.buffer);
  if (random.oneIn(12)) random.fill(bytes);
  else templateDraw(random, admin, view);
  if (random.oneIn(6)) {
    const at = random.below(nvme.SQE_BYTES);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
  }
  const opcode = bytes[nvme.SQE_OPCODE] ?? 0;
  if (admin && ADMIN_EXCLUDED.has(opcode)) bytes[nvme.SQE_OPCODE] = nvme.ADMIN_IDENTIFY;
  if (random.oneIn(3)) memoryDraw(random, memory);
  const mayWait = admin && bytes[nvme.SQE_OPCODE] === nvme.ADMIN_ASYNC_EVENT_REQUEST;
  return { bytes, mayWait };
}

function templateDraw(random: Random, admin: boolean, view: DataView): void {
  view.setUint8(nvme.SQE_OPCODE, random.pick(admin ? ADMIN_OPCODES : NVM_OPCODES));
  view.setUint32(
    nvme.SQE_NSID,
    random.oneIn(8) ? random.pick([0, 4, 257, 0xffffffff]) : random.between(1, 3),
    true,
  );
  view.setBigUint64(nvme.SQE_PRP1, addressDraw(random), true);
  view.setBigUint64(nvme.SQE_PRP2, random.oneIn(2) ? listDraw(random) : addressDraw(random), true);
  if (admin) {
    view.setUint32(nvme.SQE_CDW10, adminDraw(random), true);
    view.setUint32(nvme.SQE_CDW11, random.oneIn(2) ? 0 : random.below(1024), true);
    if (random.oneIn(4)) view.setUint32(nvme.SQE_CDW12, random.below(256) * 4, true);
    return;
  }
  view.setUint32(nvme.SQE_CDW10, random.oneIn(10) ? random.next() : random.below(600), true);
  if (random.oneIn(30)) view.setUint32(nvme.SQE_CDW11, random.next(), true);
  if (view.getUint8(nvme.SQE_OPCODE) === nvme.NVM_DATASET_MANAGEMENT) {
    view.setUint32(nvme.SQE_CDW10, random.below(256), true);
    view.setUint32(nvme.SQE_CDW11, nvme.DSM_DEALLOCATE, true);
  } else view.setUint32(nvme.SQE_CDW12, random.oneIn(8) ? random.below(65536) : random.below(64), true);
}

/** CDW10 of an admin command: a small number of interest, a length above it. */
function adminDraw(random: Random): number {
  const low = random.oneIn(4) ? random.below(256) : random.below(0x20);
  return (low | (random.below(4) << 8) | (random.oneIn(2) ? 0 : random.below(2048) << 16)) >>> 0;
}

function addressDraw(random: Random): bigint {
  if (random.oneIn(40)) return (BigInt(random.next()) << 32n) | BigInt(random.next());
  const page = FUZZ_DATA + 4096 * random.below(FUZZ_DATA_BYTES / 4096);
  return BigInt(
    page + (random.oneIn(4) ? random.below(1024) * 4 : 0) + (random.oneIn(40) ? random.below(4) : 0),
  );
}

function listDraw(random: Random): bigint {
  const entry = random.oneIn(3) ? 512 - random.between(1, 6) : random.below(512);
  return BigInt(LISTS + 4096 * random.below(LIST_PAGES) + 8 * entry);
}

/** Writes some of the lists, or ranges to deallocate: also while a command is under way. */
export function memoryDraw(random: Random, memory: GuestMemory): void {
  if (random.oneIn(3)) {
    rangesDraw(random, memory);
    return;
  }
  const view = memory.view(LISTS + 4096 * random.below(LIST_PAGES), 4096);
  const first = random.below(512);
  const last = Math.min(511, first + random.between(1, 64));
  let address = addressDraw(random) & ~4095n;
  for (let entry = first; entry <= last; entry++) {
    view.setBigUint64(entry * 8, address, true);
    address = random.oneIn(8) ? addressDraw(random) : address + 4096n;
    if (!random.oneIn(12)) address &= ~4095n;
  }
  view.setBigUint64(511 * 8, random.oneIn(10) ? addressDraw(random) : listDraw(random) & ~4095n, true);
}

function rangesDraw(random: Random, memory: GuestMemory): void {
  const view = memory.view(FUZZ_DATA + 4096 * random.below(FUZZ_DATA_BYTES / 4096), 4096);
  for (let range = 0; range < 256; range++) {
    const at = range * nvme.DSM_RANGE_BYTES;
    view.setUint32(at + nvme.DSM_RANGE_ATTRIBUTES, random.oneIn(20) ? random.next() : 0, true);
    view.setUint32(at + nvme.DSM_RANGE_BLOCKS, random.oneIn(40) ? random.next() : random.below(8), true);
    const high = random.oneIn(60) ? random.next() : 0;
    view.setBigUint64(at + nvme.DSM_RANGE_LBA, (BigInt(high) << 32n) | BigInt(random.below(600)), true);
  }
}
