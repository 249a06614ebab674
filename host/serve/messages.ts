// What the main thread and the reactor thread say to each other. A message to the reactor is followed by a signal on
// the control eventfd: the thread blocks in the kernel, not in its event loop.

import type { MessagePort } from 'node:worker_threads';
import type { ServeOptions } from '../config/options.ts';
import type { UsageCode } from '../config/usage-error.ts';

/** The thread's name in `top -H` and /proc. */
export const REACTOR_THREAD = 'reactor';

/** What the reactor thread is started with. */
export interface ReactorStart {
  options: ServeOptions;
  /** The reactor's end of the channel. */
  port: MessagePort;
  controlFd: number;
}

export type ToReactor =
  | { type: 'drain' }
  | { type: 'statistics' }
  /** The process ends: no time for I/O under way. */
  | { type: 'end' };

export type FromReactor =
  | { type: 'listening'; summary: TargetSummary }
  /** A finished line of the log. */
  | { type: 'log'; line: string }
  /** Starting failed; `kind` tells who can mend it. */
  | { type: 'refused'; kind: 'usage'; code: UsageCode; message: string }
  | { type: 'refused'; kind: 'failure'; code: string; message: string }
  | { type: 'statistics'; statistics: TargetStatistics }
  /** All controllers are closed; the thread ends. */
  | { type: 'drained'; statistics: TargetStatistics };

/** What a started target serves, for people and programs. */
export interface TargetSummary {
  subsystemNqn: string;
  controllers: {
    socketPath: string;
    cntlid: number;
    serial: string;
    model: string;
    namespaces: { nsid: number; label: string; blocks: bigint; blockSize: number; readOnly: boolean }[];
  }[];
}

/** Sums over the life of a target. */
export interface TargetStatistics {
  doorbells: number;
  requests: number;
  requestErrors: number;
  interrupts: number;
  windowFills: number;
  /** Times that the reactor had nothing to do and blocked. */
  sleeps: number;
}
