// What the addon's tests drive it with: a linear memory whose request records the test writes itself, a controller,
// a ring, and a guest's memory in a memfd that the test sees through a view of its own.

import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import {
  COMPLETION_BASE,
  COMPLETION_BYTES,
  DATA_BASE,
  DATA_BUFFER_BYTES,
  REQUEST_BASE,
  REQUEST_BYTES,
  SEGMENT_BASE,
  SEGMENT_BYTES,
  SEGMENT_STRIDE,
  WINDOW_BASE_MIN,
  WINDOW_BYTES,
} from '../../assembly/abi/memory-map.ts';
import {
  COMPLETION_RESULT,
  COMPLETION_SLOT,
  REQUEST_DATA,
  REQUEST_FLAGS,
  REQUEST_LENGTH,
  REQUEST_NSID,
  REQUEST_OFFSET,
  REQUEST_OPERATION,
  REQUEST_SEGMENT_COUNT,
  REQUEST_SEGMENTS,
  REQUEST_SLOT,
  SEGMENT_ADDRESS,
  SEGMENT_LENGTH,
} from '../../assembly/abi/records.ts';
import { native, type NativeController, type RegionAdded, type Uring } from '../../host/native.ts';

export const PAGE = 4096;
export const MIB = 1 << 20;

/** A request as a test writes it; everything defaults to 0, the length to the sum of the segments. */
export interface TestRequest {
  operation: number;
  slot?: number;
  flags?: number;
  nsid?: number;
  offset?: number | bigint;
  length?: number | bigint;
  data?: number;
  segments?: readonly (readonly [address: bigint | number, length: bigint | number])[];
  /** For records that lie: how many segments it claims, and where. */
  segmentCount?: number;
  segmentAddress?: number;
}

/** Memory of a guest: a memfd, and the test's own view of it. */
export class Guest {
  readonly fd: number;
  readonly bytes: Uint8Array;

  constructor(size: number) {
    this.fd = native.memfdCreate('guest', size);
    const pages = size / 65536;
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    this.bytes = new Uint8Array(memory.buffer);
    native.mapInto(this.bytes, 0, this.fd, 0, size);
  }

  close(): void {
    native.fdClose(this.fd);
  }
}

export class Rig {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly windowBase: number;
  readonly controller: NativeController;
  readonly ring: Uring;

  constructor(windowCount = 4) {
    const pages = Math.ceil((WINDOW_BASE_MIN + (windowCount + 1) * WINDOW_BYTES) / 65536);
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    this.bytes = new Uint8Array(memory.buffer);
    this.view = new DataView(memory.buffer);
    const address = native.addressOf(this.bytes) + BigInt(WINDOW_BASE_MIN);
    this.windowBase = WINDOW_BASE_MIN + Number(-address & BigInt(WINDOW_BYTES - 1));
    this.controller = native.controller(this.bytes, { windowBase: this.windowBase, windowCount });
    this.ring = native.uring(64);
  }

  /** Adds a region that shows `length` bytes of a file; guest physical addresses are file offsets unless told. */
  region(fd: number, length: number, options: RegionOptions = {}): RegionAdded {
    return this.controller.regionAdd({
      gpa: BigInt(options.gpa ?? options.offset ?? 0),
      length: BigInt(length),
      offset: BigInt(options.offset ?? 0),
      fd,
      readable: options.readable ?? true,
      writable: options.writable ?? true,
    });
  }

  /** The bytes of a window. */
  window(index: number): Uint8Array {
    const begin = this.windowBase + index * WINDOW_BYTES;
    return this.bytes.subarray(begin, begin + WINDOW_BYTES);
  }

  /** Linear address of a slot's data buffer. */
  dataAddress(slot: number): number {
    return DATA_BASE + slot * DATA_BUFFER_BYTES;
  }

  dataBuffer(slot: number): Uint8Array {
    return this.bytes.subarray(this.dataAddress(slot), this.dataAddress(slot) + DATA_BUFFER_BYTES);
  }

