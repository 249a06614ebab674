// The process's one NVM subsystem: opens the backends, gives controllers and namespaces their identities, and decides
// which controller sees which namespace. What comes out is plain frozen data; nothing here runs.

import type { Backend, BackendSpec } from '../block/backend.ts';
import { CNTLID_MAX, type SocketProtocol, type SocketSpec } from '../config/socket-spec.ts';
import type { NamespaceSpec } from '../config/namespace-spec.ts';
import type { ServeOptions } from '../config/options.ts';
import { UsageError } from '../config/usage-error.ts';
import type { ControllerConfig, NamespaceConfig } from '../core/config.ts';
import { DEFAULT_VENDOR_ID } from '../pci/config-space.ts';
import {
  IEEE_OUI,
  MODEL_DEFAULT,
  formatUuid,
  machineIdentity,
  storedNamespaceIds,
  subsystemIds,
  volatileNamespaceIds,
} from './identity.ts';

/** What a core is told of its controller, but for the sizes of its tables, which the target chooses. */
export type ControllerIdentity = Readonly<Omit<ControllerConfig, 'ioQueuePairs' | 'queueEntries' | 'slots'>>;

/** What a core is told of one namespace. */
export type NamespaceRecord = Readonly<NamespaceConfig>;

/** A namespace as one controller sees it. */
export interface Attachment {
  readonly record: NamespaceRecord;
  readonly backend: Backend;
}

/** One controller of the subsystem: where it listens, who it is, what it sees. */
export interface ControllerPlan {
  readonly socketPath: string;
  readonly protocol: SocketProtocol;
  readonly identity: ControllerIdentity;
  /** Ascending by NSID. */
  readonly namespaces: readonly Attachment[];
}

export interface Subsystem {
  readonly nqn: string;
  /** In the order of the sockets. */
  readonly controllers: readonly ControllerPlan[];
  /** Ascending by NSID. */
  readonly namespaces: readonly Attachment[];
  /** Sentences for the operator, each with the NSID in front. */
  readonly notices: readonly string[];
  /** Closes all backends; no controller may use them any more. Idempotent. */
  close(): void;
}

/** What a subsystem needs of its surroundings. */
export interface SubsystemEnvironment {
  /** Opens a backend (host/block/open.ts). */
  readonly open: (spec: BackendSpec) => Backend;
  /** Firmware revision: at most 8 characters. */
  readonly firmware: string;
  /** Default: this machine. */
  readonly machine?: string;
}

/** Opens everything or nothing. Throws UsageError and BlockError. */
export function openSubsystem(options: ServeOptions, environment: SubsystemEnvironment): Subsystem {
  checkSharing(options);
  const machine = environment.machine ?? machineIdentity();
  const derived = subsystemIds(machine, options.sockets[0]?.path ?? '');
  const nqn = options.subsystemNqn ?? derived.nqn;
  const backends: Backend[] = [];
  const close = (): void => {
    for (const backend of backends.splice(0)) backend.close();
  };
  try {
    const notices: string[] = [];
    const namespaces = options.namespaces.map((spec) => {
      const backend = environment.open(spec.backend);
      backends.push(backend);
      notices.push(...backend.notices.map((notice) => `namespace ${spec.nsid}: ${notice}`));
      const shared = viewersOf(spec.nsid, options.sockets).length > 1;
      return Object.freeze({ record: namespaceRecord(spec, backend, shared, nqn, machine), backend });
    });
    checkIdentifiers(namespaces);
    const common = {
      multiController: options.sockets.length > 1,
      vid: DEFAULT_VENDOR_ID,
      ssvid: DEFAULT_VENDOR_ID,
      ieeeOui: IEEE_OUI,
      serial: options.serial ?? derived.serial,
      model: options.model ?? MODEL_DEFAULT,
      firmware: environment.firmware,
      subnqn: nqn,
    };
    const cntlids = allocateCntlids(options.sockets);
    const controllers = options.sockets.map((socket, index) =>
      Object.freeze({
        socketPath: socket.path,
        protocol: socket.protocol,
        identity: Object.freeze({
          ...common,
          cntlid: cntlids[index] ?? 0,
          shadowDoorbells: socket.shadowDoorbells ?? options.shadowDoorbells,
        }),
        namespaces: Object.freeze(namespaces.filter(({ record }) => isShown(record.nsid, socket))),
      }),
    );
    return Object.freeze({ nqn, controllers: Object.freeze(controllers), namespaces, notices, close });
  } catch (error) {
    close();
    throw error;
  }
}

