// A controller's seat in the subsystem: who sits there now. A controller whose core trapped, or whose I/O outlived its
// guest, cannot serve the next one; when its guest has left it retires, and a new one takes the seat.

import type { Log } from '../log/log.ts';
import type { Driven } from '../reactor/loop.ts';
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
import type { Controller } from './controller.ts';
import type { ControllerLook } from './look.ts';
import type { ControllerStatistics } from './statistics.ts';
import type { StatusChanged } from './status.ts';

export class Seat implements ResumableDevice, Driven {
  readonly #make: () => Controller;
  readonly #log: Log;
  /** Left the seat; requests of theirs are still with the kernel. */
  readonly #retired = new Set<Controller>();
  #holder: Controller;
  /** What the client wants of whoever holds the seat. */
  #limits: ControllerLimits | undefined;
  #watch: StatusChanged | undefined;

  /** `make` creates a controller at power-on state, with its storage attached. */
  constructor(make: () => Controller, log: Log) {
    this.#make = make;
    this.#log = log;
    this.#holder = make();
  }

  /** Sums over all that sat here: `make` gives each controller the same object. */
  get statistics(): ControllerStatistics {
    return this.#holder.statistics;
  }

  /** What an operator sees of the holder. */
  look(): ControllerLook {
    return this.#holder.look();
  }

  /** Whether requests of the holder, or of those that retired, are with the kernel. */
  get busy(): boolean {
    return this.#holder.busy || this.#retired.size > 0;
  }

  /** Takes down what the addon holds for the holder and for those that retired. */
  close(): void {
    for (const controller of [this.#holder, ...this.#retired]) controller.close();
    this.#retired.clear();
  }

  // ---- Device ----

  disconnect(done: () => void): void {
    const leaving = this.#holder;
    this.#limits = undefined;
    this.#watch = undefined;
    leaving.disconnect(() => {
      if (leaving.spent) this.#succeed(leaving);
      done();
    });
  }

  regionBytes(region: DeviceRegion): number {
    return this.#holder.regionBytes(region);
  }

  regionRead(region: DeviceRegion, offset: number, length: number): Uint8Array {
    return this.#holder.regionRead(region, offset, length);
  }

  regionWrite(region: DeviceRegion, offset: number, bytes: Uint8Array, done: () => void): void {
    this.#holder.regionWrite(region, offset, bytes, done);
  }

  memoryAdd(region: MemoryRegion): void {
    this.#holder.memoryAdd(region);
  }

  memoryRemove(gpa: bigint, length: bigint, done: () => void): void {
    this.#holder.memoryRemove(gpa, length, done);
  }

  interruptCount(kind: InterruptKind): number {
    return this.#holder.interruptCount(kind);
  }

  notifierSet(kind: InterruptKind, vector: number, fd: number | undefined): void {
    this.#holder.notifierSet(kind, vector, fd);
  }

  notifiersClear(kind: InterruptKind): void {
    this.#holder.notifiersClear(kind);
  }

  interruptTrigger(kind: InterruptKind, vector: number): void {
    this.#holder.interruptTrigger(kind, vector);
  }

  intxUnmask(): void {
    this.#holder.intxUnmask();
  }

  reset(done: () => void): void {
    this.#holder.reset(done);
  }

  // ---- DirectDevice ----

  command(entry: Uint8Array, done: (completion: CommandCompletion) => void): void {
    this.#holder.command(entry, done);
  }

  start(doorbells: bigint | undefined): void {
    this.#holder.start(doorbells);
  }

  stop(done: () => void): void {
    this.#holder.stop(done);
  }

  // ---- ResumableDevice ----

  configure(limits: ControllerLimits): void {
    this.#holder.configure(limits);
    this.#limits = limits;
  }

  passthrough(
    set: CommandSet,
    entry: Uint8Array,
    data: Uint8Array | undefined,
    dataBytes: number,
    done: (completion: CommandCompletion) => void,
  ): void {
    this.#holder.passthrough(set, entry, data, dataBytes, done);
  }

  doorbellsKicked(page: bigint | undefined): void {
    this.#holder.doorbellsKicked(page);
  }

  doorbellsCount(count: number): void {
    this.#holder.doorbellsCount(count);
  }

  notifierMask(vector: number, masked: boolean): void {
    this.#holder.notifierMask(vector, masked);
  }

  statusWatch(changed: StatusChanged): void {
    this.#watch = changed;
    this.#holder.statusWatch(changed);
  }

  quiesce(done: (drained: boolean) => void): void {
    this.#holder.quiesce(done);
  }

  proceed(): void {
    this.#holder.proceed();
  }

  get stateBytes(): number {
    return this.#holder.stateBytes;
  }

  stateSave(fd: number): void {
    this.#holder.stateSave(fd);
  }

  /** A state may make the core trap on it; then the client goes on with another one, at power-on. */
  stateLoad(fd: number, size: number): StateRefusal | undefined {
    const former = this.#holder;
    const refusal = former.stateLoad(fd, size);
    if (refusal === undefined || !former.spent) return refusal;
    this.#succeed(former);
    if (this.#holder === former) return refusal;
    if (this.#limits !== undefined) this.#holder.configure(this.#limits);
    if (this.#watch !== undefined) this.#holder.statusWatch(this.#watch);
    return refusal;
  }

  // ---- Driven ----

  poll(now: number): number {
    return this.#holder.poll(now);
  }

  complete(): number {
    if (this.#retired.size > 0) this.#settle();
    return this.#holder.complete();
  }

  arm(): boolean {
    return this.#holder.arm();
  }

  deadline(now: number): number {
    return this.#holder.deadline(now);
  }

  // ---- Private ----

  #succeed(leaving: Controller): void {
    try {
      this.#holder = this.#make();
    } catch (error) {
      // No address space for another core: the old one keeps the seat, as far as it can still serve.
      const reason = error instanceof Error ? error.message : String(error);
      this.#log.error(`no new controller could be made for the next client: ${reason}`);
      return;
    }
    this.#retired.add(leaving);
  }

  #settle(): void {
    for (const controller of this.#retired) {
      controller.complete();
      if (controller.busy) continue;
      controller.close();
      this.#retired.delete(controller);
    }
  }
}
