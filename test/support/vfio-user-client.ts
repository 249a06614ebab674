/**
 * A vfio-user client: what a VMM does, for tests and benchmarks. Every call is synchronous: it sends a
 * request and waits for its reply. In a process of its own that wait blocks on the socket; in the process of
 * the server, `wait` must run the server instead.
 */
import * as spec from '../../assembly/spec/vfio-user.ts';
import { native, type MessageSocket, type Uring } from '../../host/native.ts';
import { VFIO_USER_FRAMING } from '../../host/transport/vfio-user/framing.ts';

/** How long a reply may take before `wait` gives up, as QEMU does after five seconds. */
const REPLY_TIMEOUT_US = 10_000_000;

/** The server answered with an error; `errno` is positive. */
export class VfioUserError extends Error {
  constructor(
    readonly command: number,
    readonly errno: number,
  ) {
    super(`vfio-user command ${command} failed with errno ${errno}`);
    this.name = 'VfioUserError';
  }
}

/** The server closed the connection. */
export class VfioUserClosed extends Error {
  constructor() {
    super('the vfio-user server closed the connection');
    this.name = 'VfioUserClosed';
  }
}

/** A whole reply: its header's fields and its payload. */
export interface ClientReply {
  id: number;
  command: number;
  /** 0 for success; that of an error reply without one is -1. */
  errno: number;
  payload: Buffer;
  fds: number[];
}

export interface ClientOptions {
  /** Called again and again while a reply is awaited. By default it blocks until the socket is readable. */
  wait?: () => void;
}

/** A stretch of guest memory to be mapped into the server. */
export interface ClientMemory {
  gpa: bigint;
  length: bigint;
  /** Stays the caller's. Without one the server can only remember the region. */
  fd?: number;
  offset?: bigint;
  /** DMA_MAP_FLAG_*; by default readable and writable. */
  flags?: number;
}

export interface ClientRegion {
  flags: number;
  bytes: number;
}

/** REGION_INDEX_BAR0 or REGION_INDEX_CONFIG, and the other regions, which have no contents. */
type RegionIndex = number;
/** IRQ_INDEX_*. */
type IrqIndex = number;

export class VfioUserClient {
  readonly #socket: MessageSocket;
  readonly #wait: () => void;
  #uring: Uring | undefined;
  #lastId = 0;

  /** Takes ownership of a connected socket. */
  constructor(fd: number, options: ClientOptions = {}) {
    this.#socket = native.messageSocket(fd, VFIO_USER_FRAMING);
    this.#wait = options.wait ?? ((): void => this.#block());
  }

  /** Connects to the socket at `path`; says nothing yet. ENOENT or ECONNREFUSED where nobody listens. */
  static connect(path: string, options: ClientOptions = {}): VfioUserClient {
    return new VfioUserClient(native.connect(path), options);
  }

  /**
   * Negotiates; `capabilities` undefined sends none, as SPDK's client does. Returns what the server said of
   * itself.
   */
  version(capabilities?: object, major = spec.PROTOCOL_MAJOR, minor = spec.PROTOCOL_MINOR): unknown {
    const json = capabilities === undefined ? '' : `${JSON.stringify({ capabilities })}\0`;
    const payload = Buffer.alloc(spec.VERSION_BYTES + json.length);
    payload.writeUInt16LE(major, spec.VERSION_MAJOR);
    payload.writeUInt16LE(minor, spec.VERSION_MINOR);
    payload.write(json, spec.VERSION_DATA);
    const data = this.request(spec.COMMAND_VERSION, payload).payload.subarray(spec.VERSION_DATA);
    return data.length === 0 ? undefined : (JSON.parse(data.subarray(0, -1).toString()) as unknown);
  }

  mapMemory(memory: ClientMemory): void {
    this.request(spec.COMMAND_DMA_MAP, mapPayload(memory), memory.fd === undefined ? [] : [memory.fd]);
  }

  /** Sends several DMA_MAP before it waits for the first reply, as QEMU does. */
  mapMemoryPipelined(memories: readonly ClientMemory[]): void {
    const ids = memories.map((memory) => {
      return this.send(spec.COMMAND_DMA_MAP, mapPayload(memory), memory.fd === undefined ? [] : [memory.fd]);
    });
    for (const id of ids) this.#expect(id, spec.COMMAND_DMA_MAP);
  }

