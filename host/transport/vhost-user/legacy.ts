// The legacy dialect of vhost-user-nvme: behaves towards the QEMU device published in 2019 as that device expects
// (docs/protocol/vhost-user-nvme-legacy.md). Registers and admin queue are the front end's own.

import * as nvme from '../../../assembly/spec/nvme.ts';
import * as spec from '../../../assembly/spec/vhost-user.ts';
import type { ResumableDevice } from '../device.ts';
import { AdminCommands } from './admin.ts';
import { attempt } from './attempt.ts';
import type { Dialect, Outcome, Request } from './dialect.ts';
import { SessionMemory } from './memory.ts';
import { encodeU64Reply, parseU64, sizeCheck, viewOf, type Header } from './messages/header.ts';
import { parseBarMemory, parseMemoryTable } from './messages/memory.ts';
import { parseAdmin, parseCqCall, parseIoCmd } from './messages/nvme.ts';
import { fatal, fdsCheck, outOfState, ProtocolError } from './messages/protocol-error.ts';

export interface LegacyOptions {
  device: ResumableDevice;
  closeFd: (fd: number) => void;
}

type Finish = (outcome: Outcome) => void;

/** CAP as NVMe 1.0 defines it, the version that the device shows: up to TO, DSTRD, CSS NVM, MPSMIN and MPSMAX. */
const CAP_MASK = 0x00ff_002f_ff07_ffffn;
/** What the device was written against. */
const LIMITS = {
  ioQueuePairs: spec.LEGACY_QUEUE_PAIRS_MAX,
  queueEntries: spec.LEGACY_QUEUE_ENTRIES_MAX,
  serial: undefined,
};
const ACKNOWLEDGED = 0n;
const REFUSED = 1n;

/** Requests that the front end waits for with an answer of their own. */
const ANSWERED = new Set<number>([
  spec.REQUEST_GET_FEATURES,
  spec.REQUEST_GET_VRING_BASE,
  spec.REQUEST_GET_PROTOCOL_FEATURES,
  spec.REQUEST_GET_QUEUE_NUM,
  spec.REQUEST_GET_CONFIG,
]);

export class LegacyDialect implements Dialect {
  readonly payloadBytesMax = spec.PAYLOAD_BYTES_MAX;
  readonly #device: ResumableDevice;
  readonly #admin: AdminCommands;
  readonly #memory: SessionMemory;
  /** The controller has the queues that the device was written for. */
  #configured = false;
  #started = false;

  constructor({ device, closeFd }: LegacyOptions) {
    this.#device = device;
    this.#admin = new AdminCommands(device);
    this.#memory = new SessionMemory(device, closeFd);
  }

  acknowledgement({ request, needReply }: Header): Uint8Array | undefined {
    return needReply ? encodeU64Reply(request, ACKNOWLEDGED) : undefined;
  }

  refusal({ request, needReply }: Header): Uint8Array | undefined {
    return needReply ? encodeU64Reply(request, REFUSED) : undefined;
  }

  /** This front end outlives no target. */
  drain(done: () => void): void {
    done();
  }

  close(): void {
    this.#memory.close();
    this.#started = false;
  }

  begin(request: Request, finish: Finish): ProtocolError | undefined {
    if (!this.#configured) {
      const wrong = attempt('VHOST_USER_STATE', () => this.#device.configure(LIMITS));
      if (wrong !== undefined) return fatal(wrong);
      this.#configured = true;
    }
    switch (request.request) {
      case spec.REQUEST_NVME_ADMIN:
        return this.#adminCommand(request, finish);
      case spec.REQUEST_NVME_GET_CAP:
        return this.#capabilities(request, finish);
      case spec.REQUEST_SET_MEM_TABLE:
        return this.#memoryTable(request, finish);
      case spec.REQUEST_NVME_SET_BAR_MR:
        return this.#barMemory(request, finish);
      case spec.REQUEST_NVME_START_STOP:
        return this.#startStop(request, finish);
      case spec.REQUEST_NVME_SET_CQ_CALL:
        return this.#cqCall(request, finish);
      case spec.REQUEST_NVME_IO_CMD:
        return this.#ioCmd(request, finish);
      default:
        return unknown(request.request);
    }
  }

  #adminCommand({ payload, fds }: Request, finish: Finish): ProtocolError | undefined {
    const command = parseAdmin(payload);
    if (command instanceof ProtocolError) return fatal(command);
    const wrong = fdsCheck(fds, 0);
    if (wrong !== undefined) return fatal(wrong);
    this.#admin.run(command, this.#started, (bytes) => finish({ bytes }));
    return undefined;
  }

