// A target as its users run it: `doorbell serve --json` as a process of its own, with what it reported and logged.

import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { withDeadline } from '../../host/demo/deadline.ts';
import { REACTOR_THREAD, type TargetStatistics, type TargetSummary } from '../../host/serve/messages.ts';

const PROGRAM = new URL('../../host/cli/main.js', import.meta.url).pathname;
const START_SECONDS = 30;
const ANSWER_SECONDS = 15;

type Report =
  | ({ event: 'ready'; pid: number } & TargetSummary)
  | ({ event: 'statistics' | 'drained' } & TargetStatistics);

export class TargetProcess {
  readonly pid: number;
  /** Lines of the log so far, as JSON objects. */
  readonly log: Record<string, unknown>[] = [];
  readonly #child: ChildProcessByStdio<null, Readable, Readable>;
  readonly #errors: string[] = [];
  readonly #reports: Report[] = [];
  #waiting: (() => void)[] = [];

  private constructor(args: readonly string[]) {
    this.#child = spawn(process.execPath, [PROGRAM, 'serve', '--json', ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.pid = this.#child.pid ?? -1;
    createInterface({ input: this.#child.stdout }).on('line', (line) => {
      this.#reports.push(JSON.parse(line) as Report);
      this.#wake();
    });
    createInterface({ input: this.#child.stderr }).on('line', (line) => {
      this.#errors.push(line);
      if (line.startsWith('{')) this.log.push(JSON.parse(line) as Record<string, unknown>);
    });
    const end = (): void => void this.#child.kill('SIGKILL');
    process.once('exit', end);
    this.#child.on('exit', () => {
      process.off('exit', end);
      this.#wake();
    });
  }

  /** Resolves when the target listens. */
  static async start(...args: string[]): Promise<TargetProcess> {
    const target = new TargetProcess(args);
    await target.#next('ready', START_SECONDS);
    return target;
  }

  get alive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** All that the target wrote to stderr. */
  get errors(): string {
    return this.#errors.join('\n');
  }

  /** Messages of the log's lines. */
  get messages(): string[] {
    return this.log.map((line) => String(line['message'] ?? line['msg']));
  }

  /** The sums so far. */
  async statistics(): Promise<TargetStatistics> {
    const seen = this.#reports.length;
    this.#child.kill('SIGUSR2');
    return (await this.#next('statistics', ANSWER_SECONDS, seen)) as Report & TargetStatistics;
  }

  /**
   * Voluntary context switches of the data plane since the target started: each is a time that it had gone to sleep.
   * Other threads are V8's own, which tidy up once when work has ended.
   */
  voluntarySwitches(): number {
    const tasks = `/proc/${this.pid}/task`;
    const named = readdirSync(tasks).filter(
      (task) => readFileSync(`${tasks}/${task}/comm`, 'utf8').trim() === REACTOR_THREAD,
    );
    if (named.length === 0) throw this.#error('has no reactor thread');
    return named.reduce((sum, task) => {
      const status = readFileSync(`${tasks}/${task}/status`, 'utf8');
      return sum + Number(/^voluntary_ctxt_switches:\s+(\d+)$/m.exec(status)?.[1] ?? 0);
    }, 0);
  }

  /** Drains the target; resolves with the sums of its life once it has ended with status 0. */
  async drain(): Promise<TargetStatistics> {
    this.#child.kill('SIGTERM');
    const sums = (await this.#next('drained', ANSWER_SECONDS)) as Report & TargetStatistics;
    if (this.alive)
      await withDeadline(once(this.#child, 'exit'), ANSWER_SECONDS, () => this.#error('did not end'));
    if (this.#child.exitCode !== 0) throw this.#error(`ended with status ${String(this.#child.exitCode)}`);
    return sums;
  }

  async kill(): Promise<void> {
    if (!this.alive) return;
    this.#child.kill('SIGKILL');
    await once(this.#child, 'exit');
  }

  async #next(event: Report['event'], seconds: number, from = 0): Promise<Report> {
    const found = async (): Promise<Report> => {
      for (;;) {
        const report = this.#reports.slice(from).find((candidate) => candidate.event === event);
        if (report !== undefined) return report;
        if (!this.alive) throw this.#error(`ended before it was ${event}`);
        await new Promise<void>((resolve) => this.#waiting.push(resolve));
      }
    };
    return withDeadline(found(), seconds, () => this.#error(`was not ${event} within ${String(seconds)} s`));
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  #error(what: string): Error {
    return new Error(`the target ${what}; it said:\n${this.errors}`);
  }
}
