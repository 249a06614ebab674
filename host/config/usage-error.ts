// What an operator has to change: the command line, or something that it names (a file, a directory, a socket).
// The command prints the message as one line on stderr and ends with exit code 2.

/** Every code of a UsageError; docs/errors.md tells the meaning and the cure of each. */
export const USAGE_CODES = [
  'BACKEND_UNKNOWN',
  'CNTLID_CONFLICT',
  'COMMAND_LINE',
  'CONFIG_CHANGED',
  'CONFIG_FILE',
  'CONFIG_INVALID',
  'CONFIG_SYNTAX',
  'CONTROLLER_UNKNOWN',
  'CONTROL_UNREACHABLE',
  'DIRECT_UNAVAILABLE',
  'FILE_BUSY',
  'FILE_KIND',
  'FILE_MISSING',
  'FILE_PERMISSION',
  'FILE_SIZE',
  'FILE_SPACE',
  'ID_INVALID',
  'METRICS_ADDRESS',
  'NAMESPACE_BUSY',
  'NAMESPACE_CONFLICT',
  'NAMESPACE_NOT_SHARED',
  'NAMESPACE_UNKNOWN',
  'OPTION_INVALID',
  'OPTION_UNKNOWN',
  'RAM_SIZE',
  'SIZE_INVALID',
  'SOCKET_BUSY',
  'SOCKET_CONFLICT',
  'SOCKET_PATH',
  'SUBSYSTEM_CONFLICT',
  'SUBSYSTEM_UNKNOWN',
  'TARGET_DRAINS',
] as const;

export type UsageCode = (typeof USAGE_CODES)[number];

/** The message is one line: what is wrong, and what to change. */
export class UsageError extends Error {
  constructor(
    readonly code: UsageCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message.replace(/\s*\n\s*/g, ' '), options);
    this.name = 'UsageError';
  }
}
