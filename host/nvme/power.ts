// What a controller begins with: at power-on with the target's configuration or a VMM's limits, or with a state that
// was saved. The core's image, config space and the number of vectors change here together.

import { CALLER_BASE, HEADER_BASE, SEGMENT_BASE } from '../../assembly/abi/memory-map.ts';
import { INIT_OK } from '../../assembly/abi/records.ts';
import { errnoName, errnoOf } from '../block/errors.ts';
import type { Core } from '../core/core.ts';
import { ConfigSpace, CONFIG_SPACE_BYTES } from '../pci/config-space.ts';
import { DeviceError, type ControllerLimits, type StateRefusal } from '../transport/device.ts';
import type { Interrupts } from './interrupts.ts';
import { limitsApply, type ControllerSetup } from './limits.ts';
import { isSameController, statePlace } from './resume.ts';
import { SavedState, stateRead, stateWrite } from './state-file.ts';
import type { WindowFiller } from './windows.ts';

export interface PowerParts {
  /** At power-on with `setup`. */
  core: Core;
  setup: ControllerSetup;
  interrupts: Interrupts;
  windows: WindowFiller;
}

export class Power {
  readonly #parts: PowerParts;
  /** As the VMM configured it: the target's own until then. */
  #setup: ControllerSetup;
  #config: ConfigSpace;
  #resumed = false;
  /** Counters and saved features before a VMM brought its own. */
  #persistent: Uint8Array | undefined;

  constructor(parts: PowerParts) {
    this.#parts = parts;
    this.#setup = parts.setup;
    this.#config = this.#configCreate();
  }

  get config(): ConfigSpace {
    return this.#config;
  }

  /** The core goes on from a state that a VMM brought. */
  get resumed(): boolean {
    return this.#resumed;
  }

  /** Power-on with a VMM's limits. Throws DeviceError EINVAL. */
  configure(limits: ControllerLimits): void {
    const { setup } = this.#parts;
    this.#setup = { ...setup, config: limitsApply(setup.config, limits) };
    this.#powerOn();
  }

  /**
   * The VMM has gone, and with it the machine's power. What it configured, or the state that it brought, is not the
   * next one's; the health log goes on.
   */
  restore(): void {
    this.#setup = this.#parts.setup;
    this.#powerOn();
  }

  /** Throws DeviceError where the file cannot be written. */
  save(fd: number): void {
    const { core } = this.#parts;
    try {
      stateWrite(fd, core.bytes, core.buildHash);
    } catch (cause) {
      const errno = errnoOf(cause);
      throw new DeviceError('STATE_NOT_SAVED', errno, `the state cannot be written (${errnoName(errno)})`);
    }
  }

  /**
   * Goes on from a saved state, which may be made up. Refused, this is power-on again, unless the core trapped on it.
   */
  load(fd: number, size: number): StateRefusal | undefined {
    const { core, windows } = this.#parts;
    const saved = stateRead(fd, size);
    if (!(saved instanceof SavedState)) return saved;
    if (!isSameController(core, saved)) return 'configuration';
    this.#persistent = core.persistentSave();
    this.#resumed = true;
    windows.clear();
    statePlace(core, saved);
    if (core.resume() !== INIT_OK || core.failure !== undefined) {
      if (core.failure === undefined) this.#powerOn();
      return 'damaged';
    }
    this.#config.resume();
    return undefined;
  }

  /** In a core that owns no request. Segments and private pages stay: they mean nothing until a command owns them. */
  #powerOn(): void {
    const { core, windows } = this.#parts;
    const { config, namespaces } = this.#setup;
    const persistent = this.#persistent ?? core.persistentSave();
    this.#persistent = undefined;
    core.bytes.fill(0, HEADER_BASE, SEGMENT_BASE);
    core.configure(config, namespaces);
    core.persistentLoad(persistent);
    const result = core.init();
    if (result !== INIT_OK && core.failure === undefined) {
      throw new Error(`the core refused its configuration (${result})`);
    }
    windows.clear();
    this.#config = this.#configCreate();
    this.#resumed = false;
  }

  #configCreate(): ConfigSpace {
    const { core, interrupts } = this.#parts;
    const vectors = this.#setup.config.ioQueuePairs + 1;
    interrupts.countSet(vectors);
    return new ConfigSpace(core.bytes.subarray(CALLER_BASE, CALLER_BASE + CONFIG_SPACE_BYTES), { vectors });
  }
}
