// What a backend needs around it to be driven as in a target: a core's memory with request records in it, a guest's
// memory (a memfd), one controller of the addon and one ring.

import { closeSync, readSync, writeSync } from 'node:fs';
import {
  COMPLETION_BASE,
  COMPLETION_BYTES,
  REQUEST_BASE,
  REQUEST_BYTES,
  SEGMENT_BASE,
  SEGMENT_BYTES,
  SEGMENT_STRIDE,
  WINDOW_BASE_MIN,
  WINDOW_BYTES,
  WINDOW_COUNT_MIN,
} from '../../../assembly/abi/memory-map.ts';
import * as abi from '../../../assembly/abi/records.ts';
import type { Backend } from '../../../host/block/backend.ts';
import { blockResultName, blockResultOfCompletion, type BlockCode } from '../../../host/block/errors.ts';
import { native } from '../../../host/native.ts';

const PAGE_BYTES = 65_536;
const TIMEOUT_US = 10_000_000;

export const NSID = 1;
/** Bytes of the guest's memory, all of it one writable region at 0. */
export const GUEST_BYTES = 8 * 1024 * 1024;

/** A piece of guest memory: offset in it, and bytes. */
export type Segment = readonly [at: number, bytes: number];

export interface Request {
  readonly operation: number;
  readonly offset?: number | bigint;
  readonly length?: number | bigint;
  readonly flags?: number;
  /** Guest memory; of a Deallocate or Copy, ranges of the namespace. */
  readonly segments?: readonly Segment[];
}

export class Machine {
  readonly #memory: WebAssembly.Memory;
  readonly #view: DataView;
  readonly #guest = native.memfdCreate('guest', GUEST_BYTES);
  readonly #uring = native.uring(256);
  readonly #controller;
  readonly #ioBase: bigint;

  constructor(backend: Backend) {
    const bytes = WINDOW_BASE_MIN + (WINDOW_COUNT_MIN + 1) * WINDOW_BYTES;
    const pages = Math.ceil(bytes / PAGE_BYTES);
    this.#memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    this.#view = new DataView(this.#memory.buffer);
    const core = new Uint8Array(this.#memory.buffer);
    const misaligned = Number((native.addressOf(core) + BigInt(WINDOW_BASE_MIN)) % BigInt(WINDOW_BYTES));
    const windowBase = WINDOW_BASE_MIN + ((WINDOW_BYTES - misaligned) % WINDOW_BYTES);
    this.#controller = native.controller(core, { windowBase, windowCount: WINDOW_COUNT_MIN });
    this.#ioBase = this.#controller.regionAdd({
      gpa: 0n,
      length: BigInt(GUEST_BYTES),
      offset: 0n,
      fd: this.#guest,
      readable: true,
      writable: true,
    }).ioBase;
    this.#controller.namespaceAttach(NSID, backend.storage);
  }

  /** Puts bytes into the guest's memory. */
  guestWrite(at: number, bytes: Uint8Array): void {
    writeSync(this.#guest, bytes, 0, bytes.length, at);
  }

  guestRead(at: number, bytes: number): Buffer {
    const buffer = Buffer.alloc(bytes);
    readSync(this.#guest, buffer, 0, bytes, at);
    return buffer;
  }

  /** Executes requests at the same time; the results in their order. */
  run(...requests: readonly Request[]): BlockCode[] {
    for (const [index, request] of requests.entries()) this.#put(index, request);
    this.#uring.submit(this.#controller, requests.length);
    const results = new Map<number, number>();
    const deadline = native.now() + TIMEOUT_US;
    for (;;) {
      const taken = this.#controller.completionsTake();
      for (let index = 0; index < taken; index++) {
        const at = COMPLETION_BASE + index * COMPLETION_BYTES;
        const slot = this.#view.getUint32(at + abi.COMPLETION_SLOT, true);
        if (results.has(slot)) throw new Error(`request ${slot} completed twice`);
        results.set(slot, this.#view.getInt32(at + abi.COMPLETION_RESULT, true));
      }
      if (results.size === requests.length) break;
      if (native.now() > deadline)
        throw new Error(`${requests.length - results.size} requests did not complete`);
      this.#uring.enter(1000);
    }
    if (this.#controller.inFlight !== 0) throw new Error('requests are in flight though all completed');
    return requests.map((_, index) => blockResultName(blockResultOfCompletion(results.get(index) ?? -1)));
  }

  write(offset: number, bytes: Uint8Array, flags = 0, at = 0): BlockCode | undefined {
    this.guestWrite(at, bytes);
    const { length } = bytes;
    return this.run({ operation: abi.OPERATION_WRITE, offset, length, flags, segments: [[at, length]] })[0];
  }

  /** What the namespace holds; throws when it cannot be read. */
  read(offset: number, length: number, at = 0): Buffer {
    const [result] = this.run({ operation: abi.OPERATION_READ, offset, length, segments: [[at, length]] });
    if (result !== 'BLOCK_OK') throw new Error(`read at ${offset}: ${result}`);
    return this.guestRead(at, length);
  }

  close(): void {
    this.#controller.namespaceDetach(NSID);
    this.#controller.close();
    this.#uring.close();
    closeSync(this.#guest);
  }

  #put(index: number, { operation, offset = 0, length = 0, flags = 0, segments = [] }: Request): void {
    const view = this.#view;
    const record = REQUEST_BASE + index * REQUEST_BYTES;
    const first = SEGMENT_BASE + index * SEGMENT_STRIDE;
    const isRanges = operation === abi.OPERATION_DEALLOCATE || operation === abi.OPERATION_COPY;
    view.setUint32(record + abi.REQUEST_SLOT, index, true);
    view.setUint16(record + abi.REQUEST_OPERATION, operation, true);
    view.setUint16(record + abi.REQUEST_FLAGS, flags, true);
    view.setUint32(record + abi.REQUEST_NSID, NSID, true);
    view.setUint32(record + abi.REQUEST_SEGMENT_COUNT, segments.length, true);
    view.setUint32(record + abi.REQUEST_SEGMENTS, first, true);
    view.setBigUint64(record + abi.REQUEST_OFFSET, BigInt(offset), true);
    view.setBigUint64(record + abi.REQUEST_LENGTH, BigInt(length), true);
    for (const [number, [at, bytes]] of segments.entries()) {
      const segment = first + number * SEGMENT_BYTES;
      view.setBigUint64(segment + abi.SEGMENT_ADDRESS, BigInt(at) + (isRanges ? 0n : this.#ioBase), true);
      view.setBigUint64(segment + abi.SEGMENT_LENGTH, BigInt(bytes), true);
    }
  }
}