  unmapMemory(gpa: bigint, length: bigint, flags = 0): void {
    const payload = Buffer.alloc(spec.DMA_UNMAP_BYTES);
    payload.writeUInt32LE(spec.DMA_UNMAP_BYTES, spec.DMA_UNMAP_ARGSZ);
    payload.writeUInt32LE(flags, spec.DMA_UNMAP_FLAGS);
    payload.writeBigUInt64LE(gpa, spec.DMA_UNMAP_ADDRESS);
    payload.writeBigUInt64LE(length, spec.DMA_UNMAP_SIZE);
    this.request(spec.COMMAND_DMA_UNMAP, payload);
  }

  regionInfo(index: RegionIndex): ClientRegion {
    const payload = Buffer.alloc(spec.REGION_INFO_BYTES);
    payload.writeUInt32LE(spec.REGION_INFO_BYTES, spec.REGION_INFO_ARGSZ);
    payload.writeUInt32LE(index, spec.REGION_INFO_INDEX);
    const info = this.request(spec.COMMAND_DEVICE_GET_REGION_INFO, payload).payload;
    return {
      flags: info.readUInt32LE(spec.REGION_INFO_FLAGS),
      bytes: Number(info.readBigUInt64LE(spec.REGION_INFO_SIZE)),
    };
  }

  /** How many interrupts of a type the device has. */
  irqCount(index: IrqIndex): number {
    const payload = Buffer.alloc(spec.IRQ_INFO_BYTES);
    payload.writeUInt32LE(spec.IRQ_INFO_BYTES, spec.IRQ_INFO_ARGSZ);
    payload.writeUInt32LE(index, spec.IRQ_INFO_INDEX);
    return this.request(spec.COMMAND_DEVICE_GET_IRQ_INFO, payload).payload.readUInt32LE(spec.IRQ_INFO_COUNT);
  }

  /**
   * Gives vectors from `start` on one eventfd each, which stay the caller's too; none at all takes one
   * vector's away.
   */
  setEventfds(index: IrqIndex, start: number, eventfds: readonly number[]): void {
    const flags = spec.SET_IRQS_DATA_EVENTFD | spec.SET_IRQS_ACTION_TRIGGER;
    this.setIrqs(flags, index, start, Math.max(1, eventfds.length), eventfds);
  }

  /** Switches all interrupts of a type off. */
  clearEventfds(index: IrqIndex): void {
    this.setIrqs(spec.SET_IRQS_DATA_NONE | spec.SET_IRQS_ACTION_TRIGGER, index, 0, 0);
  }

  /** Says that the INTx was delivered. */
  unmaskIntx(): void {
    this.setIrqs(spec.SET_IRQS_DATA_NONE | spec.SET_IRQS_ACTION_UNMASK, spec.IRQ_INDEX_INTX, 0, 1);
  }

  /** SET_IRQS without data; `flags`: SET_IRQS_*. */
  setIrqs(flags: number, index: IrqIndex, start: number, count: number, fds: readonly number[] = []): void {
    const payload = Buffer.alloc(spec.SET_IRQS_BYTES);
    payload.writeUInt32LE(spec.SET_IRQS_BYTES, spec.SET_IRQS_ARGSZ);
    payload.writeUInt32LE(flags, spec.SET_IRQS_FLAGS);
    payload.writeUInt32LE(index, spec.SET_IRQS_INDEX);
    payload.writeUInt32LE(start, spec.SET_IRQS_START);
    payload.writeUInt32LE(count, spec.SET_IRQS_COUNT);
    this.request(spec.COMMAND_DEVICE_SET_IRQS, payload, fds);
  }

  regionRead(index: RegionIndex, offset: number, count: number): Buffer {
    const reply = this.request(spec.COMMAND_REGION_READ, accessPayload(index, offset, count));
    return reply.payload.subarray(spec.REGION_ACCESS_DATA);
  }

  /** `posted`: no reply is wanted, and none is waited for. */
  regionWrite(index: RegionIndex, offset: number, data: Uint8Array, posted = false): void {
    const payload = Buffer.concat([accessPayload(index, offset, data.length), data]);
    if (posted) {
      this.send(spec.COMMAND_REGION_WRITE, payload, [], spec.FLAG_NO_REPLY);
    } else {
      this.request(spec.COMMAND_REGION_WRITE, payload);
    }
  }

  /** A register of BAR0, 32 bits. */
  registerRead(offset: number): number {
    return this.regionRead(spec.REGION_INDEX_BAR0, offset, 4).readUInt32LE(0);
  }

