// One controller's core: a WebAssembly instance with its memory, and the typed face of its exports. Views over the
// memory are made once. A core that trapped is never called again: its calls do nothing, and register reads answer
// with what the registers held last and CSTS.CFS = 1, so that the guest's driver sees a failed controller.

import {
  COMPLETION_BASE,
  COMPLETION_BYTES,
  COMMAND_BASE,
  EVENT_COUNT,
  HEADER_BASE,
  INTERRUPT_BASE,
  INTERRUPT_COUNT,
  NAMESPACE_MAILBOX_BASE,
  PERSISTENT_BASE,
  REGION_MAILBOX_BASE,
  SLOT_COUNT,
  WINDOW_BASE_MIN,
  WINDOW_BYTES,
  WINDOW_COUNT_DEFAULT,
  WINDOW_MISS_BASE,
  WINDOW_MISS_BYTES,
} from '../../assembly/abi/memory-map.ts';
import * as abi from '../../assembly/abi/records.ts';
import { ABI_VERSION, IMAGE_MAGIC_HI, IMAGE_MAGIC_LO } from '../../assembly/abi/version.ts';
import * as spec from '../../assembly/spec/nvme.ts';
import { configWrite, namespaceWrite, type ControllerConfig, type NamespaceConfig } from './config.ts';
import { instantiate, loadModule, ModuleError, type Exports, type ModuleBuild } from './load.ts';
import { CommandResult, EventRecord, RequestRecord } from './records.ts';

const MODULE = 'doorbell-core';
const PAGE_BYTES = 65536;
/** Dwords of BAR0 that are kept for the answers of a failed core. */
const REGISTERS_KEPT = [
  ...[
    spec.REG_CAP,
    spec.REG_CAP_HIGH,
    spec.REG_VS,
    spec.REG_INTMS,
    spec.REG_INTMC,
    spec.REG_CC,
    spec.REG_CSTS,
  ],
  ...[spec.REG_AQA, spec.REG_ASQ, spec.REG_ASQ_HIGH, spec.REG_ACQ, spec.REG_ACQ_HIGH, spec.REG_CRTO],
];

const EXPORTS = [
  'abi_version',
  'core_init',
  'core_resume',
  'controller_reset',
  'controller_start',
  'controller_fail',
  'register_read',
  'register_write',
  'doorbell_write',
  'doorbells_poll',
  'doorbells_kick',
  'command_submit',
  'region_add',
  'region_remove',
  'namespace_update',
  'window_filled',
  'queue_poll',
  'queue_arm',
  'deadline_next',
  'completions_post',
  'requests_take',
  'commands_take',
  'windows_take',
  'interrupts_take',
  'events_take',
  'requests_outstanding',
  'interrupt_pending',
] as const;

export interface CoreOptions {
  /** Windows onto guest memory, WINDOW_COUNT_MIN to WINDOW_COUNT_MAX. */
  windowCount?: number;
  /**
   * Address of a view's first byte in this process. With it windows lie on 2 MiB of the process's own addresses, as
   * mapping huge pages wants; without it they lie on 2 MiB of linear memory.
   */
  addressOf?: (view: Uint8Array) => bigint;
  /** Another build of the core than build/core/doorbell-core.wasm. */
  build?: ModuleBuild;
}

/** A region of guest memory as the core knows it. */
export interface CoreRegion {
  gpa: bigint;
  /** Bytes. */
  length: bigint;
  /** What the addresses of segments in this region count from. */
  ioBase: bigint;
  /** The caller's own: offset in its file, and a number for that file. */
  offset: bigint;
  file: number;
  readable: boolean;
  writable: boolean;
  /** Segments may name it and windows can show it. */
  mapped: boolean;
}

export class Core {
  readonly memory: WebAssembly.Memory;
  /** All of linear memory. */
  readonly bytes: Uint8Array;
  readonly words: Uint32Array;
  readonly view: DataView;
  /** Linear address of window 0. */
  readonly windowBase: number;
  readonly windowCount: number;
  /** SHA-256 of the module. */
  readonly buildHash: Uint8Array;

