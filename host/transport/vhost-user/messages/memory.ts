// SET_MEM_TABLE and SET_BAR_MR: stretches of files. What they mean to the guest, whether they overlap and whether the
// files are as long as they say, is looked at here as far as the numbers themselves tell it.

import * as spec from '../../../../assembly/spec/vhost-user.ts';
import { viewOf } from './header.ts';
import { ProtocolError } from './protocol-error.ts';

/** Guest physical addresses end below: what lies above is the target's own (the doorbells of SET_BAR_MR). */
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
  for (const { gpa, size, offset } of ascending) {
    if (size === 0n || size % PAGE !== 0n || gpa % PAGE !== 0n || offset % PAGE !== 0n) {
      return outOfRange(`the region ${hex(gpa)}+${hex(size)} is not whole pages`);
    }
    if (gpa + size > GPA_LIMIT)
      return outOfRange(`the region ${hex(gpa)}+${hex(size)} ends beyond ${hex(GPA_LIMIT)}`);
    if (gpa < end) return outOfRange(`the region ${hex(gpa)}+${hex(size)} overlaps the one before it`);
    end = gpa + size;
  }
  return regions;
}

/** The one region of SET_BAR_MR; its guest address is the peer's own and means nothing here. */
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
  return region;
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
  return Array.from({ length: count }, (_, index) => {
    const at = spec.MEMORY_REGIONS + index * spec.MEMORY_REGION_BYTES;
    return {
      gpa: view.getBigUint64(at + spec.MEMORY_REGION_GPA, true),
      size: view.getBigUint64(at + spec.MEMORY_REGION_SIZE, true),
      offset: view.getBigUint64(at + spec.MEMORY_REGION_OFFSET, true),
    };
  });
}

function outOfRange(message: string): ProtocolError {
  return new ProtocolError('VHOST_USER_RANGE', message);
}

function hex(value: bigint): string {
  return `0x${value.toString(16)}`;
}
