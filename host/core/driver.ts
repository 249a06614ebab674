// The TypeScript face of the driver's module: an NVMe driver without a device under it. It fills queues in guest memory
// and reads them; the caller writes the doorbells that it names and does the registers. assembly/driver/index.ts
// describes each export.

import * as abi from '../../assembly/abi/driver.ts';
import { DRIVER_BASE } from '../../assembly/abi/memory-map.ts';
import * as nvme from '../../assembly/spec/nvme.ts';
import { instantiate, type Exports } from './load.ts';

const MODULE = 'doorbell-driver';

const EXPORTS = [
  'driver_init',
  'queue_reset',
  'cq_create',
  'sq_create',
  'prepare_clear',
  'data_set',
  'blocks_prepare',
  'flush_prepare',
  'dataset_management_prepare',
  'identify_prepare',
  'create_queue_prepare',
  'delete_queue_prepare',
  'doorbell_buffers_prepare',
  'async_event_prepare',
  'abort_prepare',
  'feature_get_prepare',
  'feature_set_prepare',
  'log_page_prepare',
  'command_submit',
  'sq_doorbell',
  'cq_doorbell',
  'doorbell_buffers_use',
  'completions_reap',
  'outstanding',
  'load_step',
] as const;

/** A guest physical address or a number of blocks; numbers up to 2^53. */
export type U64 = number | bigint;

export interface DriverOptions {
  memory: WebAssembly.Memory;
  /** Linear address of the state, DRIVER_STATE_BYTES from there; its place in a core's memory where it is left out. */
  state?: number;
  /** Linear address at which guest memory begins, not 0, and its bytes. */
  guestBase: number;
  guestBytes: number;
  /** Guest physical address of its first byte. */
  guestAddress?: U64;
  /** Goes on with the state that is already in the memory. */
  resume?: boolean;
}

/** A submission queue as the driver keeps it. */
export interface SubmissionQueueOptions {
  cqid: number;
  address: U64;
  entries: number;
  /** CIDs in use; entries - 1 where it is left out. */
  depth?: number;
  /** 2 * depth pages of guest memory for PRP lists; without them data is at most two pages long. */
  lists?: U64;
}

/** What the load generator is to do. */
export interface Load {
  sqid: number;
  nsid: number;
  opcode: number;
  /** Commands kept outstanding. */
  depth: number;
  /** Logical blocks of a command, and bytes of a block. */
  blocks: number;
  blockBytes: number;
  random: boolean;
  /** Pages in descending order, so that none are merged. */
  scattered?: boolean;
  /** Flags or'ed into CDW12. */
  cdw12?: number;
  firstLba?: U64;
  /** Commands that fit into the range of LBAs. */
  units: U64;
  /** Not 0. */
  seed?: U64;
  /** Guest memory of depth times the command's bytes. */
  buffer: U64;
  /** Commands in all; 0 or none: no limit. */
  limit?: U64;
}

/** Reads the record of one reaped completion; valid until the next reap. */
export class Reaped {
  readonly #view: DataView;
  readonly #records: number;
  #base: number;

  constructor(view: DataView, state: number) {
    this.#view = view;
    this.#records = state + abi.DRIVER_COMPLETIONS;
    this.#base = this.#records;
  }

  at(index: number): this {
    this.#base = this.#records + index * abi.DRIVER_COMPLETION_BYTES;
    return this;
  }

  get cid(): number {
    return this.#view.getUint16(this.#base + abi.REAPED_CID, true);
  }
  get sqid(): number {
    return this.#view.getUint16(this.#base + abi.REAPED_SQID, true);
  }
  /** SCT << 8 | SC, with DNR. */
  get status(): number {
    return this.#view.getUint16(this.#base + abi.REAPED_STATUS, true);
  }
  /** No command with this CID was outstanding. */
  get stranger(): boolean {
    return (this.#view.getUint16(this.#base + abi.REAPED_FLAGS, true) & abi.REAPED_FLAG_STRANGER) !== 0;
  }
  /** Dword 0. */
  get result(): number {
    return this.#view.getUint32(this.#base + abi.REAPED_RESULT, true);
  }
  get tag(): number {
    return this.#view.getUint32(this.#base + abi.REAPED_TAG, true);
  }
}

export class Driver {
  /** The entry to be submitted next, 64 bytes: any byte may be changed before `submit`. */
  readonly sqe: DataView;
  readonly #exports: Exports<(typeof EXPORTS)[number]>;
  readonly #view: DataView;
  readonly #state: number;
  readonly #reaped: Reaped;

