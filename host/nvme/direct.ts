// A controller whose VMM keeps registers and admin queue itself: commands go in by calls, and their results come back
// by calls. Nothing of it but the callbacks lies outside of the state image.

import { constants } from 'node:os';
import * as abi from '../../assembly/abi/records.ts';
import * as nvme from '../../assembly/spec/nvme.ts';
import type { Core } from '../core/core.ts';
import { DeviceError, type CommandCompletion, type CommandSet } from '../transport/device.ts';
import { busy } from './busy.ts';

export class DirectControl {
  readonly #core: Core;
  /** Commands that wait for their result, by token. */
  readonly #commands = new Map<number, (completion: CommandCompletion) => void>();

  constructor(core: Core) {
    this.#core = core;
  }

  get waiting(): boolean {
    return this.#commands.size > 0;
  }

  /** A core that takes no command (too many, or it trapped) is an Internal Error. */
  submit(set: CommandSet, entry: Uint8Array, done: (completion: CommandCompletion) => void): void {
    const token = this.#core.commandSubmit(entry, set);
    if (token === abi.COMMAND_REFUSED) {
      done({ status: nvme.STATUS_INTERNAL_ERROR, result: 0, data: new Uint8Array(0) });
    } else {
      this.#commands.set(token, done);
    }
  }

  /** Takes the results there are. A callback may submit the next command. */
  take(): void {
    const count = this.#core.commandsTake();
    const completed: (() => void)[] = [];
    for (let index = 0; index < count; index++) {
      const record = this.#core.commandResult(index);
      const done = this.#commands.get(record.token);
      this.#commands.delete(record.token);
      const completion = { status: record.status, result: record.result, data: record.data() };
      if (done !== undefined) completed.push(() => done(completion));
    }
    for (const call of completed) call();
  }

  /** Nobody waits any more. */
  forget(): void {
    this.#commands.clear();
  }

  /** A second start while the controller runs changes nothing. */
  start(doorbells: bigint | undefined): void {
    if (this.#core.controllerStart() === abi.START_OK) this.#core.doorbellsPoll(doorbells);
  }

  /** Throws DeviceError EBUSY, EINVAL. */
  doorbellsKicked(page: bigint | undefined): void {
    const result = this.#core.doorbellsKick(page);
    if (result === abi.POLL_OK) return;
    if (result === abi.POLL_QUEUES_EXIST) throw busy('doorbells cannot move while I/O queues exist');
    const { EINVAL } = constants.errno;
    throw new DeviceError('DOORBELLS_INVALID', EINVAL, 'the page of doorbells does not lie on 4 KiB');
  }

  /** CC.EN = 0; commands that wait for their result end without one. */
  disable(): void {
    this.forget();
    this.#core.registerWrite(nvme.REG_CC, 0);
  }

  get disabled(): boolean {
    return (this.#core.registerRead(nvme.REG_CSTS) & nvme.CSTS_RDY) === 0 || this.#core.failure !== undefined;
  }

  /** Enables once more, and shuts down: the core flushes every namespace that has a cache. */
  flushBegin(): void {
    this.#core.controllerStart();
    const cc = this.#core.registerRead(nvme.REG_CC);
    this.#core.registerWrite(nvme.REG_CC, cc | (nvme.CC_SHN_NORMAL << nvme.CC_SHN_SHIFT));
  }

  /** Also where a reset has called the shutdown off. */
  get flushed(): boolean {
    const status = (this.#core.registerRead(nvme.REG_CSTS) >>> nvme.CSTS_SHST_SHIFT) & SHST_MASK;
    return status !== nvme.CSTS_SHST_OCCURRING || this.#core.failure !== undefined;
  }
}

const SHST_MASK = (1 << nvme.CSTS_SHST_WIDTH) - 1;
