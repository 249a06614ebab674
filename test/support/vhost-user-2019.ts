// A front end that behaves as the QEMU device of vhost-user-nvme that was published in 2019: what it sends, in its
// order, what it checks in a reply, what it keeps for itself, and its traps. Registers and admin queue are its own; a
// guest calls `configurationWrite`, `admin` and `doorbell` where it would write registers.

import assert from 'node:assert/strict';
import * as nvme from '../../assembly/spec/nvme.ts';
import { CNS_CONTROLLER, CNS_NAMESPACE, IDCTRL_NN } from '../../assembly/spec/nvme-identify.ts';
import * as spec from '../../assembly/spec/vhost-user.ts';
import { native, type MessageSocket } from '../../host/native.ts';
import { VHOST_USER_FRAMING } from '../../host/transport/vhost-user/framing.ts';

/** The server closed the connection. */
export class Closed extends Error {}

const REPLY_TIMEOUT_US = 10_000_000;
/** The internal value of a failed command, as the guest then sees it. */
const FAILED = 0x7fff;
/** Commands that the device takes a reply for. */
const FORWARDED = new Set([0x00, 0x01, 0x04, 0x05, 0x09, 0x0a, 0x7c]);

export interface GuestFile {
  fd: number;
  gpa: bigint;
  size: bigint;
  offset: bigint;
}

export interface Device2019Options {
  memory: readonly GuestFile[];
  /** The `barmem` property: a file of doorbells and the device's view of it. */
  bar?: { fd: number; bytes: Uint8Array };
  ioQueues?: number;
  /** What the device does while it waits for a reply. */
  wait?: () => void;
}

/** What the guest sees of a completed admin command. */
export interface AdminResult {
  status: number;
  dw0: number;
}

export class Device2019 {
  /** Messages sent: request, payload bytes, descriptors. */
  readonly sent: [request: number, bytes: number, fds: number][] = [];
  readonly eventfds = new Map<number, number>();
  readonly #socket: MessageSocket;
  readonly #options: Device2019Options;
  readonly #namespaces = new Map<number, Buffer>();
  #controller: Buffer = Buffer.alloc(4096);
  #cc = 0;
  cap = 0n;
  /** Doorbell Buffer Config succeeded: I/O doorbells are dropped. */
  #dataplane = false;

  constructor(path: string, options: Device2019Options) {
    this.#socket = native.messageSocket(native.connect(path), VHOST_USER_FRAMING);
    this.#options = options;
  }

  /** What QEMU does when it starts. */
  realize(): this {
    const { bar } = this.#options;
    if (bar !== undefined) {
      const region = { fd: bar.fd, gpa: 0x10000000n, size: BigInt(bar.bytes.length), offset: 0n };
      this.send(spec.REQUEST_NVME_SET_BAR_MR, table([region]), [bar.fd]);
    }
    this.send(spec.REQUEST_NVME_GET_CAP, Buffer.alloc(0));
    this.cap = this.receive(spec.REQUEST_NVME_GET_CAP).readBigUInt64LE(0);
    this.#controller = this.#identify(0, CNS_CONTROLLER);
    for (let nsid = 1; nsid <= this.#controller.readUInt32LE(IDCTRL_NN); nsid++) {
      this.#namespaces.set(nsid, this.#identify(nsid, CNS_NAMESPACE));
    }
    return this;
  }

  get namespaceCount(): number {
    return this.#namespaces.size;
  }

  controllerData(): Buffer {
    return this.#controller;
  }

  namespaceData(nsid: number): Buffer {
    return this.#namespaces.get(nsid) ?? Buffer.alloc(4096);
  }

  // ---- The guest's registers ----

  /** CC: a rising EN sends the memory table and a start, a falling one a stop, SHN a stop of its own. */
  configurationWrite(value: number): void {
    const before = this.#cc;
    const shutdown = (value >>> nvme.CC_SHN_SHIFT) & 3;
    this.#cc = value;
    if ((value & nvme.CC_EN) !== 0 && (before & nvme.CC_EN) === 0) {
      const { memory } = this.#options;
      this.send(
        spec.REQUEST_SET_MEM_TABLE,
        table(memory),
        memory.map(({ fd }) => fd),
      );
      this.startStop(1n);
    } else if ((value & nvme.CC_EN) === 0 && (before & nvme.CC_EN) !== 0) {
      this.#stop();
    }
    if (shutdown !== 0 && ((before >>> nvme.CC_SHN_SHIFT) & 3) === 0) this.#stop();
  }

  startStop(value: bigint): void {
    const payload = Buffer.alloc(8);
    payload.writeBigUInt64LE(value);
    this.send(spec.REQUEST_NVME_START_STOP, payload);
  }