  constructor(options: DriverOptions) {
    this.#state = options.state ?? DRIVER_BASE;
    this.#view = new DataView(options.memory.buffer);
    this.sqe = new DataView(options.memory.buffer, this.#state + abi.DRIVER_SQE, nvme.SQE_BYTES);
    this.#reaped = new Reaped(this.#view, this.#state);
    this.#exports = instantiate(MODULE, options.memory, EXPORTS);
    if (options.resume) return;
    const address = options.guestAddress ?? 0;
    this.#exports.driver_init(
      this.#state,
      options.guestBase,
      options.guestBytes,
      low(address),
      high(address),
    );
  }

  // ---- Queues ----

  /** Forgets all queues and commands, as after a controller reset. */
  queuesReset(): void {
    this.#exports.queue_reset(this.#state);
  }

  completionQueueCreate(cqid: number, address: U64, entries: number): void {
    const code = this.#exports.cq_create(this.#state, cqid, low(address), high(address), entries);
    if (code !== abi.DRIVER_OK) throw new RangeError(`completion queue ${cqid} does not fit guest memory`);
  }

  submissionQueueCreate(sqid: number, queue: SubmissionQueueOptions): void {
    const depth = queue.depth ?? Math.min(queue.entries - 1, abi.DRIVER_COMMANDS_MAX);
    const { cqid, address, entries, lists = 0 } = queue;
    const listPages = queue.lists === undefined ? 0 : 2 * depth;
    const code = this.#exports.sq_create(
      this.#state,
      sqid,
      cqid,
      low(address),
      high(address),
      entries,
      depth,
      low(lists),
      high(lists),
      listPages,
    );
    if (code !== abi.DRIVER_OK) throw new RangeError(`submission queue ${sqid} does not fit guest memory`);
  }

  // ---- The entry to be submitted next ----

  /** Data in one piece. */
  data(address: U64, bytes: number): this {
    this.#exports.data_set(this.#state, low(address), high(address), bytes);
    return this;
  }

  /** Data in the pages listed (each 4 KiB aligned), from `offset` in the first. */
  dataPages(pages: readonly U64[], offset: number, bytes: number): this {
    if (pages.length > abi.DRIVER_PAGES_MAX) throw new RangeError(`more than ${abi.DRIVER_PAGES_MAX} pages`);
    pages.forEach((page, index) => {
      this.#view.setBigUint64(this.#state + abi.DRIVER_PAGES + index * 8, BigInt(page), true);
    });
    this.#exports.data_set(this.#state, offset, 0, bytes);
    this.#view.setUint32(this.#state + abi.DRIVER_DATA_PAGES, 1, true);
    return this;
  }

  /** Where in its page a PRP list begins: a multiple of 8 below 4,096. */
  listOffset(offset: number): this {
    this.#view.setUint32(this.#state + abi.DRIVER_DATA_LIST_OFFSET, offset, true);
    return this;
  }

  /** A number that comes back with the completion. */
  tag(tag: number): this {
    this.#view.setUint32(this.#state + abi.DRIVER_TAG, tag, true);
    return this;
  }

  /** An entry of 64 bytes as it is, but for its CID. */
  raw(entry: Uint8Array): this {
    for (let index = 0; index < nvme.SQE_BYTES; index++) this.sqe.setUint8(index, entry[index] ?? 0);
    return this;
  }

  clear(): this {
    this.#exports.prepare_clear(this.#state);
    return this;
  }

  read(nsid: number, lba: U64, blocks: number, cdw12 = 0): this {
    return this.#blocks(nvme.NVM_READ, nsid, lba, blocks, cdw12);
  }

  write(nsid: number, lba: U64, blocks: number, cdw12 = 0): this {
    return this.#blocks(nvme.NVM_WRITE, nsid, lba, blocks, cdw12);
  }

  writeZeroes(nsid: number, lba: U64, blocks: number, cdw12 = 0): this {
    return this.#blocks(nvme.NVM_WRITE_ZEROES, nsid, lba, blocks, cdw12);
  }

  flush(nsid: number): this {
    this.#exports.flush_prepare(this.#state, nsid);
    return this;
  }

  /** `ranges` from 1 to 256; they are the command's data, 16 bytes each. */
  datasetManagement(nsid: number, ranges: number, attributes: number = nvme.DSM_DEALLOCATE): this {
    this.#exports.dataset_management_prepare(this.#state, nsid, ranges, attributes);
    return this;
  }

