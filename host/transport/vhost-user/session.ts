// One front end's session in the legacy dialect of vhost-user-nvme: a state machine without I/O that behaves
// towards the QEMU device published in 2019 as that device expects (docs/protocol/vhost-user-nvme-legacy.md).
// `handle` takes a whole message with its descriptors, drives the device and sends replies through an injected
// function. It owns every descriptor it is given, from the call on.
//
// One message at a time: what follows waits, `ready` is false, until the effect of the one before is complete. So
// replies leave in the order of their requests.

import * as nvme from '../../../assembly/spec/nvme.ts';
import * as spec from '../../../assembly/spec/vhost-user.ts';
import type { Log } from '../../log/log.ts';
import { DeviceError, type DirectDevice } from '../device.ts';
import { AdminCommands } from './admin.ts';
import { encodeU64Reply, parseHeader, parseU64, sizeCheck, viewOf, type Header } from './messages/header.ts';
import { GPA_LIMIT, parseBarMemory, parseMemoryTable, type MemoryTableRegion } from './messages/memory.ts';
import { parseAdmin, parseCqCall, parseIoCmd } from './messages/nvme.ts';
import { ProtocolError } from './messages/protocol-error.ts';

export interface SessionOptions {
  device: DirectDevice;
  /** Sends a reply; must not throw. */
  send: (bytes: Uint8Array) => void;
  closeFd: (fd: number) => void;
  log: Log;
  /** `ready` was false after a message and is true again. */
  resumed: () => void;
}

/** CAP as NVMe 1.0 defines it, the version that the device shows: up to TO, DSTRD, CSS NVM, MPSMIN and MPSMAX. */
const CAP_MASK = 0x00ff_002f_ff07_ffffn;

/** Requests that the front end waits for with an answer of their own. */
const ANSWERED = new Set<number>([
  spec.REQUEST_GET_FEATURES,
  spec.REQUEST_GET_VRING_BASE,
  spec.REQUEST_GET_PROTOCOL_FEATURES,
  spec.REQUEST_GET_QUEUE_NUM,
  spec.REQUEST_GET_CONFIG,
]);