/** Chosen CNTLIDs stay; the other sockets get the lowest free ones, from 1, in their order. */
export function allocateCntlids(sockets: readonly SocketSpec[]): readonly number[] {
  const taken = new Set(sockets.flatMap(({ cntlid }) => (cntlid === undefined ? [] : [cntlid])));
  let next = 1;
  return sockets.map(({ cntlid }) => {
    if (cntlid !== undefined) return cntlid;
    while (taken.has(next)) next += 1;
    if (next > CNTLID_MAX) {
      throw new UsageError(
        'CNTLID_CONFLICT',
        `${sockets.length} controllers are too many: at most ${CNTLID_MAX}`,
      );
    }
    taken.add(next);
    return next;
  });
}

function namespaceRecord(
  spec: NamespaceSpec,
  backend: Backend,
  shared: boolean,
  nqn: string,
  machine: string,
): NamespaceRecord {
  const { geometry, identity } = backend;
  const derived =
    identity === undefined ? volatileNamespaceIds(nqn, spec.nsid) : storedNamespaceIds(machine, identity);
  return Object.freeze({
    nsid: spec.nsid,
    shared,
    readOnly: geometry.readOnly,
    deallocate: geometry.deallocate,
    volatileCache: geometry.volatileCache,
    lbaShift: geometry.blockSize === 512 ? 9 : 12,
    blocks: geometry.blocks,
    nguid: spec.nguid ?? derived.nguid,
    eui64: spec.eui64 ?? derived.eui64,
    uuid: spec.uuid ?? derived.uuid,
    optimalBlocks: geometry.optimalBlocks,
  });
}

function isShown(nsid: number, socket: SocketSpec): boolean {
  return socket.namespaces === undefined || socket.namespaces.includes(nsid);
}

function viewersOf(nsid: number, sockets: readonly SocketSpec[]): readonly SocketSpec[] {
  return sockets.filter((socket) => isShown(nsid, socket));
}

/**
 * Two guests that mount one disk for writing destroy it, so that more than one controller may write a namespace is
 * something that the operator has to say.
 */
function checkSharing(options: ServeOptions): void {
  for (const spec of options.namespaces) {
    const viewers = viewersOf(spec.nsid, options.sockets);
    if (viewers.length < 2 || spec.share || spec.backend.readOnly) continue;
    throw new UsageError(
      'NAMESPACE_NOT_SHARED',
      `namespace ${spec.nsid} would be writable through ${viewers.length} controllers: add share=on to its ` +
        '--namespace if all of them belong to one guest or to a cluster file system, else readonly=on, or ' +
        'namespaces= to the sockets',
    );
  }
}

/** A guest takes two namespaces with one identifier for two paths to the same data, or refuses the second. */
function checkIdentifiers(namespaces: readonly Attachment[]): void {
  const owners = new Map<string, number>();
  for (const { record, backend } of namespaces) {
    for (const name of ['uuid', 'nguid', 'eui64'] as const) {
      const value = name === 'uuid' ? formatUuid(record.uuid) : Buffer.from(record[name]).toString('hex');
      const owner = owners.get(`${name} ${value}`);
      if (owner !== undefined) {
        throw new UsageError(
          'NAMESPACE_CONFLICT',
          `namespaces ${owner} and ${record.nsid} (${backend.label}) have the same ${name} ${value}: ` +
            'give one of them its own uuid=, nguid= and eui64=',
        );
      }
      owners.set(`${name} ${value}`, record.nsid);
    }
  }
}
