// What is said of a core that trapped. That is a bug of ours, so its image is kept for whoever looks for it: for the
// operator's eyes only, since it holds a guest's data.

import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Core } from '../core/core.ts';
import type { Log } from '../log/log.ts';

export class TrapLog {
  readonly #core: Core;
  readonly #log: Log;
  #said = false;

  constructor(core: Core, log: Log) {
    this.#core = core;
    this.#log = log;
  }

  /** Says it once. `foreign`: the core went on from a state that a VMM brought, and the VMM may have made it up. */
  check(foreign: boolean): void {
    const { failure } = this.#core;
    if (failure === undefined || this.#said) return;
    this.#said = true;
    const trap = failure.stack ?? failure.message;
    if (foreign) {
      const message = 'the core trapped on a state that the VMM brought: its controller is out of service';
      this.#log.limited('state').error(message, { trap });
      return;
    }
    this.#log.error(
      'the core trapped: its controller is out of service, the others go on; please report this bug',
      { trap, image: this.#imageDump() },
    );
  }

  /** Where the state image went, or why it could not. */
  #imageDump(): string {
    try {
      const directory = mkdtempSync(path.join(tmpdir(), 'doorbell-trap-'));
      const file = path.join(directory, 'state.image');
      writeFileSync(file, this.#core.imageSave(), { mode: 0o600 });
      return file;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }
}
