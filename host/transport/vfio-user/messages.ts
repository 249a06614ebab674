// The vfio-user messages as bytes: for each one a parser of the request and an encoder of the reply, in the order of
// the protocol document (QEMU docs/interop/vfio-user.rst). Pure: no sockets, no state, no descriptors. Parsers check
// syntax only (sizes, flags, reserved bits) and return a value or a ProtocolError; whether the device has such a
// region, interrupt or address is the session's business.
//
// Sizes: a request that carries `argsz` may be longer than its structure, as later versions of the protocol make
// it, and the rest is ignored; all others must have exactly their size. Offsets in regions are numbers: those
// beyond 2^53 lose their low bits and stay beyond every region.

import * as spec from '../../../assembly/spec/vfio-user.ts';
import { fatal, ProtocolError } from './protocol-error.ts';

/** Largest `count` of one region access, announced as max_data_xfer_size: the protocol's default. */
export const MAX_DATA_XFER_SIZE = spec.DEFAULT_MAX_DATA_XFER_SIZE;
/** Descriptors that one message may carry, announced as max_msg_fds. QEMU refuses servers that say more than 16. */
export const MAX_MSG_FDS = 16;
/** Descriptors accepted all the same: clients exist that send those of all MSI-X vectors at once. */
export const MAX_RECEIVED_FDS = 128;
/** A whole message: the largest region write. */
export const MAX_MESSAGE_BYTES = spec.HEADER_BYTES + spec.REGION_ACCESS_BYTES + MAX_DATA_XFER_SIZE;
/** Capabilities longer than this are refused: QEMU's take 210 bytes. */
export const MAX_VERSION_DATA_BYTES = 4096;

const HIGH_WORD = 2 ** 32;

function u16(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8);
}

function u32(bytes: Uint8Array, at: number): number {
  return (u16(bytes, at) | (u16(bytes, at + 2) << 16)) >>> 0;
}

/** As a number; exact up to 2^53. */
function u64Number(bytes: Uint8Array, at: number): number {
  return u32(bytes, at + 4) * HIGH_WORD + u32(bytes, at);
}

function u64(bytes: Uint8Array, at: number): bigint {
  return (BigInt(u32(bytes, at + 4)) << 32n) | BigInt(u32(bytes, at));
}

// ---- Header --------------------------------------------------------------------------------------------------

export interface Header {
  /** Chosen by the sender, echoed in the reply; nothing follows from its value. */
  id: number;
  command: number;
  /** Bytes of the message with its header. */
  size: number;
  reply: boolean;
  noReply: boolean;
  /** In a reply: the command failed with `errno`, which may be 0. */
  error: boolean;
  errno: number;
  /** Bits of the flags that this version does not define, and FLAG_ERROR in a command. */
  reserved: number;
}

/** Parses the header of a whole message. Every error is fatal: the stream has lost its framing. */
export function parseHeader(message: Uint8Array): Header | ProtocolError {
  if (message.length < spec.HEADER_BYTES) {
    return fatal('VFIO_USER_HEADER', `a message of ${message.length} bytes is shorter than its header`);
  }
  const size = u32(message, spec.HEADER_SIZE);
  if (size !== message.length) {
    return fatal('VFIO_USER_HEADER', `the header says ${size} bytes, the message has ${message.length}`);
  }
  const flags = u32(message, spec.HEADER_FLAGS);
  const type = flags & spec.FLAG_TYPE_MASK;
  if (type !== spec.FLAG_TYPE_COMMAND && type !== spec.FLAG_TYPE_REPLY) {
    return fatal('VFIO_USER_HEADER', `message type ${type} is neither a command nor a reply`);
  }
  const reply = type === spec.FLAG_TYPE_REPLY;
  const known = spec.FLAG_TYPE_MASK | (reply ? spec.FLAG_ERROR : spec.FLAG_NO_REPLY);
  return {
    id: u16(message, spec.HEADER_ID),
    command: u16(message, spec.HEADER_COMMAND),
    size,
    reply,
    noReply: (flags & spec.FLAG_NO_REPLY) !== 0,
    error: (flags & spec.FLAG_ERROR) !== 0,
    errno: u32(message, spec.HEADER_ERROR),
    reserved: (flags & ~known) >>> 0,
  };
}

/** A reply of `payloadBytes` zeros, its header filled in. */
function reply(header: Header, payloadBytes: number): DataView<ArrayBuffer> {
  const view = new DataView(new ArrayBuffer(spec.HEADER_BYTES + payloadBytes));
  view.setUint16(spec.HEADER_ID, header.id, true);
  view.setUint16(spec.HEADER_COMMAND, header.command, true);
  view.setUint32(spec.HEADER_SIZE, view.byteLength, true);
  view.setUint32(spec.HEADER_FLAGS, spec.FLAG_TYPE_REPLY, true);
  return view;
}

