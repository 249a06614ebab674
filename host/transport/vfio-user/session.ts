// One vfio-user client's session: a state machine without I/O. `handle` takes a whole message with its
// descriptors, drives the Device and sends replies through an injected function. It owns every descriptor it
// is given, from the call on: what the Device does not take is closed before `handle` returns.
//
// Order (QEMU docs/interop/vfio-user.rst, "Command Concurrency"): commands are processed as they come, and
// replies leave in that order too, for the ids of messages need not differ. An effect may take time (a reset
// waits for I/O); its reply, and those behind it, wait for `done`. Unmaps overlap. While a reset or an
// answered write is under way, `ready` is false and no further message may be handled.

import * as spec from '../../../assembly/spec/vfio-user.ts';
import type { Log } from '../../log/log.ts';
import { DeviceError, type Device, type DeviceRegion } from '../device.ts';
import { SessionInterrupts } from './interrupts.ts';
import * as dma from './messages/dma.ts';
import { encodeEmptyReply, encodeErrorReply, parseHeader, type Header } from './messages/header.ts';
import * as info from './messages/info.ts';
import { fatal, notSupported, ProtocolError } from './messages/protocol-error.ts';
import * as access from './messages/region.ts';
import { parseSetIrqs } from './messages/set-irqs.ts';
import { encodeVersionReply, parseVersion } from './messages/version.ts';
import { ReplyQueue } from './reply-queue.ts';

export interface SessionOptions {
  device: Device;
  /** Sends a reply; must not throw. The session sends no descriptors. */
  send: (bytes: Uint8Array) => void;
  closeFd: (fd: number) => void;
  log: Log;
  /** `ready` was false after a message and is true again. */
  resumed: () => void;
  /** Regions the device can hold, announced as max_dma_maps. */
  maxDmaMaps: number;
}

/** What is wrong with a message; undefined when it was answered or will be. */
type Outcome = ProtocolError | undefined;

/** Replies that may wait for one that is late, before no further message is taken. */
const REPLIES_MAX = 1024;

const REGIONS = new Map<number, DeviceRegion>([
  [spec.REGION_INDEX_BAR0, 'bar0'],
  [spec.REGION_INDEX_CONFIG, 'config'],
]);

const nothing = (): void => {};

function outOfRange(message: string): ProtocolError {
  return new ProtocolError('VFIO_USER_RANGE', message);
}

export class Session {
  private negotiated = false;
  private closed = false;
  /** A reset or an answered write has not completed. */
  private exclusive = false;
  /** A message was handled after which `ready` was false. */
  private stalled = false;
  private readonly replies: ReplyQueue;
  private readonly interrupts: SessionInterrupts;
  /** Regions mapped, address to size, for the unmapping of all of them. */
  private readonly regions = new Map<bigint, bigint>();

  constructor(private readonly options: SessionOptions) {
    this.replies = new ReplyQueue(options.send);
    this.interrupts = new SessionInterrupts(options.device, options.closeFd);
  }

  /** Whether `handle` may be called. */
  get ready(): boolean {
    return !this.exclusive && this.replies.length < REPLIES_MAX;
  }

  /** Whether the client has said VERSION and was accepted. */
  get established(): boolean {
    return this.negotiated;
  }

  /**
   * Handles a whole message; `fds` becomes empty. An error that is returned ends the session: the caller
   * closes the socket and the session.
   */
  handle(message: Uint8Array, fds: number[]): Outcome {
    const error = this.dispatch(message, fds);
    for (const fd of fds.splice(0)) {
      this.options.closeFd(fd);
    }
    this.stalled = !this.ready;
    return error;
  }

  /** The client is gone. `done` comes when the device can serve the next one. Idempotent in its effects. */
  close(done: () => void): void {
    this.closed = true;
    this.replies.clear();
    this.regions.clear();
    this.interrupts.close();
    if (this.negotiated) {
      this.negotiated = false;
      this.options.device.disconnect(done);
    } else {
      done();
    }
  }

