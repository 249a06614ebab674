// Metrics for Prometheus (prom-client writes their text), on an HTTP server of the main thread: a scrape costs the
// reactor one message, however many clients there are.

import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { Counter, Gauge, Registry, type CollectFunction } from 'prom-client';
import type { ListenAddress } from '../config/listen-address.ts';
import { UsageError } from '../config/usage-error.ts';
import type { ControllerState, TargetLook } from '../serve/messages.ts';
import type { Target } from '../serve/target.ts';
import { VERSION } from '../version.ts';
import { listenUnix } from './server.ts';

/** A client that does not get on is dropped, in milliseconds. */
const REQUEST_MS = 10_000;

const CONTROLLER_LABELS = ['subsystem', 'controller', 'socket'] as const;
const NAMESPACE_LABELS = ['subsystem', 'nsid', 'storage'] as const;

/** Name, help, and where in a controller's state the number is. */
const COUNTERS: readonly [string, string, (state: ControllerState) => number][] = [
  ['requests_total', 'Requests handed to the storage', ({ statistics }) => statistics.requests],
  ['request_errors_total', 'Requests that the storage failed', ({ statistics }) => statistics.requestErrors],
  ['doorbells_total', 'Doorbell writes that came by message', ({ statistics }) => statistics.doorbells],
  ['interrupts_total', 'Interrupts raised', ({ statistics }) => statistics.interrupts],
  [
    'window_fills_total',
    'Windows onto guest memory that were filled',
    ({ statistics }) => statistics.windowFills,
  ],
];

const GAUGES: readonly [string, string, (state: ControllerState) => number][] = [
  ['connected', '1 while a VMM is connected', ({ connected }) => Number(connected)],
  ['ready', '1 while the guest has the controller enabled', ({ state }) => Number(state === 'ready')],
  ['failed', '1 while the controller reports a fatal status', ({ state }) => Number(state === 'failed')],
  ['io_queues', 'I/O queue pairs', ({ queues }) => queues.filter(({ qid }) => qid > 0).length],
  [
    'commands_outstanding',
    'Commands fetched and not completed',
    ({ queues }) => queues.reduce((sum, { outstanding }) => sum + outstanding, 0),
  ],
];

export class Metrics {
  readonly #target: Pick<Target, 'ask'>;
  readonly #series = new Registry();
  /** Of the scrape that is under way; a scrape sees one moment. */
  #look: TargetLook | undefined;

