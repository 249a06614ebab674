// A naive storage for tests: namespaces are byte arrays and a request is a loop over its segments. It checks what the
// core promises of each segment, so that every test that does I/O tests those promises too.

import assert from 'node:assert/strict';
import { DATA_BUFFER_BYTES } from '../../assembly/abi/memory-map.ts';
import * as abi from '../../assembly/abi/records.ts';
import type { CoreRegion } from '../../host/core/core.ts';
import type { RequestRecord } from '../../host/core/records.ts';

/** A request record, copied while it was valid. */
export interface Request {
  slot: number;
  operation: number;
  flags: number;
  nsid: number;
  offset: number;
  length: number;
  /** Linear address of the slot's private page. */
  data: number;
  segments: { address: number; length: number }[];
  sqid: number;
  cid: number;
}

export function requestCopy(record: RequestRecord): Request {
  return {
    slot: record.slot,
    operation: record.operation,
    flags: record.flags,
    nsid: record.nsid,
    offset: record.offset,
    length: record.length,
    data: record.data,
    segments: Array.from({ length: record.segmentCount }, (_, index) => ({
      address: record.segmentAddress(index),
      length: record.segmentLength(index),
    })),
    sqid: record.sqid,
    cid: record.cid,
  };
}

/** Whether a request stores into guest memory. */
function toGuest(operation: number): boolean {
  return operation === abi.OPERATION_READ || operation === abi.OPERATION_COPY_OUT;
}

/** Operations whose segments are guest memory. */
const MOVES = [
  abi.OPERATION_READ,
  abi.OPERATION_WRITE,
  abi.OPERATION_COMPARE,
  abi.OPERATION_COPY_OUT,
  abi.OPERATION_COPY_IN,
];

/** Asserts that each segment lies in one mapped region that allows this direction, and that none could be merged. */
export function segmentsCheck(request: Request, regions: readonly CoreRegion[]): void {
  if (request.operation === abi.OPERATION_DEALLOCATE || request.operation === abi.OPERATION_COPY) return;
  let total = 0;
  let last: { end: number; region: CoreRegion } | undefined;
  for (const { address, length } of request.segments) {
    assert.ok(length > 0 && length <= 2 ** 31, `segment of ${length} bytes`);
    const region = regions.find(
      (each) =>
        each.mapped &&
        address >= Number(each.ioBase) &&
        address + length <= Number(each.ioBase + each.length),
    );
    assert.ok(region, `segment ${address.toString(16)}+${length} lies in no mapped region`);
    assert.ok(toGuest(request.operation) ? region.writable : region.readable, 'segment against its region');
    const text = `segment ${request.segments.length} at ${address.toString(16)} and the one before are one`;
    assert.ok(last?.end !== address || last.region !== region, text);
    last = { end: address + length, region };
    total += length;
  }
  const moves = MOVES.includes(request.operation);
  if (moves) assert.equal(total, request.length, 'segments do not add up to the length');
}

/** What a model disk keeps of one namespace. */
export interface ModelNamespace {
  bytes: Uint8Array;
  readOnly: boolean;
}

export class ModelDisk {
  readonly namespaces = new Map<number, ModelNamespace>();
  /** Operations done, by OPERATION_*. */
  readonly counts = new Map<number, number>();

  namespace(nsid: number): ModelNamespace {
    const namespace = this.namespaces.get(nsid);
    assert.ok(namespace, `request for namespace ${nsid}, which does not exist`);
    return namespace;
  }

  /**
   * Does a request and returns BLOCK_OK, or throws where the core broke a promise. `guest` is the memory that segment
   * addresses are offsets in, `core` that of the core (for the private pages).
   */
  execute(request: Request, guest: Uint8Array, core: Uint8Array): number {
    this.counts.set(request.operation, (this.counts.get(request.operation) ?? 0) + 1);
    switch (request.operation) {
      case abi.OPERATION_READ:
      case abi.OPERATION_WRITE:
        return this.#transfer(request, guest);
      case abi.OPERATION_COMPARE:
        return this.#compare(request, guest);
      case abi.OPERATION_VERIFY:
        return this.#readable(request.nsid, request.offset, request.length)
          ? abi.BLOCK_OK
          : abi.BLOCK_MEDIUM_ERROR;
      case abi.OPERATION_COPY:
        return this.#copy(request);
      case abi.OPERATION_WRITE_UNCORRECTABLE:
        this.#range(request.nsid, request.offset, request.length);
        this.#lost(request.nsid).push([request.offset, request.offset + request.length]);
        return abi.BLOCK_OK;
      case abi.OPERATION_FLUSH:
        this.namespace(request.nsid);
        return abi.BLOCK_OK;
      case abi.OPERATION_WRITE_ZEROES:
        this.#heal(request.nsid, request.offset, request.length).fill(0);
        return abi.BLOCK_OK;
      case abi.OPERATION_DEALLOCATE:
        for (const { address, length } of request.segments) this.#heal(request.nsid, address, length).fill(0);
        return abi.BLOCK_OK;
      case abi.OPERATION_COPY_OUT:
      case abi.OPERATION_COPY_IN:
        copy(request, guest, core);
        return abi.BLOCK_OK;
      default:
        throw new assert.AssertionError({ message: `operation ${request.operation} is unknown` });
    }
  }

