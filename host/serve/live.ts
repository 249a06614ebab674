// What a target serves: its subsystems, a controller and a server for each socket, as they come and go. Lives on the
// reactor's thread.

import {
  IO_QUEUE_PAIRS_MAX,
  QUEUE_ENTRIES_MAX,
  REGION_COUNT,
  SLOT_COUNT,
} from '../../assembly/abi/memory-map.ts';
import { INIT_OK } from '../../assembly/abi/records.ts';
import { openBackend } from '../block/open.ts';
import type { NamespaceSpec } from '../config/namespace-spec.ts';
import type { ServeOptions } from '../config/options.ts';
import { listenFailure, type SocketSpec } from '../config/socket-spec.ts';
import { UsageError } from '../config/usage-error.ts';
import { Core } from '../core/core.ts';
import type { Log } from '../log/log.ts';
import { native } from '../native.ts';
import { Controller, type ControllerParts } from '../nvme/controller.ts';
import { Seat } from '../nvme/seat.ts';
import { noStatistics, type ControllerStatistics } from '../nvme/statistics.ts';
import { openSubsystem, type Attachment, type ControllerPlan, type Subsystem } from '../nvme/subsystem.ts';
import type { Driven, ReactorLoop } from '../reactor/loop.ts';
import type { Reactor } from '../reactor/reactor.ts';
import type { ResumableDevice } from '../transport/device.ts';
import { VfioUserServer } from '../transport/vfio-user/server.ts';
import { VhostUserServer } from '../transport/vhost-user/server.ts';
import { FIRMWARE_REVISION } from '../version.ts';
import type {
  ControllerSummary,
  NamespaceSummary,
  TargetLook,
  TargetStatistics,
  TargetSummary,
} from './messages.ts';

/** What every controller can have; a VMM may ask for less. */
const QUEUES = { ioQueuePairs: IO_QUEUE_PAIRS_MAX, queueEntries: QUEUE_ENTRIES_MAX };

/** A controller and the socket it is reached through. */
interface Served {
  readonly subsystem: Subsystem;
  readonly plan: ControllerPlan;
  readonly seat: Seat;
  readonly server: VfioUserServer | VhostUserServer;
}

export interface LiveParts {
  readonly options: ServeOptions;
  readonly reactor: Reactor;
  readonly loop: ReactorLoop;
  readonly log: Log;
}

export class LiveTarget {
  readonly #parts: LiveParts;
  readonly #subsystems: Subsystem[] = [];
  /** Controllers whose sockets are closed and whose requests go on. */
  readonly #leaving = new Set<Served>();
  /** Sums of those that left. */
  readonly #past = noStatistics();
  #served: readonly Served[] = [];
  #draining = false;

