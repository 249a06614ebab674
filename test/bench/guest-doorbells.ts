// How often a guest had to ring: exits of its virtual machine, or messages to the target.

import { readFileSync } from 'node:fs';
import type { Guest } from '../../host/demo/guest.ts';
import type { TargetProcess } from '../support/target-process.ts';

export interface DoorbellCounter {
  /** Counting costs nothing that could be measured, so that it goes on beside a measurement. */
  readonly free: boolean;
  /** How often the guest rang while `work` ran; undefined if that cannot be told. */
  during(work: () => Promise<unknown>): Promise<number | undefined>;
}

/** doorbell's own sums (SIGUSR2). */
export class TargetCounter implements DoorbellCounter {
  readonly free = true;
  readonly #target: TargetProcess;

  constructor(target: TargetProcess) {
    this.#target = target;
  }

  async during(work: () => Promise<unknown>): Promise<number> {
    const { doorbells } = await this.#target.statistics();
    await work();
    return (await this.#target.statistics()).doorbells - doorbells;
  }
}

/** Lines of QEMU's trace events in the file of `-D`. */
export class TraceCounter implements DoorbellCounter {
  readonly free = false;
  readonly #guest: Guest;
  readonly #file: string;
  readonly #events: readonly string[];

  constructor(guest: Guest, file: string, events: readonly string[]) {
    this.#guest = guest;
    this.#file = file;
    this.#events = events;
  }

  async during(work: () => Promise<unknown>): Promise<number | undefined> {
    const before = this.#count();
    await this.#enable(true);
    await work();
    await this.#enable(false);
    // A QEMU whose trace events go elsewhere writes none.
    return this.#count() - before || undefined;
  }

  async #enable(enable: boolean): Promise<void> {
    for (const name of this.#events) await this.#guest.qmp('trace-event-set-state', { name, enable });
  }

  #count(): number {
    const lines = readFileSync(this.#file, 'latin1').split('\n');
    return lines.filter((line) => this.#events.some((event) => line.includes(event))).length;
  }
}