  /** Posted, as QEMU's writes to BAR0 are. */
  registerWrite(offset: number, value: number): void {
    const data = Buffer.alloc(4);
    data.writeUInt32LE(value >>> 0);
    this.regionWrite(spec.REGION_INDEX_BAR0, offset, data, true);
  }

  reset(): void {
    this.request(spec.COMMAND_DEVICE_RESET, Buffer.alloc(0));
  }

  /** Sends a command and waits for its reply; an error reply throws VfioUserError. */
  request(command: number, payload: Uint8Array, fds: readonly number[] = []): ClientReply {
    return this.#expect(this.send(command, payload, fds), command);
  }

  /** Sends a command and returns its id. */
  send(command: number, payload: Uint8Array, fds: readonly number[] = [], flags = 0): number {
    this.#lastId = (this.#lastId + 1) & 0xffff;
    const message = Buffer.alloc(spec.HEADER_BYTES + payload.length);
    message.writeUInt16LE(this.#lastId, spec.HEADER_ID);
    message.writeUInt16LE(command, spec.HEADER_COMMAND);
    message.writeUInt32LE(message.length, spec.HEADER_SIZE);
    message.writeUInt32LE(flags, spec.HEADER_FLAGS);
    message.set(payload, spec.HEADER_BYTES);
    this.sendRaw(message, fds);
    return this.#lastId;
  }

  /** Sends bytes as they are; EPIPE when the server is gone. */
  sendRaw(bytes: Uint8Array, fds: readonly number[] = []): void {
    this.#socket.send(bytes, fds);
    while (this.#socket.pendingBytes > 0 && !this.#socket.flush()) this.#wait();
  }

  /** The next reply, waited for; VfioUserClosed when the server closed the connection. */
  receive(): ClientReply {
    const deadline = native.now() + REPLY_TIMEOUT_US;
    for (;;) {
      const received = this.#socket.receive();
      if (received === null) throw new VfioUserClosed();
      if (received !== undefined) {
        const { bytes, fds } = received;
        const failed = (bytes.readUInt32LE(spec.HEADER_FLAGS) & spec.FLAG_ERROR) !== 0;
        return {
          id: bytes.readUInt16LE(spec.HEADER_ID),
          command: bytes.readUInt16LE(spec.HEADER_COMMAND),
          errno: failed ? bytes.readUInt32LE(spec.HEADER_ERROR) || -1 : 0,
          payload: bytes.subarray(spec.HEADER_BYTES),
          fds,
        };
      }
      if (native.now() > deadline) throw new Error('no reply came from the vfio-user server in time');
      this.#wait();
    }
  }

  close(): void {
    this.#uring?.close();
    this.#uring = undefined;
    this.#socket.close();
  }

  #expect(id: number, command: number): ClientReply {
    const reply = this.receive();
    if (reply.id !== id || reply.command !== command) {
      throw new Error(`the reply to ${reply.command} (${reply.id}) came where ${command} (${id}) was due`);
    }
    if (reply.errno !== 0) throw new VfioUserError(command, reply.errno);
    return reply;
  }

  #block(): void {
    if (this.#uring === undefined) {
      this.#uring = native.uring(4);
      this.#uring.watch(this.#socket.fd, 1);
    }
    this.#uring.enter(100_000);
  }
}

function mapPayload(memory: ClientMemory): Buffer {
  const payload = Buffer.alloc(spec.DMA_MAP_BYTES);
  const flags = memory.flags ?? spec.DMA_MAP_FLAG_READ | spec.DMA_MAP_FLAG_WRITE;
  payload.writeUInt32LE(spec.DMA_MAP_BYTES, spec.DMA_MAP_ARGSZ);
  payload.writeUInt32LE(flags, spec.DMA_MAP_FLAGS);
  payload.writeBigUInt64LE(memory.offset ?? 0n, spec.DMA_MAP_OFFSET);
  payload.writeBigUInt64LE(memory.gpa, spec.DMA_MAP_ADDRESS);
  payload.writeBigUInt64LE(memory.length, spec.DMA_MAP_SIZE);
  return payload;
}

function accessPayload(index: RegionIndex, offset: number, count: number): Buffer {
  const payload = Buffer.alloc(spec.REGION_ACCESS_BYTES);
  payload.writeBigUInt64LE(BigInt(offset), spec.REGION_ACCESS_OFFSET);
  payload.writeUInt32LE(index, spec.REGION_ACCESS_REGION);
  payload.writeUInt32LE(count, spec.REGION_ACCESS_COUNT);
  return payload;
}