  /** Takes from `fds` what it uses. Sends error replies; returns fatal errors. */
  private dispatch(message: Uint8Array, fds: number[]): Outcome {
    const header = parseHeader(message);
    if (header instanceof ProtocolError) {
      return header;
    }
    if (header.reply) {
      // Nothing is ever asked of the client, so this answers nothing.
      this.options.log.debug('dropped a reply that was not asked for', { command: header.command });
      return undefined;
    }
    const error = this.execute(header, message.subarray(spec.HEADER_BYTES), fds);
    if (error !== undefined) {
      this.refuse(header, error);
    }
    return error?.fatal === true ? error : undefined;
  }

  /** Runs a command; what the device refuses becomes an error like those of the protocol. */
  private execute(header: Header, payload: Uint8Array, fds: number[]): Outcome {
    if (header.reserved !== 0) {
      const flags = header.reserved.toString(16);
      return new ProtocolError('VFIO_USER_FLAGS', `flags 0x${flags} of the header are reserved`);
    }
    if (!this.negotiated && header.command !== spec.COMMAND_VERSION) {
      return fatal('VFIO_USER_VERSION_MISSING', `command ${header.command} came before VERSION`);
    }
    try {
      return this.command(header, payload, fds);
    } catch (error) {
      if (error instanceof DeviceError) {
        return new ProtocolError('VFIO_USER_RANGE', error.message, error.errno);
      }
      throw error;
    }
  }

  private command(header: Header, payload: Uint8Array, fds: number[]): Outcome {
    switch (header.command) {
      case spec.COMMAND_VERSION:
        return this.version(header, payload);
      case spec.COMMAND_DMA_MAP:
        return this.dmaMap(header, payload, fds);
      case spec.COMMAND_DMA_UNMAP:
        return this.dmaUnmap(header, payload);
      case spec.COMMAND_DEVICE_GET_INFO:
        return info.parseDeviceInfo(payload) ?? this.answer(header, info.encodeDeviceInfoReply(header));
      case spec.COMMAND_DEVICE_GET_REGION_INFO:
        return this.regionInfo(header, payload);
      case spec.COMMAND_DEVICE_GET_IRQ_INFO:
        return this.irqInfo(header, payload);
      case spec.COMMAND_DEVICE_SET_IRQS:
        return this.setIrqs(header, payload, fds);
      case spec.COMMAND_REGION_READ:
        return this.regionRead(header, payload);
      case spec.COMMAND_REGION_WRITE:
        return this.regionWrite(header, payload);
      case spec.COMMAND_REGION_WRITE_MULTI:
        return this.regionWriteMulti(header, payload);
      case spec.COMMAND_DEVICE_RESET:
        return this.deviceReset(header, payload);
      default:
        return notSupported(`command ${header.command} is not offered`);
    }
  }

  // ---- Replies -----------------------------------------------------------------------------------------------

  /** Sends a reply, or queues it behind those that are due first. */
  private answer(header: Header, bytes: Uint8Array): Outcome {
    if (!header.noReply) {
      this.replies.settle(this.replies.reserve(), bytes);
    }
    return undefined;
  }

  /**
   * Starts an effect that may complete later, and answers with `bytes` when it has. The reply's place is
   * taken when the device has accepted; what the device refuses by throwing has taken none.
   */
  private defer(
    header: Header,
    bytes: Uint8Array,
    exclusive: boolean,
    start: (done: () => void) => void,
  ): Outcome {
    const effect: { isDone: boolean; finish: () => void } = { isDone: false, finish: nothing };
    start(() => {
      if (!effect.isDone && !this.closed) {
        effect.isDone = true;
        effect.finish();
      }
    });
    const place = header.noReply ? undefined : this.replies.reserve();
    const settle = (): void => {
      if (place !== undefined) {
        this.replies.settle(place, bytes);
      }
    };
    if (effect.isDone) {
      settle();
      return undefined;
    }
    this.exclusive = exclusive;
    effect.finish = () => {
      this.exclusive = this.exclusive && !exclusive;
      settle();
      if (this.stalled && this.ready) {
        this.stalled = false;
        this.options.resumed();
      }
    };
    return undefined;
  }

