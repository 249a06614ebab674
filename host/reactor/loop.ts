// The loop of a reactor thread: each turn every controller fetches, submits and completes; while there is work it
// spins, after an idle budget it arms the doorbells, looks once more and blocks until the kernel has news.

import type { Reactor } from './reactor.ts';

/** What the loop drives; a controller (host/nvme/controller.ts) is one. */
export interface Driven {
  /** Fetches and submits; returns the number of things done. */
  poll(now: number): number;
  /** Publishes completions that have arrived; returns their number. */
  complete(): number;
  /** Prepares for sleep: true when there is nothing to do until a doorbell or a completion comes. */
  arm(): boolean;
  /** Microseconds from `now` until the controller wants to be polled whatever happens; Infinity for never. */
  deadline(now: number): number;
}

export interface LoopOptions {
  /** Microseconds without work before the loop sleeps. */
  spinMicroseconds: number;
}

export interface LoopStatistics {
  turns: number;
  sleeps: number;
}

export class ReactorLoop {
  readonly #reactor: Reactor;
  readonly #options: LoopOptions;
  /** Replaced, never changed: it may be walked while it changes. */
  #driven: readonly Driven[] = [];
  #stopping = false;
  readonly statistics: LoopStatistics = { turns: 0, sleeps: 0 };

  constructor(reactor: Reactor, options: LoopOptions) {
    this.#reactor = reactor;
    this.#options = options;
  }

  add(driven: Driven): void {
    this.#driven = [...this.#driven, driven];
  }

  /** From the next turn on it is not called any more. */
  remove(driven: Driven): void {
    this.#driven = this.#driven.filter((other) => other !== driven);
  }

  /** Ends `run` after the turn that is under way. */
  stop(): void {
    this.#stopping = true;
  }

  /** Runs until `stop`. */
  run(): void {
    let lastWork = this.#reactor.now();
    while (!this.#stopping) {
      const now = this.#reactor.now();
      if (this.#turn(now, 0) > 0) {
        lastWork = now;
        continue;
      }
      if (now - lastWork < this.#options.spinMicroseconds) continue;
      if (!this.#arm()) {
        lastWork = now;
        continue;
      }
      this.statistics.sleeps++;
      this.#turn(now, this.#sleepMicroseconds(now));
      lastWork = this.#reactor.now();
    }
  }

  /** One pass over all controllers with one kernel entry in its middle. */
  #turn(now: number, waitMicroseconds: number): number {
    this.statistics.turns++;
    let work = 0;
    if (waitMicroseconds === 0) for (const driven of this.#driven) work += driven.poll(now);
    work += this.#reactor.turn(waitMicroseconds);
    for (const driven of this.#driven) work += driven.complete();
    return work;
  }

  #arm(): boolean {
    let idle = true;
    for (const driven of this.#driven) if (!driven.arm()) idle = false;
    return idle;
  }

  #sleepMicroseconds(now: number): number {
    let deadline = Infinity;
    for (const driven of this.#driven) deadline = Math.min(deadline, driven.deadline(now));
    return deadline === Infinity ? -1 : Math.max(1, Math.ceil(deadline));
  }
}
