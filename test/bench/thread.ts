// One thread of another process: how long it ran, and how often it went to sleep.

import { readdirSync, readFileSync } from 'node:fs';

export interface ThreadSums {
  /** Processor time. */
  readonly milliseconds: number;
  /** Voluntary context switches. */
  readonly sleeps: number;
}

export class Thread {
  readonly #directory: string;

  constructor(pid: number, tid: number) {
    this.#directory = `/proc/${pid}/task/${tid}`;
  }

  /** The thread of that name, as `top -H` shows it. Throws Error if there is none. */
  static named(pid: number, name: string): Thread {
    const tid = readdirSync(`/proc/${pid}/task`).find(
      (task) => readFileSync(`/proc/${pid}/task/${task}/comm`, 'utf8').trim() === name,
    );
    if (tid === undefined) throw new Error(`process ${pid} has no thread '${name}'`);
    return new Thread(pid, Number(tid));
  }

  /** Since the thread started. */
  sums(): ThreadSums {
    const status = readFileSync(`${this.#directory}/status`, 'utf8');
    const [nanoseconds] = readFileSync(`${this.#directory}/schedstat`, 'utf8').split(' ');
    return {
      milliseconds: Number(nanoseconds) / 1e6,
      sleeps: Number(/^voluntary_ctxt_switches:\s+(\d+)$/m.exec(status)?.[1] ?? NaN),
    };
  }

  /** What `work` added. */
  async during<T>(work: () => Promise<T>): Promise<ThreadSums & { result: T }> {
    const before = this.sums();
    const result = await work();
    const after = this.sums();
    return {
      milliseconds: after.milliseconds - before.milliseconds,
      sleeps: after.sleeps - before.sleeps,
      result,
    };
  }
}
