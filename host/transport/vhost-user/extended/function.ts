// The PCI function behind a device, for a front end that has a configuration space of its own and tells of two of its
// registers: Command, and Message Control of MSI-X.

import * as pci from '../../../../assembly/spec/pci.ts';
import type { Device } from '../../device.ts';
import type { FunctionWrite } from '../messages/registers.ts';

/** Capabilities that a list of 256 bytes has room for. */
const CAPABILITIES_MAX = pci.CONFIG_LEGACY_BYTES / 4;

/** Writes both registers; `done` comes when the effects are complete. */
export function functionWrite(
  device: Device,
  { command, msixControl }: FunctionWrite,
  done: () => void,
): void {
  const msix = msixFind(device);
  device.regionWrite('config', pci.CONFIG_COMMAND, command, () => {
    if (msix === undefined) done();
    else device.regionWrite('config', msix + pci.MSIX_CONTROL, msixControl, done);
  });
}

function msixFind(device: Device): number | undefined {
  const config = device.regionRead('config', 0, pci.CONFIG_LEGACY_BYTES);
  let at = config[pci.CONFIG_CAPABILITIES] ?? 0;
  for (let count = 0; at !== 0 && count < CAPABILITIES_MAX; count++) {
    if (config[at + pci.CAPABILITY_ID] === pci.CAPABILITY_ID_MSIX) return at;
    at = config[at + pci.CAPABILITY_NEXT] ?? 0;
  }
  return undefined;
}
