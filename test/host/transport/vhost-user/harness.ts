/**
 * What the tests of the vhost-user session share: messages as raw bytes, a device that records its calls, and a session
 * whose replies and closed descriptors can be looked at.
 */
import assert from 'node:assert/strict';
import {
  DeviceError,
  type CommandCompletion,
  type CommandSet,
  type ControllerLimits,
  type ResumableDevice,
  type StateRefusal,
} from '../../../../host/transport/device.ts';
import type { ProtocolError } from '../../../../host/transport/vhost-user/messages/protocol-error.ts';
import { Session } from '../../../../host/transport/vhost-user/session.ts';
import { EINVAL, RecordingDevice, SessionFixture, u32, u64 } from '../fixture.ts';

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
export class RecordingResumableDevice extends RecordingDevice implements ResumableDevice {
  readonly completions = new Map<number, CommandCompletion>();
  readonly refusedFds = new Set<number>();

  override regionRead(region: 'bar0' | 'config', offset: number, length: number): Uint8Array {
    if (region === 'bar0' && offset === 0x1c && length === 4) return u32(this.#csts);
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

  // ---- ResumableDevice ----

  /** What the front end asked for, which is no call that a test of messages wants to see. */
  readonly configured: ControllerLimits[] = [];
  readonly stateBytes = 0x3000;
  /** Thrown by the next call of this name. */
  readonly refusals = new Map<string, DeviceError>();
  refusal: StateRefusal | undefined;
  /** What a quiesce comes to. */
  drained = true;
  /** Doorbells that were rung by kicks. */
  doorbells = 0;
  #statusChanged: ((csts: number, shadowDoorbells: boolean) => void) | undefined;
  #shadow = false;
  #csts = 0;

  get csts(): number {
    return this.#csts;
  }

  /** Changes CSTS, and tells who watches it. */
  set csts(value: number) {
    this.#csts = value;
    this.#statusChanged?.(value, this.#shadow);
  }

  /** Moves doorbells to the guest's own memory, or back. */
  set shadowDoorbells(isOn: boolean) {
    this.#shadow = isOn;
    this.#statusChanged?.(this.#csts, isOn);
  }

  /** Changes CSTS and tells nobody yet. */
  cstsQuietly(value: number): void {
    this.#csts = value;
  }

  configure(limits: ControllerLimits): void {
    this.#refuse('configure');
    this.configured.push(limits);
  }

  passthrough(
    set: CommandSet,
    bytes: Uint8Array,
    data: Uint8Array | undefined,
    dataBytes: number,
    done: (completion: CommandCompletion) => void,
  ): void {
    const brings = data === undefined ? '-' : Buffer.from(data).toString('hex');
    this.calls.push(`passthrough ${set} ${bytes[0] ?? 0} ${brings} ${dataBytes}`);
    const none = { status: 0, result: 0, data: new Uint8Array(0) };
    const completion = this.completions.get((bytes[0] ?? 0) * 256) ?? none;
    this.finish('passthrough', () => done(completion));
  }

  doorbellsKicked(page: bigint | undefined): void {
    this.calls.push(`kicked ${page === undefined ? '-' : page.toString(16)}`);
    this.#refuse('kicked');
  }

  doorbellsCount(count: number): void {
    this.doorbells += count;
  }

  notifierMask(vector: number, masked: boolean): void {
    this.calls.push(`${masked ? 'mask' : 'unmask'} ${vector}`);
  }

  statusWatch(changed: (csts: number, shadowDoorbells: boolean) => void): void {
    this.#statusChanged = changed;
  }

  quiesce(done: (drained: boolean) => void): void {
    this.calls.push('quiesce');
    this.finish('quiesce', () => done(this.drained));
  }

  proceed(): void {
    this.calls.push('proceed');
  }

  stateSave(fd: number): void {
    this.calls.push(`save ${fd}`);
    this.#refuse('save');
  }

  stateLoad(fd: number, size: number): StateRefusal | undefined {
    this.calls.push(`load ${fd} ${size}`);
    this.#refuse('load');
    return this.refusal;
  }

  #refuse(call: string): void {
    const error = this.refusals.get(call);
    this.refusals.delete(call);
    if (error !== undefined) throw error;
  }
}

export class Fixture extends SessionFixture<ProtocolError> {
  override readonly device = new RecordingResumableDevice();
  override readonly session: Session;

  constructor() {
    super();
    const never = (): never => assert.fail('the legacy dialect has none of this');
    this.session = new Session({
      ...this.port,
      device: this.device,
      log: this.log,
      memorySlots: 8,
      watch: never,
      eventfdAdopt: never,
      eventfdRead: never,
      createStateFile: never,
      openBackChannel: never,
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
}