  /** An I/O doorbell: into the shared memory, until Doorbell Buffer Config; nowhere without that memory. */
  doorbell(offset: number, value: number): void {
    if (this.#dataplane) return;
    const { bar } = this.#options;
    if (bar !== undefined)
      new DataView(bar.bytes.buffer, bar.bytes.byteOffset).setUint32(offset, value, true);
  }

  /** A doorbell as a message: what devices of early 2018 do. */
  ioCommand(type: number, qid: number, value: number): void {
    const payload = Buffer.alloc(12);
    [type, qid, value].forEach((word, index) => payload.writeUInt32LE(word, 4 * index));
    this.send(spec.REQUEST_NVME_IO_CMD, payload);
  }

  /** An admin command of the guest. */
  admin(entry: Uint8Array): AdminResult {
    const command = Buffer.from(entry);
    const opcode = command.readUInt8(0);
    if (opcode === nvme.ADMIN_IDENTIFY) return { status: 0, dw0: 0 };
    if (!FORWARDED.has(opcode)) return { status: nvme.STATUS_INVALID_OPCODE, dw0: 0 };
    const reply = this.forward(command);
    const status = reply.readUInt16LE(14) & 0x0ffe;
    if (status !== 0) return { status: FAILED, dw0: 0 };
    if (opcode === nvme.ADMIN_CREATE_IO_CQ && (command.readUInt32LE(44) & nvme.CREATE_CQ_IEN) !== 0) {
      this.#cqCall(command.readUInt16LE(40));
    }
    if (opcode === nvme.ADMIN_DOORBELL_BUFFER_CONFIG) this.#dataplane = true;
    return { status: 0, dw0: reply.readUInt32LE(0) };
  }

  /** Sends an entry as it is; returns the reply's payload, whose size the device only logs. */
  forward(entry: Uint8Array): Buffer {
    this.send(spec.REQUEST_NVME_ADMIN, entry);
    return this.receive(spec.REQUEST_NVME_ADMIN);
  }

  // ---- The wire ----

  /** Header and payload in one write. */
  send(request: number, payload: Uint8Array, fds: readonly number[] = [], flags = spec.FLAG_VERSION): void {
    const message = Buffer.alloc(spec.HEADER_BYTES + payload.length);
    message.writeUInt32LE(request, spec.HEADER_REQUEST);
    message.writeUInt32LE(flags, spec.HEADER_FLAGS);
    message.writeUInt32LE(payload.length, spec.HEADER_SIZE);
    message.set(payload, spec.HEADER_BYTES);
    this.sent.push([request, payload.length, fds.length]);
    this.#socket.send(message, fds);
  }

  /** The payload of the next reply; it has to be this request's, with flags of exactly 5. */
  receive(request: number): Buffer {
    const deadline = native.now() + REPLY_TIMEOUT_US;
    for (;;) {
      const received = this.#socket.receive();
      if (received === null) throw new Closed();
      if (received !== undefined) {
        assert.equal(received.bytes.readUInt32LE(spec.HEADER_FLAGS), 5);
        assert.equal(received.bytes.readUInt32LE(spec.HEADER_REQUEST), request);
        assert.deepEqual(received.fds, []);
        return received.bytes.subarray(spec.HEADER_BYTES);
      }
      assert.ok(native.now() < deadline, `a reply to request ${request}`);
      this.#socket.flush();
      this.#options.wait?.();
    }
  }

  /** Eventfd of a completion queue: how often it was signalled since the last look. */
  interrupts(cqid: number): number {
    const fd = this.eventfds.get(cqid);
    return fd === undefined ? 0 : native.eventfdRead(fd);
  }

  close(): void {
    this.#socket.close();
    for (const fd of this.eventfds.values()) native.fdClose(fd);
    this.eventfds.clear();
  }

  /** The device sends what is on its stack outside of opcode, NSID and CDW10. */
  #identify(nsid: number, cns: number): Buffer {
    const entry = Buffer.alloc(64, 0xa5);
    entry.writeUInt32LE(nvme.ADMIN_IDENTIFY, 0);
    entry.writeUInt32LE(nsid, 4);
    entry.writeUInt32LE(cns, 40);
    const reply = this.forward(entry);
    assert.equal(reply.readUInt16LE(14) & 0x0ffe, 0, 'realize fails');
    const data = Buffer.alloc(4096);
    reply.copy(data, 0, spec.ADMIN_REPLY_DATA);
    return data;
  }

  #cqCall(cqid: number): void {
    const fd = native.eventfdCreate();
    const old = this.eventfds.get(cqid);
    if (old !== undefined) native.fdClose(old);
    this.eventfds.set(cqid, fd);
    const payload = Buffer.alloc(8);
    payload.writeBigUInt64LE(BigInt(cqid));
    this.send(spec.REQUEST_NVME_SET_CQ_CALL, payload, [fd]);
  }

  #stop(): void {
    this.startStop(0n);
    this.#dataplane = false;
  }
}

/** A memory table as the device writes it. */
export function table(regions: readonly Omit<GuestFile, 'fd'>[]): Buffer {
  const bytes = Buffer.alloc(spec.MEMORY_REGIONS + regions.length * spec.MEMORY_REGION_BYTES);
  bytes.writeUInt32LE(regions.length, spec.MEMORY_COUNT);
  regions.forEach(({ gpa, size, offset }, index) => {
    const at = spec.MEMORY_REGIONS + index * spec.MEMORY_REGION_BYTES;
    bytes.writeBigUInt64LE(gpa, at + spec.MEMORY_REGION_GPA);
    bytes.writeBigUInt64LE(size, at + spec.MEMORY_REGION_SIZE);
    bytes.writeBigUInt64LE(0x7f15_9000_0000n, at + spec.MEMORY_REGION_USER_ADDRESS);
    bytes.writeBigUInt64LE(offset, at + spec.MEMORY_REGION_OFFSET);
  });
  return bytes;
}
