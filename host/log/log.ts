// The log of a target: levelled lines on stderr, as text for people or as JSON for programs.
//
// A guest can cause lines, so what is logged on its behalf goes through `limited`, which bounds the lines of one key
// per interval and tells how many were left out. No library: what is needed is this file.

import { writeSync } from 'node:fs';

export const LOG_LEVELS = ['error', 'warn', 'info', 'debug', 'trace'] as const;

export type LogLevel = (typeof LOG_LEVELS)[number];

/** Named values of a line; undefined ones are left out. */
export type LogFields = Readonly<Record<string, string | number | bigint | boolean | undefined>>;

export interface Log {
  /** Whether a line of this level would be written: ask before computing costly fields. */
  enabled(level: LogLevel): boolean;
  error(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  debug(message: string, fields?: LogFields): void;
  trace(message: string, fields?: LogFields): void;
  /** The same log, each line with these fields in front. */
  with(fields: LogFields): Log;
  /**
   * The same log for lines that share a budget: at most LIMIT_LINES of this key and these fields in LIMIT_SECONDS, so
   * that the noise of one controller hides nothing of another. The first line of the next interval tells how many
   * were left out (`suppressed`).
   */
  limited(key: string): Log;
}

export const LIMIT_LINES = 5;
export const LIMIT_SECONDS = 10;
/** Keys whose budgets are remembered; a guest must not be able to grow this table. */
const LIMIT_KEYS = 1024;

/** What `createLog` returns: the level of it, and of all logs that come from it, can be changed. */
export interface RootLog extends Log {
  setLevel(level: LogLevel): void;
}

export interface LogOptions {
  readonly level: LogLevel;
  readonly json: boolean;
  /** Takes one line with its newline. Default: stderr. */
  readonly write?: (line: string) => void;
  /** Milliseconds since 1970. Default: the system's clock. */
  readonly now?: () => number;
}

export function createLog(options: LogOptions): RootLog {
  const sink: Sink = {
    rank: LOG_LEVELS.indexOf(options.level),
    format: options.json ? formatJson : formatText,
    write: options.write ?? writeStderr,
    now: options.now ?? Date.now,
    budgets: new Map(),
  };
  const log = new SinkLog(sink, {}, undefined);
  const setLevel = (level: LogLevel): void => {
    sink.rank = LOG_LEVELS.indexOf(level);
  };
  return Object.assign(log, { setLevel });
}

/** What all logs that come from one `createLog` share. */
interface Sink {
  rank: number;
  readonly format: (time: Date, level: LogLevel, message: string, fields: LogFields) => string;
  readonly write: (line: string) => void;
  readonly now: () => number;
  readonly budgets: Map<string, Budget>;
}

interface Budget {
  /** When the interval began, in milliseconds. */
  start: number;
  written: number;
  suppressed: number;
}

class SinkLog implements Log {
  constructor(
    private readonly sink: Sink,
    private readonly fields: LogFields,
    private readonly key: string | undefined,
  ) {}

  enabled(level: LogLevel): boolean {
    return LOG_LEVELS.indexOf(level) <= this.sink.rank;
  }

  error(message: string, fields?: LogFields): void {
    this.line('error', message, fields);
  }

  warn(message: string, fields?: LogFields): void {
    this.line('warn', message, fields);
  }

  info(message: string, fields?: LogFields): void {
    this.line('info', message, fields);
  }

  debug(message: string, fields?: LogFields): void {
    this.line('debug', message, fields);
  }

  trace(message: string, fields?: LogFields): void {
    this.line('trace', message, fields);
  }

  with(fields: LogFields): Log {
    return new SinkLog(this.sink, { ...this.fields, ...fields }, this.key);
  }

  limited(key: string): Log {
    return new SinkLog(this.sink, this.fields, [...Object.values(this.fields), key].join(' '));
  }

  private line(level: LogLevel, message: string, fields: LogFields | undefined): void {
    if (!this.enabled(level)) return;
    const now = this.sink.now();
    const suppressed = this.key === undefined ? 0 : spend(this.sink.budgets, this.key, now);
    if (suppressed === undefined) return;
    const all = { ...this.fields, ...fields, ...(suppressed > 0 ? { suppressed } : {}) };
    this.sink.write(`${this.sink.format(new Date(now), level, message, all)}\n`);
  }
}

/** Takes one line from a key's budget: undefined when there is none left, else how many were left out before it. */
function spend(budgets: Map<string, Budget>, key: string, now: number): number | undefined {
  const budget = budgets.get(key);
  if (budget === undefined || now - budget.start >= LIMIT_SECONDS * 1000 || now < budget.start) {
    budgets.delete(key);
    const oldest = budgets.keys().next();
    if (budgets.size >= LIMIT_KEYS && oldest.done !== true) budgets.delete(oldest.value);
    budgets.set(key, { start: now, written: 1, suppressed: 0 });
    return budget?.suppressed ?? 0;
  }
  if (budget.written === LIMIT_LINES) {
    budget.suppressed += 1;
    return undefined;
  }
  budget.written += 1;
  return 0;
}

/** `2026-01-02T03:04:05.678Z warn  the disk is full nsid=1 path="a b"` */
function formatText(time: Date, level: LogLevel, message: string, fields: LogFields): string {
  let line = `${time.toISOString()} ${level.padEnd(5)} ${oneLine(message)}`;
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    const text = String(value);
    line += ` ${name}=${/^[^\s"=]+$/.test(text) ? oneLine(text) : JSON.stringify(text)}`;
  }
  return line;
}

/** `{"time":"...","level":"warn","message":"...","nsid":1}`; integers beyond 2^53 become strings. */
function formatJson(time: Date, level: LogLevel, message: string, fields: LogFields): string {
  const line: Record<string, unknown> = { time: time.toISOString(), level, message };
  for (const [name, value] of Object.entries(fields)) {
    line[name] = typeof value === 'bigint' ? jsonInteger(value) : value;
  }
  return JSON.stringify(line);
}

function jsonInteger(value: bigint): number | string {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : String(value);
}

/** A peer's text must not be able to forge lines or drive a terminal. */
function oneLine(text: string): string {
  // eslint-disable-next-line no-control-regex
  return text.replace(/[\x00-\x1f\x7f-\x9f]/g, (character) => {
    return `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`;
  });
}

/** Synchronous, so that no line is lost when the process ends; a closed or full stderr must not stop the target. */
function writeStderr(line: string): void {
  try {
    writeSync(2, line);
  } catch {
    return;
  }
}
