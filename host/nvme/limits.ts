// What a VMM may decide about its controller, within what the target has.

import { constants } from 'node:os';
import { QUEUE_ENTRIES_MIN } from '../../assembly/spec/nvme.ts';
import { IDCTRL_SN_BYTES } from '../../assembly/spec/nvme-identify.ts';
import type { ControllerConfig, NamespaceConfig } from '../core/config.ts';
import { DeviceError, type ControllerLimits } from '../transport/device.ts';

/** What a core is told at power-on. */
export interface ControllerSetup {
  readonly config: Readonly<ControllerConfig>;
  readonly namespaces: readonly Readonly<NamespaceConfig>[];
}

/** Printable ASCII, as Identify wants its strings (Base 1.4.2). */
const SERIAL = /^[\x20-\x7e]+$/;

/** The configuration with a VMM's limits. Throws DeviceError EINVAL for a value that the target cannot have. */
export function limitsApply(own: Readonly<ControllerConfig>, limits: ControllerLimits): ControllerConfig {
  const ioQueuePairs = limits.ioQueuePairs ?? own.ioQueuePairs;
  const queueEntries = limits.queueEntries ?? own.queueEntries;
  const serial = limits.serial ?? own.serial;
  if (!isBetween(ioQueuePairs, 1, own.ioQueuePairs)) {
    throw invalid(`${ioQueuePairs} pairs of I/O queues, where 1 to ${own.ioQueuePairs} are possible`);
  }
  if (!isBetween(queueEntries, QUEUE_ENTRIES_MIN, own.queueEntries)) {
    const range = `${QUEUE_ENTRIES_MIN} to ${own.queueEntries}`;
    throw invalid(`queues of ${queueEntries} entries, where ${range} are possible`);
  }
  if (!SERIAL.test(serial) || serial.length > IDCTRL_SN_BYTES) {
    throw invalid(`a serial number that is not 1 to ${IDCTRL_SN_BYTES} printable ASCII characters`);
  }
  return { ...own, ioQueuePairs, queueEntries, serial };
}

function isBetween(value: number, least: number, most: number): boolean {
  return Number.isInteger(value) && value >= least && value <= most;
}

function invalid(what: string): DeviceError {
  return new DeviceError('LIMITS_INVALID', constants.errno.EINVAL, `the VMM asks for ${what}`);
}
