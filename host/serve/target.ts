// A running target, seen from the main thread: starts the reactor thread, prints its log, drains it at the end.

import { MessageChannel, receiveMessageOnPort, Worker } from 'node:worker_threads';
import { UsageError } from '../config/usage-error.ts';
import type { ServeOptions } from '../config/options.ts';
import { native } from '../native.ts';
import type {
  Answers,
  FromReactor,
  ReactorStart,
  Refusal,
  Request,
  TargetStatistics,
  TargetSummary,
  ToReactor,
} from './messages.ts';

export interface Target {
  readonly summary: TargetSummary;
  /** The sums so far. */
  statistics(): Promise<TargetStatistics>;
  /** Asks for, or changes, something of the running target. Rejects with UsageError or TargetError. */
  ask<K extends Request['kind']>(request: Request & { kind: K }): Promise<Answers[K]>;
  /**
   * Finishes the requests under way, closes controllers and storage. Resolves with the sums of the target's life;
   * idempotent.
   */
  drain(): Promise<TargetStatistics>;
  /** Rejects when the reactor thread died: nothing is served any more. Never resolves. */
  readonly died: Promise<never>;
}

/** Longest wait for the reactor thread when the process ends without a drain. */
const END_MICROSECONDS = 2_000_000;

/** Starting failed for a reason that no option of the operator can mend. */
export class TargetError extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
    this.name = 'TargetError';
  }
}

/**
 * Resolves once every socket listens; `writeLog` takes the lines of the target's log. Rejects with UsageError or
 * TargetError.
 */
export async function startTarget(options: ServeOptions, writeLog: (line: string) => void): Promise<Target> {
  const controlFd = native.eventfdCreate();
  const { port1, port2 } = new MessageChannel();
  const start: ReactorStart = { options, port: port2, controlFd };
  const worker = new Worker(new URL('./reactor-thread.js', import.meta.url), {
    workerData: start,
    transferList: [port2],
    name: 'reactor',
  });

  const exchange = new Exchange(writeLog);
  port1.on('message', (message: FromReactor) => {
    exchange.take(message);
  });
  worker.on('error', (error) => {
    exchange.fail(error instanceof Error ? error : new Error(String(error)));
  });
  let ended = false;
  const tell = (message: ToReactor): void => {
    if (ended) return;
    port1.postMessage(message);
    native.eventfdSignal(controlFd);
  };
  const hear = (): boolean => {
    const rest = receiveMessageOnPort(port1);
    if (rest !== undefined) exchange.take(rest.message as FromReactor);
    return rest !== undefined;
  };
  // The process waits for its threads when it ends, and this one would sleep on; its sockets would stay behind.
  const end = (): void => {
    tell({ type: 'end' });
    const deadline = native.now() + END_MICROSECONDS;
    while (!exchange.over && native.now() < deadline) if (!hear()) pause(1);
  };
  process.once('exit', end);
  worker.on('exit', () => {
    ended = true;
    process.off('exit', end);
    // The last words may have come together with the end.
    while (hear());
    exchange.fail(new TargetError('REACTOR_ENDED', 'the reactor thread ended'));
    port1.close();
    native.fdClose(controlFd);
  });

  const summary = await exchange.listening;
  return {
    summary,
    died: exchange.died,
    statistics: () => {
      const answer = exchange.statistics();
      tell({ type: 'statistics' });
      return ended ? exchange.died : answer;
    },
    ask: (request) => {
      const { number, answer } = exchange.ask<Answers[typeof request.kind]>();
      tell({ type: 'request', number, request });
      return ended ? exchange.died : answer;
    },
    drain: () => {
      tell({ type: 'drain' });
      return exchange.drained;
    },
  };
}

function pause(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

/** A request that was not answered yet. */
interface Pending {
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: Error) => void;
}

function errorOf(refusal: Refusal): Error {
  return refusal.kind === 'usage'
    ? new UsageError(refusal.code, refusal.message)
    : new TargetError(refusal.code, refusal.message);
}

/** The promises that messages of the reactor thread settle. */
class Exchange {
  /** The last message was taken. */
  over = false;
  readonly listening: Promise<TargetSummary>;
  readonly drained: Promise<TargetStatistics>;
  readonly died: Promise<never>;
  readonly #writeLog: (line: string) => void;
  #listens!: (summary: TargetSummary) => void;
  #drains!: (statistics: TargetStatistics) => void;
  #asked: ((statistics: TargetStatistics) => void)[] = [];
  readonly #rejects: ((error: Error) => void)[] = [];
  readonly #requests = new Map<number, Pending>();
  #lastRequest = 0;

  constructor(writeLog: (line: string) => void) {
    this.#writeLog = writeLog;
    this.listening = this.#promise((resolve) => (this.#listens = resolve));
    this.drained = this.#promise((resolve) => (this.#drains = resolve));
    this.died = this.#promise(() => undefined);
  }

  take(message: FromReactor): void {
    switch (message.type) {
      case 'log':
        this.#writeLog(message.line);
        break;
      case 'listening':
        this.#listens(message.summary);
        break;
      case 'statistics':
        for (const resolve of this.#asked.splice(0)) resolve(message.statistics);
        break;
      case 'drained':
        this.over = true;
        this.#drains(message.statistics);
        break;
      case 'done':
        this.#take(message.number)?.resolve(message.answer);
        break;
      case 'failed':
        this.#take(message.number)?.reject(errorOf(message.refusal));
        break;
      case 'refused':
        this.over = true;
        this.fail(errorOf(message));
        break;
    }
  }

  /** Resolves with the next sums that the reactor thread tells. */
  statistics(): Promise<TargetStatistics> {
    return this.#promise((resolve) => this.#asked.push(resolve));
  }

  /** The number of the next request, and its answer to come. */
  ask<T>(): { number: number; answer: Promise<T> } {
    const number = ++this.#lastRequest;
    const answer = new Promise<T>((resolve, reject) => {
      // The reactor thread answers each kind of request with its own type.
      this.#requests.set(number, { resolve: resolve as (answer: unknown) => void, reject });
    });
    answer.catch(() => undefined);
    return { number, answer };
  }

  /** Rejects what is not settled yet. */
  fail(error: Error): void {
    for (const reject of this.#rejects) reject(error);
    for (const number of [...this.#requests.keys()]) this.#take(number)?.reject(error);
  }

  #take(number: number): Pending | undefined {
    const pending = this.#requests.get(number);
    this.#requests.delete(number);
    return pending;
  }

  #promise<T>(keep: (resolve: (value: T) => void) => unknown): Promise<T> {
    const promise = new Promise<T>((resolve, reject) => {
      keep(resolve);
      this.#rejects.push(reject);
    });
    // Whoever awaits it later still sees the rejection.
    promise.catch(() => undefined);
    return promise;
  }
}