export class Session {
  readonly #options: SessionOptions;
  readonly #admin: AdminCommands;
  /** The guest's memory: addresses and sizes of its regions. */
  #memory: MemoryTableRegion[] = [];
  /** The memory of SET_BAR_MR, as it was added to the device. */
  #bar: MemoryTableRegion | undefined;
  #started = false;
  #busy = false;
  /** `handle` runs: an effect that completes now has kept nobody waiting. */
  #handling = false;
  #closed = false;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#admin = new AdminCommands(options.device, options.send);
  }

  /** Whether `handle` may be called. */
  get ready(): boolean {
    return !this.#busy;
  }

  /**
   * Handles a whole message; `fds` becomes empty. An error that is returned ends the session: the caller closes the
   * socket and the session.
   */
  handle(message: Uint8Array, fds: number[]): ProtocolError | undefined {
    this.#handling = true;
    this.#busy = true;
    const error = this.#dispatch(message, fds);
    for (const fd of fds.splice(0)) this.#options.closeFd(fd);
    this.#handling = false;
    return error;
  }

  /** The front end is gone. `done` comes when the device can serve the next one. */
  close(done: () => void): void {
    this.#closed = true;
    this.#memory = [];
    this.#bar = undefined;
    this.#started = false;
    this.#options.device.disconnect(done);
  }

  /** Returns fatal errors; all others are logged, and told to a front end that wants to know. */
  #dispatch(message: Uint8Array, fds: number[]): ProtocolError | undefined {
    const header = parseHeader(message);
    if (header instanceof ProtocolError) return header;
    const error = this.#execute(header, message.subarray(spec.HEADER_BYTES), fds);
    if (error === undefined || error.fatal) return error;
    this.#finish(header, error);
    return undefined;
  }

  /** The effect of a message is complete, or was refused. */
  #finish(header: Header, error?: ProtocolError): void {
    if (this.#closed) return;
    this.#busy = false;
    if (error !== undefined) {
      const fields = { code: error.code, request: header.request };
      this.#options.log.limited('vhost-user').warn(`refused a vhost-user message: ${error.message}`, fields);
    }
    if (header.needReply) this.#options.send(encodeU64Reply(header.request, error === undefined ? 0n : 1n));
    if (!this.#handling) this.#options.resumed();
  }

  /** A message that has an answer of its own was answered. */
  #answered(): void {
    if (this.#closed) return;
    this.#busy = false;
    if (!this.#handling) this.#options.resumed();
  }

  /** Starts what a message asks for; an error that is returned is the message's whole effect. */
  #execute(header: Header, payload: Uint8Array, fds: number[]): ProtocolError | undefined {
    switch (header.request) {
      case spec.REQUEST_NVME_ADMIN:
        return this.#adminCommand(payload, fds);
      case spec.REQUEST_NVME_GET_CAP:
        return this.#capabilities(payload, fds);
      case spec.REQUEST_SET_MEM_TABLE:
        return this.#memoryTable(header, payload, fds);
      case spec.REQUEST_NVME_SET_BAR_MR:
        return this.#barMemory(header, payload, fds);
      case spec.REQUEST_NVME_START_STOP:
        return this.#startStop(header, payload, fds);
      case spec.REQUEST_NVME_SET_CQ_CALL:
        return this.#cqCall(header, payload, fds);
      case spec.REQUEST_NVME_IO_CMD:
        return this.#ioCmd(header, payload, fds);
      default:
        return unknown(header.request);
    }
  }

  #adminCommand(payload: Uint8Array, fds: number[]): ProtocolError | undefined {
    const command = parseAdmin(payload);
    if (command instanceof ProtocolError) return fatal(command);
    const wrong = fdsCheck(fds, 0);
    if (wrong !== undefined) return fatal(wrong);
    this.#admin.run(command, this.#started, () => this.#answered());
    return undefined;
  }

  #capabilities(payload: Uint8Array, fds: number[]): ProtocolError | undefined {
    const wrong = sizeCheck(payload, 0) ?? fdsCheck(fds, 0);
    if (wrong !== undefined) return fatal(wrong);
    const cap = viewOf(this.#options.device.regionRead('bar0', nvme.REG_CAP, spec.U64_BYTES)).getBigUint64(
      0,
      true,
    );
    this.#options.send(encodeU64Reply(spec.REQUEST_NVME_GET_CAP, cap & CAP_MASK));
    this.#answered();
    return undefined;
  }

  /** A new table takes the old one's place, once no request touches the old memory any more. */
  #memoryTable(header: Header, payload: Uint8Array, fds: number[]): ProtocolError | undefined {
    const table = parseMemoryTable(payload);
    if (table instanceof ProtocolError) return table;
    const wrong = fdsCheck(fds, table.length);
    if (wrong !== undefined) return wrong;
    const own = fds.splice(0);
    const old = this.#memory.splice(0);
    this.#remove(old, () => {
      const error = this.#closed ? undefined : this.#add(table, own);
      for (const fd of own) this.#options.closeFd(fd);
      const failed = error === undefined ? [] : this.#memory.splice(0);
      this.#remove(failed, () => this.#finish(header, error));
    });
    return undefined;
  }

  /** Adds all regions or stops at the first that is refused. */
  #add(table: readonly MemoryTableRegion[], fds: readonly number[]): ProtocolError | undefined {
    for (const [index, region] of table.entries()) {
      const error = this.#regionAdd(region, fds[index]);
      if (error !== undefined) return error;
      this.#memory.push(region);
    }
    return undefined;
  }

  #regionAdd({ gpa, size, offset }: MemoryTableRegion, fd: number | undefined): ProtocolError | undefined {
    try {
      const region = { gpa, length: size, offset, fd, readable: true, writable: true };
      this.#options.device.memoryAdd(region);
      return undefined;
    } catch (error) {
      if (!(error instanceof DeviceError)) throw error;
      return new ProtocolError('VHOST_USER_MEMORY', `${error.message} (${error.code})`);
    }
  }

  #remove(regions: readonly MemoryTableRegion[], done: () => void): void {
    let left = regions.length;
    if (left === 0) done();
    for (const { gpa, size } of regions) {
      this.#options.device.memoryRemove(gpa, size, () => {
        left -= 1;
        if (left === 0) done();
      });
    }
  }

  /** The memory becomes visible above all that a guest can have, where the core looks for doorbells. */
  #barMemory(header: Header, payload: Uint8Array, fds: number[]): ProtocolError | undefined {
    const region = parseBarMemory(payload);
    if (region instanceof ProtocolError) return region;
    const wrong = fdsCheck(fds, 1);
    if (wrong !== undefined) return wrong;
    if (this.#started) return outOfState('doorbell memory cannot change while the controller runs');
    const own = fds.splice(0);
    const old = this.#bar === undefined ? [] : [this.#bar];
    this.#bar = undefined;
    this.#remove(old, () => {
      const bar = { ...region, gpa: GPA_LIMIT };
      const error = this.#closed ? undefined : this.#regionAdd(bar, own[0]);
      for (const fd of own) this.#options.closeFd(fd);
      if (error === undefined) this.#bar = bar;
      this.#finish(header, error);
    });
    return undefined;
  }

  /** Both are idempotent. The device sends a stop for a shutdown, and another one for the disable behind it. */
  #startStop(header: Header, payload: Uint8Array, fds: number[]): ProtocolError | undefined {
    const value = parseU64(payload);
    if (value instanceof ProtocolError) return value;
    const wrong = fdsCheck(fds, 0);
    if (wrong !== undefined) return wrong;
    const { device } = this.#options;
    if (value === 0n && this.#started) {
      this.#started = false;
      this.#admin.queuesForget();
      device.notifiersClear('msix');
      device.stop(() => this.#finish(header));
      return undefined;
    }
    if (value !== 0n && !this.#started) {
      if (this.#memory.length === 0) return outOfState('a start without memory: nothing can be served');
      this.#started = true;
      device.start(this.#bar === undefined ? undefined : GPA_LIMIT + BigInt(spec.BAR_DOORBELLS));
    }
    this.#finish(header);
    return undefined;
  }

  #cqCall(header: Header, payload: Uint8Array, fds: number[]): ProtocolError | undefined {
    const call = parseCqCall(payload);
    if (call instanceof ProtocolError) return call;
    const wrong = fdsCheck(fds, call.hasFd ? 1 : 0);
    if (wrong !== undefined) return wrong;
    if (!this.#started) return outOfState('an eventfd for a completion queue before the start');
    try {
      // Each completion queue has a vector of its own here, whatever the guest's are: AdminCommands sees to it.
      this.#options.device.notifierSet('msix', call.cqid, fds.shift());
    } catch (error) {
      if (!(error instanceof DeviceError)) throw error;
      return new ProtocolError('VHOST_USER_FDS', `${error.message} (${error.code})`);
    }
    this.#finish(header);
    return undefined;
  }

  #ioCmd(header: Header, payload: Uint8Array, fds: number[]): ProtocolError | undefined {
    const doorbell = parseIoCmd(payload);
    if (doorbell instanceof ProtocolError) return doorbell;
    const wrong = fdsCheck(fds, 0);
    if (wrong !== undefined) return wrong;
    if (!this.#started) return outOfState('a doorbell before the start');
    const value = new DataView(new ArrayBuffer(nvme.DOORBELL_BYTES));
    value.setUint32(0, doorbell.value, true);
    this.#options.device.regionWrite('bar0', doorbell.offset, new Uint8Array(value.buffer), () =>
      this.#finish(header),
    );
    return undefined;
  }
}

/** Numbers of the standard, and others: what has to be answered and cannot be ends the session. */
function unknown(request: number): ProtocolError {
  const isFatal = ANSWERED.has(request) || request > spec.REQUEST_MAX;
  const what = request <= spec.REQUEST_SET_CONFIG ? 'is not offered in this dialect' : 'is not known';
  return new ProtocolError('VHOST_USER_REQUEST', `request ${request} ${what}`, isFatal);
}

function fdsCheck(fds: readonly number[], count: number): ProtocolError | undefined {
  if (fds.length === count) return undefined;
  return new ProtocolError('VHOST_USER_FDS', `${fds.length} file descriptors where ${count} are due`);
}

/** The front end waits for an answer that there is none for. */
function fatal(error: ProtocolError): ProtocolError {
  return new ProtocolError(error.code, error.message, true);
}

function outOfState(message: string): ProtocolError {
  return new ProtocolError('VHOST_USER_STATE', message);
}
