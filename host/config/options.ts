// The configuration of `doorbell serve`: parsed once, validated, frozen. Nothing behind it looks at the command line.

import { WINDOW_COUNT_DEFAULT, WINDOW_COUNT_MAX, WINDOW_COUNT_MIN } from '../../assembly/abi/memory-map.ts';
import { LOG_LEVELS, type LogLevel } from '../log/log.ts';
import { parseInteger, parseSwitch } from './fields.ts';
import { parseAscii, parseNqn } from './identifiers.ts';
import { parseListenAddress, type ListenAddress } from './listen-address.ts';
import { numberNamespaces, parseNamespace, type NamespaceSpec } from './namespace-spec.ts';
import { checkSocketPath, parseSocket, type SocketSpec } from './socket-spec.ts';
import { hint } from './suggest.ts';
import { UsageError } from './usage-error.ts';

/** One NVM subsystem: each of its controllers has a socket. */
export interface SubsystemOptions {
  /** In the order of the command line. At least one, unless the target can be changed while it runs. */
  readonly sockets: readonly SocketSpec[];
  /** Ascending by NSID. At least one, unless the target can be changed while it runs. */
  readonly namespaces: readonly NamespaceSpec[];
  /** Doorbell Buffer Config is offered to guests (OACS bit 8), where the socket does not say otherwise. */
  readonly shadowDoorbells: boolean;
  /** NQN of the subsystem; undefined: derived (host/nvme/identity.ts). */
  readonly subsystemNqn: string | undefined;
  /** 1 to 20 printable ASCII characters; undefined: derived. */
  readonly serial: string | undefined;
  /** 1 to 40 printable ASCII characters; undefined: the product's name. */
  readonly model: string | undefined;
}

/** What concerns the process as a whole. */
export interface ProcessOptions {
  /** Microseconds that the reactor polls on after the last work before it sleeps: 0 to SPIN_MAX. */
  readonly spinMicroseconds: number;
  /** Windows onto guest memory of each controller, 2 MiB each. */
  readonly windows: number;
  readonly logLevel: LogLevel;
  /** Log lines, and what is printed on stdout, as JSON lines. */
  readonly json: boolean;
  /** Absolute path of the control socket; undefined: none, and the target cannot be changed while it runs. */
  readonly control: string | undefined;
  /** Where metrics can be read; undefined: nowhere. */
  readonly metrics: ListenAddress | undefined;
}

export interface ServeOptions extends ProcessOptions {
  /** At least one. */
  readonly subsystems: readonly SubsystemOptions[];
}

/** Longest busy time, one second: more is a processor burnt for nothing. */
export const SPIN_MICROSECONDS_MAX = 1_000_000;
/** Short enough to cost an idle machine nothing, long enough to bridge the gaps of a guest at queue depth 1. */
export const SPIN_MICROSECONDS_DEFAULT = 50;

/** What is said of the process, each value as text. Missing ones get their default. */
export interface ProcessArguments {
  readonly spinUs?: string | undefined;
  readonly windows?: string | undefined;
  readonly logLevel?: string | undefined;
  readonly json?: boolean | undefined;
  readonly control?: string | undefined;
  readonly metrics?: string | undefined;
}

/** What stood on the command line, each value as text. Missing ones get their default. */
export interface ServeArguments extends ProcessArguments {
  readonly socket: readonly string[];
  readonly namespace: readonly string[];
  readonly shadowDoorbells?: string | undefined;
  readonly subsystemNqn?: string | undefined;
  readonly serial?: string | undefined;
  readonly model?: string | undefined;
}

/** Options of a command line, which has one subsystem. Throws UsageError for the first thing that is wrong. */
export function parseServeOptions(args: ServeArguments): ServeOptions {
  const processOptions = parseProcessOptions(args);
  const changeable = processOptions.control !== undefined;
  if (args.socket.length === 0 && !changeable) {
    throw new UsageError('COMMAND_LINE', 'no --socket is given: add --socket PATH, where QEMU will connect');
  }
  if (args.namespace.length === 0 && !changeable) {
    throw new UsageError(
      'COMMAND_LINE',
      'no --namespace is given: add --namespace file:disk.img,size=10G, or ram:1G',
    );
  }
  const subsystem = Object.freeze({
    sockets: Object.freeze(args.socket.map((text) => parseSocket(text))),
    namespaces: numberNamespaces(args.namespace.map(parseNamespace)),
    shadowDoorbells: parseSwitch('--shadow-doorbells', args.shadowDoorbells ?? 'on'),
    ...parseIdentity(args),
  });
  return joinOptions([subsystem], processOptions);
}

