/**
 * What the tests of both protocols' sessions share: numbers as bytes, a Device that records its calls, and what can be
 * seen of a session: replies, closed descriptors, lines of its log. Descriptors are made-up numbers here: each is
 * either closed by the session or taken by the device.
 */
import assert from 'node:assert/strict';
import type { Random } from '../../support/random.ts';
import { createLog, type Log } from '../../../host/log/log.ts';
import {
  DeviceError,
  type Device,
  type DeviceRegion,
  type InterruptKind,
  type MemoryRegion,
} from '../../../host/transport/device.ts';

export const EINVAL = 22;
export const ENOENT = 2;
export const EEXIST = 17;

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
    this.finish('write', done);
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
    this.finish('unmap', done);
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
    this.finish('reset', done);
  }

  disconnect(done: () => void): void {
    this.calls.push('disconnect');
    this.finish('disconnect', done);
  }

  /** Lets the oldest late call complete. */
  complete(): void {
    const first = this.pending.shift();
    assert.ok(first !== undefined, 'no late call is pending');
    first.done();
  }

  /** Completes a call, now or when the test says so. */
  protected finish(name: string, done: () => void): void {
    if (this.late.has(name)) this.pending.push({ name, done });
    else done();
  }
}

/** What a session has of a message. */
interface Handling<E> {
  handle(bytes: Uint8Array, fds: number[]): E | undefined;
}

/** A session and all that came of it; `E`: what ends it. */
export abstract class SessionFixture<E> {
  abstract readonly device: RecordingDevice;
  abstract readonly session: Handling<E>;
  readonly sent: string[] = [];
  readonly closedFds: number[] = [];
  readonly givenFds: number[] = [];
  readonly logLines: string[] = [];
  resumed = 0;
  /** What every session is given. */
  protected readonly port = {
    send: (bytes: Uint8Array): void => {
      this.sent.push(Buffer.from(bytes).toString('hex'));
    },
    closeFd: (fd: number): void => {
      this.closedFds.push(fd);
    },
    resumed: (): void => {
      this.resumed += 1;
    },
  };
  protected readonly log: Log = createLog({
    level: 'trace',
    json: false,
    write: (line) => this.logLines.push(line),
  });

  handle(bytes: Uint8Array, fds: number[] = []): E | undefined {
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

  /** Every descriptor given was closed once or taken once. */
  nothingLeaks(): void {
    const seen = [...this.closedFds, ...this.device.takenFds].sort((a, b) => a - b);
    assert.deepEqual(
      seen,
      [...this.givenFds].sort((a, b) => a - b),
    );
  }
}

/** Up to three faults: bytes changed, fields at their limits, cut short, made longer. */
export function damage(random: Random, payload: Buffer): Buffer {
  let bytes = Buffer.from(payload);
  for (let faults = random.between(0, 3); faults > 0; faults--) {
    const field = bytes.length < 4 ? 0 : 4 * random.below(Math.floor(bytes.length / 4));
    switch (random.below(4)) {
      case 0:
        if (bytes.length > 0) bytes[random.below(bytes.length)] = random.below(256);
        break;
      case 1:
        if (bytes.length >= 4)
          bytes.writeUInt32LE(random.pick([0, 1, 0x7fffffff, 0x80000000, 0xffffffff]), field);
        break;
      case 2:
        bytes = bytes.subarray(0, random.below(bytes.length + 1));
        break;
      default:
        bytes = Buffer.concat([bytes, Buffer.alloc(random.below(40), random.below(256))]);
    }
  }
  return bytes;
}
