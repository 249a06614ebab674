// What a reactor offers to those who live on it: readiness of descriptors, execution of request records, a clock and
// one place to block. The io_uring reactor is the real one; tests bring one of their own with seeded delays.

import type { NativeController } from '../native.ts';
import type { ReactorPort } from '../transport/reactor-port.ts';

export interface Reactor extends ReactorPort {
  /** Hands `count` request records of a controller's core to the storage; their completions come with a later turn. */
  submit(controller: NativeController, count: number): void;
  /**
   * Gives the kernel what is queued, collects what is done and calls the handlers of descriptors that became ready.
   * `waitMicroseconds`: 0 does not wait, a positive number waits at most that long, -1 until something happens.
   * Returns the number of handlers called.
   */
  turn(waitMicroseconds: number): number;
  /** Monotonic time in microseconds. */
  now(): number;
  close(): void;
}
