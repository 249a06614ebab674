// `doorbell serve`: runs a target until a signal ends it.

import type { Command } from 'commander';
import { WINDOW_COUNT_DEFAULT } from '../../assembly/abi/memory-map.ts';
import {
  SPIN_MICROSECONDS_DEFAULT,
  parseServeOptions,
  type ServeArguments,
  type ServeOptions,
} from '../config/options.ts';
import type * as ConfigFiles from '../config/file/index.ts';
import type { ConfigDocument } from '../config/file/index.ts';
import { formatListenAddress } from '../config/listen-address.ts';
import { formatSize } from '../config/size.ts';
import { UsageError } from '../config/usage-error.ts';
import { createLog, LOG_LEVELS, type RootLog } from '../log/log.ts';
import type { TargetStatistics, TargetSummary } from '../serve/messages.ts';
import type { Target } from '../serve/target.ts';
import { collect } from './collect.ts';
import { EXIT_OK } from './exit.ts';
import type { CommandContext } from './program.ts';

const DETAILS = `
Namespaces (--namespace SPEC), numbered 1, 2, ... unless nsid= says otherwise:
  file:PATH                a regular file or a block device
    size=SIZE              create the file with this size; must be its size if it is there
    offset=SIZE            a slice of it, which begins here and has size= bytes, or goes to the end
    direct=on|off|auto     past the page cache (O_DIRECT); auto, the default, does it where it works
  block:PATH               the same, but never a regular file: use it where a device could be missing
  ram:SIZE                 memory of the target, gone when it ends
  null:SIZE                nothing, for measurements: what is written is lost
    reads=zeros|nothing    what a read stores into the guest's memory (default zeros)
  and for all:
    block-size=512|4096    bytes of a logical block (default: the device's, else 512)
    readonly=on|off        refuse writes (default off); several targets may read one file
    share=on|off           several controllers may write this namespace (default off);
                           of slices also: it may overlap others that say so too
    nsid=N                 namespace identifier, 1 to 256
    uuid=UUID              identifiers that guests know the disk by; they are derived from this
    nguid=HEX (16 bytes)   machine and the file's real path if you do not choose them, so
    eui64=HEX (8 bytes)    they stay the same until the file moves
  A SIZE is in bytes, or has K, M, G, T or P behind it (powers of 1,024). A comma in a path is written twice.

Sockets (--socket PATH), one controller each, all of one NVM subsystem:
    namespaces=1+2         the controller sees these namespaces (default: all)
    cntlid=N               controller identifier, 1 to 65519 (default: the lowest free one)
    protocol=NAME          vfio-user (the default), for QEMU 10.1 or later, or vhost-user-nvme, for QEMU with the
                           device that npm run qemu:build makes, or with the one of 2019
    shadow-doorbells=on|off  as --shadow-doorbells, for this controller alone

SIGINT or SIGTERM drains: requests under way are finished, then the target ends. A second one ends it at once.
SIGUSR2 prints the target's sums so far: requests, doorbell writes, interrupts.

Examples:
  doorbell serve --socket /tmp/nvme.sock --namespace file:disk.img,size=10G
  doorbell serve --socket /tmp/nvme.sock --namespace ram:1G,block-size=4096 --log-level debug
  doorbell serve --socket a.sock,namespaces=1 --socket b.sock,namespaces=2 \\
                 --namespace file:a.img --namespace file:b.img,readonly=on
  doorbell serve --socket a.sock --socket b.sock --namespace file:disk.img,share=on     one multipath disk
`;

