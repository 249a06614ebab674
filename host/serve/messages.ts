// What the main thread and the reactor thread say to each other. A message to the reactor is followed by a signal on
// the control eventfd: the thread blocks in the kernel, not in its event loop.

import type { MessagePort } from 'node:worker_threads';
import type { NamespaceSpec } from '../config/namespace-spec.ts';
import type { ServeOptions } from '../config/options.ts';
import type { SocketProtocol, SocketSpec } from '../config/socket-spec.ts';
import type { UsageCode } from '../config/usage-error.ts';
import type { LogLevel } from '../log/log.ts';
import type { ControllerLook } from '../nvme/look.ts';
import type { ControllerStatistics } from '../nvme/statistics.ts';

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
  /** Answered by `done` or `failed` with the same number. */
  | { type: 'request'; number: number; request: Request }
  /** The process ends: no time for I/O under way. */
  | { type: 'end' };

/** What can be asked of a target, or changed, while it runs. Subsystems are counted in the order of the options. */
export type Request =
  | { kind: 'look' }
  | { kind: 'log level'; level: LogLevel }
  | { kind: 'controller add'; subsystem: number; socket: SocketSpec }
  | { kind: 'controller remove'; socketPath: string }
  | { kind: 'namespace add'; subsystem: number; namespace: NamespaceSpec }
  | { kind: 'namespace remove'; subsystem: number; nsid: number };

/** What each request is answered with. */
export interface Answers {
  look: TargetLook;
  'log level': undefined;
  'controller add': ControllerSummary;
  'controller remove': undefined;
  'namespace add': NamespaceSummary;
  'namespace remove': undefined;
}

/** `kind` tells who can mend it. */
export type Refusal =
  { kind: 'usage'; code: UsageCode; message: string } | { kind: 'failure'; code: string; message: string };

export type FromReactor =
  | { type: 'listening'; summary: TargetSummary }
  /** A finished line of the log. */
  | { type: 'log'; line: string }
  /** Starting failed. */
  | ({ type: 'refused' } & Refusal)
  | { type: 'statistics'; statistics: TargetStatistics }
  | { type: 'done'; number: number; answer: Answers[keyof Answers] }
  | { type: 'failed'; number: number; refusal: Refusal }
  /** All controllers are closed; the thread ends. */
  | { type: 'drained'; statistics: TargetStatistics };

export interface NamespaceSummary {
  nsid: number;
  label: string;
  blocks: bigint;
  blockSize: number;
  readOnly: boolean;
}

export interface ControllerSummary {
  subsystemNqn: string;
  socketPath: string;
  cntlid: number;
  serial: string;
  model: string;
  namespaces: NamespaceSummary[];
}

/** What a started target serves, for people and programs. */
export interface TargetSummary {
  subsystems: { nqn: string; serial: string }[];
  controllers: ControllerSummary[];
}

/** What a target serves at the moment, and how it is. */
export interface TargetLook {
  subsystems: { nqn: string; serial: string; namespaces: NamespaceSummary[] }[];
  controllers: ControllerState[];
  /** Of the reactor. */
  turns: number;
  sleeps: number;
}

export interface ControllerState extends ControllerLook {
  subsystemNqn: string;
  socketPath: string;
  cntlid: number;
  protocol: SocketProtocol;
  /** A VMM is connected. */
  connected: boolean;
  /** NSIDs that it shows. */
  namespaces: number[];
  statistics: ControllerStatistics;
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
