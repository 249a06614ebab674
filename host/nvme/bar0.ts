// BAR0: the controller registers, the doorbells, and room for the MSI-X table and PBA, which the VMM emulates.

import { REG_DOORBELLS } from '../../assembly/spec/nvme.ts';
import type { Core } from '../core/core.ts';
import { BAR0_BYTES, MSIX_TABLE_OFFSET } from '../pci/config-space.ts';

const DWORD = 4;

export class Bar0 {
  readonly bytes = BAR0_BYTES;
  readonly #core: Core;
  readonly #onDoorbell: () => void;

  /** `onDoorbell` is called for each doorbell register that is written. */
  constructor(core: Core, onDoorbell: () => void) {
    this.#core = core;
    this.#onDoorbell = onDoorbell;
  }

  /** Registers read as dwords; doorbells read as zeros (reserved for reads), and so do table and PBA. */
  read(offset: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    if (offset >= REG_DOORBELLS) return bytes;
    const view = new DataView(bytes.buffer);
    const end = Math.min(offset + length, REG_DOORBELLS);
    for (let dword = offset - (offset % DWORD); dword < end; dword += DWORD) {
      const value = this.#core.registerRead(dword);
      for (let byte = 0; byte < DWORD; byte++) {
        const at = dword + byte - offset;
        if (at >= 0 && at < length) view.setUint8(at, (value >>> (8 * byte)) & 0xff);
      }
    }
    return bytes;
  }

  /** Whole aligned dwords take effect, the low one of eight bytes first; the specification defines no other write. */
  write(offset: number, bytes: Uint8Array): void {
    if (offset % DWORD !== 0) return;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = 0; at + DWORD <= bytes.byteLength; at += DWORD) {
      const register = offset + at;
      const value = view.getUint32(at, true);
      if (register < REG_DOORBELLS) {
        this.#core.registerWrite(register, value);
      } else if (register < MSIX_TABLE_OFFSET) {
        this.#onDoorbell();
        this.#core.doorbellWrite(register, value);
      }
    }
  }
}