export function registerServe(program: Command, context: CommandContext): void {
  program
    .command('serve')
    .summary('run a target: NVMe controllers on UNIX sockets')
    .description('Runs a target: one NVMe controller on each socket, with the namespaces that are given.')
    .option('--socket <path[,...]>', 'where a VMM connects to a controller; repeatable', collect)
    .option('--namespace <spec>', 'storage that guests see: file:PATH, ram:SIZE, ...; repeatable', collect)
    .option('--config <file>', 'sockets, namespaces and all else from a file (see docs/operating.md)')
    .option(
      '--shadow-doorbells <on|off>',
      'let guests ring through memory: Doorbell Buffer Config (default: on)',
    )
    .option(
      '--spin-us <n>',
      'microseconds to poll on after the last work before sleeping, 0 to 1000000 ' +
        `(default: ${SPIN_MICROSECONDS_DEFAULT})`,
    )
    .option(
      '--windows <n>',
      `windows of 2 MiB onto guest memory, for queues, a controller; 2 to 1024 (default: ${WINDOW_COUNT_DEFAULT})`,
    )
    .option('--subsystem-nqn <nqn>', 'NVMe Qualified Name (default: derived from machine and first socket)')
    .option('--serial <text>', 'serial number, at most 20 characters (default: derived likewise)')
    .option('--model <text>', 'model number, at most 40 characters (default: doorbell NVMe controller)')
    .option('--control <path>', 'socket for doorbell ctl and top; with it, controllers come and go')
    .option('--metrics <address>', 'serve Prometheus metrics on HOST:PORT or unix:PATH')
    .option('--log-level <level>', `how much to log on stderr: ${LOG_LEVELS.join(', ')} (default: info)`)
    .option('--json', 'log, and report on stdout, one JSON object a line')
    .addHelpText('after', DETAILS)
    .action(async (options: ServeCommand) => {
      context.exitCode = await serve(options, context);
    });
}

interface ServeCommand extends Partial<ServeArguments> {
  readonly config?: string;
}

/** What may stand beside --config: the rest belongs to a subsystem, of which the file may have several. */
const BESIDE_CONFIG = ['config', 'spinUs', 'windows', 'logLevel', 'json', 'control', 'metrics'];

/** The options, and the file that they are, or would be, written in. */
async function optionsOf(
  given: ServeCommand,
): Promise<{ options: ServeOptions; document: ConfigDocument | undefined }> {
  const { config, ...args } = given;
  // Not before they are needed: most command lines name no file.
  const load = async (): Promise<typeof ConfigFiles> => import('../config/file/index.ts');
  if (config === undefined) {
    const all = { ...args, socket: args.socket ?? [], namespace: args.namespace ?? [] };
    const options = parseServeOptions(all);
    const document = options.control === undefined ? undefined : (await load()).documentOf(all);
    return { options, document };
  }
  const misplaced = Object.keys(given).find((name) => !BESIDE_CONFIG.includes(name));
  if (misplaced !== undefined) {
    const option = misplaced.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    throw new UsageError(
      'COMMAND_LINE',
      `--${option} and --config exclude each other: write it in ${config}, or leave --config out`,
    );
  }
  const { ConfigDocument, optionsOfDocument } = await load();
  const document = ConfigDocument.read(config);
  return { options: optionsOfDocument(document, args), document };
}

async function serve(given: ServeCommand, context: CommandContext): Promise<number> {
  const { options, document } = await optionsOf(given);
  const log = createLog({ level: options.logLevel, json: options.json });
  const report = options.json ? reportJson(context) : reportText(context);
  // Before the target starts: a signal that comes meanwhile must not leave sockets behind.
  const stopping = stopSignal((signal) => {
    log.info(`${signal}: draining; once more ends at once`);
  });
  // Not before it is needed: help and mistyped options do not wait for the addon.
  const { startTarget } = await import('../serve/target.ts');
  const target = await startTarget(options, (line) => process.stderr.write(line));
  // Before `ready`: whoever waits for that word may ask at once, and unhandled the signal would end the process.
  process.on('SIGUSR2', () => {
    target.statistics().then(report.statistics, () => undefined);
  });
  const services = await startServices({ target, options, document, log });
  report.ready(target.summary);
  await Promise.race([stopping, services.drainAsked, target.died]);
  services.close();
  report.drained(await Promise.race([target.drain(), target.died]));
  return EXIT_OK;
}

