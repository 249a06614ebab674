/**
 * What the tests of the vfio-user session share: messages as raw bytes, and a session whose replies and closed
 * descriptors can be looked at.
 */
import assert from 'node:assert/strict';
import type { ProtocolError } from '../../../../host/transport/vfio-user/messages/protocol-error.ts';
import { Session } from '../../../../host/transport/vfio-user/session.ts';
import { RecordingDevice, SessionFixture, u16, u32 } from '../fixture.ts';

export { EEXIST, EINVAL, ENOENT, RecordingDevice, u16, u32, u64 } from '../fixture.ts';

export const EOPNOTSUPP = 95;
export const EPROTO = 71;

export const NO_REPLY = 0x10;
/** The flags of an error reply: a reply, with an error. */
export const ERROR_REPLY = 0x21;

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

export class Fixture extends SessionFixture<ProtocolError> {
  override readonly device = new RecordingDevice();
  override readonly session: Session;

  constructor(maxDmaMaps = 4096) {
    super();
    this.session = new Session({ device: this.device, log: this.log, maxDmaMaps, ...this.port });
  }

  /** A session whose client has said VERSION; nothing of that is left to see. */
  static established(): Fixture {
    const fixture = new Fixture();
    assert.equal(fixture.handle(message(1, 1, versionPayload(QEMU_CAPABILITIES))), undefined);
    fixture.sent.length = 0;
    return fixture;
  }

  /** Handles a message that must be answered with an error and change nothing. */
  refuses(bytes: Buffer, errno: number, fds: number[] = []): void {
    assert.equal(this.handle(bytes, fds), undefined, 'the session goes on');
    assert.deepEqual(this.replies(), [errorReply(bytes.readUInt16LE(0), bytes.readUInt16LE(2), errno)]);
    assert.deepEqual(this.calls(), []);
    this.nothingLeaks();
  }
}
