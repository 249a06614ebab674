/**
 * What the tests of the vfio-user session share: messages as raw bytes, a Device that records its calls, and
 * a session whose replies and closed descriptors can be looked at. Descriptors are made-up numbers here: each
 * is either closed by the session or taken by the device, and `unaccounted` names those that are neither.
 */
import assert from 'node:assert/strict';
import { createLog } from '../../../../host/log/log.ts';
import {
  DeviceError,
  type Device,
  type DeviceRegion,
  type InterruptKind,
  type MemoryRegion,
} from '../../../../host/transport/device.ts';
import type { ProtocolError } from '../../../../host/transport/vfio-user/messages/protocol-error.ts';
import { Session } from '../../../../host/transport/vfio-user/session.ts';

export const EINVAL = 22;
export const ENOENT = 2;
export const EEXIST = 17;
export const EOPNOTSUPP = 95;
export const EPROTO = 71;

export const NO_REPLY = 0x10;
/** The flags of an error reply: a reply, with an error. */
export const ERROR_REPLY = 0x21;

export const u16 = (value: number): Buffer => {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(value);
  return bytes;
};

export const u32 = (...values: number[]): Buffer => {
  const bytes = Buffer.alloc(4 * values.length);
  values.forEach((value, index) => bytes.writeUInt32LE(value, 4 * index));
  return bytes;
};

export const u64 = (...values: bigint[]): Buffer => {
  const bytes = Buffer.alloc(8 * values.length);
  values.forEach((value, index) => bytes.writeBigUInt64LE(value, 8 * index));
  return bytes;
};

/** A message: header (id, command, size, flags, errno 0) and payload. */
export function message(
  id: number,
  command: number,
  payload: Uint8Array = Buffer.alloc(0),
  flags = 0,
): Buffer {
  return Buffer.concat([u16(id), u16(command), u32(16 + payload.length, flags, 0), payload]);
}

/** The reply to it: the same id and command, flags 1. */
export function reply(id: number, command: number, payload: Uint8Array = Buffer.alloc(0)): string {
  return message(id, command, payload, 1).toString('hex');
}

/** An error reply is a header alone. */
export function errorReply(id: number, command: number, errno: number): string {
  return Buffer.concat([u16(id), u16(command), u32(16, ERROR_REPLY, errno)]).toString('hex');
}

export const QEMU_CAPABILITIES =
  '{"capabilities": {"pgsizes": 4096, "max_msg_fds": 16, "max_dma_maps": 65535, "max_data_xfer_size": 1048576,' +
  ' "migration": {"max_bitmap_size": 268435456, "pgsize": 4096}, "write_multiple": true}}';

export function versionPayload(json: string | undefined, major = 0, minor = 0): Buffer {
  const data = json === undefined ? Buffer.alloc(0) : Buffer.from(`${json}\0`);
  return Buffer.concat([u16(major), u16(minor), data]);
}

/** Records what it is told; `late` keeps the `done` of those calls that are named in it. */
export class RecordingDevice implements Device {
  readonly calls: string[] = [];
  readonly takenFds: number[] = [];
  readonly regions = new Map<bigint, bigint>();
  /** Names of calls that complete only by `complete`. */
  readonly late = new Set<string>();
  readonly pending: { name: string; done: () => void }[] = [];
  config: Buffer = Buffer.alloc(4096, 0xc0);
  vectors = 65;

  regionBytes(region: DeviceRegion): number {
    return region === 'bar0' ? 0x4000 : 4096;
  }

  interruptCount(kind: InterruptKind): number {
    return kind === 'intx' ? 1 : this.vectors;
  }

  regionRead(region: DeviceRegion, offset: number, length: number): Uint8Array {
    this.calls.push(`read ${region} ${offset} ${length}`);
    return region === 'config'
      ? this.config.subarray(offset, offset + length)
      : Uint8Array.from({ length }, (_, index) => (offset + index) & 0xff);
  }

  regionWrite(region: DeviceRegion, offset: number, bytes: Uint8Array, done: () => void): void {
    this.calls.push(`write ${region} ${offset} ${Buffer.from(bytes).toString('hex')}`);
    this.#finish('write', done);
  }

