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

/** Asserts that each segment lies in one mapped region that allows this direction, and that none could be merged. */
export function segmentsCheck(request: Request, regions: readonly CoreRegion[]): void {
  if (request.operation === abi.OPERATION_DEALLOCATE) return;
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
  const moves = request.operation <= abi.OPERATION_WRITE || request.operation >= abi.OPERATION_COPY_OUT;
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
      case abi.OPERATION_FLUSH:
        this.namespace(request.nsid);
        return abi.BLOCK_OK;
      case abi.OPERATION_WRITE_ZEROES:
        this.#range(request.nsid, request.offset, request.length).fill(0);
        return abi.BLOCK_OK;
      case abi.OPERATION_DEALLOCATE:
        for (const range of request.segments) this.#range(request.nsid, range.address, range.length).fill(0);
        return abi.BLOCK_OK;
      case abi.OPERATION_COPY_OUT:
      case abi.OPERATION_COPY_IN:
        copy(request, guest, core);
        return abi.BLOCK_OK;
      default:
        throw new assert.AssertionError({ message: `operation ${request.operation} is unknown` });
    }
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
