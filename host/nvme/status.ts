// Tells whoever watches of each change of CSTS. Costs a controller that nobody watches nothing.

import { REG_CSTS } from '../../assembly/spec/nvme.ts';
import type { Core } from '../core/core.ts';

export class StatusWatch {
  readonly #core: Core;
  #changed: ((csts: number) => void) | undefined;
  #seen = 0;

  constructor(core: Core) {
    this.#core = core;
  }

  /** One watcher at a time; changes count from now on. */
  watch(changed: (csts: number) => void): void {
    this.#changed = changed;
    this.#seen = this.#core.registerRead(REG_CSTS);
  }

  forget(): void {
    this.#changed = undefined;
  }

  /** To be called after whatever can change CSTS. */
  check(): void {
    if (this.#changed === undefined) return;
    const csts = this.#core.registerRead(REG_CSTS);
    if (csts === this.#seen) return;
    this.#seen = csts;
    this.#changed(csts);
  }
}
