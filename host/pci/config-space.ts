// PCI configuration space of the one function that a controller is: an NVMe endpoint with power management,
// MSI-X and PCI Express capabilities, INTA, and one 64-bit BAR. Pure: its whole state is the bytes of a view
// that the caller gives, so it can lie in the controller's state image; what a write means for the rest of
// the device is returned.
//
// QEMU answers the guest's reads of the BARs and of MSI-X itself and takes from here identity, class,
// capability list, the type bits of the BAR and the place of the MSI-X structures; it forwards every write.
// Other clients may show the guest all of this, so each register behaves as the PCI specifications say.

import * as spec from '../../assembly/spec/pci.ts';

export const CONFIG_SPACE_BYTES = spec.CONFIG_BYTES;

/**
 * BAR0: registers and doorbells, MSI-X table, pending bits. 16 KiB is the least that works everywhere:
 * Windows' stornvme.sys masks the address with 0xffffc000.
 */
export const BAR0_BYTES = 0x4000;
export const MSIX_TABLE_OFFSET = 0x2000;
export const MSIX_PBA_OFFSET = 0x3000;
/** Vectors whose table fits between MSIX_TABLE_OFFSET and MSIX_PBA_OFFSET. */
export const VECTORS_MAX = (MSIX_PBA_OFFSET - MSIX_TABLE_OFFSET) / spec.MSIX_ENTRY_BYTES;

/**
 * The identity where nobody chose one: 1af4:10f0, the first of the range that the owner of vendor id 1af4
 * leaves to experiments without registration (QEMU docs/specs/pci-ids.rst). No driver, and no quirk of
 * Linux's nvme driver, names it, so the class code decides; 1b36:0010 (QEMU's nvme) and 8086:5845 would make
 * Linux ignore our namespace ids. Linux's virtio_pci looks at every device of the vendor and leaves those
 * outside of 1000 to 107f alone. A product built on this gives its own ids.
 */
export const DEFAULT_VENDOR_ID = 0x1af4;
export const DEFAULT_DEVICE_ID = 0x10f0;

export interface ConfigSpaceOptions {
  /** MSI-X vectors, 1 to VECTORS_MAX. */
  vectors: number;
  vendorId?: number;
  deviceId?: number;
  /** By default the same as the vendor id and the device id. */
  subsystemVendorId?: number;
  subsystemId?: number;
  revision?: number;
}

/** What a write changed; the properties of ConfigSpace say to what. */
export type ConfigEffect =
  /** The guest asks for a function-level reset: the caller resets the function, this space included. */
  | 'function-level-reset'
  | 'bus-mastering'
  | 'memory-space'
  | 'intx-disable'
  /** Enable or function mask. */
  | 'msix'
  | 'power-state';

// Capabilities, in the order of the list.
const PM = 0x40;
const MSIX = 0x50;
const PCIE = 0x60;

const COMMAND_WRITABLE =
  spec.COMMAND_MEMORY_SPACE |
  spec.COMMAND_BUS_MASTER |
  spec.COMMAND_PARITY_RESPONSE |
  spec.COMMAND_SERR |
  spec.COMMAND_INTX_DISABLE;
const MSIX_CONTROL_WRITABLE = spec.MSIX_CONTROL_ENABLE | spec.MSIX_CONTROL_FUNCTION_MASK;
const DEVICE_CONTROL_DEFAULT =
  spec.PCIE_DEVICE_CONTROL_RELAXED_ORDERING |
  spec.PCIE_DEVICE_CONTROL_NO_SNOOP |
  spec.PCIE_DEVICE_CONTROL_READ_REQUEST_512;
/** All but what the device capabilities do not offer: extended tags, phantom functions, auxiliary power. */
const DEVICE_CONTROL_WRITABLE =
  spec.PCIE_DEVICE_CONTROL_ERROR_REPORTING |
  spec.PCIE_DEVICE_CONTROL_RELAXED_ORDERING |
  spec.PCIE_DEVICE_CONTROL_PAYLOAD_MASK |
  spec.PCIE_DEVICE_CONTROL_NO_SNOOP |
  spec.PCIE_DEVICE_CONTROL_READ_REQUEST_MASK;
