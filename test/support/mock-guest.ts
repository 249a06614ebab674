// A guest without a virtual machine: a core, the driver's module over the same memory and a model disk, with the
// calls that a reactor would make. Nothing here runs by itself: a test decides when the core is polled, when requests
// are done and in what order, when completions are reaped.

import assert from 'node:assert/strict';
import { DRIVER_BASE, WINDOW_BYTES } from '../../assembly/abi/memory-map.ts';
import * as abi from '../../assembly/abi/records.ts';
import { FID_NUMBER_OF_QUEUES } from '../../assembly/spec/nvme-features.ts';
import * as nvme from '../../assembly/spec/nvme.ts';
import type { ControllerConfig, NamespaceConfig } from '../../host/core/config.ts';
import type { Core } from '../../host/core/core.ts';
import { doorbellOffset, Driver } from '../../host/core/driver.ts';
import type { ModuleBuild } from '../../host/core/load.ts';
import { DRIVER_STATE_APART, GuestMemory, type RegionOptions } from './guest-memory.ts';
import { ModelDisk, requestCopy, segmentsCheck, type Request } from './model-disk.ts';

export interface MockGuestOptions {
  /** Bytes of guest memory, a multiple of 2 MiB; 16 MiB. */
  memory?: number;
  /** Guest physical address of its first byte, a multiple of 2 MiB; 0. */
  address?: number;
  /** Number of copying windows; 0, which is usual: guest memory is the window area. */
  copyingWindows?: number;
  /** One region for all of it where none is named. */
  regions?: readonly RegionOptions[];
  /** Each allocation begins in another window than the last. */
  spread?: boolean;
  controller?: Partial<ControllerConfig>;
  namespaces?: readonly Partial<NamespaceConfig>[];
  /** Entries of the admin queues; 32. */
  adminEntries?: number;
  /** Another build of the core. */
  build?: ModuleBuild;
}

/** A completion as a test looks at it. */
export interface Completed {
  cid: number;
  sqid: number;
  /** SCT << 8 | SC, without DNR. */
  status: number;
  dnr: boolean;
  result: number;
  tag: number;
  stranger: boolean;
}

/** An event record, copied. */
export interface CopiedEvent {
  type: number;
  qid: number;
  cid: number;
  status: number;
  nsid: number;
  argument: number;
  value: bigint;
}

export interface QueueOptions {
  entries?: number;
  depth?: number;
  /** Completion queue; the same number, created with it, where it is left out. */
  cqid?: number;
  /** Interrupt vector; undefined: no interrupts. */
  vector?: number | undefined;
}

export interface StartOptions {
  /** I/O queue pairs; 1. */
  queues?: number;
  queue?: QueueOptions | undefined;
}

const CONTROLLER: ControllerConfig = {
  shadowDoorbells: true,
  multiController: false,
  cntlid: 1,
  vid: 0x1b36,
  ssvid: 0x1af4,
  ioQueuePairs: 64,
  queueEntries: 1024,
  slots: 1024,
  ieeeOui: 0x525400,
  serial: 'MOCK0001',
  model: 'mock guest',
  firmware: '1',
  subnqn: 'nqn.2014-08.org.nvmexpress:uuid:4f2a52f0-7f4f-4d53-9d8e-0a3d7d5c2b10',
};

const NAMESPACE: NamespaceConfig = {
  nsid: 1,
  shared: false,
  readOnly: false,
  deallocate: true,
  volatileCache: true,
  lbaShift: 9,
  blocks: 8192n,
  nguid: Uint8Array.from({ length: 16 }, (_, index) => 0xa0 + index),
  eui64: Uint8Array.from({ length: 8 }, (_, index) => 0x30 + index),
  uuid: Uint8Array.from({ length: 16 }, (_, index) => 0x50 + index),
  optimalBlocks: 0,
};

/** Polls without any progress after which a wait is given up as a hang. */
const HANG_POLLS = 50;

export class MockGuest {
  readonly options: MockGuestOptions;
  readonly memory: GuestMemory;
  readonly disk = new ModelDisk();
  driver: Driver;
  /** Requests that were taken and not completed. */
  readonly pending: Request[] = [];
  /** Vectors that were signalled, and events, since the test last emptied the lists. */
  readonly interrupts: number[] = [];
  readonly events: CopiedEvent[] = [];
  /** The clock that the core is told, in microseconds. */
  now = 1_000_000;
  /** Budget of each poll. */
  budget = 64;
  /** Completion queues that were created: their heads are reaped by `run`. */
  readonly completionQueues = new Set<number>();
  #allocated: number;
  readonly #config: ControllerConfig;
  readonly #namespaces: NamespaceConfig[];

