// The listening socket: one front end at a time. While a controller is live a second connection is refused at once and
// the first does not notice; while the device still puts away what the last front end left, the next ones wait.

import type { Log } from '../../log/log.ts';
import { native, type Listener } from '../../native.ts';
import type { DirectDevice } from '../device.ts';
import type { ReactorPort, Watch } from '../reactor-port.ts';
import { Connection } from '../connection.ts';
import { VHOST_USER_FRAMING } from './framing.ts';
import { Session } from './session.ts';

/** Whoever may connect owns the controller: only the target's own user, unless told otherwise. */
const SOCKET_MODE = 0o600;

export interface ServerOptions {
  /** Path of the UNIX socket. */
  path: string;
  /** Permissions of the socket file; by default only the target's own user may connect. */
  mode?: number;
  device: DirectDevice;
  reactor: ReactorPort;
  log: Log;
}

/** Listens on a socket and serves one device to one front end after another. */
export class VhostUserServer {
  readonly #options: ServerOptions;
  readonly #listener: Listener;
  readonly #watch: Watch;
  #connection: Connection<Session> | undefined;
  /** The device still puts away what the last front end left. */
  #settling = false;
  /** Who connected meanwhile. */
  #waiting: number | undefined;
  #closing: (() => void) | undefined;

  /** Throws what the addon's `listen` throws: EADDRINUSE where another process serves this socket. */
  constructor(options: ServerOptions) {
    this.#options = options;
    this.#listener = native.listen(options.path, options.mode ?? SOCKET_MODE);
    this.#watch = options.reactor.watch(this.#listener.fd, () => this.#acceptable());
  }

  /** Drops the front end, if there is one, and removes the socket; `done` comes when the device is at rest. */
  close(done: () => void): void {
    this.#closing = done;
    this.#watch.cancel();
    this.#listener.close();
    if (this.#waiting !== undefined) native.fdClose(this.#waiting);
    this.#waiting = undefined;
    if (this.#connection !== undefined) this.#end('the target closes the socket');
    else if (!this.#settling) done();
  }

  #acceptable(): void {
    for (let fd = this.#listener.accept(); fd !== undefined; fd = this.#listener.accept()) {
      // A VMM that is started anew: its predecessor's end may be on the socket and not have been read.
      this.#connection?.check();
      if (this.#connection !== undefined || this.#waiting !== undefined) {
        const message = 'refused a second front end: one VMM per socket, and the first is still connected';
        this.#options.log.limited('second').warn(message, { socket: this.#options.path });
        native.fdClose(fd);
      } else {
        this.#waiting = fd;
        this.#serveNext();
      }
    }
  }

  #serveNext(): void {
    const fd = this.#waiting;
    if (fd === undefined || this.#settling) return;
    this.#waiting = undefined;
    this.#options.log.info('front end connected', { socket: this.#options.path });
    const { device, log, reactor } = this.#options;
    this.#connection = new Connection(
      {
        framing: VHOST_USER_FRAMING,
        reactor,
        createSession: (port) => new Session({ device, log, ...port }),
      },
      fd,
      (reason) => this.#end(reason),
    );
  }

  #end(reason: string): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    this.#options.log.info(`front end disconnected: ${reason}`, { socket: this.#options.path });
    this.#connection = undefined;
    this.#settling = true;
    connection.close(() => {
      this.#settling = false;
      this.#serveNext();
      this.#closing?.();
    });
  }
}
