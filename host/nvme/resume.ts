// From a saved state to a core that can go on with it: whether it is this controller's, and its way into the image.

import {
  CONFIG_BASE,
  CONFIG_SIZE,
  HEADER_BASE,
  NAMESPACE_BASE,
  NAMESPACE_SIZE,
  SEGMENT_BASE,
} from '../../assembly/abi/memory-map.ts';
import { CONFIG_FIRMWARE } from '../../assembly/abi/records.ts';
import { IDCTRL_FR_BYTES } from '../../assembly/spec/nvme-identify.ts';
import type { Core } from '../core/core.ts';
import type { SavedState } from './state-file.ts';

/** What the guest knows already of the controller, so this target must have the same: all but the firmware revision. */
const COMPARED: readonly (readonly [number, number])[] = [
  [CONFIG_BASE, CONFIG_BASE + CONFIG_FIRMWARE],
  [CONFIG_BASE + CONFIG_FIRMWARE + IDCTRL_FR_BYTES, CONFIG_BASE + CONFIG_SIZE],
  [NAMESPACE_BASE, NAMESPACE_BASE + NAMESPACE_SIZE],
];

/** Whether the state is one of the controller that the core is configured as: identity, limits, namespaces. */
export function isSameController(core: Core, saved: SavedState): boolean {
  return COMPARED.every(
    ([begin, end]) => Buffer.compare(core.bytes.subarray(begin, end), saved.area(begin, end - begin)) === 0,
  );
}

/** Puts the state into the core's image, for `resume`; the configuration stays the target's own. */
export function statePlace(core: Core, saved: SavedState): void {
  const config = core.bytes.slice(CONFIG_BASE, CONFIG_BASE + CONFIG_SIZE);
  core.bytes.fill(0, HEADER_BASE, SEGMENT_BASE);
  saved.place(core.bytes);
  core.bytes.set(config, CONFIG_BASE);
}
