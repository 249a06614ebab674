/**
 * What the tests of the extended dialect share: a session whose handshake is over, with all that it was given to reach
 * the world: watches of eventfds, a back channel, files for states. Descriptors are made-up numbers.
 */
import assert from 'node:assert/strict';
import type { ProtocolError } from '../../../../../host/transport/vhost-user/messages/protocol-error.ts';
import { Session } from '../../../../../host/transport/vhost-user/session.ts';
import { SessionFixture, u32, u64 } from '../../fixture.ts';
import { message, NEED_REPLY, RecordingResumableDevice, reply } from '../harness.ts';

export const [EIO, E2BIG, EBUSY, ENOSPC, EMFILE, ENOTSUP, ETIMEDOUT] = [5, 7, 16, 28, 24, 95, 110];
export const MIB = 0x100000n;
/** All that is offered: REPLY_ACK, BACKEND_REQ, CONFIGURE_MEM_SLOTS, NVME. */
export const ALL_FEATURES = (1n << 3n) | (1n << 5n) | (1n << 15n) | (1n << 56n);
export const MEMORY_SLOTS = 8;
/** The file that GET_STATE hands out. */
export const STATE_FILE = 9000;
const PRIVATE = 0x400;
const SET_STATE = 0x40e;

/** A region as ADD_MEM_REG and REM_MEM_REG have it. */
export function slot(gpa: bigint, size: bigint, offset = 0n): Buffer {
  return u64(0n, gpa, size, 0x7f00_0000_0000n, offset);
}

/** The answer to a refused request. */
export function refusal(request: number, errno: number): string {
  return reply(request, request === SET_STATE ? u64(BigInt(errno), 0n) : u64(BigInt(errno)));
}

export class ExtendedFixture extends SessionFixture<ProtocolError> {
  override readonly device = new RecordingResumableDevice();
  override readonly session: Session;
  /** Descriptors that went with replies. */
  readonly sentFds: number[] = [];
  /** CSTS as the back channel told it, in place among the replies. */
  readonly statuses: number[] = [];
  /** Where doorbells are, as the back channel told it. */
  readonly shadows: number[] = [];
  readonly watched = new Map<number, () => void>();
  readonly read: number[] = [];
  readonly noEventfds = new Set<number>();
  /** Thrown where a back channel is opened, or a file made. */
  systemError: Error | undefined;

  constructor() {
    super();
    this.session = new Session({
      ...this.port,
      send: (bytes, fds = []) => {
        this.port.send(bytes);
        this.sentFds.push(...fds);
      },
      device: this.device,
      log: this.log,
      memorySlots: MEMORY_SLOTS,
      watch: (fd, onReadable) => {
        assert.ok(!this.watched.has(fd), `${fd} is watched once`);
        this.watched.set(fd, onReadable);
        return { cancel: () => this.watched.delete(fd) };
      },
      eventfdAdopt: (fd) => !this.noEventfds.has(fd),
      eventfdRead: (fd) => {
        this.read.push(fd);
        return 1;
      },
      createStateFile: (bytes) => {
        this.#systemFails();
        this.device.calls.push(`file ${bytes}`);
        this.givenFds.push(STATE_FILE);
        return STATE_FILE;
      },
      openBackChannel: (fd, first) => this.#channel(fd, first),
    });
  }

  /** A session that has agreed on these features; nothing of that is left to see. */
  static agreed(features = ALL_FEATURES): ExtendedFixture {
    const fixture = new ExtendedFixture();
    fixture.handle(message(16, u64(features), 1 | NEED_REPLY));
    fixture.replies();
    return fixture;
  }

  /** The same with 1 MiB of memory. */
  static withMemory(): ExtendedFixture {
    const fixture = ExtendedFixture.agreed();
    fixture.accepts(37, slot(0n, MIB), [10], [`map 0 ${MIB} 0 10 rw`]);
    return fixture;
  }

  /** Handles a message that has this effect; the reply is an acknowledgement unless it is given. */
  accepts(
    request: number,
    payload: Uint8Array = Buffer.alloc(0),
    fds: number[] = [],
    calls: string[] = [],
    answer: Uint8Array = u64(0n),
  ): void {
    assert.equal(this.handle(message(request, payload, 1 | NEED_REPLY), fds), undefined);
    assert.deepEqual(this.replies(), [reply(request, answer)]);
    assert.deepEqual(this.calls(), calls);
    assert.ok(this.session.ready);
  }

  /** Handles a message that is refused with this errno and leaves the session as it was. */
  refuses(
    request: number,
    payload: Uint8Array,
    errno: number,
    fds: number[] = [],
    calls: string[] = [],
  ): void {
    assert.equal(this.handle(message(request, payload, 1 | NEED_REPLY), fds), undefined);
    assert.deepEqual(this.replies(), [refusal(request, errno)]);
    assert.deepEqual(this.calls(), calls);
    assert.ok(this.session.ready);
  }

  /** Handles a message that ends the session. */
  ends(bytes: Uint8Array, code: string, fds: number[] = []): void {
    assert.equal(this.handle(bytes, fds)?.code, code);
    assert.deepEqual(this.replies(), []);
    assert.deepEqual(this.calls(), []);
    this.close();
  }

  /** Payloads of every wrong size, and descriptors of every wrong number, where this would be right. */
  refusesOtherShapes(request: number, payload: Uint8Array, fds: readonly (0 | 1)[]): void {
    let fd = 5000;
    const some = (count: number): number[] => Array.from({ length: count }, () => fd++);
    const [least = 0, most = least] = fds;
    const sizes = [0, 1, payload.length - 1, payload.length + 1, payload.length + 8, 4096];
    for (const size of sizes) {
      if (size < 0 || size === payload.length) continue;
      const bytes = Buffer.alloc(size);
      bytes.set(payload.subarray(0, size));
      this.refuses(request, bytes, 22, some(most));
    }
    for (const count of [0, 1, 2, 8]) {
      if (count >= least && count <= most) continue;
      this.refuses(request, payload, 22, some(count));
    }
    this.nothingLeaks();
  }

  /** The front end goes: all descriptors are closed or the device's. */
  close(): void {
    let closed = false;
    this.session.close(() => (closed = true));
    assert.ok(closed);
    assert.equal(this.watched.size, 0, 'nothing is watched any more');
    this.nothingLeaks();
  }

  #systemFails(): void {
    const error = this.systemError;
    this.systemError = undefined;
    if (error !== undefined) throw error;
  }

  #channel(fd: number, first: Uint8Array): { send: (bytes: Uint8Array) => void; close: () => void } {
    const send = (bytes: Uint8Array): void => {
      const whole = Buffer.from(bytes);
      const request = whole.readUInt32LE(0);
      assert.equal(whole.toString('hex', 4, 12), u32(1, 8).toString('hex'), 'a request of 8 bytes');
      assert.equal(whole.readUInt32LE(16), 0);
      if (request === 0x481) {
        this.shadows.push(whole.readUInt32LE(12));
        return;
      }
      assert.equal(request, 0x480);
      this.statuses.push(whole.readUInt32LE(12));
      this.sent.push(`status ${whole.readUInt32LE(12)}`);
    };
    try {
      this.#systemFails();
    } catch (error) {
      this.closedFds.push(fd);
      throw error;
    }
    send(first);
    this.sent.pop();
    return { send, close: () => this.closedFds.push(fd) };
  }
}

/** Every private request. */
export const PRIVATE_REQUESTS = Array.from({ length: 15 }, (_, index) => PRIVATE + index);
