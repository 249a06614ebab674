// One NVMe controller as a VMM sees it: a PCI function whose registers, doorbells and queues are the core's, whose
// config space lies in the core's image, whose memory and storage the addon holds. Implements what front ends drive
// (ResumableDevice) and what the reactor's loop drives (Driven).

import { CALLER_BASE, CALLER_SIZE, QUEUE_COUNT } from '../../assembly/abi/memory-map.ts';
import * as abi from '../../assembly/abi/records.ts';
import { REG_CC, REG_CSTS } from '../../assembly/spec/nvme.ts';
import type { Core } from '../core/core.ts';
import type { Log } from '../log/log.ts';
import type { NativeController } from '../native.ts';
import { CONFIG_SPACE_BYTES } from '../pci/config-space.ts';
import type { Driven } from '../reactor/loop.ts';
import type { Reactor } from '../reactor/reactor.ts';
import type {
  CommandCompletion,
  CommandSet,
  ControllerLimits,
  DeviceRegion,
  InterruptKind,
  MemoryRegion,
  ResumableDevice,
  StateRefusal,
} from '../transport/device.ts';
import { Bar0 } from './bar0.ts';
import { busy } from './busy.ts';
import { DirectControl } from './direct.ts';
import { Drains } from './drains.ts';
import { eventLog } from './events.ts';
import { GuestMemory } from './guest-memory.ts';
import { Interrupts, interruptStateBytes } from './interrupts.ts';
import type { ControllerSetup } from './limits.ts';
import { lookAt, type ControllerLook } from './look.ts';
import { Passthrough, type PassthroughCommand } from './passthrough.ts';
import { Power } from './power.ts';
import { Quiesce } from './quiesce.ts';
import { resultsName } from './results.ts';
import { STATE_BYTES } from './state-file.ts';
import { noStatistics, type ControllerStatistics } from './statistics.ts';
import { StatusWatch, type StatusChanged } from './status.ts';
import { TrapLog } from './trap.ts';
import { WindowFiller } from './windows.ts';

/** Things one controller may do in a poll before its neighbours have their turn. */
const POLL_BUDGET = 256;

export interface ControllerParts {
  /** At power-on with `setup`: its configuration is written and `init` succeeded. */
  core: Core;
  /** What the target has; a VMM may ask for less. */
  setup: ControllerSetup;
  native: NativeController;
  reactor: Reactor;
  log: Log;
  /** Where to count; default: a fresh object. */
  statistics?: ControllerStatistics;
}

export class Controller implements ResumableDevice, Driven {
  readonly statistics: ControllerStatistics;

  readonly #core: Core;
  readonly #native: NativeController;
  readonly #reactor: Reactor;
  readonly #log: Log;
  readonly #bar0: Bar0;
  readonly #memory: GuestMemory;
  readonly #interrupts: Interrupts;
  readonly #drains = new Drains();
  readonly #direct: DirectControl;
  readonly #passthrough: Passthrough;
  readonly #windows: WindowFiller;
  readonly #power: Power;
  readonly #quiesce = new Quiesce();
  readonly #status: StatusWatch;
  readonly #trap: TrapLog;
  #closed = false;
  #busFaultsSeen = 0;

  constructor(parts: ControllerParts) {
    this.statistics = parts.statistics ?? noStatistics();
    this.#core = parts.core;
    this.#native = parts.native;
    this.#reactor = parts.reactor;
    this.#log = parts.log;
    const area = parts.core.bytes.subarray(CALLER_BASE, CALLER_BASE + CALLER_SIZE);
    const state = area.subarray(CONFIG_SPACE_BYTES, CONFIG_SPACE_BYTES + interruptStateBytes(QUEUE_COUNT));
    this.#interrupts = new Interrupts(QUEUE_COUNT, state);
    this.#bar0 = new Bar0(parts.core, () => this.statistics.doorbells++);
    this.#memory = new GuestMemory(parts.core, parts.native);
    this.#direct = new DirectControl(parts.core);
    this.#passthrough = new Passthrough(parts.core, parts.native, this.#memory, this.#direct);
    this.#windows = new WindowFiller(parts.core, parts.native, (reason) => this.#fail(reason));
    const { core, setup } = parts;
    this.#power = new Power({ core, setup, interrupts: this.#interrupts, windows: this.#windows });
    this.#status = new StatusWatch(parts.core);
    this.#trap = new TrapLog(parts.core, parts.log);
  }

  // ---- Device: registers and config space ----

  regionBytes(region: DeviceRegion): number {
    return region === 'bar0' ? this.#bar0.bytes : CONFIG_SPACE_BYTES;
  }

