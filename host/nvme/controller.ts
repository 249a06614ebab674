// One NVMe controller as a VMM sees it: a PCI function whose registers, doorbells and queues are the core's, whose
// config space lies in the core's image, whose memory and storage the addon holds. Implements what front ends drive
// (Device, DirectDevice) and what the reactor's loop drives (Driven).

import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { CALLER_BASE, CALLER_SIZE, QUEUE_COUNT } from '../../assembly/abi/memory-map.ts';
import * as abi from '../../assembly/abi/records.ts';
import { blockResultName, blockResultOfCompletion, errnoName, errnoOf } from '../block/errors.ts';
import type { Core } from '../core/core.ts';
import type { Log } from '../log/log.ts';
import type { NativeController } from '../native.ts';
import { ConfigSpace, CONFIG_SPACE_BYTES } from '../pci/config-space.ts';
import type { Driven } from '../reactor/loop.ts';
import type { Reactor } from '../reactor/reactor.ts';
import type {
  CommandCompletion,
  DeviceRegion,
  DirectDevice,
  InterruptKind,
  MemoryRegion,
} from '../transport/device.ts';
import { Bar0 } from './bar0.ts';
import { DirectControl } from './direct.ts';
import { Drains } from './drains.ts';
import { eventLog } from './events.ts';
import { GuestMemory } from './guest-memory.ts';
import { Interrupts } from './interrupts.ts';

/** Things one controller may do in a poll before its neighbours have their turn. */
const POLL_BUDGET = 256;

export interface ControllerParts {
  /** Initialised: its configuration is written and `init` or `resume` succeeded. */
  core: Core;
  native: NativeController;
  reactor: Reactor;
  log: Log;
  /** Where to count; default: a fresh object. */
  statistics?: ControllerStatistics;
}

export interface ControllerStatistics {
  /** Doorbell registers that were written, by messages: what shadow doorbells save. */
  doorbells: number;
  /** Requests handed to the storage. */
  requests: number;
  /** Requests that ended with another result than BLOCK_OK. */
  requestErrors: number;
  /** Interrupts raised. */
  interrupts: number;
  /** Windows filled. */
  windowFills: number;
}

export function noStatistics(): ControllerStatistics {
  return { doorbells: 0, requests: 0, requestErrors: 0, interrupts: 0, windowFills: 0 };
}

export class Controller implements DirectDevice, Driven {
  readonly statistics: ControllerStatistics;

  readonly #core: Core;
  readonly #native: NativeController;
  readonly #reactor: Reactor;
  readonly #log: Log;
  readonly #config: ConfigSpace;
  readonly #bar0: Bar0;
  readonly #memory: GuestMemory;
  readonly #interrupts: Interrupts;
  readonly #drains = new Drains();
  readonly #direct: DirectControl;
  /** Windows that could not be mapped when the core asked for them, and their pages. */
  readonly #unfilled = new Map<number, number>();
  #closed = false;
  #failureLogged = false;
  #busFaultsSeen = 0;

