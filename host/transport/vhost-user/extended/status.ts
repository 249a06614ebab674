// What the front end knows of CSTS, and of where doorbells are: all changes, each before the reply to the request that
// caused it.

import * as nvme from '../../../../assembly/spec/nvme.ts';
import type { ResumableDevice } from '../../device.ts';
import { viewOf } from '../messages/header.ts';
import { ProtocolError } from '../messages/protocol-error.ts';
import { encodeShadowDoorbells, encodeStatus } from '../messages/registers.ts';
import type { BackChannel, BackChannelOpen } from './back-channel.ts';

const CSTS_BYTES = 4;

export class Status {
  readonly #device: ResumableDevice;
  readonly #open: BackChannelOpen;
  #channel: BackChannel | undefined;
  /** As it was told last. */
  #csts: number | undefined;
  /** Doorbells of I/O queues are in the guest's own memory. */
  #shadow = false;

  constructor(device: ResumableDevice, open: BackChannelOpen) {
    this.#device = device;
    this.#open = open;
    device.statusWatch((csts, shadow) => {
      this.#tell(csts);
      if (shadow !== this.#shadow) this.#tellShadow(shadow);
    });
  }

  /** Tells on this socket from now on, at once for the first time. Takes the descriptor. */
  open(fd: number): ProtocolError | undefined {
    const csts = this.#read();
    try {
      const channel = this.#open(fd, encodeStatus(csts));
      this.close();
      this.#channel = channel;
      this.#csts = csts;
      if (this.#shadow) this.#tellShadow(true);
      return undefined;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      return new ProtocolError('VHOST_USER_FDS', `the back channel cannot be written to: ${reason}`);
    }
  }

  /** A request is about to be answered that may have changed CSTS. */
  refresh(): void {
    if (this.#channel !== undefined) this.#tell(this.#read());
  }

  close(): void {
    this.#channel?.close();
    this.#channel = undefined;
  }

  #read(): number {
    return viewOf(this.#device.regionRead('bar0', nvme.REG_CSTS, CSTS_BYTES)).getUint32(0, true);
  }

  #tell(csts: number): void {
    if (csts === this.#csts) return;
    this.#csts = csts;
    this.#channel?.send(encodeStatus(csts));
  }

  #tellShadow(isOn: boolean): void {
    this.#shadow = isOn;
    this.#channel?.send(encodeShadowDoorbells(isOn));
  }
}