interface Services {
  /** Resolves when somebody asks for the end by the control socket; else never. */
  readonly drainAsked: Promise<void>;
  readonly close: () => void;
}

/** The control socket and metrics, as far as they are wanted. A target whose services cannot start ends. */
async function startServices(parts: {
  target: Target;
  options: ServeOptions;
  document: ConfigDocument | undefined;
  log: RootLog;
}): Promise<Services> {
  const { target, options, document, log } = parts;
  const closes: (() => void)[] = [];
  let drain = (): void => undefined;
  const drainAsked = new Promise<void>((resolve) => (drain = resolve));
  if (options.control !== undefined && document !== undefined) {
    const { Configuration, ControlServer, createMethods } = await import('../control/index.ts');
    const configuration = new Configuration({ target, options, document });
    const methods = createMethods({ target, configuration, log, drain });
    const server = await ControlServer.listen(options.control, methods, log);
    closes.push(() => server.close());
  }
  if (options.metrics !== undefined) {
    const { serveMetrics } = await import('../control/index.ts');
    const server = await serveMetrics(target, options.metrics);
    closes.push(() => server.close());
    log.info(`metrics are at ${formatListenAddress(server.address)}/metrics`);
  }
  const close = (): void => {
    for (const each of closes) each();
  };
  return { drainAsked, close };
}

/** A second signal of the same kind this soon is an echo of the first, in milliseconds. */
const ECHO_MS = 300;

/** Resolves at the first SIGINT or SIGTERM; the second ends the process. */
function stopSignal(first: (signal: NodeJS.Signals) => void): Promise<void> {
  return new Promise((resolve) => {
    let stopping: { signal: NodeJS.Signals; since: number } | undefined;
    const take = (signal: NodeJS.Signals): void => {
      // npx and timeout(1) may pass on a signal that this process has got already.
      if (stopping?.signal === signal && performance.now() - stopping.since < ECHO_MS) return;
      if (stopping !== undefined) {
        // As if it had never been handled: nothing that still runs can hold this end up.
        process.removeAllListeners(signal);
        process.kill(process.pid, signal);
        return;
      }
      stopping = { signal, since: performance.now() };
      first(signal);
      resolve();
    };
    process.on('SIGINT', take);
    process.on('SIGTERM', take);
  });
}

interface Report {
  readonly ready: (summary: TargetSummary) => void;
  readonly statistics: (sums: TargetStatistics) => void;
  readonly drained: (sums: TargetStatistics) => void;
}

function reportText({ print }: CommandContext): Report {
  return {
    ready: (summary) => {
      for (const controller of summary.controllers) {
        print(`controller ${controller.cntlid} on ${controller.socketPath}`);
        for (const { nsid, label, blocks, blockSize, readOnly } of controller.namespaces) {
          const size = formatSize(Number(blocks) * blockSize);
          print(
            `  namespace ${nsid}: ${label}, ${size}, blocks of ${blockSize}${readOnly ? ', read-only' : ''}`,
          );
        }
      }
      print('ready');
    },
    statistics: (sums) => {
      print(
        `${sums.requests} requests, ${sums.requestErrors} failed; ${sums.doorbells} doorbell writes, ` +
          `${sums.interrupts} interrupts, slept ${sums.sleeps} times`,
      );
    },
    drained: ({ requests, requestErrors }) => {
      print(`drained after ${requests} requests, ${requestErrors} failed`);
    },
  };
}

/** One object a line, its `event` being `ready`, `statistics` or `drained`; every number is below 2^53. */
function reportJson({ print }: CommandContext): Report {
  const event = (name: string, fields: object): void => {
    const toJson = (_key: string, value: unknown): unknown =>
      typeof value === 'bigint' ? Number(value) : value;
    print(JSON.stringify({ event: name, ...fields }, toJson));
  };
  return {
    ready: (summary) => {
      event('ready', { pid: process.pid, ...summary });
    },
    statistics: (sums) => {
      event('statistics', sums);
    },
    drained: (sums) => {
      event('drained', sums);
    },
  };
}
