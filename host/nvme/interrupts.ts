// Interrupts of one controller: which eventfd the VMM gave for which vector, which vectors it masked, and what is
// still owed to a vector that cannot be signalled at the moment. MSI-X vectors are messages and owed once, as in a
// Pending Bit Array (PCI Express 6.1.4.5); INTx is a level, signalled again on unmask.

import { constants } from 'node:os';
import { native } from '../native.ts';
import { DeviceError, type InterruptKind } from '../transport/device.ts';

/**
 * What lies in the state image: for each vector a byte that is 1 while it is owed, then for each one that is 1 while it
 * is masked. Other values, in an image that somebody made up, say no.
 */
export function interruptStateBytes(vectors: number): number {
  return 2 * vectors;
}

export class Interrupts {
  readonly #msix: (number | undefined)[];
  /** Vectors that were raised while they had no eventfd or were masked. */
  readonly #owed: Uint8Array;
  readonly #masked: Uint8Array;
  #intx: number | undefined;
  /** Vectors that the controller has now, of those that there is room for. */
  #count: number;

  /** `state` has `interruptStateBytes(vectors)`. */
  constructor(vectors: number, state: Uint8Array) {
    this.#msix = new Array<number | undefined>(vectors).fill(undefined);
    this.#count = vectors;
    this.#owed = state.subarray(0, vectors);
    this.#masked = state.subarray(vectors, 2 * vectors);
  }

  count(kind: InterruptKind): number {
    return kind === 'intx' ? 1 : this.#count;
  }

  /** The controller has so many vectors from now on, at most those that there is room for. */
  countSet(vectors: number): void {
    this.#count = vectors;
  }

  /** No vector has an eventfd. */
  get isEmpty(): boolean {
    return this.#intx === undefined && this.#msix.every((fd) => fd === undefined);
  }

  /**
   * Takes the fd. An MSI-X vector that is owed an interrupt is signalled at once. Throws DeviceError EINVAL, and closes
   * the fd, when it is no eventfd; then nothing has changed.
   */
  set(kind: InterruptKind, vector: number, fd: number | undefined): void {
    if (fd !== undefined && !native.eventfdAdopt(fd)) {
      native.fdClose(fd);
      throw new DeviceError('NOTIFIER_KIND', constants.errno.EINVAL, 'the descriptor is not an eventfd');
    }
    if (kind === 'intx') {
      if (this.#intx !== undefined) native.fdClose(this.#intx);
      this.#intx = fd;
      return;
    }
    const previous = this.#msix[vector];
    if (previous !== undefined) native.fdClose(previous);
    this.#msix[vector] = fd;
    this.#settle(vector);
  }

  /** What an MSI-X vector is owed when it is unmasked is signalled then, once. */
  mask(vector: number, masked: boolean): void {
    this.#masked[vector] = masked ? 1 : 0;
    this.#settle(vector);
  }

  clear(kind: InterruptKind): void {
    if (kind === 'intx') {
      this.set('intx', 0, undefined);
      return;
    }
    for (let vector = 0; vector < this.#msix.length; vector++) this.set('msix', vector, undefined);
    this.#owed.fill(0);
    this.#masked.fill(0);
  }

  /** Forgets what is owed: the controller was reset. Masks are the VMM's and stay. */
  reset(): void {
    this.#owed.fill(0);
  }

  raiseMsix(vector: number): void {
    this.#owed[vector] = 1;
    this.#settle(vector);
  }

  raiseIntx(): void {
    if (this.#intx !== undefined) native.eventfdSignal(this.#intx);
  }

  #settle(vector: number): void {
    const fd = this.#msix[vector];
    if (fd === undefined || this.#owed[vector] !== 1 || this.#masked[vector] === 1) return;
    this.#owed[vector] = 0;
    native.eventfdSignal(fd);
  }
}
