// The configuration of `doorbell serve`: parsed once, validated, frozen. Nothing behind it looks at the command line.

import { WINDOW_COUNT_DEFAULT, WINDOW_COUNT_MAX, WINDOW_COUNT_MIN } from '../../assembly/abi/memory-map.ts';
import { LOG_LEVELS, type LogLevel } from '../log/log.ts';
import { parseInteger, parseSwitch } from './fields.ts';
import { parseAscii, parseNqn } from './identifiers.ts';
import { numberNamespaces, parseNamespace, type NamespaceSpec } from './namespace-spec.ts';
import { parseSocket, type SocketSpec } from './socket-spec.ts';
import { hint } from './suggest.ts';
import { UsageError } from './usage-error.ts';

/** One controller a socket; every controller is part of the process's one NVM subsystem. */
export interface ServeOptions {
  /** At least one, in the order of the command line. */
  readonly sockets: readonly SocketSpec[];
  /** At least one, ascending by NSID. */
  readonly namespaces: readonly NamespaceSpec[];
  /** Doorbell Buffer Config is offered to guests (OACS bit 8), where the socket does not say otherwise. */
  readonly shadowDoorbells: boolean;
  /** Microseconds that the reactor polls on after the last work before it sleeps: 0 to SPIN_MAX. */
  readonly spinMicroseconds: number;
  /** Windows onto guest memory of each controller, 2 MiB each. */
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

/** Longest busy time, one second: more is a processor burnt for nothing. */
export const SPIN_MICROSECONDS_MAX = 1_000_000;
/** Short enough to cost an idle machine nothing, long enough to bridge the gaps of a guest at queue depth 1. */
export const SPIN_MICROSECONDS_DEFAULT = 50;

/** What stood on the command line, each value as text. Missing ones get their default. */
export interface ServeArguments {
  readonly socket: readonly string[];
  readonly namespace: readonly string[];
  readonly shadowDoorbells?: string | undefined;
  readonly spinUs?: string | undefined;
  readonly windows?: string | undefined;
  readonly subsystemNqn?: string | undefined;
  readonly serial?: string | undefined;
  readonly model?: string | undefined;
  readonly logLevel?: string | undefined;
  readonly json?: boolean | undefined;
}

/** Throws UsageError for the first thing that is wrong. */
export function parseServeOptions(args: ServeArguments): ServeOptions {
  if (args.socket.length === 0) {
    throw new UsageError('COMMAND_LINE', 'no --socket is given: add --socket PATH, where QEMU will connect');
  }
  if (args.namespace.length === 0) {
    throw new UsageError(
      'COMMAND_LINE',
      'no --namespace is given: add --namespace file:disk.img,size=10G, or ram:1G',
    );
  }
  const sockets = args.socket.map((text) => parseSocket(text));
  const namespaces = numberNamespaces(args.namespace.map(parseNamespace));
  checkSockets(sockets, namespaces);
  return Object.freeze({
    sockets: Object.freeze(sockets),
    namespaces,
    shadowDoorbells: parseSwitch('--shadow-doorbells', args.shadowDoorbells ?? 'on'),
    spinMicroseconds: parseInteger(
      '--spin-us',
      args.spinUs ?? String(SPIN_MICROSECONDS_DEFAULT),
      0,
      SPIN_MICROSECONDS_MAX,
    ),
    windows: parseInteger(
      '--windows',
      args.windows ?? String(WINDOW_COUNT_DEFAULT),
      WINDOW_COUNT_MIN,
      WINDOW_COUNT_MAX,
    ),
    subsystemNqn:
      args.subsystemNqn === undefined ? undefined : parseNqn('--subsystem-nqn', args.subsystemNqn),
    serial: args.serial === undefined ? undefined : parseAscii('--serial', args.serial, 20),
    model: args.model === undefined ? undefined : parseAscii('--model', args.model, 40),
    logLevel: parseLogLevel(args.logLevel ?? 'info'),
    json: args.json ?? false,
  });
}

export function parseLogLevel(text: string): LogLevel {
  const level = LOG_LEVELS.find((known) => known === text);
  if (level !== undefined) return level;
  throw new UsageError(
    'OPTION_INVALID',
    `--log-level ${text} is not possible${hint(text, LOG_LEVELS)}: write ${LOG_LEVELS.join(', ')}`,
  );
}

/** Sockets are distinct, and show only namespaces that exist; every namespace is shown by one of them at least. */
function checkSockets(sockets: readonly SocketSpec[], namespaces: readonly NamespaceSpec[]): void {
  const paths = new Set<string>();
  const cntlids = new Set<number>();
  const nsids = namespaces.map(({ nsid }) => nsid);
  const shown = new Set<number>();
  for (const socket of sockets) {
    if (paths.has(socket.path)) {
      throw new UsageError(
        'SOCKET_CONFLICT',
        `--socket ${socket.path} is given twice: each controller needs its own`,
      );
    }
    paths.add(socket.path);
    if (socket.cntlid !== undefined) {
      if (cntlids.has(socket.cntlid)) {
        throw new UsageError(
          'CNTLID_CONFLICT',
          `two sockets have cntlid=${socket.cntlid}: change or leave out one of them`,
        );
      }
      cntlids.add(socket.cntlid);
    }
    for (const nsid of socket.namespaces ?? nsids) {
      if (!nsids.includes(nsid)) {
        throw new UsageError(
          'NAMESPACE_UNKNOWN',
          `--socket ${socket.path} names namespace ${nsid}, which does not exist; there is ${nsids.join(', ')}`,
        );
      }
      shown.add(nsid);
    }
  }
  const hidden = nsids.find((nsid) => !shown.has(nsid));
  if (hidden !== undefined) {
    throw new UsageError(
      'NAMESPACE_UNKNOWN',
      `no socket shows namespace ${hidden}: add it to namespaces= of a socket, or leave its --namespace out`,
    );
  }
}