  /** Opens all storage and all sockets, or nothing. Throws UsageError and BlockError. */
  constructor(parts: LiveParts) {
    this.#parts = parts;
    try {
      for (const options of parts.options.subsystems) {
        const subsystem = openSubsystem(options, {
          open: openBackend,
          firmware: FIRMWARE_REVISION,
          changeable: parts.options.control !== undefined,
        });
        this.#subsystems.push(subsystem);
        this.#checkNqn(subsystem);
        for (const notice of subsystem.notices) parts.log.warn(notice);
      }
      for (const subsystem of this.#subsystems) {
        for (const plan of subsystem.controllers) this.#serve(subsystem, plan);
      }
    } catch (error) {
      // The sockets of the controllers before must not stay behind.
      for (const { server } of this.#served) server.close(() => undefined);
      throw error;
    }
  }

  // ---- Change ----

  /** `subsystem` counts from 0. Throws UsageError. */
  controllerAdd(subsystem: number, socket: SocketSpec): ControllerSummary {
    this.#checkRunning();
    const chosen = this.#subsystem(subsystem);
    const plan = chosen.controllerAdd(socket);
    try {
      this.#serve(chosen, plan);
    } catch (error) {
      chosen.controllerRemove(plan);
      throw error;
    }
    return summaryOfController(chosen, plan);
  }

  /**
   * Closes the socket and drops the VMM; `done` comes when its requests have ended, or the time for them is over.
   * Throws UsageError.
   */
  controllerRemove(socketPath: string, done: () => void): void {
    this.#checkRunning();
    const served = this.#served.find(({ plan }) => plan.socketPath === socketPath);
    if (served === undefined) {
      const there = this.#served.map(({ plan }) => plan.socketPath).join(', ');
      throw new UsageError(
        'CONTROLLER_UNKNOWN',
        `no controller listens on ${socketPath}: there is ${there || 'none'}`,
      );
    }
    const { loop } = this.#parts;
    this.#served = this.#served.filter((other) => other !== served);
    this.#leaving.add(served);
    served.server.close(() => {
      const leaving = leavingOf(served.seat, () => {
        loop.remove(leaving);
        this.#leaving.delete(served);
        served.seat.close();
      });
      served.subsystem.controllerRemove(served.plan);
      addStatistics(this.#past, served.seat.statistics);
      loop.remove(served.seat);
      loop.add(leaving);
      done();
    });
  }

  /** A namespace that no controller shows yet. Throws UsageError and BlockError. */
  namespaceAdd(subsystem: number, namespace: NamespaceSpec): NamespaceSummary {
    this.#checkRunning();
    return summaryOfNamespace(this.#subsystem(subsystem).namespaceAdd(namespace));
  }

  /** Throws UsageError while a controller shows it. */
  namespaceRemove(subsystem: number, nsid: number): void {
    this.#checkRunning();
    const chosen = this.#subsystem(subsystem);
    const isUsed = [...this.#leaving].some(
      ({ subsystem: other, plan }) =>
        other === chosen && plan.namespaces.some(({ record }) => record.nsid === nsid),
    );
    if (isUsed) {
      throw new UsageError(
        'NAMESPACE_BUSY',
        `requests of a controller that was removed still use namespace ${nsid}: try again when they have ended`,
      );
    }
    chosen.namespaceRemove(nsid);
  }

  // ---- Look ----

  get summary(): TargetSummary {
    return {
      subsystems: this.#subsystems.map(({ nqn, serial }) => ({ nqn, serial })),
      controllers: this.#served.map(({ subsystem, plan }) => summaryOfController(subsystem, plan)),
    };
  }

  look(): TargetLook {
    return {
      subsystems: this.#subsystems.map(({ nqn, serial, namespaces }) => ({
        nqn,
        serial,
        namespaces: namespaces.map(summaryOfNamespace),
      })),
      controllers: this.#served.map(({ subsystem, plan, seat, server }) => ({
        subsystemNqn: subsystem.nqn,
        socketPath: plan.socketPath,
        cntlid: plan.identity.cntlid,
        protocol: plan.protocol,
        connected: server.connected,
        namespaces: plan.namespaces.map(({ record }) => record.nsid),
        statistics: seat.statistics,
        ...seat.look(),
      })),
      ...this.#parts.loop.statistics,
    };
  }

  get statistics(): TargetStatistics {
    const sum = { ...this.#past };
    for (const { seat } of this.#served) addStatistics(sum, seat.statistics);
    return { ...sum, sleeps: this.#parts.loop.statistics.sleeps };
  }

  // ---- End ----

  /** Closes every server; the loop ends when the last controller has finished its I/O. */
  drain(): void {
    const { loop } = this.#parts;
    this.#draining = true;
    let open = this.#served.length;
    if (open === 0) loop.stop();
    for (const { server } of this.#served) {
      server.close(() => {
        if (--open === 0) loop.stop();
      });
    }
  }

  /** Removes the sockets and ends the loop whatever is under way. */
  end(): void {
    for (const { server } of this.#served) server.close(() => undefined);
    this.#parts.loop.stop();
  }

  /** The ring first: I/O that did not finish in time ends there, and then nothing touches the memory that goes. */
  close(): void {
    const { reactor, log } = this.#parts;
    try {
      reactor.close();
    } catch (error) {
      log.error('I/O of the storage does not end; it is left to the kernel', { cause: String(error) });
      return;
    }
    for (const { seat } of [...this.#served, ...this.#leaving]) seat.close();
    for (const subsystem of this.#subsystems) subsystem.close();
  }

  // ---- Private ----

  #serve(subsystem: Subsystem, plan: ControllerPlan): void {
    const { options, reactor, loop } = this.#parts;
    const log = this.#parts.log.with({
      ...(options.subsystems.length > 1 ? { subsystem: this.#subsystems.indexOf(subsystem) + 1 } : {}),
      controller: plan.identity.cntlid,
    });
    const statistics = noStatistics();
    const make = (): Controller => new Controller({ ...partsOf(plan, options), reactor, log, statistics });
    const seat = new Seat(make, log);
    try {
      const server = listen(plan, seat, reactor, log);
      this.#served = [...this.#served, { subsystem, plan, seat, server }];
    } catch (error) {
      seat.close();
      throw error;
    }
    loop.add(seat);
  }

  #subsystem(index: number): Subsystem {
    const subsystem = this.#subsystems[index];
    if (subsystem === undefined) throw new Error(`there is no subsystem ${index}`);
    return subsystem;
  }

  #checkRunning(): void {
    if (this.#draining)
      throw new UsageError('TARGET_DRAINS', 'the target is about to end: change the next one');
  }

  #checkNqn(subsystem: Subsystem): void {
    if (this.#subsystems.filter(({ nqn }) => nqn === subsystem.nqn).length === 1) return;
    throw new UsageError(
      'SUBSYSTEM_CONFLICT',
      `two subsystems are called ${subsystem.nqn}: give each its own nqn, or its own first socket`,
    );
  }
}

/** A core at power-on state, and the addon's side of its controller with the storage attached. */
function partsOf(
  plan: ControllerPlan,
  options: ServeOptions,
): Pick<ControllerParts, 'core' | 'native' | 'setup'> {
  const core = new Core({ windowCount: options.windows, addressOf: (view) => native.addressOf(view) });
  const setup = {
    config: { ...plan.identity, ...QUEUES, slots: SLOT_COUNT },
    namespaces: plan.namespaces.map(({ record }) => record),
  };
  core.configure(setup.config, setup.namespaces);
  const result = core.init();
  if (result !== INIT_OK) throw new Error(`the core refused its configuration (${result})`);
  const layout = { windowBase: core.windowBase, windowCount: core.windowCount };
  const addonSide = native.controller(core.bytes, layout);
  for (const { record, backend } of plan.namespaces) addonSide.namespaceAttach(record.nsid, backend.storage);
  return { core, native: addonSide, setup };
}

function listen(plan: ControllerPlan, device: ResumableDevice, reactor: Reactor, log: Log): Served['server'] {
  const path = plan.socketPath;
  try {
    if (plan.protocol === 'vhost-user-nvme')
      return new VhostUserServer({ path, device, reactor, log, memorySlots: REGION_COUNT - 1 });
    return new VfioUserServer({ path, device, reactor, log, maxDmaMaps: REGION_COUNT });
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    throw listenFailure(path, code) ?? error;
  }
}

/** A seat whose socket is gone, driven on until its last request has ended; then `gone` is called, once. */
function leavingOf(seat: Seat, gone: () => void): Driven {
  return {
    poll: (now) => {
      const done = seat.poll(now);
      if (!seat.busy) gone();
      return done;
    },
    complete: () => seat.complete(),
    arm: () => seat.arm() && seat.busy,
    deadline: (now) => seat.deadline(now),
  };
}

function addStatistics(sum: ControllerStatistics, more: ControllerStatistics): void {
  sum.doorbells += more.doorbells;
  sum.requests += more.requests;
  sum.requestErrors += more.requestErrors;
  sum.interrupts += more.interrupts;
  sum.windowFills += more.windowFills;
}

function summaryOfController(subsystem: Subsystem, plan: ControllerPlan): ControllerSummary {
  const { socketPath, identity, namespaces } = plan;
  return {
    subsystemNqn: subsystem.nqn,
    socketPath,
    cntlid: identity.cntlid,
    serial: identity.serial,
    model: identity.model,
    namespaces: namespaces.map(summaryOfNamespace),
  };
}

function summaryOfNamespace({ record, backend }: Attachment): NamespaceSummary {
  return {
    nsid: record.nsid,
    label: backend.label,
    blocks: record.blocks,
    blockSize: 2 ** record.lbaShift,
    readOnly: record.readOnly,
  };
}
