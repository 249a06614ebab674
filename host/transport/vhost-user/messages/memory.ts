// SET_MEM_TABLE, ADD_MEM_REG, REM_MEM_REG, SET_BAR_MR, SET_DOORBELL_PAGE: stretches of files. What they mean to the
// guest, whether they overlap and whether the files are as long as they say, is looked at here as far as the numbers
// themselves tell it.

import * as extended from '../../../../assembly/spec/vhost-user-nvme.ts';
import * as spec from '../../../../assembly/spec/vhost-user.ts';
import { sizeCheck, viewOf } from './header.ts';
import { outOfRange, ProtocolError } from './protocol-error.ts';

/** Guest physical addresses end below: what lies above is the target's own (doorbells in shared memory). */
export const GPA_LIMIT = 1n << 52n;
const PAGE = 4096n;

export interface MemoryTableRegion {
  gpa: bigint;
  /** Bytes. */
  size: bigint;
  /** Offset in the file. */
  offset: bigint;
}

/** The regions of a table, ascending by nothing but as they came; each whole pages, none over another. */
export function parseMemoryTable(payload: Uint8Array): MemoryTableRegion[] | ProtocolError {
  const regions = parseRegions(payload, spec.MEMORY_REGIONS_MAX);
  if (regions instanceof ProtocolError) return regions;
  const ascending = [...regions].sort((a, b) => (a.gpa < b.gpa ? -1 : 1));
  let end = 0n;
  for (const region of ascending) {
    const wrong = regionCheck(region);
    if (wrong !== undefined) return wrong;
    const { gpa, size } = region;
    if (gpa < end) return outOfRange(`the region ${hex(gpa)}+${hex(size)} overlaps the one before it`);
    end = gpa + size;
  }
  return regions;
}

/** The one region of ADD_MEM_REG and REM_MEM_REG; whether it overlaps another is not known here. */
export function parseMemorySlot(payload: Uint8Array): MemoryTableRegion | ProtocolError {
  const wrong = sizeCheck(payload, extended.MEMORY_SLOT_BYTES);
  if (wrong !== undefined) return wrong;
  const region = regionAt(viewOf(payload), extended.MEMORY_SLOT_REGION);
  return regionCheck(region) ?? region;
}

/** The page of doorbells, or undefined for none any more. */
export function parseDoorbellPage(payload: Uint8Array): MemoryTableRegion | undefined | ProtocolError {
  const wrong = sizeCheck(payload, extended.SET_DOORBELL_PAGE_BYTES);
  if (wrong !== undefined) return wrong;
  const view = viewOf(payload);
  const size = view.getBigUint64(extended.DOORBELL_PAGE_SIZE, true);
  const offset = view.getBigUint64(extended.DOORBELL_PAGE_OFFSET, true);
  if (size === 0n && offset === 0n) return undefined;
  if (size !== BigInt(extended.DOORBELL_PAGE_BYTES) || offset % PAGE !== 0n) {
    return outOfRange(`a page of doorbells of ${hex(size)} bytes at ${hex(offset)} of its file`);
  }
  return { gpa: GPA_LIMIT, size, offset };
}

/** The one region of SET_BAR_MR, above all guest memory; the guest address that it names is the peer's own. */
export function parseBarMemory(payload: Uint8Array): MemoryTableRegion | ProtocolError {
  const regions = parseRegions(payload, 1);
  if (regions instanceof ProtocolError) return regions;
  const [region] = regions;
  if (region === undefined) return outOfRange('doorbell memory of no region');
  if (region.size < BigInt(spec.BAR_BYTES_MIN) || region.size % PAGE !== 0n || region.offset % PAGE !== 0n) {
    return outOfRange(
      `doorbell memory of ${hex(region.size)} bytes: at least ${spec.BAR_BYTES_MIN}, whole pages`,
    );
  }
  return { ...region, gpa: GPA_LIMIT };
}

function parseRegions(payload: Uint8Array, most: number): MemoryTableRegion[] | ProtocolError {
  if (payload.length < spec.MEMORY_REGIONS) {
    return new ProtocolError('VHOST_USER_SIZE', `a memory table of ${payload.length} bytes`);
  }
  const view = viewOf(payload);
  const count = view.getUint32(spec.MEMORY_COUNT, true);
  if (count > most) return outOfRange(`${count} regions, at most ${most} are taken`);
  const bytes = spec.MEMORY_REGIONS + count * spec.MEMORY_REGION_BYTES;
  if (payload.length !== bytes) {
    return new ProtocolError(
      'VHOST_USER_SIZE',
      `${count} regions in ${payload.length} bytes, where ${bytes} are due`,
    );
  }
  return Array.from({ length: count }, (_, index) =>
    regionAt(view, spec.MEMORY_REGIONS + index * spec.MEMORY_REGION_BYTES),
  );
}

function regionAt(view: DataView, at: number): MemoryTableRegion {
  return {
    gpa: view.getBigUint64(at + spec.MEMORY_REGION_GPA, true),
    size: view.getBigUint64(at + spec.MEMORY_REGION_SIZE, true),
    offset: view.getBigUint64(at + spec.MEMORY_REGION_OFFSET, true),
  };
}

function regionCheck({ gpa, size, offset }: MemoryTableRegion): ProtocolError | undefined {
  if (size === 0n || size % PAGE !== 0n || gpa % PAGE !== 0n || offset % PAGE !== 0n) {
    return outOfRange(`the region ${hex(gpa)}+${hex(size)} is not whole pages`);
  }
  if (gpa + size > GPA_LIMIT) {
    return outOfRange(`the region ${hex(gpa)}+${hex(size)} ends beyond ${hex(GPA_LIMIT)}`);
  }
  return undefined;
}

function hex(value: bigint): string {
  return `0x${value.toString(16)}`;
}
