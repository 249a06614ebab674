// The memory that a front end has handed over: its guest's, region by region or as a table, and one stretch of
// doorbells above all that a guest can have. Descriptors are closed as soon as the device has mapped them.

import type { Device } from '../device.ts';
import { attempt } from './attempt.ts';
import type { MemoryTableRegion } from './messages/memory.ts';
import type { ProtocolError } from './messages/protocol-error.ts';

export class SessionMemory {
  readonly #device: Device;
  readonly #closeFd: (fd: number) => void;
  /** The guest's, by address. */
  readonly #regions = new Map<bigint, MemoryTableRegion>();
  #doorbells: MemoryTableRegion | undefined;
  #closed = false;

  constructor(device: Device, closeFd: (fd: number) => void) {
    this.#device = device;
    this.#closeFd = closeFd;
  }

  /** Regions of guest memory. */
  get count(): number {
    return this.#regions.size;
  }

  /** Where the doorbells are, undefined without any. */
  get doorbells(): bigint | undefined {
    return this.#doorbells?.gpa;
  }

  /**
   * A new table takes the old one's place, once no request touches the old memory any more: all of it, or no memory is
   * left. A descriptor for each region is taken from `fds`.
   */
  replace(
    table: readonly MemoryTableRegion[],
    fds: number[],
    done: (error: ProtocolError | undefined) => void,
  ): void {
    const own = fds.splice(0);
    this.#removeAll(() => {
      const error = this.#closed ? undefined : this.#addAll(table, own);
      this.#closeAll(own);
      if (error === undefined) done(undefined);
      else this.#removeAll(() => done(error));
    });
  }

  /** One more region; `fd` stays the caller's. */
  add(region: MemoryTableRegion, fd: number | undefined): ProtocolError | undefined {
    const error = this.#map(region, fd);
    if (error === undefined) this.#regions.set(region.gpa, region);
    return error;
  }

  /** `done` comes when no request touches the region any more; an error that is returned is instead of it. */
  remove(region: MemoryTableRegion, done: () => void): ProtocolError | undefined {
    const { gpa, size } = region;
    if (this.#regions.get(gpa)?.size !== size) {
      return attempt('VHOST_USER_MEMORY', () => this.#device.memoryRemove(gpa, size, done));
    }
    this.#regions.delete(gpa);
    this.#unmap([region], done);
    return undefined;
  }

  /** Other doorbells, or none, once no request touches the old ones; takes their descriptor from `fds`. */
  doorbellsReplace(
    region: MemoryTableRegion | undefined,
    fds: number[],
    done: (error: ProtocolError | undefined) => void,
  ): void {
    const own = fds.splice(0);
    const old = this.#doorbells === undefined ? [] : [this.#doorbells];
    this.#doorbells = undefined;
    this.#unmap(old, () => {
      const error = this.#closed || region === undefined ? undefined : this.#map(region, own[0]);
      this.#closeAll(own);
      if (error === undefined && !this.#closed) this.#doorbells = region;
      done(error);
    });
  }

  /** The device drops all of it. */
  close(): void {
    this.#closed = true;
    this.#regions.clear();
    this.#doorbells = undefined;
  }

  #closeAll(fds: readonly number[]): void {
    for (const fd of fds) this.#closeFd(fd);
  }

  /** Adds all regions or stops at the first that is refused. */
  #addAll(table: readonly MemoryTableRegion[], fds: readonly number[]): ProtocolError | undefined {
    for (const [index, region] of table.entries()) {
      const error = this.add(region, fds[index]);
      if (error !== undefined) return error;
    }
    return undefined;
  }

  #removeAll(done: () => void): void {
    const regions = [...this.#regions.values()];
    this.#regions.clear();
    this.#unmap(regions, done);
  }

  #map({ gpa, size, offset }: MemoryTableRegion, fd: number | undefined): ProtocolError | undefined {
    const mapping = { gpa, length: size, offset, fd, readable: true, writable: true };
    return attempt('VHOST_USER_MEMORY', () => this.#device.memoryAdd(mapping));
  }

  /** Where I/O did not end in time the device has let go of all memory, and knows none of these regions any more. */
  #unmap(regions: readonly MemoryTableRegion[], done: () => void): void {
    let left = regions.length;
    const gone = (): void => {
      left -= 1;
      if (left === 0) done();
    };
    if (left === 0) done();
    for (const { gpa, size } of regions) {
      const call = (): void => this.#device.memoryRemove(gpa, size, gone);
      if (attempt('VHOST_USER_MEMORY', call) !== undefined) gone();
    }
  }
}