/** Throws UsageError. Relative paths count from `directory`. */
export function parseProcessOptions(
  args: ProcessArguments,
  directory: string = process.cwd(),
): ProcessOptions {
  return {
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
    logLevel: parseLogLevel(args.logLevel ?? 'info'),
    json: args.json ?? false,
    control: args.control === undefined ? undefined : checkSocketPath('--control', args.control, directory),
    metrics:
      args.metrics === undefined ? undefined : parseListenAddress('--metrics', args.metrics, directory),
  };
}

/** Throws UsageError. */
export function parseIdentity(
  args: Pick<ServeArguments, 'subsystemNqn' | 'serial' | 'model'>,
): Pick<SubsystemOptions, 'subsystemNqn' | 'serial' | 'model'> {
  const { subsystemNqn, serial, model } = args;
  return {
    subsystemNqn: subsystemNqn === undefined ? undefined : parseNqn('--subsystem-nqn', subsystemNqn),
    serial: serial === undefined ? undefined : parseAscii('--serial', serial, 20),
    model: model === undefined ? undefined : parseAscii('--model', model, 40),
  };
}

/** All options of a target, with what holds between them checked. Throws UsageError. */
export function joinOptions(
  subsystems: readonly SubsystemOptions[],
  processOptions: ProcessOptions,
): ServeOptions {
  const options = { ...processOptions, subsystems: Object.freeze([...subsystems]) };
  for (const subsystem of subsystems) checkShown(subsystem, options.control !== undefined);
  checkPaths(options);
  return Object.freeze(options);
}

export function parseLogLevel(text: string): LogLevel {
  const level = LOG_LEVELS.find((known) => known === text);
  if (level !== undefined) return level;
  throw new UsageError(
    'OPTION_INVALID',
    `--log-level ${text} is not possible${hint(text, LOG_LEVELS)}: write ${LOG_LEVELS.join(', ')}`,
  );
}

/**
 * Sockets show only namespaces that exist, each as a controller of its own; every namespace is shown by one of them at
 * least, unless it may be attached later. Throws UsageError.
 */
export function checkShown({ sockets, namespaces }: SubsystemOptions, changeable: boolean): void {
  const cntlids = new Set<number>();
  const nsids = namespaces.map(({ nsid }) => nsid);
  const shown = new Set<number>();
  for (const socket of sockets) {
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
        const there = nsids.length === 0 ? 'there is none' : `there is ${nsids.join(', ')}`;
        throw new UsageError(
          'NAMESPACE_UNKNOWN',
          `--socket ${socket.path} names namespace ${nsid}, which does not exist; ${there}`,
        );
      }
      shown.add(nsid);
    }
  }
  const hidden = changeable ? undefined : nsids.find((nsid) => !shown.has(nsid));
  if (hidden !== undefined) {
    throw new UsageError(
      'NAMESPACE_UNKNOWN',
      `no socket shows namespace ${hidden}: add it to namespaces= of a socket, or leave its --namespace out`,
    );
  }
}

/** Every socket of the process has a path of its own. Throws UsageError. */
function checkPaths({ subsystems, control, metrics }: ServeOptions): void {
  const paths = new Set<string>();
  const take = (path: string, option: string): void => {
    if (paths.has(path)) {
      throw new UsageError(
        'SOCKET_CONFLICT',
        `${option} ${path} is given twice: each controller, the control socket and metrics need their own`,
      );
    }
    paths.add(path);
  };
  for (const { sockets } of subsystems) for (const { path } of sockets) take(path, '--socket');
  if (control !== undefined) take(control, '--control');
  if (metrics?.kind === 'unix') take(metrics.path, '--metrics');
}