  readonly #exports: Exports<(typeof EXPORTS)[number]>;
  readonly #request: RequestRecord;
  readonly #event: EventRecord;
  readonly #command: CommandResult;
  readonly #registers = new Map<number, number>(REGISTERS_KEPT.map((offset) => [offset, 0]));
  #failure: Error | undefined;

  /** Makes the memory and the instance. Throws ModuleError, or RangeError when there is no address space left. */
  constructor(options: CoreOptions = {}) {
    this.windowCount = options.windowCount ?? WINDOW_COUNT_DEFAULT;
    // One window more than is used: wherever the memory lies, the first can begin on 2 MiB.
    const pages = Math.ceil((WINDOW_BASE_MIN + (this.windowCount + 1) * WINDOW_BYTES) / PAGE_BYTES);
    this.memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    this.bytes = new Uint8Array(this.memory.buffer);
    this.words = new Uint32Array(this.memory.buffer);
    this.view = new DataView(this.memory.buffer);
    const address = options.addressOf ? options.addressOf(this.bytes) : 0n;
    const misaligned = Number((address + BigInt(WINDOW_BASE_MIN)) % BigInt(WINDOW_BYTES));
    this.windowBase = WINDOW_BASE_MIN + ((WINDOW_BYTES - misaligned) % WINDOW_BYTES);
    this.buildHash = loadModule(MODULE).buildHash;
    this.#exports = instantiate(MODULE, this.memory, EXPORTS, options.build);
    this.#request = new RequestRecord(this.words);
    this.#event = new EventRecord(this.words);
    this.#command = new CommandResult(this.words, this.bytes);
    const version = this.#exports.abi_version();
    if (version !== ABI_VERSION) {
      throw new ModuleError(
        `${MODULE}.wasm speaks ABI ${version}, this target ABI ${ABI_VERSION}: run "npm run build"`,
      );
    }
  }

  /** The trap that ended this core, if one did. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  // ---- Life ----

  /** Writes the configuration; takes effect with `init`. */
  configure(config: ControllerConfig, namespaces: readonly NamespaceConfig[]): void {
    configWrite(this.bytes, this.view, config, namespaces);
  }

  /**
   * From now on this is namespace `nsid`, undefined: none; the guest is told. NAMESPACE_*. Attach its storage before,
   * detach it after; requests that were issued go on.
   */
  namespaceUpdate(nsid: number, namespace: Omit<NamespaceConfig, 'nsid'> | undefined): number {
    namespaceWrite(this.bytes, this.view, NAMESPACE_MAILBOX_BASE, namespace);
    return this.#call(() => this.#exports.namespace_update(nsid), abi.NAMESPACE_INVALID);
  }

  /** A copy of what outlives power: health counters and saved features (PERSISTENT_*). Any time after `init`. */
  persistentSave(): Uint8Array {
    return this.bytes.slice(PERSISTENT_BASE, PERSISTENT_BASE + abi.PERSISTENT_BYTES);
  }

  /** Puts a saved copy in place, before `init`, which drops what cannot be. */
  persistentLoad(saved: Uint8Array): void {
    this.bytes.fill(0, PERSISTENT_BASE, PERSISTENT_BASE + abi.PERSISTENT_BYTES);
    this.bytes.set(saved.subarray(0, abi.PERSISTENT_BYTES), PERSISTENT_BASE);
  }

