// Fills the windows that a core asks for with its guest's memory.

import { errnoName, errnoOf } from '../block/errors.ts';
import type { Core } from '../core/core.ts';
import type { NativeController } from '../native.ts';

export class WindowFiller {
  readonly #core: Core;
  readonly #native: NativeController;
  readonly #refused: (reason: string) => void;
  /** Windows that could not be mapped when the core asked for them, and their pages. */
  readonly #unfilled = new Map<number, number>();

  /** `refused` is called with a sentence for the operator when the kernel does not map one. */
  constructor(core: Core, native: NativeController, refused: (reason: string) => void) {
    this.#core = core;
    this.#native = native;
    this.#refused = refused;
  }

  /** Fills what is asked for, and what was; returns how many. */
  fill(): number {
    const count = this.#core.windowsTake();
    let filled = 0;
    if (this.#unfilled.size > 0) {
      for (const [window, page] of [...this.#unfilled]) if (this.#fillOne(window, page)) filled++;
    }
    for (let index = 0; index < count; index++) {
      if (this.#fillOne(this.#core.missWindow(index), this.#core.missPage(index))) filled++;
    }
    return filled;
  }

  /** All windows are empty: a core began anew. */
  clear(): void {
    this.#unfilled.clear();
    this.#native.windowsClear();
  }

  /** False where the kernel refuses: then whoever waits for the window waits on, and the next poll tries again. */
  #fillOne(window: number, page: number): boolean {
    try {
      this.#native.windowFill(window, page);
    } catch (cause) {
      if (!this.#unfilled.has(window)) {
        const errno = errnoName(errnoOf(cause));
        this.#refused(`guest memory cannot be mapped (${errno}); raise vm.max_map_count, then reset it`);
      }
      this.#unfilled.set(window, page);
      return false;
    }
    this.#unfilled.delete(window);
    this.#core.windowFilled(window, page);
    return true;
  }
}
