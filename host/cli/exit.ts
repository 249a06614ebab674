// How a command ends: exit codes, and the one line on stderr that says why.

import { CommanderError } from 'commander';
import { UsageError } from '../config/usage-error.ts';
import { ControlError } from '../control/control-error.ts';
import { SetupError } from '../demo/setup-error.ts';

export const EXIT_OK = 0;
/** Something failed while the command ran. */
export const EXIT_FAILURE = 1;
/** The command line, or something that it names, has to be changed. */
export const EXIT_USAGE = 2;
/** Ended by a second SIGINT or SIGTERM: what a shell says of it is this and the signal's number. */
export const EXIT_SIGNAL_BASE = 128;

/** The exit code for what a command threw, and the line to print; no line where all was said already. */
export function explain(error: unknown): { code: number; line: string | undefined } {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return { code: EXIT_OK, line: undefined };
    // Without a subcommand commander prints the help by itself.
    if (error.code === 'commander.help') return { code: EXIT_USAGE, line: undefined };
    return { code: EXIT_USAGE, line: usageLine('COMMAND_LINE', commandLineFault(error.message)) };
  }
  if (error instanceof UsageError) return { code: EXIT_USAGE, line: usageLine(error.code, error.message) };
  if (error instanceof ControlError) {
    return { code: error.isUsage ? EXIT_USAGE : EXIT_FAILURE, line: usageLine(error.code, error.message) };
  }
  if (error instanceof SetupError) return { code: EXIT_FAILURE, line: `doorbell: ${error.message}` };
  return { code: EXIT_FAILURE, line: `doorbell: ${failureText(error)}` };
}

function usageLine(code: string, message: string): string {
  return `doorbell: ${message} [${code}]`;
}

/** Commander's words on one line: `unknown option '--sockt' (Did you mean --socket?)`. */
function commandLineFault(message: string): string {
  const text = message
    .replace(/^error: /, '')
    .replace(/\s*\n\s*/g, ' ')
    .replace(/\.$/, '');
  return /help|Did you mean/.test(text) ? text : `${text}; doorbell --help tells what there is`;
}

function failureText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const message = error.message.split('\n')[0] ?? '';
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  if (code === 'MODULE_NOT_FOUND' || code === 'ERR_MODULE_NOT_FOUND') {
    return `a part of doorbell is not built (${message}): run "npm run build"`;
  }
  return code === undefined || message.includes(code) ? message : `${message} [${code}]`;
}