function bytesOf(view: DataView<ArrayBuffer>): Uint8Array {
  return new Uint8Array(view.buffer);
}

/** A reply without payload: DMA_MAP, SET_IRQS, DEVICE_RESET. */
export function encodeEmptyReply(header: Header): Uint8Array {
  return bytesOf(reply(header, 0));
}

/** An error reply is a header alone; `errno` is positive. */
export function encodeErrorReply(header: Header, errno: number): Uint8Array {
  const view = reply(header, 0);
  view.setUint32(spec.HEADER_FLAGS, spec.FLAG_TYPE_REPLY | spec.FLAG_ERROR, true);
  view.setUint32(spec.HEADER_ERROR, errno, true);
  return bytesOf(view);
}

/** The reply is the first `payloadBytes` of the request's payload, and what `tail` adds. */
function encodeEcho(
  header: Header,
  payload: Uint8Array,
  payloadBytes: number,
  tail?: Uint8Array,
): Uint8Array {
  const bytes = bytesOf(reply(header, payloadBytes + (tail?.length ?? 0)));
  bytes.set(payload.subarray(0, payloadBytes), spec.HEADER_BYTES);
  if (tail !== undefined) {
    bytes.set(tail, spec.HEADER_BYTES + payloadBytes);
  }
  return bytes;
}

function wrongSize(payload: Uint8Array, expected: string): ProtocolError {
  return new ProtocolError(
    'VFIO_USER_SIZE',
    `a payload of ${payload.length} bytes where ${expected} are due`,
  );
}

/** The check of every request that begins with argsz: both the payload and argsz cover the structure. */
function checkArgsz(payload: Uint8Array, bytes: number): ProtocolError | undefined {
  if (payload.length < bytes) {
    return wrongSize(payload, `at least ${bytes}`);
  }
  const argsz = u32(payload, 0);
  if (argsz < bytes) {
    return new ProtocolError('VFIO_USER_SIZE', `argsz is ${argsz}, the structure has ${bytes} bytes`);
  }
  return undefined;
}

// ---- VFIO_USER_VERSION ---------------------------------------------------------------------------------------

/** What the client said of itself; undefined where it said nothing. */
export interface VersionRequest {
  major: number;
  minor: number;
  maxMsgFds: number | undefined;
  maxDataXferSize: number | undefined;
  maxDmaMaps: number | undefined;
  pgsizes: number | undefined;
  writeMultiple: boolean | undefined;
}

function malformed(what: string): ProtocolError {
  return fatal('VFIO_USER_VERSION_MALFORMED', `the capabilities of VERSION ${what}`);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The `capabilities` object of the version data, empty where there is none. */
function parseCapabilities(data: Uint8Array): Record<string, unknown> | ProtocolError {
  if (data.length === 0) {
    return {};
  }
  if (data.length > MAX_VERSION_DATA_BYTES) {
    return malformed(`take ${data.length} bytes, more than ${MAX_VERSION_DATA_BYTES}`);
  }
  if (data[data.length - 1] !== 0) {
    return malformed('do not end in NUL');
  }
  if (data.length === 1) {
    return {};
  }
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(data.subarray(0, -1)));
  } catch {
    return malformed('are not JSON');
  }
  if (!isObject(json)) {
    return malformed('are not a JSON object');
  }
  const capabilities = json['capabilities'] ?? {};
  return isObject(capabilities) ? capabilities : malformed('hold no object "capabilities"');
}

/** Capabilities that this server does not know are ignored, as the protocol wants. Every error is fatal. */
export function parseVersion(payload: Uint8Array): VersionRequest | ProtocolError {
  if (payload.length < spec.VERSION_BYTES) {
    return fatal('VFIO_USER_SIZE', `a VERSION payload of ${payload.length} bytes where 4 or more are due`);
  }
  const capabilities = parseCapabilities(payload.subarray(spec.VERSION_DATA));
  if (capabilities instanceof ProtocolError) {
    return capabilities;
  }
  const numbers: (number | undefined)[] = [];
  for (const name of ['max_msg_fds', 'max_data_xfer_size', 'max_dma_maps', 'pgsizes']) {
    const value = capabilities[name];
    if (value !== undefined && !(typeof value === 'number' && Number.isSafeInteger(value) && value >= 0)) {
      return malformed(`give no whole number for "${name}"`);
    }
    numbers.push(value);
  }
  const writeMultiple = capabilities['write_multiple'];
  if (writeMultiple !== undefined && typeof writeMultiple !== 'boolean') {
    return malformed('give no boolean for "write_multiple"');
  }
  const [maxMsgFds, maxDataXferSize, maxDmaMaps, pgsizes] = numbers;
  return {
    major: u16(payload, spec.VERSION_MAJOR),
    minor: u16(payload, spec.VERSION_MINOR),
    maxMsgFds,
    maxDataXferSize,
    maxDmaMaps,
    pgsizes,
    writeMultiple,
  };
}

