// Interrupts of one controller: which eventfd the VMM gave for which vector, and what is still owed to a vector that
// has none at the moment. MSI-X vectors are messages and owed once; INTx is a level, signalled again on unmask.

import { constants } from 'node:os';
import { native } from '../native.ts';
import { DeviceError, type InterruptKind } from '../transport/device.ts';

export class Interrupts {
  readonly #msix: (number | undefined)[];
  /** Vectors that were raised while they had no eventfd: one byte each, in the state image. */
  readonly #owed: Uint8Array;
  #intx: number | undefined;

  /** `owed` has room for one byte a vector. */
  constructor(vectors: number, owed: Uint8Array) {
    this.#msix = new Array<number | undefined>(vectors).fill(undefined);
    this.#owed = owed;
  }

  count(kind: InterruptKind): number {
    return kind === 'intx' ? 1 : this.#msix.length;
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
    if (fd !== undefined && this.#owed[vector] === 1) {
      this.#owed[vector] = 0;
      native.eventfdSignal(fd);
    }
  }

  clear(kind: InterruptKind): void {
    if (kind === 'intx') {
      this.set('intx', 0, undefined);
      return;
    }
    for (let vector = 0; vector < this.#msix.length; vector++) this.set('msix', vector, undefined);
    this.#owed.fill(0);
  }

  /** Forgets what is owed: the controller was reset. */
  reset(): void {
    this.#owed.fill(0);
  }

  raiseMsix(vector: number): void {
    const fd = this.#msix[vector];
    if (fd === undefined) this.#owed[vector] = 1;
    else native.eventfdSignal(fd);
  }

  raiseIntx(): void {
    if (this.#intx !== undefined) native.eventfdSignal(this.#intx);
  }
}
