// Commands whose data travel with them. Those of the NVM command set read and write guest memory, so their data pass
// through memory that the target adds for them, one command at a time. How long the data are is said twice, by the
// command and by whoever brings it: only commands where both say the same are run.

import {
  NAMESPACE_BASE,
  NAMESPACE_BYTES,
  NAMESPACE_COUNT,
  WINDOW_SHIFT,
} from '../../assembly/abi/memory-map.ts';
import { NAMESPACE_FLAG_ACTIVE, NAMESPACE_FLAGS, NAMESPACE_LBA_SHIFT } from '../../assembly/abi/records.ts';
import { LOG_NUMDL_Z_SHIFT, LOG_NUMDU_WIDTH } from '../../assembly/spec/nvme-logs.ts';
import * as nvme from '../../assembly/spec/nvme.ts';
import type { Core } from '../core/core.ts';
import type { NativeController } from '../native.ts';
import type { CommandCompletion, CommandSet } from '../transport/device.ts';
import { BounceMemory, BOUNCE_BYTES } from './bounce.ts';
import type { DirectControl } from './direct.ts';
import type { GuestMemory } from './guest-memory.ts';

/** Data of an admin command: what the core keeps of them. */
const ADMIN_BYTES = 4096;
const INVALID_FIELD = nvme.STATUS_INVALID_FIELD | nvme.STATUS_DNR;
const PSDT_MASK = ((1 << nvme.SQE_FLAGS_PSDT_WIDTH) - 1) << nvme.SQE_FLAGS_PSDT_SHIFT;

export interface PassthroughCommand {
  set: CommandSet;
  entry: Uint8Array;
  data: Uint8Array | undefined;
  dataBytes: number;
  done: (completion: CommandCompletion) => void;
}

/** What an NVM command does with its data. */
interface Transfer {
  direction: 'in' | 'out' | 'none';
  bytes: number;
}

export class Passthrough {
  readonly #core: Core;
  readonly #native: NativeController;
  readonly #direct: DirectControl;
  readonly #bounce: BounceMemory;
  readonly #waiting: PassthroughCommand[] = [];
  /** Is under way, and has the memory. */
  #running: PassthroughCommand | undefined;

  constructor(core: Core, native: NativeController, memory: GuestMemory, direct: DirectControl) {
    this.#core = core;
    this.#native = native;
    this.#direct = direct;
    this.#bounce = new BounceMemory(memory);
  }

  get idle(): boolean {
    return this.#running === undefined;
  }

  /** Begins the command, or puts it behind those that were not answered yet. */
  submit(command: PassthroughCommand): void {
    this.#waiting.push(command);
    this.#next();
  }

  /** Whether the command was answered. */
  isOver(command: PassthroughCommand): boolean {
    return this.#running !== command && !this.#waiting.includes(command);
  }

