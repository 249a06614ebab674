/**
 * The error for "this machine lacks something": a program, a package, a mirror.
 *
 * Its message is one line that says what is missing and what to install or set; a command line prints it as it
 * is, without a stack.
 */

/** Something outside doorbell is missing. `message` is one line saying what to do about it. */
export class SetupError extends Error {
  readonly code = 'SETUP';

  constructor(message: string, options?: ErrorOptions) {
    super(message.replace(/\s*\n\s*/g, ' '), options);
    this.name = 'SetupError';
  }
}

/** Called with one line of text, without a newline, when a step that takes time begins. */
export type Progress = (line: string) => void;

/** A Progress that says nothing. */
export const silent: Progress = () => {};
