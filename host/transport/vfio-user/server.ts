// The listening socket: one client at a time. The next one waits, and the log says so, until the first is
// gone and the device is ready again. That is what a VMM that is restarted needs: its predecessor may still
// be dying, and QEMU itself gives up after five seconds.

import { DEFAULT_MAX_DMA_MAPS } from '../../../assembly/spec/vfio-user.ts';
import type { Log } from '../../log/log.ts';
import { native, type Listener } from '../../native.ts';
import type { Device } from '../device.ts';
import type { ReactorPort, Watch } from '../reactor-port.ts';
import { Connection } from '../connection.ts';
import { VFIO_USER_FRAMING } from './framing.ts';
import { Session } from './session.ts';

/** Whoever may connect owns the controller: only the target's own user, unless told otherwise. */
const SOCKET_MODE = 0o600;
/** Clients that may wait for the one being served. */
const WAITING_MAX = 4;

export interface ServerOptions {
  /** Path of the UNIX socket. */
  path: string;
  /** Permissions of the socket file; by default only the target's own user may connect. */
  mode?: number;
  device: Device;
  /** Regions that the device can hold; by default what the protocol takes for granted. */
  maxDmaMaps?: number;
  reactor: ReactorPort;
  log: Log;
}

/** Listens on a socket and serves one device to one client after another. */
export class VfioUserServer {
  private readonly listener: Listener;
  private readonly watch: Watch;
  private connection: Connection<Session> | undefined;
  /** The device still puts away what the last client left. */
  private settling = false;
  private readonly waiting: number[] = [];
  /** A descriptor to give up when there is no other: see `turnAway`. */
  private spare: number | undefined;
  private closing: (() => void) | undefined;

  /** Throws what the addon's `listen` throws: EADDRINUSE where another process serves this socket. */
  constructor(private readonly options: ServerOptions) {
    this.listener = native.listen(options.path, options.mode ?? SOCKET_MODE);
    this.spare = native.eventfdCreate();
    this.watch = options.reactor.watch(this.listener.fd, () => this.acceptable());
  }

  /** Drops the client, if there is one, and removes the socket; `done` comes when the device is at rest. */
  close(done: () => void): void {
    this.closing = done;
    this.watch.cancel();
    this.listener.close();
    if (this.spare !== undefined) {
      native.fdClose(this.spare);
      this.spare = undefined;
    }
    this.waiting.splice(0).forEach((fd) => native.fdClose(fd));
    if (this.connection !== undefined) {
      this.end('the target closes the socket');
    } else if (!this.settling) {
      done();
    }
  }

  private acceptable(): void {
    try {
      for (let fd = this.listener.accept(); fd !== undefined; fd = this.listener.accept()) this.enqueue(fd);
    } catch (error) {
      this.turnAway(error);
    }
    this.serveNext();
  }

  private enqueue(fd: number): void {
    const fields = { socket: this.options.path };
    if (this.waiting.length === WAITING_MAX) {
      this.options.log.limited('client refused').warn('refused a client: too many wait already', fields);
      native.fdClose(fd);
      return;
    }
    this.waiting.push(fd);
    if (this.connection !== undefined || this.settling) {
      const message = 'a second client connected and waits for the first to leave: one VMM per socket';
      this.options.log.limited('client waits').warn(message, { ...fields, waiting: this.waiting.length });
    }
  }

  /**
   * A client could not be accepted: this process has no free descriptor, as when VMMs pass thousands. Left in the
   * backlog it would wake the reactor again and again, so the spare descriptor makes room to hang up on it.
   */
  private turnAway(error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    this.options.log
      .limited('accept')
      .warn(`cannot accept a client: ${reason}; raise ulimit -n, or start with fewer controllers`, {
        socket: this.options.path,
      });
    if (this.spare !== undefined) native.fdClose(this.spare);
    this.spare = undefined;
    try {
      const fd = this.listener.accept();
      if (fd !== undefined) native.fdClose(fd);
      this.spare = native.eventfdCreate();
    } catch {
      // Somebody took the descriptor; the client stays in the backlog, and the next turn tries again.
    }
  }

  private serveNext(): void {
    if (this.connection !== undefined || this.settling) {
      return;
    }
    const fd = this.waiting.shift();
    if (fd !== undefined) {
      const maxDmaMaps = this.options.maxDmaMaps ?? DEFAULT_MAX_DMA_MAPS;
      this.options.log.limited('client connected').info('client connected', { socket: this.options.path });
      const { device, log, reactor } = this.options;
      this.connection = new Connection(
        {
          framing: VFIO_USER_FRAMING,
          reactor,
          createSession: (port) => new Session({ device, log, maxDmaMaps, ...port }),
        },
        fd,
        (reason) => this.end(reason),
      );
    }
  }

  private end(reason: string): void {
    const { connection } = this;
    if (connection === undefined) {
      return;
    }
    this.options.log
      .limited('client disconnected')
      .info(`client disconnected: ${reason}`, { socket: this.options.path });
    this.connection = undefined;
    this.settling = true;
    connection.close(() => {
      this.settling = false;
      this.serveNext();
      this.closing?.();
    });
  }
}
