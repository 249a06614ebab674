/**
 * What the tests of the vhost-user session share: messages as raw bytes, a device that records its calls, and a session
 * whose replies and closed descriptors can be looked at. Descriptors are made-up numbers here: each is either closed by
 * the session or taken by the device.
 */
import assert from 'node:assert/strict';
import { createLog } from '../../../../host/log/log.ts';
import { DeviceError, type CommandCompletion, type DirectDevice } from '../../../../host/transport/device.ts';
import type { ProtocolError } from '../../../../host/transport/vhost-user/messages/protocol-error.ts';
import { Session } from '../../../../host/transport/vhost-user/session.ts';
import { EINVAL, RecordingDevice, u32, u64 } from '../vfio-user/harness.ts';

export const NEED_REPLY = 8;
const CAP = 0x0800_0020_0f01_03ffn;

/** A message: header (request, flags, size) and payload. */
export function message(request: number, payload: Uint8Array = Buffer.alloc(0), flags = 1): Buffer {
  return Buffer.concat([u32(request, flags, payload.length), payload]);
}

/** The reply to it: the same request, flags 5. */
export function reply(request: number, payload: Uint8Array): string {
  return message(request, payload, 5).toString('hex');
}

/** An acknowledgement: 0 done, 1 refused. */
export function ack(request: number, value: 0 | 1): string {
  return reply(request, u64(BigInt(value)));
}

/** A memory table: count, padding, regions of address, size, the peer's address, offset. */
export function table(...regions: (readonly [gpa: bigint, size: bigint, offset?: bigint])[]): Buffer {
  return Buffer.concat([
    u32(regions.length, 0),
    ...regions.map(([gpa, size, offset = 0n]) => u64(gpa, size, 0x7f00_0000_0000n, offset)),
  ]);
}

/** An admin command: 64 bytes, with `rubbish` where nothing is said. */
export function entry(
  opcode: number,
  cid: number,
  nsid: number,
  cdw10: number,
  cdw11 = 0,
  rubbish = 0,
): Buffer {
  const bytes = Buffer.alloc(64, rubbish);
  bytes.writeUInt8(opcode, 0);
  bytes.writeUInt8(0, 1);
  bytes.writeUInt16LE(cid, 2);
  bytes.writeUInt32LE(nsid, 4);
  bytes.writeUInt32LE(cdw10, 40);
  bytes.writeUInt32LE(cdw11, 44);
  return bytes;
}

/** Records commands, starts and stops too; answers commands with what `completions` says, else with success. */
export class RecordingDirectDevice extends RecordingDevice implements DirectDevice {
  readonly completions = new Map<number, CommandCompletion>();
  readonly refusedFds = new Set<number>();

  override regionRead(region: 'bar0' | 'config', offset: number, length: number): Uint8Array {
    return offset === 0 && length === 8 ? u64(CAP) : super.regionRead(region, offset, length);
  }

  override notifierSet(kind: 'intx' | 'msix', vector: number, fd: number | undefined): void {
    super.notifierSet(kind, vector, fd);
    if (fd !== undefined && this.refusedFds.has(fd)) {
      throw new DeviceError('NOTIFIER_KIND', EINVAL, 'the descriptor is not an eventfd');
    }
  }

  command(bytes: Uint8Array, done: (completion: CommandCompletion) => void): void {
    const view = Buffer.from(bytes);
    this.calls.push(`command ${view.toString('hex').replace(/(00)+$/, '')}`);
    const key = view.readUInt8(0) * 256 + (view.readUInt32LE(40) & 0xff);
    const none = { status: 0, result: 0, data: new Uint8Array(0) };
    const completion = this.completions.get(key) ?? none;
    if (this.late.has('command')) this.pending.push({ name: 'command', done: () => done(completion) });
    else done(completion);
  }

  start(doorbells: bigint | undefined): void {
    this.calls.push(`start ${doorbells === undefined ? '-' : doorbells.toString(16)}`);
  }

  stop(done: () => void): void {
    this.calls.push('stop');
    if (this.late.has('stop')) this.pending.push({ name: 'stop', done });
    else done();
  }
}

export class Fixture {
  readonly device = new RecordingDirectDevice();
  readonly sent: string[] = [];
  readonly closedFds: number[] = [];
  readonly givenFds: number[] = [];
  readonly logLines: string[] = [];
  resumed = 0;
  readonly session: Session;

  constructor() {
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
    });
  }

  /** A session whose controller runs in 1 MiB of memory; nothing of that is left to see. */
  static started(): Fixture {
    const fixture = new Fixture();
    fixture.handle(message(5, table([0n, 0x100000n])), [10]);
    fixture.handle(message(83, u64(1n)));
    fixture.calls();
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

  /** Handles a message that has this effect and no answer but the one that is asked for. */
  accepts(request: number, payload: Uint8Array, fds: number[], calls: string[]): void {
    assert.equal(this.handle(message(request, payload, 1 | NEED_REPLY), fds), undefined);
    assert.deepEqual(this.replies(), [ack(request, 0)]);
    assert.deepEqual(this.calls(), calls);
    this.nothingLeaks();
  }

  /** Handles a message, with and without a wish for an answer, that is refused, changes nothing and ends nothing. */
  refuses(request: number, payload: Uint8Array, fds: number[] = [], calls: string[] = []): void {
    assert.equal(this.handle(message(request, payload), fds), undefined, 'the session goes on');
    assert.deepEqual(this.replies(), []);
    assert.deepEqual(this.calls(), calls);
    assert.equal(
      this.handle(
        message(request, payload, 1 | NEED_REPLY),
        fds.map((fd) => fd + 5000),
      ),
      undefined,
    );
    assert.deepEqual(this.replies(), [ack(request, 1)]);
    this.calls();
    assert.ok(this.session.ready);
    this.nothingLeaks();
  }

  /** Handles a message that ends the session. */
  ends(bytes: Uint8Array, code: string, fds: number[] = []): void {
    assert.equal(this.handle(bytes, fds)?.code, code);
    assert.deepEqual(this.replies(), []);
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
