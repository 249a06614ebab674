// An NVM subsystem: opens the backends, gives controllers and namespaces their identities, and decides which controller
// sees which namespace. What comes out is plain frozen data; nothing here runs.

import type { Backend, BackendSpec } from '../block/backend.ts';
import { CNTLID_MAX, type SocketProtocol, type SocketSpec } from '../config/socket-spec.ts';
import type { NamespaceSpec } from '../config/namespace-spec.ts';
import type { SubsystemOptions } from '../config/options.ts';
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
  readonly serial: string;
  /** In the order of the sockets. */
  readonly controllers: readonly ControllerPlan[];
  /** Ascending by NSID. */
  readonly namespaces: readonly Attachment[];
  /** Sentences for the operator, each with the NSID in front. */
  readonly notices: readonly string[];
  /** What a new controller is; the target has still to make it. Throws UsageError. */
  controllerAdd(socket: SocketSpec): ControllerPlan;
  /** Forgets a controller, which the target has closed. */
  controllerRemove(plan: ControllerPlan): void;
  /** Opens a namespace that no controller shows. Throws UsageError and BlockError. */
  namespaceAdd(spec: NamespaceSpec): Attachment;
  /** Closes a namespace. Throws UsageError while a controller shows it. */
  namespaceRemove(nsid: number): void;
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
  /** Controllers and namespaces may come and go; default: they do not. */
  readonly changeable?: boolean;
}

/** Opens everything or nothing. Throws UsageError and BlockError. */
export function openSubsystem(options: SubsystemOptions, environment: SubsystemEnvironment): Subsystem {
  checkSharing(options);
  const subsystem = new OpenSubsystem(options, environment);
  try {
    subsystem.open();
  } catch (error) {
    subsystem.close();
    throw error;
  }
  return subsystem;
}

class OpenSubsystem implements Subsystem {
  readonly nqn: string;
  readonly serial: string;
  readonly notices: string[] = [];
  #options: SubsystemOptions;
  readonly #environment: SubsystemEnvironment;
  readonly #machine: string;
  #controllers: readonly ControllerPlan[] = [];
  #namespaces: readonly Attachment[] = [];

  constructor(options: SubsystemOptions, environment: SubsystemEnvironment) {
    this.#options = options;
    this.#environment = environment;
    this.#machine = environment.machine ?? machineIdentity();
    const derived = subsystemIds(this.#machine, options.sockets[0]?.path ?? '');
    this.nqn = options.subsystemNqn ?? derived.nqn;
    this.serial = options.serial ?? derived.serial;
  }

  get controllers(): readonly ControllerPlan[] {
    return this.#controllers;
  }

  get namespaces(): readonly Attachment[] {
    return this.#namespaces;
  }

  /** Opens what the options say. */
  open(): void {
    for (const spec of this.#options.namespaces) this.#namespaceOpen(spec);
    const cntlids = allocateCntlids(this.#options.sockets);
    this.#options.sockets.forEach((socket, index) => {
      this.#controllerPlan({ ...socket, cntlid: cntlids[index] });
    });
    // "All" was what there is now: a namespace that comes later is shown by controllers that come later.
    this.#options = { ...this.#options, sockets: this.#options.sockets.map((each) => this.#spelled(each)) };
  }

  controllerAdd(socket: SocketSpec): ControllerPlan {
    const options = { ...this.#options, sockets: [...this.#options.sockets, this.#spelled(socket)] };
    checkSharing(options);
    const plan = this.#controllerPlan(socket);
    this.#options = options;
    return plan;
  }

  #controllerPlan(socket: SocketSpec): ControllerPlan {
    const taken = this.#controllers.map(({ identity }) => identity.cntlid);
    const plan = Object.freeze({
      socketPath: socket.path,
      protocol: socket.protocol,
      identity: Object.freeze({
        multiController: this.#options.sockets.length > 1 || this.#changeable,
        vid: DEFAULT_VENDOR_ID,
        ssvid: DEFAULT_VENDOR_ID,
        ieeeOui: IEEE_OUI,
        serial: this.serial,
        model: this.#options.model ?? MODEL_DEFAULT,
        firmware: this.#environment.firmware,
        subnqn: this.nqn,
        cntlid: socket.cntlid ?? lowestFree(taken),
        shadowDoorbells: socket.shadowDoorbells ?? this.#options.shadowDoorbells,
      }),
      namespaces: Object.freeze(this.#namespaces.filter(({ record }) => isShown(record.nsid, socket))),
    });
    this.#controllers = Object.freeze([...this.#controllers, plan]);
    return plan;
  }

  controllerRemove(plan: ControllerPlan): void {
    this.#controllers = Object.freeze(this.#controllers.filter((other) => other !== plan));
    const sockets = this.#options.sockets.filter(({ path }) => path !== plan.socketPath);
    this.#options = { ...this.#options, sockets };
  }

  namespaceAdd(spec: NamespaceSpec): Attachment {
    const attachment = this.#namespaceOpen(spec);
    this.#options = { ...this.#options, namespaces: [...this.#options.namespaces, spec] };
    return attachment;
  }

  #namespaceOpen(spec: NamespaceSpec): Attachment {
    const backend = this.#environment.open(spec.backend);
    try {
      const viewers = viewersOf(spec.nsid, this.#options.sockets).length;
      // A controller that comes later must find said of the namespace what the first ones were told.
      const shared = viewers > 1 || (this.#changeable && (spec.share || spec.backend.readOnly));
      const record = namespaceRecord(spec, backend, shared, this.nqn, this.#machine);
      const attachment = Object.freeze({ record, backend });
      const all = [...this.#namespaces, attachment].sort((a, b) => a.record.nsid - b.record.nsid);
      checkIdentifiers(all);
      this.#namespaces = Object.freeze(all);
      this.notices.push(...backend.notices.map((notice) => `namespace ${spec.nsid}: ${notice}`));
      return attachment;
    } catch (error) {
      backend.close();
      throw error;
    }
  }

  namespaceRemove(nsid: number): void {
    const viewer = this.#controllers.find(({ namespaces }) =>
      namespaces.some(({ record }) => record.nsid === nsid),
    );
    if (viewer !== undefined) {
      throw new UsageError(
        'NAMESPACE_BUSY',
        `the controller on ${viewer.socketPath} shows namespace ${nsid}: remove the controller first`,
      );
    }
    const removed = this.#namespaces.find(({ record }) => record.nsid === nsid);
    this.#namespaces = Object.freeze(this.#namespaces.filter((other) => other !== removed));
    const namespaces = this.#options.namespaces.filter((spec) => spec.nsid !== nsid);
    this.#options = { ...this.#options, namespaces };
    removed?.backend.close();
  }

  close(): void {
    for (const { backend } of this.#namespaces) backend.close();
    this.#namespaces = Object.freeze([]);
  }

  #spelled(socket: SocketSpec): SocketSpec {
    return { ...socket, namespaces: socket.namespaces ?? this.#namespaces.map(({ record }) => record.nsid) };
  }

  get #changeable(): boolean {
    return this.#environment.changeable === true;
  }
}

function lowestFree(taken: readonly number[]): number {
  let next = 1;
  while (taken.includes(next)) next += 1;
  return next;
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
function checkSharing(options: SubsystemOptions): void {
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
