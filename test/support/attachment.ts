// The ways in which a VMM is attached to a controller: what the target's socket and QEMU's command line say for each.
// End-to-end tests that hold for every way are functions of one.

import { locateQemu, type Qemu } from '../../host/demo/qemu.ts';
import type { GuestOptions } from '../../host/demo/guest.ts';
import { silent } from '../../host/demo/setup-error.ts';

export interface Attachment {
  readonly name: string;
  /** `--socket` for a controller at this path. */
  socket(path: string): string;
  /** A QEMU that has the device. */
  locateQemu(): Promise<Qemu>;
  /** What a guest needs to have controllers at these sockets, in the order of its PCI slots. */
  guest(socketPaths: readonly string[]): Pick<GuestOptions, 'socketPaths' | 'extra'>;
}

/** QEMU's own `vfio-user-pci`. */
export const VFIO_USER: Attachment = {
  name: 'vfio-user',
  socket: (path) => path,
  locateQemu: () => locateQemu(silent),
  guest: (socketPaths) => ({ socketPaths }),
};

export const ATTACHMENTS: readonly Attachment[] = [VFIO_USER];