  #capabilities({ payload, fds }: Request, finish: Finish): ProtocolError | undefined {
    const wrong = sizeCheck(payload, 0) ?? fdsCheck(fds, 0);
    if (wrong !== undefined) return fatal(wrong);
    const register = viewOf(this.#device.regionRead('bar0', nvme.REG_CAP, spec.U64_BYTES));
    const cap = register.getBigUint64(0, true) & CAP_MASK;
    finish({ bytes: encodeU64Reply(spec.REQUEST_NVME_GET_CAP, cap) });
    return undefined;
  }

  #memoryTable({ payload, fds }: Request, finish: Finish): ProtocolError | undefined {
    const table = parseMemoryTable(payload);
    if (table instanceof ProtocolError) return table;
    const wrong = fdsCheck(fds, table.length);
    if (wrong !== undefined) return wrong;
    this.#memory.replace(table, fds, finish);
    return undefined;
  }

  /** The memory becomes visible above all that a guest can have, where the core looks for doorbells. */
  #barMemory({ payload, fds }: Request, finish: Finish): ProtocolError | undefined {
    const region = parseBarMemory(payload);
    if (region instanceof ProtocolError) return region;
    const wrong = fdsCheck(fds, 1);
    if (wrong !== undefined) return wrong;
    if (this.#started) return outOfState('doorbell memory cannot change while the controller runs');
    this.#memory.doorbellsReplace(region, fds, finish);
    return undefined;
  }

  /** Both are idempotent. The device sends a stop for a shutdown, and another one for the disable behind it. */
  #startStop({ payload, fds }: Request, finish: Finish): ProtocolError | undefined {
    const value = parseU64(payload);
    if (value instanceof ProtocolError) return value;
    const wrong = fdsCheck(fds, 0);
    if (wrong !== undefined) return wrong;
    const device = this.#device;
    if (value === 0n && this.#started) {
      this.#started = false;
      this.#admin.queuesForget();
      device.notifiersClear('msix');
      device.stop(() => finish(undefined));
      return undefined;
    }
    if (value !== 0n && !this.#started) {
      if (this.#memory.count === 0) return outOfState('a start without memory: nothing can be served');
      this.#started = true;
      const bar = this.#memory.doorbells;
      device.start(bar === undefined ? undefined : bar + BigInt(spec.BAR_DOORBELLS));
    }
    finish(undefined);
    return undefined;
  }

  #cqCall({ payload, fds }: Request, finish: Finish): ProtocolError | undefined {
    const call = parseCqCall(payload);
    if (call instanceof ProtocolError) return call;
    const wrong = fdsCheck(fds, call.hasFd ? 1 : 0);
    if (wrong !== undefined) return wrong;
    if (!this.#started) return outOfState('an eventfd for a completion queue before the start');
    // Each completion queue has a vector of its own here, whatever the guest's are: AdminCommands sees to it.
    const set = (): void => this.#device.notifierSet('msix', call.cqid, fds.shift());
    const refused = attempt('VHOST_USER_FDS', set);
    if (refused === undefined) finish(undefined);
    return refused;
  }

  #ioCmd({ payload, fds }: Request, finish: Finish): ProtocolError | undefined {
    const doorbell = parseIoCmd(payload);
    if (doorbell instanceof ProtocolError) return doorbell;
    const wrong = fdsCheck(fds, 0);
    if (wrong !== undefined) return wrong;
    if (!this.#started) return outOfState('a doorbell before the start');
    const value = new DataView(new ArrayBuffer(nvme.DOORBELL_BYTES));
    value.setUint32(0, doorbell.value, true);
    this.#device.regionWrite('bar0', doorbell.offset, new Uint8Array(value.buffer), () => finish(undefined));
    return undefined;
  }
}

/** Numbers of the standard, and others: what has to be answered and cannot be ends the session. */
function unknown(request: number): ProtocolError {
  const isFatal = ANSWERED.has(request) || request > spec.REQUEST_MAX;
  const what = request <= spec.REQUEST_SET_CONFIG ? 'is not offered in this dialect' : 'is not known';
  return new ProtocolError('VHOST_USER_REQUEST', `request ${request} ${what}`, { fatal: isFatal });
}
