// Events of a core as log lines. A guest causes them, so each kind has a bounded rate.

import * as abi from '../../assembly/abi/records.ts';
import type { EventRecord } from '../core/records.ts';
import type { Log, LogFields, LogLevel } from '../log/log.ts';

/** How one type of event reads. */
interface Line {
  level: LogLevel;
  message: string;
  fields: (event: EventRecord) => LogFields;
}

const FAILURES = new Map<number, string>([
  [abi.FAILED_ADMIN_QUEUE, 'the admin queue cannot work (AQA, ASQ or ACQ)'],
  [abi.FAILED_CONFIGURATION, 'CC asks for what CAP does not offer'],
  [
    abi.FAILED_MEMORY_NOT_SHARED,
    'the admin queue lies in guest memory that is not shared: start QEMU with memory-backend-memfd,share=on',
  ],
  [abi.FAILED_BY_CALLER, 'taken out of service'],
  [abi.FAILED_KEEP_ALIVE, 'the guest let its Keep Alive Timer expire'],
]);

const LINES = new Map<number, Line>([
  [abi.EVENT_CONTROLLER_READY, { level: 'info', message: 'controller ready', fields: () => ({}) }],
  [abi.EVENT_CONTROLLER_DISABLED, { level: 'debug', message: 'controller disabled', fields: () => ({}) }],
  [abi.EVENT_CONTROLLER_SHUTDOWN, { level: 'info', message: 'controller shut down', fields: () => ({}) }],
  [
    abi.EVENT_CONTROLLER_FAILED,
    {
      level: 'error',
      message: 'controller failed (CSTS.CFS)',
      fields: (event) => ({ reason: FAILURES.get(event.argument) ?? event.argument, gpa: hex(event.value) }),
    },
  ],
  [
    abi.EVENT_COMMAND_FAILED,
    {
      level: 'debug',
      message: 'command failed',
      fields: (event) => ({
        qid: event.qid,
        cid: event.cid,
        nsid: event.nsid,
        opcode: hex(event.argument),
        status: hex(event.status),
      }),
    },
  ],
  [
    abi.EVENT_DOORBELL_REFUSED,
    {
      level: 'warn',
      message: 'doorbell refused',
      fields: (event) => ({ offset: hex(event.argument), value: event.value }),
    },
  ],
  [
    abi.EVENT_MEMORY_NOT_SHARED,
    {
      level: 'error',
      message:
        'guest memory is not shared with the target: start QEMU with -object memory-backend-memfd,...,share=on',
      fields: (event) => ({ gpa: hex(event.value) }),
    },
  ],
  [
    abi.EVENT_SHADOW_DOORBELLS,
    {
      level: 'info',
      message: 'shadow doorbells in use',
      fields: (event) => ({ gpa: hex(event.value) }),
    },
  ],
  [
    abi.EVENT_QUEUE_CREATED,
    {
      level: 'debug',
      message: 'I/O queue created',
      fields: (event) => ({ sqid: event.qid, entries: event.argument, cqid: event.value }),
    },
  ],
  [
    abi.EVENT_QUEUE_DELETED,
    { level: 'debug', message: 'I/O queue deleted', fields: (event) => ({ sqid: event.qid }) },
  ],
  [
    abi.EVENT_REGISTER_REFUSED,
    {
      level: 'warn',
      message: 'register access refused',
      fields: (event) => ({ offset: hex(event.argument), value: event.value }),
    },
  ],
]);

/** Writes the line of one event, if anybody wants to see it. */
export function eventLog(log: Log, event: EventRecord): void {
  const line = LINES.get(event.type);
  if (line === undefined || !log.enabled(line.level)) return;
  const limited = log.limited(line.message);
  if (event.dropped > 0) limited.debug('events were left out', { count: event.dropped });
  limited[line.level](line.message, line.fields(event));
}

function hex(value: number | bigint): string {
  return `0x${value.toString(16)}`;
}