  /** Answers the command with an error, whatever becomes of it; late I/O hits nobody. */
  giveUp(command: PassthroughCommand): void {
    const index = this.#waiting.indexOf(command);
    if (index >= 0) this.#waiting.splice(index, 1);
    else this.#bounce.drop();
    if (this.#running === command) this.#running = undefined;
    command.done(failure(nvme.STATUS_ABORT_REQUESTED));
    this.#next();
  }

  /** Answers all with an error: a reset has given them up. */
  abort(): void {
    const commands = [...(this.#running === undefined ? [] : [this.#running]), ...this.#waiting];
    this.forget();
    for (const command of commands) command.done(failure(nvme.STATUS_ABORT_REQUESTED));
  }

  /** Nobody waits any more, and the memory is taken away. */
  forget(): void {
    this.#waiting.length = 0;
    this.#running = undefined;
    this.#bounce.drop();
  }

  #next(): void {
    while (this.#running === undefined) {
      const command = this.#waiting.shift();
      if (command === undefined) return;
      this.#running = command;
      if (command.set === 'admin') this.#admin(command);
      else this.#nvm(command);
    }
  }

  #answer(command: PassthroughCommand, completion: CommandCompletion): void {
    // Given up meanwhile, and answered.
    if (this.#running !== command) return;
    this.#running = undefined;
    command.done(completion);
    this.#next();
  }

  #admin(command: PassthroughCommand): void {
    const { entry, data, dataBytes } = command;
    const view = new DataView(entry.buffer, entry.byteOffset, entry.byteLength);
    if (dataBytes > ADMIN_BYTES || (data?.length ?? 0) > ADMIN_BYTES || adminBytes(view) > dataBytes) {
      this.#answer(command, failure(INVALID_FIELD));
      return;
    }
    this.#direct.submit('admin', withoutMetadata(entry), (completion) => {
      // Other commands' data may be more than there is room for.
      this.#answer(command, { ...completion, data: completion.data.subarray(0, dataBytes) });
    });
  }

  #nvm(command: PassthroughCommand): void {
    const { entry, data, dataBytes } = command;
    const transfer = this.#transfer(new DataView(entry.buffer, entry.byteOffset, entry.byteLength));
    const brought = data?.length ?? 0;
    const matches =
      (transfer.direction === 'in' && brought === transfer.bytes) ||
      (transfer.direction === 'out' && brought === 0 && dataBytes === transfer.bytes) ||
      (transfer.direction === 'none' && brought === 0);
    if (!matches || transfer.bytes > BOUNCE_BYTES) {
      this.#answer(command, failure(INVALID_FIELD));
      return;
    }
    let sqe: Uint8Array;
    try {
      sqe = this.#pointed(withoutMetadata(entry), data ?? new Uint8Array(0), transfer.bytes);
    } catch {
      this.#answer(command, failure(nvme.STATUS_INTERNAL_ERROR));
      return;
    }
    this.#direct.submit('nvm', sqe, (completion) => {
      const isRead = transfer.direction === 'out' && completion.status === nvme.STATUS_SUCCESS;
      // One that was given up may have lost the memory to the next.
      const bytes = isRead && this.#running === command ? transfer.bytes : 0;
      this.#answer(command, { ...completion, data: this.#bounce.take(bytes) });
    });
  }

  /** The entry with its data pointer. Throws where there is no memory to point at. */
  #pointed(entry: Uint8Array, data: Uint8Array, bytes: number): Uint8Array {
    const view = new DataView(entry.buffer);
    view.setBigUint64(nvme.SQE_PRP1, 0n, true);
    view.setBigUint64(nvme.SQE_PRP2, 0n, true);
    if (bytes === 0) return entry;
    const { prp1, prp2, list } = this.#bounce.fill(data, bytes);
    view.setBigUint64(nvme.SQE_PRP1, prp1, true);
    view.setBigUint64(nvme.SQE_PRP2, prp2, true);
    if (list !== undefined) this.#show(list);
    return entry;
  }

  /** A core that is not polled asks for no window, so it gets this one unasked. */
  #show(address: bigint): void {
    const window = this.#core.windowCount - 1;
    const page = Number(address >> BigInt(WINDOW_SHIFT));
    this.#native.windowFill(window, page);
    this.#core.windowFilled(window, page);
  }

  /** As the NVM command set defines it (NVM 3.2); of a command that is not offered, or has no namespace, nothing. */
  #transfer(entry: DataView): Transfer {
    const cdw10 = entry.getUint32(nvme.SQE_CDW10, true);
    switch (entry.getUint8(nvme.SQE_OPCODE)) {
      case nvme.NVM_READ:
        return this.#blocks('out', entry);
      case nvme.NVM_WRITE:
      case nvme.NVM_COMPARE:
        return this.#blocks('in', entry);
      case nvme.NVM_DATASET_MANAGEMENT:
        return { direction: 'in', bytes: (field(cdw10, nvme.DSM_NR_Z_WIDTH) + 1) * nvme.DSM_RANGE_BYTES };
      case nvme.NVM_COPY: {
        const ranges = field(entry.getUint32(nvme.SQE_CDW12, true), nvme.COPY_NR_Z_WIDTH) + 1;
        return { direction: 'in', bytes: ranges * nvme.COPY_RANGE_BYTES };
      }
      default:
        return { direction: 'none', bytes: 0 };
    }
  }

  #blocks(direction: 'in' | 'out', entry: DataView): Transfer {
    const nsid = entry.getUint32(nvme.SQE_NSID, true);
    if (nsid < 1 || nsid > NAMESPACE_COUNT) return { direction: 'none', bytes: 0 };
    const record = NAMESPACE_BASE + (nsid - 1) * NAMESPACE_BYTES;
    const flags = this.#core.view.getUint32(record + NAMESPACE_FLAGS, true);
    if ((flags & NAMESPACE_FLAG_ACTIVE) === 0) return { direction: 'none', bytes: 0 };
    const blocks = field(entry.getUint32(nvme.SQE_CDW12, true), nvme.RW_NLB_Z_WIDTH) + 1;
    return { direction, bytes: blocks * 2 ** this.#core.view.getUint32(record + NAMESPACE_LBA_SHIFT, true) };
  }
}

/** Bytes that an admin command returns and that its fields tell; running it would change something (RAE). */
function adminBytes(entry: DataView): number {
  const opcode = entry.getUint8(nvme.SQE_OPCODE);
  if (opcode === nvme.ADMIN_IDENTIFY) return nvme.PAGE_BYTES;
  if (opcode !== nvme.ADMIN_GET_LOG_PAGE) return 0;
  const low = entry.getUint32(nvme.SQE_CDW10, true) >>> LOG_NUMDL_Z_SHIFT;
  const high = field(entry.getUint32(nvme.SQE_CDW11, true), LOG_NUMDU_WIDTH);
  return (high * 0x10000 + low + 1) * 4;
}

function field(value: number, width: number): number {
  return value & ((1 << width) - 1);
}

/** A copy without PSDT and MPTR: there are neither SGLs nor metadata here, whatever the entry says. */
function withoutMetadata(entry: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(entry);
  copy[nvme.SQE_FLAGS] = (copy[nvme.SQE_FLAGS] ?? 0) & ~PSDT_MASK;
  copy.fill(0, nvme.SQE_MPTR, nvme.SQE_PRP1);
  return copy;
}

function failure(status: number): CommandCompletion {
  return { status, result: 0, data: new Uint8Array(0) };
}
