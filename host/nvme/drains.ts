// Waits for I/O that is under way: a region may be released, a reset answered, a client's successor served only once
// no request touches what was taken away. A wait ends after three seconds at the latest (R30), and then by force.

/** Longest wait for requests under way, in microseconds: well inside the 5 s after which QEMU gives up a request. */
export const DRAIN_MICROSECONDS = 3_000_000;

interface Drain {
  isDrained: () => boolean;
  /** Time at which waiting ends. */
  deadline: number;
  /** Makes it safe to go on although requests are still under way. */
  force: () => void;
  done: () => void;
}

export class Drains {
  #waiting: Drain[] = [];

  get size(): number {
    return this.#waiting.length;
  }

  /** Calls `done` as soon as `isDrained`, at once if it is; after DRAIN_MICROSECONDS `force` and then `done`. */
  add(now: number, isDrained: () => boolean, force: () => void, done: () => void): void {
    if (isDrained()) done();
    else this.#waiting.push({ isDrained, deadline: now + DRAIN_MICROSECONDS, force, done });
  }

  /** Ends the waits that are over; returns how many. */
  check(now: number): number {
    if (this.#waiting.length === 0) return 0;
    const candidates = this.#waiting;
    this.#waiting = [];
    let ended = 0;
    for (const drain of candidates) {
      const drained = drain.isDrained();
      if (!drained && now < drain.deadline) {
        this.#waiting.push(drain);
        continue;
      }
      if (!drained) drain.force();
      ended++;
      drain.done();
    }
    return ended;
  }

  /** Microseconds from `now` until the first wait ends by force; Infinity when nothing waits. */
  deadline(now: number): number {
    return this.#waiting.reduce((least, drain) => Math.min(least, drain.deadline - now), Infinity);
  }
}