  /** 4,096 bytes to `address`. */
  identify(address: U64, cns: number, nsid = 0, cntid = 0, csi = 0): this {
    this.#exports.identify_prepare(this.#state, cns, nsid, cntid, csi);
    return this.data(address, 4096);
  }

  createCompletionQueue(cqid: number, address: U64, entries: number, vector: number | undefined): this {
    const interrupt = vector === undefined ? 0 : nvme.CREATE_CQ_IEN | (vector << nvme.CREATE_CQ_IV_SHIFT);
    return this.#create(nvme.ADMIN_CREATE_IO_CQ, cqid, address, entries, interrupt | nvme.CREATE_QUEUE_PC);
  }

  createSubmissionQueue(sqid: number, address: U64, entries: number, cqid: number): this {
    const cdw11 = (cqid << nvme.CREATE_SQ_CQID_SHIFT) | nvme.CREATE_QUEUE_PC;
    return this.#create(nvme.ADMIN_CREATE_IO_SQ, sqid, address, entries, cdw11);
  }

  deleteSubmissionQueue(sqid: number): this {
    this.#exports.delete_queue_prepare(this.#state, nvme.ADMIN_DELETE_IO_SQ, sqid);
    return this;
  }

  deleteCompletionQueue(cqid: number): this {
    this.#exports.delete_queue_prepare(this.#state, nvme.ADMIN_DELETE_IO_CQ, cqid);
    return this;
  }