  /** Writes the records, in order, and submits them; slots default to the index. */
  submit(...requests: TestRequest[]): void {
    requests.forEach((request, index) => this.#write(request, index));
    this.ring.submit(this.controller, requests.length);
  }

  /** Submits and waits: the result of each request, in order, as a signed number. */
  run(...requests: TestRequest[]): number[] {
    this.submit(...requests);
    const results = this.finish();
    assert.equal(results.size, requests.length, 'each request ends in exactly one completion');
    return requests.map((request, index) => {
      const result = results.get(request.slot ?? index);
      assert.ok(result !== undefined, `slot ${request.slot ?? index} completed`);
      return result;
    });
  }

  /** The result of one request. */
  runOne(request: TestRequest): number {
    return this.run(request)[0] as number;
  }

  /** Waits until nothing is in flight; results by slot. */
  finish(): Map<number, number> {
    const results = new Map<number, number>();
    const deadline = native.now() + 10e6;
    while (this.controller.inFlight > 0) {
      assert.ok(native.now() < deadline, 'requests end within 10 s');
      this.ring.enter(100_000);
      const count = this.controller.completionsTake();
      let errors = 0;
      for (let i = 0; i < count; i++) {
        const record = COMPLETION_BASE + i * COMPLETION_BYTES;
        const slot = this.view.getUint32(record + COMPLETION_SLOT, true);
        const result = this.view.getInt32(record + COMPLETION_RESULT, true);
        assert.ok(!results.has(slot), `slot ${slot} completed once`);
        results.set(slot, result);
        if (result !== 0) errors += 1;
      }
      assert.equal(this.controller.completionErrors, errors);
    }
    return results;
  }

  close(): void {
    this.finish();
    this.ring.close();
    this.controller.close();
  }

  #write(request: TestRequest, index: number): void {
    const record = REQUEST_BASE + index * REQUEST_BYTES;
    const segments = request.segments ?? [];
    const segmentBase = SEGMENT_BASE + index * SEGMENT_STRIDE;
    const sum = segments.reduce((total, [, length]) => total + BigInt(length), 0n);
    this.bytes.fill(0, record, record + REQUEST_BYTES);
    this.view.setUint32(record + REQUEST_SLOT, request.slot ?? index, true);
    this.view.setUint16(record + REQUEST_OPERATION, request.operation, true);
    this.view.setUint16(record + REQUEST_FLAGS, request.flags ?? 0, true);
    this.view.setUint32(record + REQUEST_NSID, request.nsid ?? 1, true);
    this.view.setUint32(record + REQUEST_SEGMENT_COUNT, request.segmentCount ?? segments.length, true);
    this.view.setUint32(record + REQUEST_SEGMENTS, request.segmentAddress ?? segmentBase, true);
    this.view.setUint32(record + REQUEST_DATA, request.data ?? 0, true);
    this.view.setBigUint64(record + REQUEST_OFFSET, BigInt(request.offset ?? 0), true);
    this.view.setBigUint64(record + REQUEST_LENGTH, BigInt(request.length ?? sum), true);
    segments.forEach(([address, length], i) => {
      const segment = segmentBase + i * SEGMENT_BYTES;
      this.view.setBigUint64(segment + SEGMENT_ADDRESS, BigInt(address), true);
      this.view.setBigUint64(segment + SEGMENT_LENGTH, BigInt(length), true);
    });
  }
}

export interface RegionOptions {
  gpa?: number | bigint;
  offset?: number;
  readable?: boolean;
  writable?: boolean;
}

/** Open descriptors of this process. */
export function fdCount(): number {
  return readdirSync('/proc/self/fd').length;
}

export function closeAll(fds: readonly number[]): void {
  for (const fd of fds) native.fdClose(fd);
}

/** A validator for assert.throws: an Error with this code. */
export function withCode(code: string): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof Error);
    const { code: found, errno, syscall } = error as NodeJS.ErrnoException;
    assert.equal(found, code);
    assert.ok(typeof errno === 'number' && errno > 0, 'errno is positive');
    assert.equal(typeof syscall, 'string');
    return true;
  };
}

/** Bytes that tell where they come from. */
export function pattern(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = (seed * 2654435761 + 1) >>> 0;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}
