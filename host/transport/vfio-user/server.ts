// vfio-user on a socket. The next client waits, and the log says so, until the first is gone and the device is ready
// again. That is what a VMM that is restarted needs: its predecessor may still be dying, and QEMU itself gives up after
// five seconds.

import { DEFAULT_MAX_DMA_MAPS } from '../../../assembly/spec/vfio-user.ts';
import type { Device } from '../device.ts';
import { SocketServer, type SocketOptions } from '../socket/server.ts';
import { VFIO_USER_FRAMING } from './framing.ts';
import { Session } from './session.ts';

export interface ServerOptions extends SocketOptions {
  device: Device;
  /** Regions that the device can hold; by default what the protocol takes for granted. */
  maxDmaMaps?: number;
}

/** Serves one device to one client after another. */
export class VfioUserServer extends SocketServer<Session> {
  /** Throws what the addon's `listen` throws: EADDRINUSE where another process serves this socket. */
  constructor(options: ServerOptions) {
    const { device, log, maxDmaMaps = DEFAULT_MAX_DMA_MAPS } = options;
    super(options, {
      framing: VFIO_USER_FRAMING,
      createSession: (port) => new Session({ device, log, maxDmaMaps, ...port }),
      peer: 'client',
      stranger: 'a VMM that speaks vhost-user-nvme needs protocol=vhost-user-nvme at this --socket',
      second: 'waits',
    });
  }
}
