// vhost-user-nvme on a socket. While a controller is live a second front end is refused at once and the first does not
// notice; while the device still puts away what the last front end left, the next one waits.

import type { DirectDevice } from '../device.ts';
import { SocketServer, type SocketOptions } from '../socket/server.ts';
import { VHOST_USER_FRAMING } from './framing.ts';
import { Session } from './session.ts';

export interface ServerOptions extends SocketOptions {
  device: DirectDevice;
}

/** Serves one device to one front end after another. */
export class VhostUserServer extends SocketServer<Session> {
  /** Throws what the addon's `listen` throws: EADDRINUSE where another process serves this socket. */
  constructor(options: ServerOptions) {
    const { device, log } = options;
    super(options, {
      framing: VHOST_USER_FRAMING,
      createSession: (port) => new Session({ device, log, ...port }),
      peer: 'front end',
      second: 'is refused',
    });
  }
}
