// The methods of the control socket. Parameters are objects; what they may hold is a schema each, and beyond it the
// rules of the command line.

import type { JSONRPCServer } from 'json-rpc-2.0';
import { faultsOf, faultsOfSchema, formatPath, type Entry, type Fault } from '../config/file/index.ts';
import { UsageError } from '../config/usage-error.ts';
import { LOG_LEVELS, type LogLevel, type RootLog } from '../log/log.ts';
import type { Target } from '../serve/target.ts';
import { VERSION } from '../version.ts';
import type { Configuration } from './configuration.ts';

export interface MethodsParts {
  readonly target: Pick<Target, 'ask' | 'statistics' | 'summary'>;
  readonly configuration: Configuration;
  readonly log: RootLog;
  /** Begins the end of the target. */
  readonly drain: () => void;
}

type Parameters = Readonly<Record<string, unknown>>;

export interface Method {
  readonly name: string;
  /** One sentence. */
  readonly summary: string;
  /** Keys that the parameters may have, each with its schema; one that begins with `!` must be there. */
  readonly parameters?: Readonly<Record<string, object>>;
  /** The parameters, but for `subsystem`, are an entry of a configuration file. */
  readonly entry?: 'controller' | 'namespace';
  readonly run: (parameters: Parameters) => unknown;
}

/** Parameters that a method does not take: JSON-RPC's own code for that. */
export class ParametersError extends Error {}

const TEXT = { type: 'string', minLength: 1 };

export function createMethods(parts: MethodsParts): readonly Method[] {
  const started = Date.now();
  const methods: Method[] = [
    { name: 'ping', summary: 'Answers pong.', run: () => 'pong' },
    {
      name: 'version',
      summary: 'What serves, since when, and as which process.',
      run: () => ({
        product: 'doorbell',
        version: VERSION,
        pid: process.pid,
        uptimeSeconds: Math.floor((Date.now() - started) / 1000),
      }),
    },
    {
      name: 'methods',
      summary: 'All methods with their parameters.',
      run: () => methods.map(describe),
    },
    ...lookMethods(parts),
    ...changeMethods(parts),
    ...targetMethods(parts),
  ];
  return methods;
}

function lookMethods({ target }: MethodsParts): Method[] {
  const look = (): ReturnType<typeof target.ask<'look'>> => target.ask({ kind: 'look' });
  return [
    {
      name: 'subsystem.list',
      summary: 'Subsystems with their namespaces.',
      run: async () => (await look()).subsystems,
    },
    {
      name: 'namespace.list',
      summary: 'Namespaces, and the sockets of the controllers that show each.',
      run: async () => {
        const { subsystems, controllers } = await look();
        return subsystems.flatMap(({ nqn, namespaces }) =>
          namespaces.map((namespace) => ({
            subsystemNqn: nqn,
            ...namespace,
            sockets: controllers
              .filter((each) => each.subsystemNqn === nqn && each.namespaces.includes(namespace.nsid))
              .map(({ socketPath }) => socketPath),
          })),
        );
      },
    },
    {
      name: 'controller.list',
      summary: 'Controllers, their state and what they counted.',
      run: async () =>
        (await look()).controllers.map(({ queues, ...controller }) => ({
          ...controller,
          ioQueues: queues.filter(({ qid }) => qid > 0).length,
        })),
    },
    {
      name: 'queue.list',
      summary: 'Queue pairs of each controller, or of the one on a socket.',
      parameters: { socket: TEXT },
      run: async ({ socket }) => {
        const { controllers } = await look();
        const chosen = controllers.filter(({ socketPath }) => socket === undefined || socketPath === socket);
        if (chosen.length === 0 && socket !== undefined) {
          throw new UsageError(
            'CONTROLLER_UNKNOWN',
            `no controller listens on ${textOf(socket)}: see controller.list`,
          );
        }
        return chosen.flatMap(({ subsystemNqn, cntlid, socketPath, queues }) =>
          queues.map((queue) => ({ subsystemNqn, cntlid, socketPath, ...queue })),
        );
      },
    },
    {
      name: 'statistics',
      summary: 'Sums over the life of the target.',
      run: () => target.statistics(),
    },
  ];
}