  doorbellBuffers(shadow: U64, eventIndex: U64): this {
    const state = this.#state;
    this.#exports.doorbell_buffers_prepare(
      state,
      low(shadow),
      high(shadow),
      low(eventIndex),
      high(eventIndex),
    );
    return this;
  }

  asyncEventRequest(): this {
    this.#exports.async_event_prepare(this.#state);
    return this;
  }

  abort(sqid: number, cid: number): this {
    this.#exports.abort_prepare(this.#state, sqid, cid);
    return this;
  }

  getFeatures(fid: number, select = 0, cdw11 = 0, nsid = 0): this {
    this.#exports.feature_get_prepare(this.#state, fid, select, cdw11, nsid);
    return this;
  }

  setFeatures(fid: number, cdw11: number, save = false, nsid = 0): this {
    this.#exports.feature_set_prepare(this.#state, fid, save ? 1 : 0, cdw11, nsid);
    return this;
  }

  /** `bytes` of the page from `offset` to `address`; `flags`: LSP and RAE in CDW10. */
  getLogPage(address: U64, lid: number, bytes: number, offset: U64 = 0, flags = 0, nsid = 0): this {
    this.#exports.log_page_prepare(this.#state, lid, bytes, low(offset), high(offset), flags, nsid);
    return this.data(address, bytes);
  }

  // ---- Submission, doorbells, completion ----

  /** The CID, or undefined when the queue is full. Throws RangeError when the data cannot be described. */
  submit(sqid: number): number | undefined {
    const cid = this.#exports.command_submit(this.#state, sqid) >>> 0;
    if (cid === abi.SUBMIT_INVALID) throw new RangeError('the data does not fit guest memory or a PRP list');
    return cid === abi.SUBMIT_FULL ? undefined : cid;
  }

  /** What to write to the tail doorbell of a queue; undefined: nothing. */
  submissionDoorbell(sqid: number): number | undefined {
    const value = this.#exports.sq_doorbell(this.#state, sqid) >>> 0;
    return value === abi.DOORBELL_NONE ? undefined : value;
  }

  /** What to write to the head doorbell of a queue; undefined: nothing. */
  completionDoorbell(cqid: number): number | undefined {
    const value = this.#exports.cq_doorbell(this.#state, cqid) >>> 0;
    return value === abi.DOORBELL_NONE ? undefined : value;
  }

  /** Doorbells of I/O queues go to these pages from now on (Doorbell Buffer Config has succeeded). */
  doorbellBuffersUse(shadow: U64, eventIndex: U64): void {
    const state = this.#state;
    const code = this.#exports.doorbell_buffers_use(
      state,
      low(shadow),
      high(shadow),
      low(eventIndex),
      high(eventIndex),
    );
    if (code !== abi.DRIVER_OK) throw new RangeError('the doorbell buffers do not fit guest memory');
  }

  /** Number of completions taken; `completion(0)` is the first. */
  reap(cqid: number, max: number = abi.DRIVER_COMMANDS_MAX): number {
    return this.#exports.completions_reap(this.#state, cqid, max);
  }

  completion(index: number): Reaped {
    return this.#reaped.at(index);
  }

  /** Commands of a queue that were submitted and not reaped. */
  outstanding(sqid: number): number {
    return this.#exports.outstanding(this.#state, sqid);
  }

  /** Completions for which no command was outstanding. */
  get strangers(): number {
    return this.#view.getUint32(this.#state + abi.DRIVER_STRANGERS, true);
  }
  get doorbellsRung(): number {
    return this.#view.getUint32(this.#state + abi.DRIVER_DOORBELLS_RUNG, true);
  }
  get doorbellsSpared(): number {
    return this.#view.getUint32(this.#state + abi.DRIVER_DOORBELLS_SPARED, true);
  }

  // ---- Load ----

  /** Describes the load; counters start at 0. */
  loadStart(load: Load): void {
    const base = this.#state + abi.DRIVER_LOAD;
    const view = this.#view;
    const flags =
      (load.random ? abi.LOAD_FLAG_RANDOM : 0) | (load.scattered === true ? abi.LOAD_FLAG_SCATTERED : 0);
    view.setUint32(base + abi.LOAD_SQID, load.sqid, true);
    view.setUint32(base + abi.LOAD_NSID, load.nsid, true);
    view.setUint32(base + abi.LOAD_OPCODE, load.opcode, true);
    view.setUint32(base + abi.LOAD_DEPTH, load.depth, true);
    view.setUint32(base + abi.LOAD_BLOCKS, load.blocks, true);
    view.setUint32(base + abi.LOAD_BLOCK_BYTES, load.blockBytes, true);
    view.setUint32(base + abi.LOAD_FLAGS, flags, true);
    view.setUint32(base + abi.LOAD_CDW12, load.cdw12 ?? 0, true);
    view.setBigUint64(base + abi.LOAD_FIRST_LBA, BigInt(load.firstLba ?? 0), true);
    view.setBigUint64(base + abi.LOAD_UNITS, BigInt(load.units), true);
    view.setBigUint64(base + abi.LOAD_SEED, BigInt(load.seed ?? 1), true);
    view.setBigUint64(base + abi.LOAD_NEXT, 0n, true);
    view.setBigUint64(base + abi.LOAD_BUFFER, BigInt(load.buffer), true);
    view.setBigUint64(base + abi.LOAD_LIMIT, BigInt(load.limit ?? 0), true);
    view.setBigUint64(base + abi.LOAD_SUBMITTED, 0n, true);
    view.setBigUint64(base + abi.LOAD_COMPLETED, 0n, true);
    view.setBigUint64(base + abi.LOAD_FAILED, 0n, true);
  }

  /** Reaps and submits up to the depth; returns the number reaped. Doorbells are to be written afterwards. */
  loadStep(): number {
    return this.#exports.load_step(this.#state);
  }

  get loadSubmitted(): number {
    return this.#counter(abi.LOAD_SUBMITTED);
  }
  get loadCompleted(): number {
    return this.#counter(abi.LOAD_COMPLETED);
  }
  get loadFailed(): number {
    return this.#counter(abi.LOAD_FAILED);
  }

  // ---- Private ----

  #counter(offset: number): number {
    return Number(this.#view.getBigUint64(this.#state + abi.DRIVER_LOAD + offset, true));
  }

  #blocks(opcode: number, nsid: number, lba: U64, blocks: number, cdw12: number): this {
    this.#exports.blocks_prepare(this.#state, opcode, nsid, low(lba), high(lba), blocks, cdw12);
    return this;
  }

  #create(opcode: number, qid: number, address: U64, entries: number, cdw11: number): this {
    const state = this.#state;
    this.#exports.create_queue_prepare(state, opcode, qid, entries, low(address), high(address), cdw11);
    return this;
  }
}

/** BAR0 offset of a queue's doorbell. */
export function doorbellOffset(qid: number, side: 'submission' | 'completion'): number {
  return nvme.REG_DOORBELLS + (2 * qid + (side === 'completion' ? 1 : 0)) * nvme.DOORBELL_BYTES;
}

function low(value: U64): number {
  return typeof value === 'bigint' ? Number(value & 0xffff_ffffn) : value >>> 0;
}

function high(value: U64): number {
  return typeof value === 'bigint'
    ? Number((value >> 32n) & 0xffff_ffffn)
    : Math.floor(value / 0x1_0000_0000) >>> 0;
}