/** Four lanes at 8 GT/s: nothing depends on it, but tools show it. */
const LINK = spec.PCIE_LINK_SPEED_8GT | (4 << spec.PCIE_LINK_WIDTH_SHIFT);

/** Bits that a write changes; the same for every controller. */
const WRITABLE = masks((view) => {
  view.setUint16(spec.CONFIG_COMMAND, COMMAND_WRITABLE, true);
  view.setUint8(spec.CONFIG_CACHE_LINE, 0xff);
  view.setUint32(spec.CONFIG_BAR0, ~(BAR0_BYTES - 1), true);
  view.setUint32(spec.CONFIG_BAR1, 0xffffffff, true);
  view.setUint8(spec.CONFIG_INTERRUPT_LINE, 0xff);
  view.setUint16(PM + spec.PM_CONTROL, spec.PM_CONTROL_STATE_MASK, true);
  view.setUint16(MSIX + spec.MSIX_CONTROL, MSIX_CONTROL_WRITABLE, true);
  view.setUint16(PCIE + spec.PCIE_DEVICE_CONTROL, DEVICE_CONTROL_WRITABLE, true);
  view.setUint16(PCIE + spec.PCIE_LINK_CONTROL, spec.PCIE_LINK_CONTROL_WRITABLE, true);
  view.setUint16(PCIE + spec.PCIE_DEVICE_CONTROL_2, spec.PCIE_DEVICE_2_COMPLETION_TIMEOUT_DISABLE, true);
  view.setUint16(PCIE + spec.PCIE_LINK_CONTROL_2, spec.PCIE_LINK_CONTROL_2_SPEED_MASK, true);
});

/** Bits that are cleared by writing 1. */
const WRITE_1_TO_CLEAR = masks((view) => {
  view.setUint16(spec.CONFIG_STATUS, spec.STATUS_WRITE_1_TO_CLEAR, true);
  view.setUint16(PCIE + spec.PCIE_DEVICE_STATUS, spec.PCIE_DEVICE_STATUS_WRITE_1_TO_CLEAR, true);
});

function masks(fill: (view: DataView) => void): DataView {
  const view = new DataView(new ArrayBuffer(CONFIG_SPACE_BYTES));
  fill(view);
  return view;
}

export class ConfigSpace {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #options: ConfigSpaceOptions;

  /** `bytes`: CONFIG_SPACE_BYTES, set to the state after power-on. */
  constructor(bytes: Uint8Array, options: ConfigSpaceOptions) {
    if (bytes.length !== CONFIG_SPACE_BYTES) {
      throw new RangeError(`config space has ${CONFIG_SPACE_BYTES} bytes, not ${bytes.length}`);
    }
    if (!Number.isInteger(options.vectors) || options.vectors < 1 || options.vectors > VECTORS_MAX) {
      throw new RangeError(`a controller has 1 to ${VECTORS_MAX} MSI-X vectors, not ${options.vectors}`);
    }
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#options = options;
    this.reset();
  }