  private refuse(header: Header, error: ProtocolError): void {
    const fields = { code: error.code, errno: error.errno, command: header.command };
    this.options.log.limited('vfio-user').warn(`refused a vfio-user message: ${error.message}`, fields);
    this.answer(header, encodeErrorReply(header, error.errno));
  }

  // ---- Commands ----------------------------------------------------------------------------------------------

  private version(header: Header, payload: Uint8Array): Outcome {
    if (this.negotiated) {
      return new ProtocolError('VFIO_USER_VERSION_REPEATED', 'VERSION came a second time');
    }
    const request = parseVersion(payload);
    if (request instanceof ProtocolError) {
      return request;
    }
    if (request.major !== spec.PROTOCOL_MAJOR) {
      const wanted = `${request.major}.${request.minor}`;
      return fatal('VFIO_USER_VERSION_UNSUPPORTED', `protocol version ${wanted} is not spoken here, 0.0 is`);
    }
    this.negotiated = true;
    const reply = {
      maxDmaMaps: Math.min(request.maxDmaMaps ?? spec.DEFAULT_MAX_DMA_MAPS, this.options.maxDmaMaps),
      writeMultiple: request.writeMultiple === true,
    };
    return this.answer(header, encodeVersionReply(header, reply, header.size));
  }

  private dmaMap(header: Header, payload: Uint8Array, fds: number[]): Outcome {
    const request = dma.parseDmaMap(payload);
    if (request instanceof ProtocolError) {
      return request;
    }
    const fd = fds[0];
    if (fd === undefined && (request.mmap || request.fileIo)) {
      return new ProtocolError('VFIO_USER_FDS', 'DMA_MAP names an access mode and brings no file descriptor');
    }
    if (request.fileIo && !request.mmap) {
      return notSupported(
        'DMA_MAP of memory that cannot be mapped: share it with a memfd (share=on in QEMU)',
      );
    }
    const { address, size, offset, readable, writable } = request;
    // The device maps the file and keeps no descriptor; `handle` closes it.
    this.options.device.memoryAdd({ gpa: address, length: size, offset, fd, readable, writable });
    this.regions.set(address, size);
    const fields = { address: hex(address), size: hex(size), shared: fd !== undefined, writable };
    this.options.log.debug('guest memory added', fields);
    return this.answer(header, encodeEmptyReply(header));
  }

  private dmaUnmap(header: Header, payload: Uint8Array): Outcome {
    const request = dma.parseDmaUnmap(payload);
    if (request instanceof ProtocolError) {
      return request;
    }
    if (request.dirtyBitmap) {
      return notSupported('DMA_UNMAP with a bitmap of dirty pages is not offered');
    }
    const { device } = this.options;
    const reply = dma.encodeDmaUnmapReply(header, payload);
    if (request.all) {
      const regions = [...this.regions];
      this.regions.clear();
      return this.defer(header, reply, false, (done) => {
        forAll(regions, ([address, size], one) => device.memoryRemove(address, size, one), done);
      });
    }
    this.defer(header, reply, false, (done) => device.memoryRemove(request.address, request.size, done));
    this.regions.delete(request.address);
    return undefined;
  }

  private regionInfo(header: Header, payload: Uint8Array): Outcome {
    const index = info.parseRegionInfo(payload);
    if (index instanceof ProtocolError) {
      return index;
    }
    if (index >= spec.REGION_INDEX_COUNT) {
      return outOfRange(`region ${index} of ${spec.REGION_INDEX_COUNT}`);
    }
    const region = REGIONS.get(index);
    const bytes = region === undefined ? 0 : this.options.device.regionBytes(region);
    return this.answer(header, info.encodeRegionInfoReply(header, index, bytes));
  }

