/**
 * Bounded waiting: nothing that depends on another program may wait for ever.
 */

/**
 * Settles as `work` does, or rejects with `late()` after `seconds`. `work` itself goes on; a later rejection of it
 * is not reported. The timer does not keep the process alive longer than `work` needs.
 */
export function withDeadline<T>(work: Promise<T>, seconds: number, late: () => Error): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(late()), Math.min(seconds * 1000, TIMER_MS_MAX));
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/** Node fires longer timers at once. */
const TIMER_MS_MAX = 2 ** 31 - 1;
