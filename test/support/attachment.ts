// The ways in which a VMM is attached to a controller: what the target's socket and QEMU's command line say for each.
// End-to-end tests that hold for every way are functions of one.

import { locateDeviceQemu } from '../../host/demo/qemu-build.ts';
import { locateQemu, type Qemu } from '../../host/demo/qemu.ts';
import type { GuestOptions } from '../../host/demo/guest.ts';
import { silent } from '../../host/demo/setup-error.ts';
import { deviceQemuObstacle } from './device-qemu.ts';

export interface Attachment {
  readonly name: string;
  /** QEMU's name of the device. */
  readonly driver: string;
  /** `--socket` for a controller at this path. */
  socket(path: string): string;
  /** A QEMU that has the device. */
  locateQemu(): Promise<Qemu>;
  /** Why there is none on this machine, for the tests that are skipped then. */
  unavailable(): Promise<string | undefined>;
  /** What a guest needs to have controllers at these sockets, in the order of its PCI slots. */
  guest(socketPaths: readonly string[]): Pick<GuestOptions, 'socketPaths' | 'extra'>;
}

/** QEMU's own `vfio-user-pci`. */
export const VFIO_USER: Attachment = {
  name: 'vfio-user',
  driver: 'vfio-user-pci',
  socket: (path) => path,
  locateQemu: () => locateQemu(silent),
  unavailable: () => Promise.resolve(undefined),
  guest: (socketPaths) => ({ socketPaths }),
};

/** The device of native/qemu, which connects anew when the target has gone. */
export const VHOST_USER_NVME: Attachment = {
  name: 'vhost-user-nvme',
  driver: 'vhost-user-nvme',
  socket: (path) => `${path},protocol=vhost-user-nvme`,
  locateQemu: () => locateDeviceQemu(silent),
  unavailable: deviceQemuObstacle,
  guest: (socketPaths) => ({ extra: socketPaths.flatMap(vhostUserNvmeOptions) }),
};

/** The kernel of `-kernel` has boot index 0. */
function vhostUserNvmeOptions(path: string, index: number): string[] {
  const id = `nvme${String(index)}`;
  return [
    ...['-chardev', `socket,id=${id},path=${path},reconnect-ms=100`],
    ...['-device', `vhost-user-nvme,id=device-${id},chardev=${id},bootindex=${String(index + 1)}`],
  ];
}

export const ATTACHMENTS: readonly Attachment[] = [VFIO_USER, VHOST_USER_NVME];