  private irqInfo(header: Header, payload: Uint8Array): Outcome {
    const index = info.parseIrqInfo(payload);
    if (index instanceof ProtocolError) {
      return index;
    }
    const irq = this.interrupts.info(index);
    if (irq instanceof ProtocolError) {
      return irq;
    }
    return this.answer(header, info.encodeIrqInfoReply(header, index, irq.flags, irq.count));
  }

  private setIrqs(header: Header, payload: Uint8Array, fds: number[]): Outcome {
    const request = parseSetIrqs(payload);
    if (request instanceof ProtocolError) {
      return request;
    }
    return this.interrupts.set(request, fds) ?? this.answer(header, encodeEmptyReply(header));
  }

  /** The region that holds all of an access, or what is wrong with it. */
  private locate(access: access.RegionReadRequest): DeviceRegion | ProtocolError {
    const region = REGIONS.get(access.region);
    const bytes = region === undefined ? 0 : this.options.device.regionBytes(region);
    if (region === undefined || access.offset > bytes || access.count > bytes - access.offset) {
      const where = `${access.count} bytes at ${access.offset} of region ${access.region}`;
      return outOfRange(`an access to ${where}, which has ${bytes}`);
    }
    return region;
  }

  private regionRead(header: Header, payload: Uint8Array): Outcome {
    const request = access.parseRegionRead(payload);
    if (request instanceof ProtocolError) {
      return request;
    }
    const region = this.locate(request);
    if (region instanceof ProtocolError) {
      return region;
    }
    const data = this.options.device.regionRead(region, request.offset, request.count);
    return this.answer(header, access.encodeRegionReadReply(header, payload, data));
  }

  private regionWrite(header: Header, payload: Uint8Array): Outcome {
    const request = access.parseRegionWrite(payload);
    if (request instanceof ProtocolError) {
      return request;
    }
    const region = this.locate(request);
    if (region instanceof ProtocolError) {
      return region;
    }
    const { device } = this.options;
    if (header.noReply) {
      // Posted, as all of QEMU's writes to BAR0 are, every doorbell among them: it waits for nothing.
      device.regionWrite(region, request.offset, request.data, nothing);
      return undefined;
    }
    const reply = access.encodeRegionWriteReply(header, payload);
    return this.defer(header, reply, true, (done) => {
      device.regionWrite(region, request.offset, request.data, done);
    });
  }

  private regionWriteMulti(header: Header, payload: Uint8Array): Outcome {
    const requests = access.parseRegionWriteMulti(payload);
    if (requests instanceof ProtocolError) {
      return requests;
    }
    const writes: { region: DeviceRegion; request: access.RegionWriteRequest }[] = [];
    for (const request of requests) {
      const region = this.locate(request);
      if (region instanceof ProtocolError) {
        return region;
      }
      writes.push({ region, request });
    }
    const { device } = this.options;
    return this.defer(
      header,
      access.encodeRegionWriteMultiReply(header, payload),
      !header.noReply,
      (done) => {
        const write = ({ region, request }: (typeof writes)[number], one: () => void): void =>
          device.regionWrite(region, request.offset, request.data, one);
        forAll(writes, write, done);
      },
    );
  }

  private deviceReset(header: Header, payload: Uint8Array): Outcome {
    const error = access.parseDeviceReset(payload);
    if (error !== undefined) {
      return error;
    }
    const { device } = this.options;
    return this.defer(header, encodeEmptyReply(header), true, (done) => device.reset(done));
  }
}

function hex(value: bigint): string {
  return `0x${value.toString(16)}`;
}

/** Starts an effect for each item; `done` comes when all have completed, at once where there is none. */
function forAll<T>(items: readonly T[], start: (item: T, done: () => void) => void, done: () => void): void {
  let left = items.length;
  if (left === 0) {
    done();
  }
  for (const item of items) {
    start(item, () => {
      left -= 1;
      if (left === 0) {
        done();
      }
    });
  }
}