/** What this server says of itself. */
export interface VersionReply {
  /** Regions that can be mapped at a time; never more than the client offered. */
  maxDmaMaps: number;
  writeMultiple: boolean;
}

/**
 * The reply to a request of `requestBytes`, never longer than that: QEMU receives it into the request's own buffer
 * and ends where it does not fit. What does not fit is left out, which every peer must take for the defaults.
 */
export function encodeVersionReply(header: Header, version: VersionReply, requestBytes: number): Uint8Array {
  const all = {
    max_msg_fds: MAX_MSG_FDS,
    max_data_xfer_size: MAX_DATA_XFER_SIZE,
    max_dma_maps: version.maxDmaMaps,
    write_multiple: version.writeMultiple,
  };
  const room = requestBytes - spec.HEADER_BYTES - spec.VERSION_BYTES;
  const candidates = [all, { max_msg_fds: MAX_MSG_FDS, max_dma_maps: version.maxDmaMaps }];
  const data = candidates
    .map((capabilities) => new TextEncoder().encode(`${JSON.stringify({ capabilities })}\0`))
    .find((json) => json.length <= room);
  const view = reply(header, spec.VERSION_BYTES + (data?.length ?? 0));
  view.setUint16(spec.HEADER_BYTES + spec.VERSION_MAJOR, spec.PROTOCOL_MAJOR, true);
  view.setUint16(spec.HEADER_BYTES + spec.VERSION_MINOR, spec.PROTOCOL_MINOR, true);
  const bytes = bytesOf(view);
  if (data !== undefined) {
    bytes.set(data, spec.HEADER_BYTES + spec.VERSION_DATA);
  }
  return bytes;
}

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
  const flags = u32(payload, spec.DMA_MAP_FLAGS);
  const access = spec.DMA_MAP_FLAG_READ | spec.DMA_MAP_FLAG_WRITE;
  const known = access | spec.DMA_MAP_FLAG_MMAP | spec.DMA_MAP_FLAG_FILE_IO;
  if ((flags & ~known) !== 0 || (flags & access) === 0) {
    return new ProtocolError('VFIO_USER_FLAGS', `DMA_MAP flags 0x${flags.toString(16)} are not defined`);
  }
  return {
    offset: u64(payload, spec.DMA_MAP_OFFSET),
    address: u64(payload, spec.DMA_MAP_ADDRESS),
    size: u64(payload, spec.DMA_MAP_SIZE),
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
  const flags = u32(payload, spec.DMA_UNMAP_FLAGS);
  const request = {
    address: u64(payload, spec.DMA_UNMAP_ADDRESS),
    size: u64(payload, spec.DMA_UNMAP_SIZE),
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

// ---- VFIO_USER_DEVICE_GET_INFO -------------------------------------------------------------------------------

export function parseDeviceInfo(payload: Uint8Array): ProtocolError | undefined {
  return checkArgsz(payload, spec.DEVICE_INFO_BYTES);
}

/** A PCI device that can be reset, with the regions and interrupt types that PCI devices have. */
export function encodeDeviceInfoReply(header: Header): Uint8Array {
  const view = reply(header, spec.DEVICE_INFO_BYTES);
  const at = spec.HEADER_BYTES;
  view.setUint32(at + spec.DEVICE_INFO_ARGSZ, spec.DEVICE_INFO_BYTES, true);
  view.setUint32(at + spec.DEVICE_INFO_FLAGS, spec.DEVICE_FLAG_PCI | spec.DEVICE_FLAG_RESET, true);
  view.setUint32(at + spec.DEVICE_INFO_NUM_REGIONS, spec.REGION_INDEX_COUNT, true);
  view.setUint32(at + spec.DEVICE_INFO_NUM_IRQS, spec.IRQ_INDEX_COUNT, true);
  return bytesOf(view);
}

// ---- VFIO_USER_DEVICE_GET_REGION_INFO ------------------------------------------------------------------------

/** The index of the region asked for. */
export function parseRegionInfo(payload: Uint8Array): number | ProtocolError {
  return checkArgsz(payload, spec.REGION_INFO_BYTES) ?? u32(payload, spec.REGION_INFO_INDEX);
}

/** `bytes` 0: there is no such region, it has no flags either. */
export function encodeRegionInfoReply(header: Header, index: number, bytes: number): Uint8Array {
  const view = reply(header, spec.REGION_INFO_BYTES);
  const at = spec.HEADER_BYTES;
  const flags = bytes === 0 ? 0 : spec.REGION_FLAG_READ | spec.REGION_FLAG_WRITE;
  view.setUint32(at + spec.REGION_INFO_ARGSZ, spec.REGION_INFO_BYTES, true);
  view.setUint32(at + spec.REGION_INFO_FLAGS, flags, true);
  view.setUint32(at + spec.REGION_INFO_INDEX, index, true);
  view.setUint32(at + spec.REGION_INFO_SIZE, bytes, true);
  return bytesOf(view);
}

// ---- VFIO_USER_DEVICE_GET_IRQ_INFO ---------------------------------------------------------------------------

/** The index of the interrupt type asked for. */
export function parseIrqInfo(payload: Uint8Array): number | ProtocolError {
  return checkArgsz(payload, spec.IRQ_INFO_BYTES) ?? u32(payload, spec.IRQ_INFO_INDEX);
}

/** `flags`: IRQ_FLAG_*. */
export function encodeIrqInfoReply(header: Header, index: number, flags: number, count: number): Uint8Array {
  const view = reply(header, spec.IRQ_INFO_BYTES);
  const at = spec.HEADER_BYTES;
  view.setUint32(at + spec.IRQ_INFO_ARGSZ, spec.IRQ_INFO_BYTES, true);
  view.setUint32(at + spec.IRQ_INFO_FLAGS, flags, true);
  view.setUint32(at + spec.IRQ_INFO_INDEX, index, true);
  view.setUint32(at + spec.IRQ_INFO_COUNT, count, true);
  return bytesOf(view);
}

// ---- VFIO_USER_DEVICE_SET_IRQS -------------------------------------------------------------------------------

export interface SetIrqsRequest {
  index: number;
  start: number;
  count: number;
  data: 'none' | 'bool' | 'eventfd';
  action: 'mask' | 'unmask' | 'trigger';
  /** With data 'bool': one byte an interrupt, `count` of them. */
  bools: Uint8Array | undefined;
}

const SET_IRQS_DATA = new Map<number, SetIrqsRequest['data']>([
  [spec.SET_IRQS_DATA_NONE, 'none'],
  [spec.SET_IRQS_DATA_BOOL, 'bool'],
  [spec.SET_IRQS_DATA_EVENTFD, 'eventfd'],
]);

const SET_IRQS_ACTION = new Map<number, SetIrqsRequest['action']>([
  [spec.SET_IRQS_ACTION_MASK, 'mask'],
  [spec.SET_IRQS_ACTION_UNMASK, 'unmask'],
  [spec.SET_IRQS_ACTION_TRIGGER, 'trigger'],
]);

export function parseSetIrqs(payload: Uint8Array): SetIrqsRequest | ProtocolError {
  const wrong = checkArgsz(payload, spec.SET_IRQS_BYTES);
  if (wrong !== undefined) {
    return wrong;
  }
  const flags = u32(payload, spec.SET_IRQS_FLAGS);
  const data = SET_IRQS_DATA.get(flags & spec.SET_IRQS_DATA_MASK);
  const action = SET_IRQS_ACTION.get(flags & spec.SET_IRQS_ACTIONS);
  const undefinedBits = flags & ~(spec.SET_IRQS_DATA_MASK | spec.SET_IRQS_ACTIONS);
  if (data === undefined || action === undefined || undefinedBits !== 0) {
    const text = `SET_IRQS flags 0x${flags.toString(16)} are not one kind of data and one action`;
    return new ProtocolError('VFIO_USER_FLAGS', text);
  }
  const count = u32(payload, spec.SET_IRQS_COUNT);
  let bools: Uint8Array | undefined;
  if (data === 'bool') {
    const end = spec.SET_IRQS_BYTES + count;
    const longer = checkArgsz(payload, end);
    if (longer !== undefined) {
      return longer;
    }
    bools = payload.subarray(spec.SET_IRQS_DATA, end);
  }
  const start = u32(payload, spec.SET_IRQS_START);
  return { index: u32(payload, spec.SET_IRQS_INDEX), start, count, data, action, bools };
}

// ---- VFIO_USER_REGION_READ, VFIO_USER_REGION_WRITE -----------------------------------------------------------

export interface RegionReadRequest {
  region: number;
  /** Bytes from the start of the region. */
  offset: number;
  /** Bytes, 1 to MAX_DATA_XFER_SIZE. */
  count: number;
}

export interface RegionWriteRequest extends RegionReadRequest {
  /** `count` bytes; a view of the message. */
  data: Uint8Array;
}

function parseRegionAccess(payload: Uint8Array): RegionReadRequest | ProtocolError {
  const count = u32(payload, spec.REGION_ACCESS_COUNT);
  if (count === 0 || count > MAX_DATA_XFER_SIZE) {
    return new ProtocolError('VFIO_USER_RANGE', `a region access of ${count} bytes`);
  }
  const offset = u64Number(payload, spec.REGION_ACCESS_OFFSET);
  return { region: u32(payload, spec.REGION_ACCESS_REGION), offset, count };
}

export function parseRegionRead(payload: Uint8Array): RegionReadRequest | ProtocolError {
  if (payload.length !== spec.REGION_ACCESS_BYTES) {
    return wrongSize(payload, `${spec.REGION_ACCESS_BYTES}`);
  }
  return parseRegionAccess(payload);
}

/** The request's structure again, with what was read. */
export function encodeRegionReadReply(header: Header, payload: Uint8Array, data: Uint8Array): Uint8Array {
  return encodeEcho(header, payload, spec.REGION_ACCESS_BYTES, data);
}

export function parseRegionWrite(payload: Uint8Array): RegionWriteRequest | ProtocolError {
  if (payload.length < spec.REGION_ACCESS_BYTES) {
    return wrongSize(payload, `at least ${spec.REGION_ACCESS_BYTES}`);
  }
  const access = parseRegionAccess(payload);
  if (access instanceof ProtocolError) {
    return access;
  }
  if (payload.length !== spec.REGION_ACCESS_DATA + access.count) {
    return wrongSize(payload, `${spec.REGION_ACCESS_DATA} and ${access.count}`);
  }
  return { ...access, data: payload.subarray(spec.REGION_ACCESS_DATA) };
}

/** The request's structure again, without its data. */
export function encodeRegionWriteReply(header: Header, payload: Uint8Array): Uint8Array {
  return encodeEcho(header, payload, spec.REGION_ACCESS_BYTES);
}

// ---- VFIO_USER_DEVICE_RESET ----------------------------------------------------------------------------------

export function parseDeviceReset(payload: Uint8Array): ProtocolError | undefined {
  return payload.length === 0 ? undefined : wrongSize(payload, 'none');
}

// ---- VFIO_USER_REGION_WRITE_MULTI ----------------------------------------------------------------------------

/** The writes in their order. QEMU sends its whole array whatever the count says: the rest is ignored. */
export function parseRegionWriteMulti(payload: Uint8Array): RegionWriteRequest[] | ProtocolError {
  if (payload.length < spec.WRITE_MULTI_WRITES) {
    return wrongSize(payload, `at least ${spec.WRITE_MULTI_WRITES}`);
  }
  const writes = u64Number(payload, spec.WRITE_MULTI_COUNT);
  if (spec.WRITE_MULTI_WRITES + writes * spec.WRITE_MULTI_WRITE_BYTES > payload.length) {
    return wrongSize(payload, `${writes} writes`);
  }
  const requests: RegionWriteRequest[] = [];
  for (let index = 0; index < writes; index++) {
    const at = spec.WRITE_MULTI_WRITES + index * spec.WRITE_MULTI_WRITE_BYTES;
    const write = payload.subarray(at, at + spec.WRITE_MULTI_WRITE_BYTES);
    const access = parseRegionAccess(write);
    if (access instanceof ProtocolError) {
      return access;
    }
    if (access.count > spec.WRITE_MULTI_DATA_BYTES) {
      return new ProtocolError(
        'VFIO_USER_RANGE',
        `write ${index} of ${access.count} bytes in REGION_WRITE_MULTI`,
      );
    }
    const data = write.subarray(spec.REGION_ACCESS_DATA, spec.REGION_ACCESS_DATA + access.count);
    requests.push({ ...access, data });
  }
  return requests;
}

/** The number of writes, all of which were done. */
export function encodeRegionWriteMultiReply(header: Header, payload: Uint8Array): Uint8Array {
  return encodeEcho(header, payload, spec.WRITE_MULTI_REPLY_BYTES);
}
