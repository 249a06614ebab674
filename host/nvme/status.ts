// Tells whoever watches of each change of CSTS, and of Doorbell Buffer Config. Costs a controller that nobody watches
// nothing.

import { EVENT_SHADOW_DOORBELLS } from '../../assembly/abi/records.ts';
import { CSTS_RDY, REG_CSTS } from '../../assembly/spec/nvme.ts';
import type { Core } from '../core/core.ts';

export type StatusChanged = (csts: number, shadowDoorbells: boolean) => void;

export class StatusWatch {
  readonly #core: Core;
  #changed: StatusChanged | undefined;
  #csts = 0;
  /** Doorbells of I/O queues are in the guest's own buffers; until the controller is disabled. */
  #shadowDoorbells = false;
  #told = false;

  constructor(core: Core) {
    this.#core = core;
  }

  /** One watcher at a time; changes count from now on. */
  watch(changed: StatusChanged): void {
    this.#changed = changed;
    this.#csts = this.#core.registerRead(REG_CSTS);
    this.#told = false;
  }

  forget(): void {
    this.#changed = undefined;
  }

  /** To be called with the type of each event record. */
  note(type: number): void {
    if (type === EVENT_SHADOW_DOORBELLS) this.#shadowDoorbells = true;
  }

  /** To be called after whatever can change CSTS. */
  check(): void {
    if (this.#changed === undefined) return;
    const csts = this.#core.registerRead(REG_CSTS);
    if ((csts & CSTS_RDY) === 0) this.#shadowDoorbells = false;
    if (csts === this.#csts && this.#shadowDoorbells === this.#told) return;
    this.#csts = csts;
    this.#told = this.#shadowDoorbells;
    this.#changed(csts, this.#shadowDoorbells);
  }
}
