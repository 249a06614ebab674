// What a target answers in place of a result, as its client throws it.

/** What a target answers in place of a result; `code` is one of docs/errors.md, or JSON-RPC's own number. */
export class ControlError extends Error {
  constructor(
    message: string,
    readonly code: string,
    /** The operator has to change something. */
    readonly isUsage: boolean,
  ) {
    super(message);
    this.name = 'ControlError';
  }
}