  /** Goes on with what somebody has put into the bytes: of that, what can be written counts. */
  resume(): void {
    const saved = this.#bytes.slice();
    this.reset();
    saved.forEach((value, at) => {
      const mask = WRITABLE.getUint8(at) | WRITE_1_TO_CLEAR.getUint8(at);
      this.#view.setUint8(at, (this.#view.getUint8(at) & ~mask) | (value & mask));
    });
    if (this.#powerState !== spec.PM_STATE_D3HOT) this.#powerState = spec.PM_STATE_D0;
  }

  /** Bus Master Enable: the function may access guest memory and send MSI-X messages. */
  get busMaster(): boolean {
    return (this.#command & spec.COMMAND_BUS_MASTER) !== 0;
  }

  /** Memory Space Enable: BAR0 answers. */
  get memorySpace(): boolean {
    return (this.#command & spec.COMMAND_MEMORY_SPACE) !== 0;
  }

  get intxDisabled(): boolean {
    return (this.#command & spec.COMMAND_INTX_DISABLE) !== 0;
  }

  /** While MSI-X is enabled, INTx is not used. */
  get msixEnabled(): boolean {
    return (this.#msixControl & spec.MSIX_CONTROL_ENABLE) !== 0;
  }

  /** All vectors are masked, whatever their own mask says. */
  get msixMasked(): boolean {
    return (this.#msixControl & spec.MSIX_CONTROL_FUNCTION_MASK) !== 0;
  }

  /** In D3hot the function answers to nothing but config space. */
  get d3hot(): boolean {
    return this.#powerState === spec.PM_STATE_D3HOT;
  }

  /** Interrupt Status: the function wants INTx, whether or not it is disabled. */
  setInterruptStatus(pending: boolean): void {
    const status = this.#view.getUint16(spec.CONFIG_STATUS, true) & ~spec.STATUS_INTERRUPT;
    this.#view.setUint16(spec.CONFIG_STATUS, status | (pending ? spec.STATUS_INTERRUPT : 0), true);
  }

  /** A copy of a range, which lies inside the space. */
  read(offset: number, length: number): Uint8Array {
    return this.#bytes.slice(offset, offset + length);
  }

  /**
   * Writes a range, which lies inside the space, and returns what changed. A function-level reset changes
   * nothing here: the caller does it, by `reset`.
   */
  write(offset: number, bytes: Uint8Array): ConfigEffect[] {
    const command = this.#command;
    const msixControl = this.#msixControl;
    const powerState = this.#powerState;
    bytes.forEach((value, index) => {
      const at = offset + index;
      const mask = WRITABLE.getUint8(at);
      const clear = value & WRITE_1_TO_CLEAR.getUint8(at);
      this.#view.setUint8(at, (this.#view.getUint8(at) & ~mask & ~clear) | (value & mask));
    });
    if (this.#powerState !== spec.PM_STATE_D0 && this.#powerState !== spec.PM_STATE_D3HOT) {
      // States that the function does not have: the write is discarded (PM 3.2.4).
      this.#powerState = powerState;
    }
    const effects: ConfigEffect[] = [];
    const changed = command ^ this.#command;
    if ((changed & spec.COMMAND_BUS_MASTER) !== 0) effects.push('bus-mastering');
    if ((changed & spec.COMMAND_MEMORY_SPACE) !== 0) effects.push('memory-space');
    if ((changed & spec.COMMAND_INTX_DISABLE) !== 0) effects.push('intx-disable');
    if (msixControl !== this.#msixControl) effects.push('msix');
    if (powerState !== this.#powerState) effects.push('power-state');
    // The bit reads as 0 and is never stored: its byte is the upper one of Device Control.
    const control = bytes[PCIE + spec.PCIE_DEVICE_CONTROL + 1 - offset] ?? 0;
    if ((control & (spec.PCIE_DEVICE_CONTROL_INITIATE_FLR >> 8)) !== 0) effects.push('function-level-reset');
    return effects;
  }

  /** What a guest's driver does first, where the VMM keeps config space itself: Bus Master and MSI-X Enable. */
  enable(): void {
    const command = this.#command | spec.COMMAND_BUS_MASTER | spec.COMMAND_MEMORY_SPACE;
    this.#view.setUint16(spec.CONFIG_COMMAND, command, true);
    this.#view.setUint16(MSIX + spec.MSIX_CONTROL, this.#msixControl | spec.MSIX_CONTROL_ENABLE, true);
  }

  /** The state after power-on or a reset of the function. */
  reset(): void {
    this.#bytes.fill(0);
    this.#resetHeader();
    this.#resetPowerManagement();
    this.#resetMsix();
    this.#resetExpress();
  }

  get #command(): number {
    return this.#view.getUint16(spec.CONFIG_COMMAND, true);
  }

  get #msixControl(): number {
    return this.#view.getUint16(MSIX + spec.MSIX_CONTROL, true);
  }

  get #powerState(): number {
    return this.#view.getUint16(PM + spec.PM_CONTROL, true) & spec.PM_CONTROL_STATE_MASK;
  }

  set #powerState(state: number) {
    const control = this.#view.getUint16(PM + spec.PM_CONTROL, true) & ~spec.PM_CONTROL_STATE_MASK;
    this.#view.setUint16(PM + spec.PM_CONTROL, control | state, true);
  }

  #resetHeader(): void {
    const view = this.#view;
    const vendorId = this.#options.vendorId ?? DEFAULT_VENDOR_ID;
    const deviceId = this.#options.deviceId ?? DEFAULT_DEVICE_ID;
    view.setUint16(spec.CONFIG_VENDOR_ID, vendorId, true);
    view.setUint16(spec.CONFIG_DEVICE_ID, deviceId, true);
    view.setUint16(spec.CONFIG_STATUS, spec.STATUS_CAPABILITIES, true);
    view.setUint8(spec.CONFIG_REVISION, this.#options.revision ?? 0);
    view.setUint8(spec.CONFIG_CLASS_INTERFACE, spec.CLASS_INTERFACE_NVME);
    view.setUint8(spec.CONFIG_CLASS_SUB, spec.CLASS_SUB_NVM);
    view.setUint8(spec.CONFIG_CLASS_BASE, spec.CLASS_BASE_STORAGE);
    view.setUint32(spec.CONFIG_BAR0, spec.BAR_TYPE_64, true);
    view.setUint16(spec.CONFIG_SUBSYSTEM_VENDOR_ID, this.#options.subsystemVendorId ?? vendorId, true);
    view.setUint16(spec.CONFIG_SUBSYSTEM_ID, this.#options.subsystemId ?? deviceId, true);
    view.setUint8(spec.CONFIG_CAPABILITIES, PM);
    view.setUint8(spec.CONFIG_INTERRUPT_PIN, spec.INTERRUPT_PIN_INTA);
  }

  #capability(at: number, id: number, next: number): void {
    this.#view.setUint8(at + spec.CAPABILITY_ID, id);
    this.#view.setUint8(at + spec.CAPABILITY_NEXT, next);
  }

  /** D0 and D3hot, no PME; coming back from D3hot loses nothing. */
  #resetPowerManagement(): void {
    this.#capability(PM, spec.CAPABILITY_ID_PM, MSIX);
    this.#view.setUint16(PM + spec.PM_CAPABILITIES, spec.PM_VERSION_1_2, true);
    this.#view.setUint16(PM + spec.PM_CONTROL, spec.PM_CONTROL_NO_SOFT_RESET, true);
  }

  #resetMsix(): void {
    this.#capability(MSIX, spec.CAPABILITY_ID_MSIX, PCIE);
    this.#view.setUint16(MSIX + spec.MSIX_CONTROL, this.#options.vectors - 1, true);
    // The low bits name the BAR, and that is 0.
    this.#view.setUint32(MSIX + spec.MSIX_TABLE, MSIX_TABLE_OFFSET, true);
    this.#view.setUint32(MSIX + spec.MSIX_PBA, MSIX_PBA_OFFSET, true);
  }

  /** An endpoint; payloads of 128 bytes, function-level reset, no ASPM. */
  #resetExpress(): void {
    const view = this.#view;
    const capabilities = spec.PCIE_VERSION_2 | (spec.PCIE_TYPE_ENDPOINT << spec.PCIE_TYPE_SHIFT);
    const device = spec.PCIE_DEVICE_CAPABILITIES_ROLE_BASED_ERRORS | spec.PCIE_DEVICE_CAPABILITIES_FLR;
    const timeouts = spec.PCIE_DEVICE_2_COMPLETION_TIMEOUT_DISABLE;
    this.#capability(PCIE, spec.CAPABILITY_ID_PCIE, 0);
    view.setUint16(PCIE + spec.PCIE_CAPABILITIES, capabilities, true);
    view.setUint32(PCIE + spec.PCIE_DEVICE_CAPABILITIES, device, true);
    view.setUint16(PCIE + spec.PCIE_DEVICE_CONTROL, DEVICE_CONTROL_DEFAULT, true);
    view.setUint32(PCIE + spec.PCIE_LINK_CAPABILITIES, LINK, true);
    view.setUint16(PCIE + spec.PCIE_LINK_STATUS, LINK | spec.PCIE_LINK_STATUS_SLOT_CLOCK, true);
    view.setUint32(PCIE + spec.PCIE_DEVICE_CAPABILITIES_2, timeouts, true);
    view.setUint32(PCIE + spec.PCIE_LINK_CAPABILITIES_2, spec.PCIE_LINK_CAPABILITIES_2_SPEEDS, true);
    view.setUint16(PCIE + spec.PCIE_LINK_CONTROL_2, spec.PCIE_LINK_SPEED_8GT, true);
  }
}
