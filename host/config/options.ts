// The configuration of `doorbell serve`: parsed once, validated, frozen. Nothing behind it looks at the command line.

import type { LogLevel } from '../log/log.ts';
import type { NamespaceSpec } from './namespace-spec.ts';
import type { SocketSpec } from './socket-spec.ts';

/** One controller a socket; every controller is part of the process's one NVM subsystem. */
export interface ServeOptions {
  /** At least one. */
  readonly sockets: readonly SocketSpec[];
  /** At least one, ascending by NSID. */
  readonly namespaces: readonly NamespaceSpec[];
  /** Doorbell Buffer Config is offered to guests (OACS bit 8). */
  readonly shadowDoorbells: boolean;
  /** Microseconds that the reactor polls on after the last work before it sleeps: 0 to 1,000,000. */
  readonly spinMicroseconds: number;
  /** Windows onto guest memory of each controller, 2 MiB each: 2 to 1,024. */
  readonly windows: number;
  /** NQN of the subsystem; undefined: derived (host/nvme/identity.ts). */
  readonly subsystemNqn: string | undefined;
  /** 1 to 20 printable ASCII characters; undefined: derived. */
  readonly serial: string | undefined;
  /** 1 to 40 printable ASCII characters; undefined: the product's name. */
  readonly model: string | undefined;
  readonly logLevel: LogLevel;
  /** Log lines, and what is printed on stdout, as JSON lines. */
  readonly json: boolean;
}