  constructor(options: MockGuestOptions = {}) {
    this.options = options;
    this.memory = new GuestMemory({
      bytes: options.memory ?? 16 << 20,
      address: options.address ?? 0,
      copyingWindows: options.copyingWindows ?? 0,
      regions: options.regions ?? [],
      build: options.build,
    });
    this.#allocated = this.memory.options.address + 0x10000;
    this.#config = { ...CONTROLLER, ...options.controller };
    this.#namespaces = (options.namespaces ?? [{}]).map((each, index) => ({
      ...NAMESPACE,
      nsid: index + 1,
      ...each,
    }));
    for (const { nsid, blocks, lbaShift, readOnly } of this.#namespaces) {
      const bytes = new Uint8Array(Math.min(Number(blocks) * 2 ** lbaShift, 64 << 20));
      this.disk.namespaces.set(nsid, { bytes, readOnly });
    }
    this.driver = this.#driverCreate(false);
    this.core.configure(this.#config, this.#namespaces);
    assert.equal(this.core.init(), abi.INIT_OK);
    this.memory.regionsAdd();
  }

  get core(): Core {
    return this.memory.core;
  }

  // ---- Guest memory ----

  /** Guest physical address of `bytes` that nobody uses, 4 KiB aligned. */
  allocate(bytes: number): number {
    const size = Math.ceil(bytes / 4096) * 4096;
    if (this.options.spread) this.#spread(size);
    const address = this.#allocated;
    this.#allocated += size;
    const end = this.memory.options.address + this.memory.options.bytes;
    assert.ok(this.#allocated <= end, 'the mock guest is out of memory: give it more');
    return address;
  }

  /** All memory that was allocated is free again: a driver that starts anew. */
  release(): void {
    this.#allocated = this.memory.options.address + 0x10000;
    this.#marks.clear();
  }

  /** Goes to the next 2 MiB, and from the last ones back to what is free above the mark in the first. */
  readonly #marks = new Map<number, number>();
  #spread(size: number): void {
    const { address, bytes } = this.memory.options;
    const windows = bytes / WINDOW_BYTES;
    const current = Math.floor((this.#allocated - 1 - address) / WINDOW_BYTES);
    this.#marks.set(current, this.#allocated);
    for (let step = 1; step <= windows; step++) {
      const window = (current + step) % windows;
      const start = address + window * WINDOW_BYTES;
      const mark = this.#marks.get(window) ?? start;
      if (mark + size > start + WINDOW_BYTES) continue;
      this.#allocated = mark;
      return;
    }
  }

  // ---- Registers and doorbells ----

  registerRead(offset: number): number {
    return this.memory.call((core) => core.registerRead(offset));
  }

  registerWrite(offset: number, value: number): void {
    this.memory.call((core) => {
      core.registerWrite(offset, value);
    });
    this.take();
  }

  register64Write(offset: number, value: number): void {
    this.registerWrite(offset, value >>> 0);
    this.registerWrite(offset + 4, Math.floor(value / 0x1_0000_0000));
  }

  doorbellWrite(offset: number, value: number): void {
    this.memory.call((core) => {
      core.doorbellWrite(offset, value);
    });
    this.take();
  }

  /** Tells the core of a queue's new tail; true when that took an MMIO write. */
  ring(sqid: number): boolean {
    const value = this.driver.submissionDoorbell(sqid);
    if (value === undefined) return false;
    this.doorbellWrite(doorbellOffset(sqid, 'submission'), value);
    return true;
  }

  /** Tells the core of a completion queue's new head. */
  ringHead(cqid: number): boolean {
    const value = this.driver.completionDoorbell(cqid);
    if (value === undefined) return false;
    this.doorbellWrite(doorbellOffset(cqid, 'completion'), value);
    return true;
  }

  // ---- The reactor's calls ----

  /** One queue_poll and all that it gave; returns what it did, misses answered included. */
  poll(budget = this.budget): number {
    this.now += 10;
    const done = this.memory.call((core) => core.queuePoll(budget, this.now));
    return done + this.take();
  }

  /** Takes all records; returns the number of windows that were filled. */
  take(): number {
    const { core } = this;
    const requests = core.requestsTake();
    for (let index = 0; index < requests; index++) {
      const request = requestCopy(core.request(index));
      segmentsCheck(request, this.memory.regions);
      this.pending.push(request);
    }
    const interrupts = core.interruptsTake();
    for (let index = 0; index < interrupts; index++) this.interrupts.push(core.interruptVector(index));
    const events = core.eventsTake();
    for (let index = 0; index < events; index++) {
      const { type, qid, cid, status, nsid, argument, value } = core.event(index);
      this.events.push({ type, qid, cid, status, nsid, argument, value });
    }
    const misses = core.windowsTake();
    const list = Array.from({ length: misses }, (_, index) => [core.missWindow(index), core.missPage(index)]);
    for (const [window = 0, page = 0] of list) this.memory.windowFill(window, page);
    return misses;
  }

  /** Does requests on the model disk and posts their completions, in the order given. */
  complete(requests: readonly Request[] = [...this.pending]): void {
    const results = requests.map((request) =>
      this.disk.execute(request, this.memory.linear, this.core.bytes),
    );
    this.post(requests.map((request, index) => ({ request, result: results[index] as number })));
  }

  /** Posts completions of requests that are pending, whatever became of them. */
  post(done: readonly { request: Request; result: number }[]): void {
    done.forEach(({ request, result }, index) => {
      const at = this.pending.indexOf(request);
      if (at >= 0) this.pending.splice(at, 1);
      this.core.completionSet(index, request.slot, result);
    });
    if (done.length > 0) {
      this.memory.call((core) => {
        core.completionsPost(done.length);
      });
    }
    this.take();
  }

  /** Completions of one queue, as objects; the new head is rung. */
  reap(cqid: number, max?: number): Completed[] {
    const count = this.driver.reap(cqid, max);
    const list = Array.from({ length: count }, (_, index) => {
      const { cid, sqid, status, result, tag, stranger } = this.driver.completion(index);
      const dnr = (status & nvme.STATUS_DNR) !== 0;
      return { cid, sqid, status: status & 0x7ff, dnr, result, tag, stranger };
    });
    if (count > 0) this.ringHead(cqid);
    return list;
  }

  /** Polls and does requests until nothing moves any more; returns all completions of all queues. */
  run(): Completed[] {
    const list: Completed[] = [];
    for (let idle = 0; idle < 3;) {
      const worked = this.poll() + this.pending.length;
      this.complete();
      const before = list.length;
      for (const cqid of this.completionQueues) list.push(...this.reap(cqid));
      idle = worked + list.length - before === 0 ? idle + 1 : 0;
    }
    return list;
  }

  /** Submits the prepared command, rings and runs until it is complete. */
  command(sqid = 0): Completed {
    const cid = this.driver.submit(sqid);
    assert.ok(cid !== undefined, `queue ${sqid} is full`);
    this.ring(sqid);
    const done = this.run().filter((each) => each.sqid === sqid && each.cid === cid);
    assert.equal(done.length, 1, `command ${cid} of queue ${sqid} completed ${done.length} times`);
    return done[0] as Completed;
  }

  /** `command`, which must succeed. */
  succeed(sqid = 0): Completed {
    const done = this.command(sqid);
    assert.equal(done.status, 0, `status ${done.status.toString(16)}`);
    return done;
  }

  // ---- Bring-up ----

  /** Admin queue and CC.EN = 1; returns when CSTS.RDY is 1. */
  enable(): void {
    const entries = this.options.adminEntries ?? 32;
    const submission = this.allocate(entries * nvme.SQE_BYTES);
    const completion = this.allocate(entries * nvme.CQE_BYTES);
    this.driver.completionQueueCreate(0, completion, entries);
    // Event requests wait for long: there are CIDs for them and for a full ring besides.
    const depth = entries + 4;
    const lists = this.#lists(depth);
    this.driver.submissionQueueCreate(0, { cqid: 0, address: submission, entries, depth, lists });
    this.completionQueues.add(0);
    this.registerWrite(nvme.REG_AQA, (entries - 1) | ((entries - 1) << nvme.AQA_ACQS_Z_SHIFT));
    this.register64Write(nvme.REG_ASQ, submission);
    this.register64Write(nvme.REG_ACQ, completion);
    this.registerWrite(nvme.REG_CC, CC_ENABLE);
    this.statusWait(nvme.CSTS_RDY, nvme.CSTS_RDY);
  }

  /** CC.EN = 0; returns when CSTS.RDY is 0, and the driver has forgotten its queues. */
  disable(): void {
    this.registerWrite(nvme.REG_CC, this.registerRead(nvme.REG_CC) & ~nvme.CC_EN);
    this.statusWait(nvme.CSTS_RDY, 0);
    this.forget();
  }

  /** The driver forgets all queues and commands. */
  forget(): void {
    this.driver.queuesReset();
    this.completionQueues.clear();
  }

  /** Polls, and does what requests there are, until CSTS has `value` in `mask`. */
  statusWait(mask: number, value: number): void {
    for (let polls = 0; polls < HANG_POLLS; polls++) {
      if ((this.registerRead(nvme.REG_CSTS) & mask) === value) return;
      this.poll();
      this.complete();
    }
    assert.fail(`CSTS is ${this.registerRead(nvme.REG_CSTS).toString(16)} and stays`);
  }

  /** The number of queue pairs that the controller grants. */
  queueCountSet(pairs: number): number {
    this.driver.setFeatures(FID_NUMBER_OF_QUEUES, (pairs - 1) | ((pairs - 1) << 16));
    const { result } = this.succeed();
    return (result & 0xffff) + 1;
  }

  /** An I/O submission queue, with a completion queue of its own unless told. */
  queueCreate(qid: number, options: QueueOptions = {}): void {
    const entries = options.entries ?? 64;
    const cqid = options.cqid ?? qid;
    if (!this.completionQueues.has(cqid)) {
      const address = this.allocate(entries * nvme.CQE_BYTES);
      this.driver.completionQueueCreate(cqid, address, entries);
      const vector = 'vector' in options ? options.vector : cqid;
      this.driver.createCompletionQueue(cqid, address, entries, vector);
      this.succeed();
      this.completionQueues.add(cqid);
    }
    const address = this.allocate(entries * nvme.SQE_BYTES);
    const depth = options.depth ?? entries - 1;
    this.driver.submissionQueueCreate(qid, { cqid, address, entries, depth, lists: this.#lists(depth) });
    this.driver.createSubmissionQueue(qid, address, entries, cqid);
    this.succeed();
  }

  /** Doorbell Buffer Config; both sides use the buffers afterwards. */
  shadowDoorbells(): void {
    const shadow = this.allocate(4096);
    const eventIndex = this.allocate(4096);
    this.memory.at(shadow, 4096).fill(0);
    this.memory.at(eventIndex, 4096).fill(0);
    this.driver.doorbellBuffers(shadow, eventIndex);
    this.succeed();
    this.driver.doorbellBuffersUse(shadow, eventIndex);
  }

  /** Enabled, with so many I/O queue pairs. */
  static up(options: MockGuestOptions & StartOptions = {}): MockGuest {
    return new MockGuest(options).start(options);
  }

  /** Enables, and creates I/O queue pairs; returns itself. */
  start(options: StartOptions): this {
    this.enable();
    const queues = options.queues ?? 1;
    if (queues > 0) this.queueCountSet(queues);
    for (let qid = 1; qid <= queues; qid++) this.queueCreate(qid, options.queue);
    return this;
  }

  // ---- Restart ----

  /**
   * The target dies here and another one takes over the state image: a new instance, the saved image, regions anew.
   * Requests that were taken and not completed are lost with the old process.
   */
  restart(): void {
    const image = this.core.imageSave();
    this.pending.length = 0;
    const core = this.memory.coreReplace();
    core.imageLoad(image);
    assert.equal(core.resume(), abi.INIT_OK);
    this.memory.regionsAdd();
    this.driver = this.#driverCreate(true);
  }

  #driverCreate(resume: boolean): Driver {
    const { memory } = this;
    return new Driver({
      memory: memory.driverMemory,
      state: memory.copying ? DRIVER_STATE_APART : DRIVER_BASE,
      guestBase: memory.base,
      guestBytes: memory.options.bytes,
      guestAddress: memory.options.address,
      resume,
    });
  }

  #lists(depth: number): number {
    return this.allocate(2 * depth * nvme.PAGE_BYTES);
  }
}

/** CC with EN and the entry sizes that the NVM command set requires. */
export const CC_ENABLE =
  nvme.CC_EN | (nvme.SQE_SHIFT << nvme.CC_IOSQES_SHIFT) | (nvme.CQE_SHIFT << nvme.CC_IOCQES_SHIFT);