  constructor(parts: ControllerParts) {
    this.statistics = parts.statistics ?? noStatistics();
    this.#core = parts.core;
    this.#native = parts.native;
    this.#reactor = parts.reactor;
    this.#log = parts.log;
    const area = parts.core.bytes.subarray(CALLER_BASE, CALLER_BASE + CALLER_SIZE);
    this.#config = new ConfigSpace(area.subarray(0, CONFIG_SPACE_BYTES), { vectors: QUEUE_COUNT });
    this.#interrupts = new Interrupts(
      QUEUE_COUNT,
      area.subarray(CONFIG_SPACE_BYTES, CONFIG_SPACE_BYTES + QUEUE_COUNT),
    );
    this.#bar0 = new Bar0(parts.core, () => this.statistics.doorbells++);
    this.#memory = new GuestMemory(parts.core, parts.native);
    this.#direct = new DirectControl(parts.core);
  }

  // ---- Device: registers and config space ----

  regionBytes(region: DeviceRegion): number {
    return region === 'bar0' ? this.#bar0.bytes : CONFIG_SPACE_BYTES;
  }

  regionRead(region: DeviceRegion, offset: number, length: number): Uint8Array {
    if (region === 'bar0') return this.#bar0.read(offset, length);
    if (!this.#config.msixEnabled) this.#config.setInterruptStatus(this.#core.interruptPending());
    return this.#config.read(offset, length);
  }

  regionWrite(region: DeviceRegion, offset: number, bytes: Uint8Array, done: () => void): void {
    if (region === 'bar0') {
      this.#bar0.write(offset, bytes);
      done();
      return;
    }
    const effects = this.#config.write(offset, bytes);
    if (effects.includes('function-level-reset')) {
      this.reset(done);
      return;
    }
    // The pin follows the level: an interrupt that was pending all the while is signalled now.
    if (effects.includes('intx-disable')) this.intxUnmask();
    done();
  }

  // ---- Device: guest memory ----

  memoryAdd(region: MemoryRegion): void {
    this.#memory.add(region);
  }

  memoryRemove(gpa: bigint, length: bigint, done: () => void): void {
    const removed = this.#memory.remove(gpa, length);
    this.#drain(
      () => removed.isDrained(),
      () => {
        removed.abandon();
        this.#fail('I/O did not finish within 3 s of the removal of its memory; reset it to go on');
      },
      done,
    );
  }

  // ---- Device: interrupts ----

  interruptCount(kind: InterruptKind): number {
    return this.#interrupts.count(kind);
  }

  notifierSet(kind: InterruptKind, vector: number, fd: number | undefined): void {
    this.#interrupts.set(kind, vector, fd);
    if (kind === 'intx' && fd !== undefined) this.intxUnmask();
  }

  notifiersClear(kind: InterruptKind): void {
    this.#interrupts.clear(kind);
  }

  interruptTrigger(kind: InterruptKind, vector: number): void {
    if (kind === 'intx') this.#interrupts.raiseIntx();
    else this.#interrupts.raiseMsix(vector);
  }

  intxUnmask(): void {
    const pending = this.#core.interruptPending();
    this.#config.setInterruptStatus(pending);
    if (pending && this.#intxAllowed()) this.#interrupts.raiseIntx();
  }

  // ---- DirectDevice ----

  command(entry: Uint8Array, done: (completion: CommandCompletion) => void): void {
    this.#direct.submit(entry, done);
    this.#effects();
    this.#direct.take();
  }

  start(doorbells: bigint | undefined): void {
    this.#config.enable();
    this.#direct.start(doorbells);
    this.#effects();
  }

  stop(done: () => void): void {
    this.#direct.disable();
    this.#effects();
    this.#drain(
      () => this.#native.inFlight === 0 && this.#direct.disabled,
      () => {
        this.#memory.abandonAll();
        this.#log.error(
          'I/O did not finish within 3 s of a stop, so guest memory was let go; restart the VMM',
        );
      },
      () => this.#cachesFlush(done),
    );
  }

  /** A stop may be a shutdown: what was written becomes durable. No queue exists that could disturb it. */
  #cachesFlush(done: () => void): void {
    this.#direct.flushBegin();
    this.#effects();
    const finish = (): void => {
      this.#direct.disable();
      this.#effects();
      done();
    };
    this.#drain(
      () => this.#direct.flushed,
      () => this.#log.warn('the storage did not flush its caches within 3 s'),
      finish,
    );
  }

  // ---- Device: life ----

  reset(done: () => void): void {
    this.#core.controllerReset();
    this.#config.reset();
    this.#interrupts.reset();
    this.#drain(
      () => this.#native.inFlight === 0,
      () => {
        this.#memory.abandonAll();
        this.#fail('I/O did not finish within 3 s of a reset, so guest memory was let go; restart the VMM');
      },
      done,
    );
  }

  disconnect(done: () => void): void {
    this.#direct.forget();
    this.#interrupts.clear('intx');
    this.#interrupts.clear('msix');
    this.#core.controllerReset();
    this.#config.reset();
    const removed = this.#memory.removeAll();
    this.#drain(
      () => this.#native.inFlight === 0 && removed.every((region) => region.isDrained()),
      () => {
        for (const region of removed) region.abandon();
        this.#log.warn('I/O of the client that left did not finish within 3 s');
      },
      done,
    );
  }

  /** Whether requests are with the kernel. */
  get busy(): boolean {
    return this.#native.inFlight > 0;
  }

  /** After a disconnect: cannot serve another client. Its core trapped, or requests of the last client go on. */
  get spent(): boolean {
    return this.#core.failure !== undefined || this.busy;
  }

  /**
   * Takes down what the addon holds. Nothing may be with the kernel; completions that nobody took are dropped.
   * Idempotent.
   */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#interrupts.clear('intx');
    this.#interrupts.clear('msix');
    while (this.#native.completionsTake() > 0);
    this.#native.close();
  }

  // ---- Driven ----

  poll(now: number): number {
    let work = this.#drains.check(now);
    if (!this.#config.busMaster) return work;
    work += this.#core.queuePoll(POLL_BUDGET, now);
    work += this.#windowsFill();
    this.#effects();
    if (this.#direct.waiting) this.#direct.take();
    if (work > 0) this.#busFaultsCheck();
    return work;
  }

  complete(): number {
    const count = this.#native.completionsTake();
    if (count === 0) return 0;
    if (this.#native.completionErrors > 0) this.#resultsName(count);
    this.#core.completionsPost(count);
    this.#effects();
    if (this.#direct.waiting) this.#direct.take();
    this.#busFaultsCheck();
    return count;
  }

  arm(): boolean {
    if (!this.#config.busMaster || this.#core.failure !== undefined) return true;
    return !this.#core.queueArm();
  }

  deadline(now: number): number {
    // A core that is not polled, because the function is no bus master, need not be woken for.
    const next = this.#config.busMaster ? this.#core.deadlineNext() : abi.DEADLINE_NONE;
    return Math.min(next === abi.DEADLINE_NONE ? Infinity : next, this.#drains.deadline(now));
  }

  // ---- Private ----

  #windowsFill(): number {
    const count = this.#core.windowsTake();
    let filled = 0;
    if (this.#unfilled.size > 0) {
      for (const [window, page] of [...this.#unfilled]) if (this.#windowFill(window, page)) filled++;
    }
    for (let index = 0; index < count; index++) {
      if (this.#windowFill(this.#core.missWindow(index), this.#core.missPage(index))) filled++;
    }
    this.statistics.windowFills += filled;
    return filled;
  }

  /** False where the kernel refuses: then whoever waits for the window waits on, and the next poll tries again. */
  #windowFill(window: number, page: number): boolean {
    try {
      this.#native.windowFill(window, page);
    } catch (cause) {
      if (!this.#unfilled.has(window)) {
        const errno = errnoName(errnoOf(cause));
        this.#fail(`guest memory cannot be mapped (${errno}); raise vm.max_map_count, then reset it`);
      }
      this.#unfilled.set(window, page);
      return false;
    }
    this.#unfilled.delete(window);
    this.#core.windowFilled(window, page);
    return true;
  }

  /** Takes the records that a call left: requests to the storage, vectors to their eventfds, events to the log. */
  #effects(): void {
    const requests = this.#core.requestsTake();
    if (requests > 0) {
      this.statistics.requests += requests;
      this.#reactor.submit(this.#native, requests);
    }
    const interrupts = this.#core.interruptsTake();
    if (interrupts > 0) this.#interruptsRaise(interrupts);
    const events = this.#core.eventsTake();
    for (let index = 0; index < events; index++) eventLog(this.#log, this.#core.event(index));
    if (this.#core.failure !== undefined && !this.#failureLogged) this.#trapLog(this.#core.failure);
  }

  #interruptsRaise(count: number): void {
    this.statistics.interrupts += count;
    if (this.#config.msixEnabled) {
      for (let index = 0; index < count; index++) {
        this.#interrupts.raiseMsix(this.#core.interruptVector(index));
      }
    } else {
      this.intxUnmask();
    }
  }

  #intxAllowed(): boolean {
    return !this.#config.msixEnabled && !this.#config.intxDisabled;
  }

  /** Memory that the VMM truncated reads as zeros and swallows writes: no state that rests on it can be trusted. */
  #busFaultsCheck(): void {
    const faults = this.#native.busFaults;
    if (faults === this.#busFaultsSeen) return;
    this.#busFaultsSeen = faults;
    this.#fail('the VMM made a file shorter that backs guest memory; reset it to go on');
  }

  /** Gives each failed record its BLOCK_* result in place of the errno that the addon saw, and logs it. */
  #resultsName(count: number): void {
    for (let index = 0; index < count; index++) {
      const seen = this.#core.completionResult(index);
      if (seen === abi.BLOCK_OK) continue;
      const result = blockResultOfCompletion(seen);
      this.#core.completionResultSet(index, result);
      this.statistics.requestErrors++;
      this.#log.limited('request').warn('a request failed in the storage', {
        result: blockResultName(result),
        ...(seen < 0 ? { errno: errnoName(-seen) } : {}),
      });
    }
  }

  #drain(isDrained: () => boolean, force: () => void, done: () => void): void {
    this.#drains.add(this.#reactor.now(), isDrained, force, done);
  }

  #fail(reason: string): void {
    this.#log.error(`controller failed: ${reason}`);
    this.#core.controllerFail();
    this.#effects();
  }

  /**
   * A bug of ours: the image is kept for whoever looks for it, for the operator's eyes only (it holds guest
   * data).
   */
  #trapLog(failure: Error): void {
    this.#failureLogged = true;
    this.#log.error(
      'the core trapped: its controller is out of service, the others go on; please report this bug',
      {
        trap: failure.stack ?? failure.message,
        image: this.#imageDump(),
      },
    );
  }

  /** Where the state image went, or why it could not. */
  #imageDump(): string {
    try {
      const directory = mkdtempSync(path.join(tmpdir(), 'doorbell-trap-'));
      const file = path.join(directory, 'state.image');
      writeFileSync(file, this.#core.imageSave(), { mode: 0o600 });
      return file;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }
}
