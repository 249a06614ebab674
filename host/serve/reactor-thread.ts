// The reactor thread: opens the storage, makes a controller and a server for each socket, and runs the loop until the
// main thread asks it to drain. It never returns to its own event loop, so all that it says leaves through the port.

import { receiveMessageOnPort, workerData, type MessagePort } from 'node:worker_threads';
import {
  IO_QUEUE_PAIRS_MAX,
  QUEUE_ENTRIES_MAX,
  REGION_COUNT,
  SLOT_COUNT,
} from '../../assembly/abi/memory-map.ts';
import { INIT_OK } from '../../assembly/abi/records.ts';
import { BlockError } from '../block/errors.ts';
import { openBackend } from '../block/open.ts';
import type { ServeOptions } from '../config/options.ts';
import { listenFailure } from '../config/socket-spec.ts';
import { UsageError } from '../config/usage-error.ts';
import { Core } from '../core/core.ts';
import { createLog, type Log } from '../log/log.ts';
import { native } from '../native.ts';
import { Controller, type ControllerParts } from '../nvme/controller.ts';
import { noStatistics } from '../nvme/statistics.ts';
import { Seat } from '../nvme/seat.ts';
import { openSubsystem, type ControllerPlan, type Subsystem } from '../nvme/subsystem.ts';
import { ReactorLoop } from '../reactor/loop.ts';
import type { Reactor } from '../reactor/reactor.ts';
import { UringDenied, UringReactor } from '../reactor/uring.ts';
import { FIRMWARE_REVISION } from '../version.ts';
import type { ResumableDevice } from '../transport/device.ts';
import { VfioUserServer } from '../transport/vfio-user/server.ts';
import { VhostUserServer } from '../transport/vhost-user/server.ts';
import {
  REACTOR_THREAD,
  type FromReactor,
  type ReactorStart,
  type TargetStatistics,
  type TargetSummary,
  type ToReactor,
} from './messages.ts';

/** What every controller can have; a VMM may ask for less. */
const QUEUES = { ioQueuePairs: IO_QUEUE_PAIRS_MAX, queueEntries: QUEUE_ENTRIES_MAX };

/** A controller and the socket it is reached through. */
interface Served {
  controller: Seat;
  server: VfioUserServer | VhostUserServer;
}

const start = workerData as ReactorStart;
const say = (message: FromReactor): void => {
  start.port.postMessage(message);
};

try {
  main(start);
} catch (error) {
  if (error instanceof UsageError) {
    say({ type: 'refused', kind: 'usage', code: error.code, message: error.message });
  } else if (error instanceof BlockError || error instanceof UringDenied) {
    say({ type: 'refused', kind: 'failure', code: error.code, message: error.message });
  } else {
    throw error;
  }
}

function main({ options, port, controlFd }: ReactorStart): void {
  native.threadName(REACTOR_THREAD);
  const log = createLog({
    level: options.logLevel,
    json: options.json,
    write: (line) => {
      say({ type: 'log', line });
    },
  });
  const subsystem = openSubsystem(options, { open: openBackend, firmware: FIRMWARE_REVISION });
  for (const notice of subsystem.notices) log.warn(notice);
  const reactor = new UringReactor();
  const loop = new ReactorLoop(reactor, { spinMicroseconds: options.spinMicroseconds });
  const served: Served[] = [];
  try {
    for (const plan of subsystem.controllers) served.push(serve(plan, options, reactor, log));
  } catch (error) {
    // The sockets of the controllers before must not stay behind.
    for (const { server } of served) server.close(() => undefined);
    throw error;
  }
  for (const { controller } of served) loop.add(controller);
  reactor.watch(controlFd, () => {
    native.eventfdRead(controlFd);
    for (let message = nextMessage(port); message !== undefined; message = nextMessage(port)) {
      if (message.type === 'drain') drain(served, loop);
      else if (message.type === 'end') end(served, loop);
      else say({ type: 'statistics', statistics: statisticsOf(served, loop) });
    }
  });
  say({ type: 'listening', summary: summaryOf(subsystem) });
  loop.run();
  close(served, subsystem, reactor, log);
  say({ type: 'drained', statistics: statisticsOf(served, loop) });
}

function serve(plan: ControllerPlan, options: ServeOptions, reactor: Reactor, parent: Log): Served {
  const log = parent.with({ controller: plan.identity.cntlid });
  const statistics = noStatistics();
  const seat = new Seat(() => new Controller({ ...partsOf(plan, options), reactor, log, statistics }), log);
  return { controller: seat, server: listen(plan, seat, reactor, log) };
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

function nextMessage(port: MessagePort): ToReactor | undefined {
  return (receiveMessageOnPort(port) as { message: ToReactor } | undefined)?.message;
}

/** Closes every server; the loop ends when the last controller has finished its I/O. */
function drain(served: readonly Served[], loop: ReactorLoop): void {
  let open = served.length;
  for (const { server } of served) {
    server.close(() => {
      if (--open === 0) loop.stop();
    });
  }
}

/** Removes the sockets and ends the loop whatever is under way. */
function end(served: readonly Served[], loop: ReactorLoop): void {
  for (const { server } of served) server.close(() => undefined);
  loop.stop();
}

/** The ring first: I/O that did not finish in time ends there, and then nothing touches the memory that goes. */
function close(served: readonly Served[], subsystem: Subsystem, reactor: Reactor, log: Log): void {
  try {
    reactor.close();
  } catch (error) {
    log.error('I/O of the storage does not end; it is left to the kernel', { cause: String(error) });
    return;
  }
  for (const { controller } of served) controller.close();
  subsystem.close();
}

function summaryOf(subsystem: Subsystem): TargetSummary {
  return {
    subsystemNqn: subsystem.nqn,
    controllers: subsystem.controllers.map(({ socketPath, identity, namespaces }) => ({
      socketPath,
      cntlid: identity.cntlid,
      serial: identity.serial,
      model: identity.model,
      namespaces: namespaces.map(({ record, backend }) => ({
        nsid: record.nsid,
        label: backend.label,
        blocks: record.blocks,
        blockSize: 2 ** record.lbaShift,
        readOnly: record.readOnly,
      })),
    })),
  };
}

function statisticsOf(served: readonly Served[], loop: ReactorLoop): TargetStatistics {
  const sum: TargetStatistics = {
    doorbells: 0,
    requests: 0,
    requestErrors: 0,
    interrupts: 0,
    windowFills: 0,
    sleeps: loop.statistics.sleeps,
  };
  for (const { controller } of served) {
    const { statistics } = controller;
    sum.doorbells += statistics.doorbells;
    sum.requests += statistics.requests;
    sum.requestErrors += statistics.requestErrors;
    sum.interrupts += statistics.interrupts;
    sum.windowFills += statistics.windowFills;
  }
  return sum;
}
