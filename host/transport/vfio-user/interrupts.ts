// The interrupt types of a PCI function as vfio-user numbers them, and what SET_IRQS does to each: INTx and
// MSI-X are the device's, MSI and REQ do not exist here (count 0), and ERR has a notifier that nothing ever
// signals: QEMU complains about a device without it.

import * as spec from '../../../assembly/spec/vfio-user.ts';
import type { Device, InterruptKind } from '../device.ts';
import { notSupported, ProtocolError } from './messages/protocol-error.ts';
import type { SetIrqsRequest } from './messages/set-irqs.ts';

const KINDS = new Map<number, { kind: InterruptKind; flags: number }>([
  [spec.IRQ_INDEX_INTX, { kind: 'intx', flags: spec.IRQ_FLAG_EVENTFD | spec.IRQ_FLAG_AUTOMASKED }],
  [spec.IRQ_INDEX_MSIX, { kind: 'msix', flags: spec.IRQ_FLAG_EVENTFD }],
]);

/** What GET_IRQ_INFO says of a type; `flags`: IRQ_FLAG_*. */
export interface IrqInfo {
  flags: number;
  count: number;
}

export class SessionInterrupts {
  readonly #device: Device;
  readonly #closeFd: (fd: number) => void;
  #errorNotifier: number | undefined;

  constructor(device: Device, closeFd: (fd: number) => void) {
    this.#device = device;
    this.#closeFd = closeFd;
  }

  info(index: number): IrqInfo | ProtocolError {
    if (index >= spec.IRQ_INDEX_COUNT) {
      return outOfRange(`interrupt type ${index} of ${spec.IRQ_INDEX_COUNT}`);
    }
    const known = KINDS.get(index);
    if (known !== undefined) {
      return { flags: known.flags, count: this.#device.interruptCount(known.kind) };
    }
    return index === spec.IRQ_INDEX_ERR ? { flags: spec.IRQ_FLAG_EVENTFD, count: 1 } : { flags: 0, count: 0 };
  }

  /** Does what SET_IRQS asks for. `fds` loses those that are taken: the caller closes the rest. */
  set(request: SetIrqsRequest, fds: number[]): ProtocolError | undefined {
    const { index, start, count, data, action } = request;
    const info = this.info(index);
    if (info instanceof ProtocolError) {
      return info;
    }
    if (data === 'none' && action === 'trigger' && count === 0 && start === 0) {
      this.#disable(index);
      return undefined;
    }
    // Numbers are doubles: the sum of two u32 does not wrap.
    if (count === 0 || start + count > info.count) {
      return outOfRange(`${count} interrupts from ${start} on of type ${index}, which has ${info.count}`);
    }
    return data === 'eventfd' ? this.#assign(request, fds) : this.#act(request);
  }

  /** The client is gone. The notifiers that the device took are the device's to close. */
  close(): void {
    this.#setErrorNotifier(undefined);
  }

  #disable(index: number): void {
    const kind = KINDS.get(index)?.kind;
    if (kind !== undefined) {
      this.#device.notifiersClear(kind);
    } else if (index === spec.IRQ_INDEX_ERR) {
      this.#setErrorNotifier(undefined);
    }
  }

  /** Eventfds for a range of interrupts; none at all takes away those that are there. */
  #assign({ index, start, count, action }: SetIrqsRequest, fds: number[]): ProtocolError | undefined {
    if (action !== 'trigger') {
      return notSupported(`SET_IRQS with an eventfd to ${action} is not offered`);
    }
    if (fds.length > 0 && fds.length < count) {
      return new ProtocolError(
        'VFIO_USER_FDS',
        `SET_IRQS of ${count} interrupts with ${fds.length} eventfds`,
      );
    }
    const kind = KINDS.get(index)?.kind;
    for (let vector = start; vector < start + count; vector++) {
      if (kind === undefined) {
        this.#setErrorNotifier(fds.shift());
      } else {
        this.#device.notifierSet(kind, vector, fds.shift());
      }
    }
    return undefined;
  }

  /** Interrupts raised or unmasked by the client itself. */
  #act({ index, start, count, action, bools }: SetIrqsRequest): ProtocolError | undefined {
    const kind = KINDS.get(index)?.kind;
    if (kind === undefined || action === 'mask' || (action === 'unmask' && kind !== 'intx')) {
      return notSupported(`SET_IRQS to ${action} interrupts of type ${index} is not offered`);
    }
    for (let vector = start; vector < start + count; vector++) {
      if (bools?.[vector - start] === 0) {
        continue;
      }
      if (action === 'unmask') {
        this.#device.intxUnmask();
      } else {
        this.#device.interruptTrigger(kind, vector);
      }
    }
    return undefined;
  }

  #setErrorNotifier(fd: number | undefined): void {
    if (this.#errorNotifier !== undefined) {
      this.#closeFd(this.#errorNotifier);
    }
    this.#errorNotifier = fd;
  }
}

function outOfRange(message: string): ProtocolError {
  return new ProtocolError('VFIO_USER_RANGE', message);
}