  constructor(target: Pick<Target, 'ask'>) {
    this.#target = target;
    for (const [name, help, value] of COUNTERS) this.#controllerCounter(name, help, value);
    for (const [name, help, value] of GAUGES) this.#controllerGauge(name, help, value);
    this.#namespaceGauge(
      'bytes',
      'Size of a namespace',
      ({ blocks, blockSize }) => Number(blocks) * blockSize,
    );
    this.#namespaceGauge('read_only', '1 where writes are refused', ({ readOnly }) => Number(readOnly));
    this.#loopCounter('turns_total', 'Turns of the reactor', ({ turns }) => turns);
    this.#loopCounter(
      'sleeps_total',
      'Times that the reactor blocked for want of work',
      ({ sleeps }) => sleeps,
    );
    const info = new Gauge({
      name: 'doorbell_info',
      help: 'Version of the target',
      labelNames: ['version'],
      registers: [this.#series],
    });
    info.set({ version: VERSION }, 1);
  }

  get contentType(): string {
    return this.#series.contentType;
  }

  /** All metrics as text. */
  async text(): Promise<string> {
    this.#look = await this.#target.ask({ kind: 'look' });
    return this.#series.metrics();
  }

  #controllerCounter(name: string, help: string, value: (state: ControllerState) => number): void {
    const controllers = (): readonly ControllerState[] => this.#look?.controllers ?? [];
    const collect: CollectFunction<Counter<(typeof CONTROLLER_LABELS)[number]>> = function () {
      this.reset();
      for (const state of controllers()) this.inc(labelsOf(state), value(state));
    };
    new Counter({
      name: `doorbell_controller_${name}`,
      help,
      labelNames: CONTROLLER_LABELS,
      registers: [this.#series],
      collect,
    });
  }

  #controllerGauge(name: string, help: string, value: (state: ControllerState) => number): void {
    const controllers = (): readonly ControllerState[] => this.#look?.controllers ?? [];
    const collect: CollectFunction<Gauge<(typeof CONTROLLER_LABELS)[number]>> = function () {
      this.reset();
      for (const state of controllers()) this.set(labelsOf(state), value(state));
    };
    new Gauge({
      name: `doorbell_controller_${name}`,
      help,
      labelNames: CONTROLLER_LABELS,
      registers: [this.#series],
      collect,
    });
  }

  #namespaceGauge(
    name: string,
    help: string,
    value: (namespace: TargetLook['subsystems'][number]['namespaces'][number]) => number,
  ): void {
    const subsystems = (): TargetLook['subsystems'] => this.#look?.subsystems ?? [];
    const collect: CollectFunction<Gauge<(typeof NAMESPACE_LABELS)[number]>> = function () {
      this.reset();
      for (const { nqn, namespaces } of subsystems()) {
        for (const namespace of namespaces) {
          const labels = { subsystem: nqn, nsid: String(namespace.nsid), storage: namespace.label };
          this.set(labels, value(namespace));
        }
      }
    };
    new Gauge({
      name: `doorbell_namespace_${name}`,
      help,
      labelNames: NAMESPACE_LABELS,
      registers: [this.#series],
      collect,
    });
  }

  #loopCounter(name: string, help: string, value: (look: TargetLook) => number): void {
    const look = (): TargetLook | undefined => this.#look;
    new Counter({
      name: `doorbell_reactor_${name}`,
      help,
      registers: [this.#series],
      collect() {
        this.reset();
        const now = look();
        if (now !== undefined) this.inc(value(now));
      },
    });
  }
}

function labelsOf(state: ControllerState): Record<(typeof CONTROLLER_LABELS)[number], string> {
  return { subsystem: state.subsystemNqn, controller: String(state.cntlid), socket: state.socketPath };
}

export interface MetricsServer {
  /** Where it listens: the port that was taken where 0 was asked for. */
  readonly address: ListenAddress;
  close(): void;
}

/** Serves `GET /metrics`. Rejects with UsageError where the address cannot be bound. */
export async function serveMetrics(
  target: Pick<Target, 'ask'>,
  address: ListenAddress,
): Promise<MetricsServer> {
  const metrics = new Metrics(target);
  const server = http.createServer((request, response) => {
    void respond(metrics, request, response);
  });
  server.requestTimeout = REQUEST_MS;
  server.headersTimeout = REQUEST_MS;
  server.maxConnections = 64;
  if (address.kind === 'unix') await listenUnix(server, address.path);
  else await listenTcp(server, address);
  const bound = server.address();
  return {
    address: address.kind === 'unix' ? address : { ...address, port: (bound as AddressInfo).port },
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function respond(
  metrics: Metrics,
  request: http.IncomingMessage,
  response: http.ServerResponse,
): Promise<void> {
  const [path] = (request.url ?? '').split('?');
  if (request.method !== 'GET' || path !== '/metrics') {
    const status = request.method === 'GET' ? 404 : 405;
    response.writeHead(status, { 'content-type': 'text/plain' }).end('Metrics are at /metrics.\n');
    return;
  }
  try {
    const text = await metrics.text();
    response.writeHead(200, { 'content-type': metrics.contentType }).end(text);
  } catch (error) {
    // The target is about to end.
    response.writeHead(503, { 'content-type': 'text/plain' }).end(`${String(error)}\n`);
  }
}

function listenTcp(server: http.Server, { host, port }: { host: string; port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const cure = error.code === 'EADDRINUSE' ? 'end what listens there' : 'use an address of this machine';
      const why = error.code ?? error.message;
      const message = `--metrics ${host}:${port} cannot be bound (${why}): ${cure}, or use another`;
      reject(new UsageError('METRICS_ADDRESS', message, { cause: error }));
    });
    server.listen(port, host, resolve);
  });
}
