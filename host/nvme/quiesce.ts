// Whether a controller may take new work.
//
//   RUNNING ──stop──> STOPPING: nothing is fetched, what was fetched goes on
//      ^                  │ nothing is under way
//      └────proceed── STOPPED: the core is not polled any more <── hold (a state was loaded)
//
// What waits in the core when a controller has stopped (a command for its window, a completion for its queue's) waits
// in the state image: it goes on after `proceed`, here or in the next target.

type Phase = 'running' | 'stopping' | 'stopped';

export class Quiesce {
  #phase: Phase = 'running';
  /** The last poll since `stop` had nothing to do. */
  #settled = false;

  get running(): boolean {
    return this.#phase === 'running';
  }

  get stopping(): boolean {
    return this.#phase === 'stopping';
  }

  get stopped(): boolean {
    return this.#phase === 'stopped';
  }

  stop(): void {
    if (this.#phase !== 'running') return;
    this.#phase = 'stopping';
    this.#settled = false;
  }

  /** Stopped at once: nothing is under way. */
  hold(): void {
    this.#phase = 'stopped';
  }

  proceed(): void {
    this.#phase = 'running';
  }

  /** A poll did so many things. */
  polled(work: number): void {
    this.#settled = work === 0;
  }

  /**
   * Stops, if nothing is under way; true unless it still is: commands that are given directly run in a controller that
   * has stopped, too. A stop that was called off is over.
   */
  advance(idle: boolean): boolean {
    if (this.#phase === 'stopping' && this.#settled && idle) this.#phase = 'stopped';
    return this.#phase === 'running' || (this.#phase === 'stopped' && idle);
  }
}
