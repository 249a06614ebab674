// The log of a target: levelled lines on stderr, as text for people or as JSON for programs.
//
// A guest can cause lines, so what is logged on its behalf goes through `limited`, which bounds the lines of one key
// per interval and tells how many were left out. No library: what is needed is this file.

export const LOG_LEVELS = ['error', 'warn', 'info', 'debug', 'trace'] as const;

export type LogLevel = (typeof LOG_LEVELS)[number];

/** Named values of a line. */
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
   * The same log for lines that share a budget: at most 5 lines of this key in 10 seconds. The first line after an
   * interval in which lines were left out tells their number (`suppressed`).
   */
  limited(key: string): Log;
}