  regionRead(region: DeviceRegion, offset: number, length: number): Uint8Array {
    if (region === 'bar0') return this.#bar0.read(offset, length);
    if (!this.#power.config.msixEnabled) this.#power.config.setInterruptStatus(this.#core.interruptPending());
    return this.#power.config.read(offset, length);
  }

  regionWrite(region: DeviceRegion, offset: number, bytes: Uint8Array, done: () => void): void {
    if (region === 'bar0') {
      this.#bar0.write(offset, bytes);
      if (this.#polled) this.#status.check();
      else this.#effects();
      done();
      return;
    }
    const effects = this.#power.config.write(offset, bytes);
    if (effects.includes('function-level-reset')) {
      this.reset(done);
      return;
    }
    // The pin follows the level: an interrupt that was pending all the while is signalled now.
    if (effects.includes('intx-disable') || effects.includes('msix')) this.intxUnmask();
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
    this.#power.config.setInterruptStatus(pending);
    if (pending && this.#intxAllowed()) this.#interrupts.raiseIntx();
  }

  // ---- DirectDevice ----

  command(entry: Uint8Array, done: (completion: CommandCompletion) => void): void {
    this.#direct.submit('admin', entry, done);
    this.#effects();
    this.#direct.take();
  }

  start(doorbells: bigint | undefined): void {
    this.#power.config.enable();
    this.#direct.start(doorbells);
    this.#effects();
  }

  stop(done: () => void): void {
    this.#passthrough.abort();
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

  // ---- ResumableDevice ----

  configure(limits: ControllerLimits): void {
    this.#powerOnCheck();
    this.#power.configure(limits);
  }

  passthrough(
    set: CommandSet,
    entry: Uint8Array,
    data: Uint8Array | undefined,
    dataBytes: number,
    done: (completion: CommandCompletion) => void,
  ): void {
    const command: PassthroughCommand = { set, entry, data, dataBytes, done };
    this.#passthrough.submit(command);
    this.#effects();
    this.#direct.take();
    this.#drain(
      () => this.#passthrough.isOver(command),
      () => this.#passthrough.giveUp(command),
      () => undefined,
    );
  }

  doorbellsKicked(page: bigint | undefined): void {
    this.#direct.doorbellsKicked(page);
  }

  doorbellsCount(count: number): void {
    this.statistics.doorbells += count;
  }

  notifierMask(vector: number, masked: boolean): void {
    this.#interrupts.mask(vector, masked);
  }

  statusWatch(changed: StatusChanged): void {
    this.#status.watch(changed);
  }

  quiesce(done: (drained: boolean) => void): void {
    this.#quiesce.stop();
    this.#drain(
      () => this.#quiesce.advance(this.#isIdle),
      () => this.#log.warn('I/O did not finish within 3 s of a request to stop'),
      () => done(this.#quiesce.stopped && this.#isIdle),
    );
  }

  proceed(): void {
    this.#quiesce.proceed();
  }

  get stateBytes(): number {
    return STATE_BYTES;
  }

  stateSave(fd: number): void {
    if (this.#core.failure !== undefined) throw busy('the core trapped: there is no state to save');
    if (!this.#quiesce.stopped || !this.#isIdle) {
      throw busy('the state cannot be saved while I/O is under way');
    }
    this.#effects();
    this.#power.save(fd);
  }

  stateLoad(fd: number, size: number): StateRefusal | undefined {
    this.#powerOnCheck();
    const refusal = this.#power.load(fd, size);
    if (refusal === undefined) {
      this.#quiesce.hold();
      this.#effects();
    }
    // Whoever watches is not told of a core that another one takes the place of.
    this.#trap.check(this.#power.resumed);
    return refusal;
  }

  /** At power-on nothing of a VMM's is there. Throws DeviceError EBUSY. */
  #powerOnCheck(): void {
    // Memory of commands that were given directly is the target's own.
    if (this.#passthrough.idle) this.#passthrough.forget();
    const isIdle = this.#isIdle && !this.#direct.waiting;
    const isOff = this.#core.registerRead(REG_CC) === 0 && this.#core.registerRead(REG_CSTS) === 0;
    const isBare = this.#memory.isEmpty && this.#interrupts.isEmpty;
    if (isIdle && isOff && isBare && this.#quiesce.running) return;
    throw busy('this is possible before memory, interrupts and CC.EN alone');
  }

  // ---- Device: life ----

  reset(done: () => void): void {
    this.#core.controllerReset();
    this.#passthrough.abort();
    this.#direct.forget();
    this.#power.config.reset();
    this.#interrupts.reset();
    this.#status.check();
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
    this.#status.forget();
    this.#quiesce.proceed();
    this.#passthrough.forget();
    this.#direct.forget();
    this.#interrupts.clear('intx');
    this.#interrupts.clear('msix');
    this.#core.controllerReset();
    this.#power.config.reset();
    const removed = this.#memory.removeAll();
    this.#drain(
      () => this.#native.inFlight === 0 && removed.every((region) => region.isDrained()),
      () => {
        for (const region of removed) region.abandon();
        this.#log.warn('I/O of the client that left did not finish within 3 s');
      },
      () => {
        if (!this.spent) {
          // What the client waited for may have failed the controller meanwhile.
          this.#core.controllerReset();
          this.#power.restore();
        }
        done();
      },
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

  /** What an operator sees of it. */
  look(): ControllerLook {
    return lookAt(this.#core);
  }

  // ---- Driven ----

  poll(now: number): number {
    let work = this.#drains.check(now);
    if (!this.#polled) {
      if (this.#quiesce.stopping) work += this.#stopAdvance(now, 0);
      return work;
    }
    const budget = this.#quiesce.running ? POLL_BUDGET : 0;
    const done = this.#core.queuePoll(budget, now) + this.#windowsFill();
    this.#effects();
    if (this.#direct.waiting) this.#direct.take();
    if (done > 0) this.#busFaultsCheck();
    if (this.#quiesce.stopping) work += this.#stopAdvance(now, done);
    return work + done;
  }

  complete(): number {
    const count = this.#native.completionsTake();
    if (count === 0) return 0;
    if (this.#native.completionErrors > 0) {
      this.statistics.requestErrors += resultsName(this.#core, count, this.#log);
    }
    this.#core.completionsPost(count);
    this.#effects();
    if (this.#direct.waiting) this.#direct.take();
    this.#busFaultsCheck();
    return count;
  }

  arm(): boolean {
    if (!this.#polled || !this.#quiesce.running || this.#core.failure !== undefined) return true;
    return !this.#core.queueArm();
  }

  deadline(now: number): number {
    // A core that is not polled, or takes no new work, need not be woken for.
    const isServed = this.#polled && this.#quiesce.running;
    const next = isServed ? this.#core.deadlineNext() : abi.DEADLINE_NONE;
    return Math.min(next === abi.DEADLINE_NONE ? Infinity : next, this.#drains.deadline(now));
  }

  // ---- Private ----

  /** Whether the core is polled: as a bus master, and unless everything has stopped. */
  get #polled(): boolean {
    return this.#power.config.busMaster && !this.#quiesce.stopped;
  }

  /** Nothing is with the storage, nor about to be. */
  get #isIdle(): boolean {
    return !this.busy && this.#core.requestsOutstanding() === 0;
  }

  /** While the controller stops: a poll did so many things. */
  #stopAdvance(now: number, done: number): number {
    this.#quiesce.polled(done);
    return this.#drains.check(now);
  }

  #windowsFill(): number {
    const filled = this.#windows.fill();
    this.statistics.windowFills += filled;
    return filled;
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
    for (let index = 0; index < events; index++) {
      const event = this.#core.event(index);
      this.#status.note(event.type);
      eventLog(this.#log, event);
    }
    this.#trap.check(this.#power.resumed);
    this.#status.check();
  }

  #interruptsRaise(count: number): void {
    this.statistics.interrupts += count;
    if (this.#power.config.msixEnabled) {
      for (let index = 0; index < count; index++) {
        this.#interrupts.raiseMsix(this.#core.interruptVector(index));
      }
    } else {
      this.intxUnmask();
    }
  }

  #intxAllowed(): boolean {
    return !this.#power.config.msixEnabled && !this.#power.config.intxDisabled;
  }

  /** Memory that the VMM truncated reads as zeros and swallows writes: no state that rests on it can be trusted. */
  #busFaultsCheck(): void {
    const faults = this.#native.busFaults;
    if (faults === this.#busFaultsSeen) return;
    this.#busFaultsSeen = faults;
    this.#fail('the VMM made a file shorter that backs guest memory; reset it to go on');
  }

  #drain(isDrained: () => boolean, force: () => void, done: () => void): void {
    this.#drains.add(this.#reactor.now(), isDrained, force, done);
  }

  #fail(reason: string): void {
    this.#log.limited('failed').error(`controller failed: ${reason}`);
    this.#core.controllerFail();
    this.#effects();
  }
}