  /** Power-on with the configuration written before: INIT_*. Regions and windows start empty. */
  init(): number {
    const result = this.#call(
      () => this.#exports.core_init(this.windowBase, this.windowCount),
      abi.INIT_CONFIG_INVALID,
    );
    this.#begun(result);
    return result;
  }

  /** Goes on from a loaded image: INIT_*. Regions and windows start empty, the caller adds them anew. */
  resume(): number {
    const result = this.#call(
      () => this.#exports.core_resume(this.windowBase, this.windowCount),
      abi.INIT_IMAGE_FOREIGN,
    );
    this.#begun(result);
    return result;
  }

  /** Function-level reset: everything as at power-on but regions and windows. */
  controllerReset(): void {
    this.#call(() => this.#exports.controller_reset(), 0);
  }

  /** Sets CSTS.CFS. */
  controllerFail(): void {
    this.#call(() => this.#exports.controller_fail(), 0);
  }

  /** Enables the controller without an admin queue: START_*. */
  controllerStart(): number {
    const result = this.#call(() => this.#exports.controller_start(), abi.START_ENABLED);
    this.#keep(spec.REG_CC);
    return result;
  }

  // ---- Commands given directly ----

  /**
   * Runs a command of 64 bytes: its token, or COMMAND_REFUSED. The result comes with `commandsTake`. Data of an NVM
   * command are in guest memory, where the entry's PRPs say.
   */
  commandSubmit(entry: Uint8Array, set: 'admin' | 'nvm' = 'admin'): number {
    this.bytes.set(entry.subarray(0, spec.SQE_BYTES), COMMAND_BASE);
    const code = set === 'admin' ? abi.COMMAND_SET_ADMIN : abi.COMMAND_SET_NVM;
    return this.#call(() => this.#exports.command_submit(code), abi.COMMAND_REFUSED) >>> 0;
  }

  /** Number of results; `commandResult(0)` is the first. They and their data are valid until the next call. */
  commandsTake(): number {
    return this.#call(() => this.#exports.commands_take(), 0);
  }

  commandResult(index: number): CommandResult {
    return this.#command.at(index);
  }

  // ---- Registers and doorbells ----

  /** A dword of BAR0 below 1000h; `offset` is a multiple of 4. */
  registerRead(offset: number): number {
    const value = this.#call(() => this.#exports.register_read(offset), 0) >>> 0;
    return this.failure === undefined ? value : this.#registerKept(offset);
  }

  /** Writes a dword of BAR0 below 1000h; an 8-byte access is two, the low one first. */
  registerWrite(offset: number, value: number): void {
    this.#call(() => this.#exports.register_write(offset, value), 0);
    this.#keep(offset);
  }

  /** A doorbell: `offset` in BAR0, from 1000h. */
  doorbellWrite(offset: number, value: number): void {
    this.#call(() => this.#exports.doorbell_write(offset, value), 0);
  }

  /** Nobody rings I/O doorbells: they are looked at, in this page of guest memory if there is one. POLL_*. */
  doorbellsPoll(page: bigint | undefined): number {
    const [low, high] = pageWords(page);
    return this.#call(() => this.#exports.doorbells_poll(low, high), abi.POLL_QUEUES_EXIST);
  }

  /**
   * Doorbells of all queues are in this page of guest memory, and who writes there wakes the caller; undefined: they
   * come by `doorbellWrite`. POLL_*.
   */
  doorbellsKick(page: bigint | undefined): number {
    const [low, high] = pageWords(page);
    return this.#call(() => this.#exports.doorbells_kick(low, high), abi.POLL_QUEUES_EXIST);
  }

  // ---- Guest memory ----

  /** REGION_*. */
  regionAdd(region: CoreRegion): number {
    this.#regionWrite(region);
    return this.#call(() => this.#exports.region_add(), abi.REGION_INVALID);
  }

  /** REGION_*. From here on no new segment lies in the region; those of requests already taken still may. */
  regionRemove(gpa: bigint, length: bigint): number {
    this.view.setBigUint64(REGION_MAILBOX_BASE + abi.REGION_GPA, gpa, true);
    this.view.setBigUint64(REGION_MAILBOX_BASE + abi.REGION_LENGTH, length, true);
    return this.#call(() => this.#exports.region_remove(), abi.REGION_UNKNOWN);
  }

  /** The window now shows the 2 MiB at `page << 21`. */
  windowFilled(window: number, page: number): void {
    this.#call(() => this.#exports.window_filled(window, page), 0);
  }

  /** Linear address of a window. */
  windowAddress(window: number): number {
    return this.windowBase + window * WINDOW_BYTES;
  }

  // ---- Work ----

  /** Does up to `budget` things; returns how many were done. `now` in microseconds. */
  queuePoll(budget: number, now: number): number {
    if (this.#failure) return 0;
    try {
      return this.#exports.queue_poll(budget, now >>> 0, Math.floor(now / 0x1_0000_0000)) >>> 0;
    } catch (error) {
      return this.#trapped(error, 0);
    }
  }

  /** False: EventIdx is published and nothing is to be done, the caller may sleep. True: poll again. */
  queueArm(): boolean {
    return this.#call(() => this.#exports.queue_arm(), 0) !== 0;
  }

  /** Microseconds after the `now` of the last poll at which the core wants the next one, or DEADLINE_NONE. */
  deadlineNext(): number {
    return this.#call(() => this.#exports.deadline_next(), -1) >>> 0;
  }

  /** Sets the completion record `index` for the next `completionsPost`. */
  completionSet(index: number, slot: number, result: number): void {
    const at = (COMPLETION_BASE + index * COMPLETION_BYTES) >>> 2;
    this.words[at + (abi.COMPLETION_SLOT >>> 2)] = slot;
    this.words[at + (abi.COMPLETION_RESULT >>> 2)] = result;
  }

  /** The result of a completion record as it was left: BLOCK_*, or the negative errno that the addon saw. */
  completionResult(index: number): number {
    return (
      (this.words[(COMPLETION_BASE + index * COMPLETION_BYTES + abi.COMPLETION_RESULT) >>> 2] as number) | 0
    );
  }

  /** Gives a completion record its result in the core's words: BLOCK_*. */
  completionResultSet(index: number, result: number): void {
    this.words[(COMPLETION_BASE + index * COMPLETION_BYTES + abi.COMPLETION_RESULT) >>> 2] = result;
  }

  /** The first `count` records at COMPLETION_BASE are done. */
  completionsPost(count: number): void {
    if (this.#failure) return;
    try {
      this.#exports.completions_post(count);
    } catch (error) {
      this.#trapped(error, 0);
    }
  }

  /** Number of request records; `request(0)` is the first. All records are valid until the next call. */
  requestsTake(): number {
    return this.#take(this.#exports.requests_take, SLOT_COUNT);
  }

  request(index: number): RequestRecord {
    return this.#request.at(index);
  }

  /** Number of windows to fill; the guest cannot go on without. */
  windowsTake(): number {
    return this.#take(this.#exports.windows_take, this.windowCount);
  }

  /** Which window the miss `index` wants filled. */
  missWindow(index: number): number {
    return this.words[
      (WINDOW_MISS_BASE + index * WINDOW_MISS_BYTES + abi.WINDOW_MISS_WINDOW) >>> 2
    ] as number;
  }

  /** With which 2 MiB of guest physical address space (address >> 21). */
  missPage(index: number): number {
    return this.words[(WINDOW_MISS_BASE + index * WINDOW_MISS_BYTES + abi.WINDOW_MISS_PAGE) >>> 2] as number;
  }

  /** Number of vectors to signal. */
  interruptsTake(): number {
    return this.#take(this.#exports.interrupts_take, INTERRUPT_COUNT);
  }

  interruptVector(index: number): number {
    return this.words[(INTERRUPT_BASE >>> 2) + index] as number;
  }

  eventsTake(): number {
    return this.#take(this.#exports.events_take, EVENT_COUNT);
  }

  event(index: number): EventRecord {
    return this.#event.at(index);
  }

  /** Requests taken, or waiting to be, that were not completed yet. */
  requestsOutstanding(): number {
    return this.#call(this.#exports.requests_outstanding, 0);
  }

  /** Whether the INTx pin is asserted. */
  interruptPending(): boolean {
    return this.#call(this.#exports.interrupt_pending, 0) !== 0;
  }

  // ---- State image ----

  /**
   * A copy of the whole controller. Take outstanding requests' completions first, or let the resumed core
   * repeat them.
   */
  imageSave(): Uint8Array {
    return this.bytes.slice(0, WINDOW_BASE_MIN);
  }

  /** Puts a saved image in place, for `resume`. Throws RangeError when it is no image of this ABI. */
  imageLoad(image: Uint8Array): void {
    imageCheck(image);
    // Static data below the header belongs to this build, not to the one that saved the image.
    this.bytes.set(image.subarray(HEADER_BASE), HEADER_BASE);
    this.bytes.set(this.buildHash, HEADER_BASE + abi.HEADER_BUILD_HASH);
  }

  // ---- Private ----

  #begun(result: number): void {
    if (this.#failure || result !== abi.INIT_OK) return;
    this.bytes.set(this.buildHash, HEADER_BASE + abi.HEADER_BUILD_HASH);
    for (const offset of REGISTERS_KEPT) this.#keep(offset);
  }

  #keep(offset: number): void {
    if (this.#failure || !this.#registers.has(offset)) return;
    this.#registers.set(
      offset,
      this.#call(() => this.#exports.register_read(offset), 0),
    );
  }

  #registerKept(offset: number): number {
    const value = this.#registers.get(offset) ?? 0;
    return offset === spec.REG_CSTS ? (value | spec.CSTS_CFS) >>> 0 : value;
  }

  #regionWrite(region: CoreRegion): void {
    const base = REGION_MAILBOX_BASE;
    this.view.setBigUint64(base + abi.REGION_GPA, region.gpa, true);
    this.view.setBigUint64(base + abi.REGION_LENGTH, region.length, true);
    this.view.setBigUint64(base + abi.REGION_IO_BASE, region.ioBase, true);
    this.view.setBigUint64(base + abi.REGION_OFFSET, region.offset, true);
    this.view.setUint32(base + abi.REGION_FILE, region.file, true);
    const flags =
      (region.readable ? abi.REGION_FLAG_READABLE : 0) |
      (region.writable ? abi.REGION_FLAG_WRITABLE : 0) |
      (region.mapped ? abi.REGION_FLAG_MAPPED : 0);
    this.view.setUint32(base + abi.REGION_FLAGS, flags, true);
  }

  /** Records that a ring of `most` holds. A core that names more has lost count: as good as a trap. */
  #take(take: () => number, most: number): number {
    const count = this.#call(take, 0) >>> 0;
    if (count <= most) return count;
    this.#failure = new WebAssembly.RuntimeError(`${count} records in a ring of ${most}`);
    return 0;
  }

  /** A call into the core, unless it trapped; `failed` is the answer of one that did. */
  #call(call: () => number, failed: number): number {
    if (this.#failure) return failed;
    try {
      return call();
    } catch (error) {
      return this.#trapped(error, failed);
    }
  }

  #trapped(error: unknown, failed: number): number {
    if (!(error instanceof WebAssembly.RuntimeError)) throw error;
    this.#failure = error;
    return failed;
  }
}

/** The address of a page of doorbells as two words. */
function pageWords(page: bigint | undefined): [number, number] {
  if (page === undefined) return [abi.DOORBELLS_NONE, abi.DOORBELLS_NONE];
  return [Number(page & 0xffff_ffffn), Number(page >> 32n)];
}

/** Throws RangeError unless `image` was saved by a core of this ABI. */
export function imageCheck(image: Uint8Array): void {
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  const header = HEADER_BASE;
  if (
    image.byteLength !== WINDOW_BASE_MIN ||
    view.getUint32(header + abi.HEADER_MAGIC, true) !== IMAGE_MAGIC_LO ||
    view.getUint32(header + abi.HEADER_MAGIC + 4, true) !== IMAGE_MAGIC_HI ||
    view.getUint32(header + abi.HEADER_ABI_VERSION, true) !== ABI_VERSION
  ) {
    throw new RangeError('this is not a state image of a core of this version');
  }
}