  #compare(request: Request, guest: Uint8Array): number {
    const { bytes } = this.namespace(request.nsid);
    assert.ok(request.offset + request.length <= bytes.length, 'a comparison beyond the namespace');
    if (!this.#readable(request.nsid, request.offset, request.length)) return abi.BLOCK_MEDIUM_ERROR;
    let at = request.offset;
    for (const { address, length } of request.segments) {
      const same = Buffer.compare(guest.subarray(address, address + length), bytes.subarray(at, at + length));
      if (same !== 0) return abi.BLOCK_MISCOMPARE;
      at += length;
    }
    return abi.BLOCK_OK;
  }

  #copy({ nsid, offset, length, segments }: Request): number {
    const [source] = segments;
    assert.ok(source !== undefined && segments.length === 1 && source.length === length);
    const { bytes } = this.namespace(nsid);
    assert.ok(source.address + length <= bytes.length, 'a copy from beyond the namespace');
    if (!this.#readable(nsid, source.address, length)) return abi.BLOCK_SOURCE_ERROR;
    this.#heal(nsid, offset, length).set(bytes.slice(source.address, source.address + length));
    return abi.BLOCK_OK;
  }

  /** Ranges that cannot be read, [begin, end). */
  readonly #uncorrectable = new Map<number, [number, number][]>();

  #lost(nsid: number): [number, number][] {
    const ranges = this.#uncorrectable.get(nsid) ?? [];
    this.#uncorrectable.set(nsid, ranges);
    return ranges;
  }

  #readable(nsid: number, offset: number, length: number): boolean {
    return !this.#lost(nsid).some(([begin, end]) => begin < offset + length && offset < end);
  }

  /** The range, which is about to be written. */
  #heal(nsid: number, offset: number, length: number): Uint8Array {
    const bytes = this.#range(nsid, offset, length);
    const left = this.#lost(nsid).flatMap(([begin, end]): [number, number][] => [
      [begin, Math.min(end, offset)],
      [Math.max(begin, offset + length), end],
    ]);
    this.#uncorrectable.set(
      nsid,
      left.filter(([begin, end]) => begin < end),
    );
    return bytes;
  }

  #range(nsid: number, offset: number, length: number): Uint8Array {
    const { bytes, readOnly } = this.namespace(nsid);
    assert.ok(!readOnly, 'a change of a read-only namespace');
    assert.ok(offset + length <= bytes.length, `range ${offset}+${length} beyond the namespace`);
    return bytes.subarray(offset, offset + length);
  }

  #transfer(request: Request, guest: Uint8Array): number {
    const { bytes, readOnly } = this.namespace(request.nsid);
    assert.ok(request.offset + request.length <= bytes.length, 'a transfer beyond the namespace');
    if (request.operation === abi.OPERATION_WRITE) this.#heal(request.nsid, request.offset, request.length);
    else if (!this.#readable(request.nsid, request.offset, request.length)) return abi.BLOCK_MEDIUM_ERROR;
    let at = request.offset;
    for (const { address, length } of request.segments) {
      const memory = guest.subarray(address, address + length);
      if (request.operation === abi.OPERATION_READ) memory.set(bytes.subarray(at, at + length));
      else {
        assert.ok(!readOnly, 'a write to a read-only namespace');
        bytes.set(memory, at);
      }
      at += length;
    }
    return abi.BLOCK_OK;
  }
}

function copy(request: Request, guest: Uint8Array, core: Uint8Array): void {
  let at = 0;
  for (const { address, length } of request.segments) {
    const memory = guest.subarray(address, address + length);
    const have = Math.max(0, Math.min(length, DATA_BUFFER_BYTES - at));
    const page = core.subarray(request.data + at, request.data + at + have);
    if (request.operation === abi.OPERATION_COPY_IN) page.set(memory.subarray(0, have));
    else {
      memory.fill(0, have);
      memory.set(page);
    }
    at += length;
  }
}