  memoryAdd(region: MemoryRegion): void {
    const { gpa, length, offset, fd, readable, writable } = region;
    const access = `${readable ? 'r' : ''}${writable ? 'w' : ''}`;
    this.calls.push(`map ${gpa} ${length} ${offset} ${fd ?? '-'} ${access}`);
    if (length === 0n || gpa + length > 1n << 64n) {
      throw new DeviceError('MEMORY_RANGE', EINVAL, 'empty or beyond the address space');
    }
    if (this.regions.has(gpa)) {
      throw new DeviceError('MEMORY_OVERLAP', EEXIST, 'overlaps');
    }
    this.regions.set(gpa, length);
  }

  memoryRemove(gpa: bigint, length: bigint, done: () => void): void {
    this.calls.push(`unmap ${gpa} ${length}`);
    if (this.regions.get(gpa) !== length) {
      throw new DeviceError('MEMORY_UNKNOWN', ENOENT, 'no such region');
    }
    this.regions.delete(gpa);
    this.#finish('unmap', done);
  }

  notifierSet(kind: InterruptKind, vector: number, fd: number | undefined): void {
    this.calls.push(`notifier ${kind} ${vector} ${fd ?? '-'}`);
    if (fd !== undefined) this.takenFds.push(fd);
  }

  notifiersClear(kind: InterruptKind): void {
    this.calls.push(`clear ${kind}`);
  }

  interruptTrigger(kind: InterruptKind, vector: number): void {
    this.calls.push(`trigger ${kind} ${vector}`);
  }

  intxUnmask(): void {
    this.calls.push('unmask');
  }

  reset(done: () => void): void {
    this.calls.push('reset');
    this.#finish('reset', done);
  }

  disconnect(done: () => void): void {
    this.calls.push('disconnect');
    this.#finish('disconnect', done);
  }

  /** Lets the oldest late call complete. */
  complete(): void {
    const first = this.pending.shift();
    assert.ok(first !== undefined, 'no late call is pending');
    first.done();
  }

  #finish(name: string, done: () => void): void {
    if (this.late.has(name)) this.pending.push({ name, done });
    else done();
  }
}

export class Fixture {
  readonly device = new RecordingDevice();
  readonly sent: string[] = [];
  readonly closedFds: number[] = [];
  readonly givenFds: number[] = [];
  readonly logLines: string[] = [];
  resumed = 0;
  readonly session: Session;

  constructor(maxDmaMaps = 4096) {
    this.session = new Session({
      device: this.device,
      send: (bytes) => {
        this.sent.push(Buffer.from(bytes).toString('hex'));
      },
      closeFd: (fd) => {
        this.closedFds.push(fd);
      },
      log: createLog({ level: 'trace', json: false, write: (line) => this.logLines.push(line) }),
      resumed: () => {
        this.resumed += 1;
      },
      maxDmaMaps,
    });
  }

  /** A session whose client has said VERSION; nothing of that is left to see. */
  static established(): Fixture {
    const fixture = new Fixture();
    assert.equal(fixture.handle(message(1, 1, versionPayload(QEMU_CAPABILITIES))), undefined);
    fixture.sent.length = 0;
    return fixture;
  }

  handle(bytes: Uint8Array, fds: number[] = []): ProtocolError | undefined {
    this.givenFds.push(...fds);
    const owned = [...fds];
    const error = this.session.handle(bytes, owned);
    assert.deepEqual(owned, [], 'the session owns every descriptor');
    return error;
  }

  /** The replies since the last look, as hex. */
  replies(): string[] {
    return this.sent.splice(0);
  }

  /** The calls of the device since the last look. */
  calls(): string[] {
    return this.device.calls.splice(0);
  }

  /** Handles a message that must be answered with an error and change nothing. */
  refuses(bytes: Buffer, errno: number, fds: number[] = []): void {
    assert.equal(this.handle(bytes, fds), undefined, 'the session goes on');
    assert.deepEqual(this.replies(), [errorReply(bytes.readUInt16LE(0), bytes.readUInt16LE(2), errno)]);
    assert.deepEqual(this.calls(), []);
    this.nothingLeaks();
  }

  /** Every descriptor given was closed once or taken once. */
  nothingLeaks(): void {
    const seen = [...this.closedFds, ...this.device.takenFds].sort((a, b) => a - b);
    assert.deepEqual(
      seen,
      [...this.givenFds].sort((a, b) => a - b),
    );
  }
}
