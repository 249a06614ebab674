// Memory of the target's own in a guest's address space: where the data of a command that came with its data pass,
// above all that a guest can have. A page behind it is the PRP list of that memory, which nobody can write.

import * as fs from 'node:fs';
import { PAGE_BYTES, PRP_ENTRY_BYTES } from '../../assembly/spec/nvme.ts';
import { native } from '../native.ts';
import type { GuestMemory } from './guest-memory.ts';

/** Data of one command at most. */
export const BOUNCE_BYTES = 65536;
/** Guest memory ends at 2^52, with a front end's page of doorbells there; this is in another window. */
const DATA_GPA = (1n << 52n) + (2n << 20n);
const LIST_GPA = DATA_GPA + BigInt(BOUNCE_BYTES);
const REGIONS = [
  { gpa: DATA_GPA, length: BigInt(BOUNCE_BYTES), offset: 0n, writable: true },
  { gpa: LIST_GPA, length: BigInt(PAGE_BYTES), offset: BigInt(BOUNCE_BYTES), writable: false },
];

/** Where the bytes of a command are: its PRP1 and PRP2. */
export interface DataPointer {
  prp1: bigint;
  prp2: bigint;
  /** An address of the PRP list, if there is one: the core has to see it. */
  list: bigint | undefined;
}

export class BounceMemory {
  readonly #memory: GuestMemory;
  #fd: number | undefined;

  constructor(memory: GuestMemory) {
    this.#memory = memory;
  }

  /**
   * Makes `bytes` bytes available that begin with `data` and go on with zeros: nothing of a command before is left.
   * Throws DeviceError, or a SystemError, where there is no memory, descriptor or region for it.
   */
  fill(data: Uint8Array, bytes: number): DataPointer {
    this.#fd ??= this.#create();
    const contents = Buffer.alloc(BOUNCE_BYTES);
    contents.set(data);
    fs.writeSync(this.#fd, contents, 0, BOUNCE_BYTES, 0);
    const second = DATA_GPA + BigInt(PAGE_BYTES);
    if (bytes <= PAGE_BYTES) return { prp1: DATA_GPA, prp2: 0n, list: undefined };
    if (bytes <= 2 * PAGE_BYTES) return { prp1: DATA_GPA, prp2: second, list: undefined };
    return { prp1: DATA_GPA, prp2: LIST_GPA, list: LIST_GPA };
  }

  /** The first bytes. */
  take(bytes: number): Uint8Array {
    const data = Buffer.alloc(bytes);
    if (this.#fd !== undefined) fs.readSync(this.#fd, data, 0, bytes, 0);
    return data;
  }

  /** Takes the memory away; I/O that still runs hits nobody. */
  drop(): void {
    if (this.#fd === undefined) return;
    for (const { gpa, length } of REGIONS) {
      if (this.#memory.has(gpa, length)) this.#memory.remove(gpa, length).abandon();
    }
    fs.closeSync(this.#fd);
    this.#fd = undefined;
  }

  #create(): number {
    const fd = native.memfdSealed('bounce', BOUNCE_BYTES + PAGE_BYTES);
    try {
      const list = new BigUint64Array(BOUNCE_BYTES / PAGE_BYTES - 1);
      for (const index of list.keys()) list[index] = DATA_GPA + BigInt((index + 1) * PAGE_BYTES);
      fs.writeSync(fd, list, 0, list.length * PRP_ENTRY_BYTES, BOUNCE_BYTES);
      for (const region of REGIONS) this.#memory.add({ ...region, fd, readable: true });
    } catch (error) {
      this.#fd = fd;
      this.drop();
      throw error;
    }
    return fd;
  }
}
