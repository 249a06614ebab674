// vhost-user-nvme on a socket. While a controller is live a second front end is refused at once and the first does not
// notice; while the device still puts away what the last front end left, the next one waits.

import { native } from '../../native.ts';
import type { ResumableDevice } from '../device.ts';
import { SocketServer, type SocketOptions } from '../socket/server.ts';
import { SocketBackChannel } from './extended/back-channel.ts';
import { VHOST_USER_FRAMING } from './framing.ts';
import { Session } from './session.ts';

/** As many as other back ends of vhost-user have. */
const MEMORY_SLOTS_DEFAULT = 509;

export interface ServerOptions extends SocketOptions {
  device: ResumableDevice;
  /** Regions of guest memory that the device can hold beside one for doorbells. */
  memorySlots?: number;
}

/** Serves one device to one front end after another. */
export class VhostUserServer extends SocketServer<Session> {
  /** Throws what the addon's `listen` throws: EADDRINUSE where another process serves this socket. */
  constructor(options: ServerOptions) {
    const { device, log, reactor, memorySlots = MEMORY_SLOTS_DEFAULT } = options;
    super(options, {
      framing: VHOST_USER_FRAMING,
      createSession: (port) =>
        new Session({
          device,
          log,
          memorySlots,
          createStateFile: (bytes) => native.memfdSealed('doorbell-state', bytes),
          eventfdAdopt: (fd) => native.eventfdAdopt(fd),
          eventfdRead: (fd) => native.eventfdRead(fd),
          openBackChannel: (fd, first) => new SocketBackChannel(fd, first, reactor),
          ...port,
        }),
      peer: 'front end',
      stranger: 'a VMM that speaks vfio-user needs a --socket without protocol=vhost-user-nvme',
      second: 'is refused',
    });
  }
}
