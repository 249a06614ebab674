// DMA_MAP and DMA_UNMAP: the guest memory that the device may use.

import * as spec from '../../../../assembly/spec/vfio-user.ts';
import { checkArgsz, encodeEcho, viewOf, type Header } from './header.ts';
import { ProtocolError } from './protocol-error.ts';

// ---- VFIO_USER_DMA_MAP ---------------------------------------------------------------------------------------

export interface DmaMapRequest {
  /** Offset of the region in its file. */
  offset: bigint;
  /** DMA address of the first byte: a guest physical address, or what a virtual IOMMU makes of it. */
  address: bigint;
  size: bigint;
  readable: boolean;
  writable: boolean;
  /** The client wants its descriptor used with mmap(2). */
  mmap: boolean;
  /** The client wants its descriptor used with pread(2) and pwrite(2). */
  fileIo: boolean;
}

export function parseDmaMap(payload: Uint8Array): DmaMapRequest | ProtocolError {
  const wrong = checkArgsz(payload, spec.DMA_MAP_BYTES);
  if (wrong !== undefined) {
    return wrong;
  }
  const view = viewOf(payload);
  const flags = view.getUint32(spec.DMA_MAP_FLAGS, true);
  const access = spec.DMA_MAP_FLAG_READ | spec.DMA_MAP_FLAG_WRITE;
  const known = access | spec.DMA_MAP_FLAG_MMAP | spec.DMA_MAP_FLAG_FILE_IO;
  if ((flags & ~known) !== 0 || (flags & access) === 0) {
    return new ProtocolError('VFIO_USER_FLAGS', `DMA_MAP flags 0x${flags.toString(16)} are not defined`);
  }
  return {
    offset: view.getBigUint64(spec.DMA_MAP_OFFSET, true),
    address: view.getBigUint64(spec.DMA_MAP_ADDRESS, true),
    size: view.getBigUint64(spec.DMA_MAP_SIZE, true),
    readable: (flags & spec.DMA_MAP_FLAG_READ) !== 0,
    writable: (flags & spec.DMA_MAP_FLAG_WRITE) !== 0,
    mmap: (flags & spec.DMA_MAP_FLAG_MMAP) !== 0,
    fileIo: (flags & spec.DMA_MAP_FLAG_FILE_IO) !== 0,
  };
}

// ---- VFIO_USER_DMA_UNMAP -------------------------------------------------------------------------------------

export interface DmaUnmapRequest {
  address: bigint;
  size: bigint;
  /** Every region; address and size are 0 then. */
  all: boolean;
  dirtyBitmap: boolean;
}

export function parseDmaUnmap(payload: Uint8Array): DmaUnmapRequest | ProtocolError {
  const wrong = checkArgsz(payload, spec.DMA_UNMAP_BYTES);
  if (wrong !== undefined) {
    return wrong;
  }
  const view = viewOf(payload);
  const flags = view.getUint32(spec.DMA_UNMAP_FLAGS, true);
  const request = {
    address: view.getBigUint64(spec.DMA_UNMAP_ADDRESS, true),
    size: view.getBigUint64(spec.DMA_UNMAP_SIZE, true),
    all: flags === spec.DMA_UNMAP_FLAG_ALL,
    dirtyBitmap: flags === spec.DMA_UNMAP_FLAG_GET_DIRTY_BITMAP,
  };
  if (flags !== 0 && !request.all && !request.dirtyBitmap) {
    return new ProtocolError('VFIO_USER_FLAGS', `DMA_UNMAP flags 0x${flags.toString(16)} are not defined`);
  }
  if (request.all && (request.address !== 0n || request.size !== 0n)) {
    return new ProtocolError('VFIO_USER_RANGE', 'DMA_UNMAP of all regions with an address or a size');
  }
  return request;
}

/** The request's structure again. */
export function encodeDmaUnmapReply(header: Header, payload: Uint8Array): Uint8Array {
  return encodeEcho(header, payload, spec.DMA_UNMAP_BYTES);
}