function changeMethods({ configuration }: MethodsParts): Method[] {
  return [
    {
      name: 'controller.add',
      summary: 'Makes a controller on a socket; parameters as in a configuration file.',
      entry: 'controller',
      run: ({ subsystem, ...entry }) => configuration.controllerAdd(nqnOf(subsystem), entry as Entry),
    },
    {
      name: 'controller.remove',
      summary: 'Closes a socket, drops its VMM and ends its controller.',
      parameters: { '!socket': TEXT },
      run: async ({ socket }) => {
        await configuration.controllerRemove(String(socket));
        return true;
      },
    },
    {
      name: 'namespace.add',
      summary:
        'Opens a namespace, for controllers that are added later; parameters as in a configuration file.',
      entry: 'namespace',
      run: ({ subsystem, ...entry }) => configuration.namespaceAdd(nqnOf(subsystem), entry as Entry),
    },
    {
      name: 'namespace.remove',
      summary: 'Closes a namespace that no controller shows.',
      parameters: { '!nsid': { type: 'integer' }, subsystem: TEXT },
      run: async ({ nsid, subsystem }) => {
        await configuration.namespaceRemove(nqnOf(subsystem), Number(nsid));
        return true;
      },
    },
    {
      name: 'config.get',
      summary: 'The configuration as config.save would write it.',
      run: () => configuration.value,
    },
    {
      name: 'config.save',
      summary:
        'Writes the configuration to its file, or to another; force overwrites what others wrote there.',
      parameters: { path: TEXT, force: { type: 'boolean' } },
      run: async ({ path, force }) => ({
        path: await configuration.save(path === undefined ? undefined : textOf(path), force === true),
      }),
    },
  ];
}

function targetMethods({ target, log, drain }: MethodsParts): Method[] {
  let level: LogLevel | undefined;
  return [
    {
      name: 'log.level',
      summary: 'Changes how much is logged, until the target ends.',
      parameters: { '!level': { enum: LOG_LEVELS } },
      run: async (parameters) => {
        level = LOG_LEVELS.find((known) => known === parameters['level']) ?? 'info';
        log.setLevel(level);
        await target.ask({ kind: 'log level', level });
        return { level };
      },
    },
    {
      name: 'target.drain',
      summary: 'Finishes the requests under way and ends the target, as SIGTERM does.',
      run: () => {
        log.info('target.drain: draining; a signal ends at once');
        // The answer leaves first.
        setImmediate(drain);
        return true;
      },
    },
  ];
}

/** Checks the parameters of each call. */
export function registerMethods(server: JSONRPCServer, methods: readonly Method[]): void {
  for (const method of methods) {
    server.addMethod(method.name, async (given: unknown) => {
      const parameters = (given ?? {}) as Parameters;
      const [fault] = faultsIn(method, parameters);
      if (fault !== undefined) {
        const where = formatPath(fault.path);
        throw new ParametersError(`${method.name}: ${where === '' ? '' : `${where}: `}${fault.message}`);
      }
      return plain(await method.run(parameters));
    });
  }
}

function faultsIn(method: Method, parameters: Parameters): readonly Fault[] {
  if (typeof parameters !== 'object' || Array.isArray(parameters)) {
    return [{ path: [], message: 'parameters are an object of names and values', isMissing: false }];
  }
  if (method.entry === undefined) return faultsOfSchema(parameters, schemaOf(method));
  const { subsystem, ...entry } = parameters;
  const named = faultsOfSchema({ subsystem }, { type: 'object', properties: { subsystem: TEXT } });
  return [...(subsystem === undefined ? [] : named), ...faultsOf(entry, method.entry)];
}

function schemaOf({ parameters = {} }: Method): object {
  const names = Object.keys(parameters);
  return {
    type: 'object',
    additionalProperties: false,
    properties: Object.fromEntries(names.map((name) => [name.replace('!', ''), parameters[name]])),
    required: names.filter((name) => name.startsWith('!')).map((name) => name.slice(1)),
  };
}

function describe(method: Method): object {
  const { name, summary, entry } = method;
  const parameters =
    entry === undefined ? schemaOf(method) : { $ref: `docs/config.schema.json#/definitions/${entry}` };
  return { name, summary, parameters };
}

/** The schema has seen that it is a text. */
function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function nqnOf(subsystem: unknown): string | undefined {
  return subsystem === undefined ? undefined : textOf(subsystem);
}

/** JSON knows no bigint; sizes and counts are below 2^53. */
function plain(value: unknown): unknown {
  const toJson = (_key: string, part: unknown): unknown => (typeof part === 'bigint' ? Number(part) : part);
  return value === undefined ? null : (JSON.parse(JSON.stringify(value, toJson)) as unknown);
}
