// The socket around a session: accepts, receives whole messages, hands them over, sends what comes back. One client at a
// time; the next one waits, and the log says so, until the first is gone and the device is ready again. That is what
// a VMM that is restarted needs: its predecessor may still be dying, and QEMU itself gives up after five seconds.

import { DEFAULT_MAX_DMA_MAPS, HEADER_BYTES, HEADER_SIZE } from '../../../assembly/spec/vfio-user.ts';
import type { Log } from '../../log/log.ts';
import { native, type Framing, type Listener, type MessageSocket, type Received } from '../../native.ts';
import type { Device } from '../device.ts';
import type { ReactorPort, Watch } from '../reactor-port.ts';
import { MAX_MESSAGE_BYTES, MAX_RECEIVED_FDS } from './messages/header.ts';
import { Session } from './session.ts';

/** How vfio-user messages are cut out of the stream. */
export const VFIO_USER_FRAMING: Framing = {
  headerBytes: HEADER_BYTES,
  sizeOffset: HEADER_SIZE,
  sizeIncludesHeader: true,
  maxBytes: MAX_MESSAGE_BYTES,
  maxFds: MAX_RECEIVED_FDS,
};

/** Messages handled before others on the reactor have their turn. */
const MESSAGES_PER_TURN = 64;
/** Bytes of replies that a client may leave unread before no more of its messages are taken. */
const UNSENT_BYTES_MAX = 4 << 20;
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

/** The client being served. */
class Connection {
  readonly session: Session;
  private readonly socket: MessageSocket;
  private readWatch: Watch | undefined;
  private writeWatch: Watch | undefined;
  /** Why nothing can be sent any more; the session ends at the next turn. */
  private broken: string | undefined;

  constructor(
    private readonly options: ServerOptions,
    fd: number,
    /** The client is gone or was dropped: `reason`. */
    private readonly ended: (reason: string) => void,
  ) {
    this.socket = native.messageSocket(fd, VFIO_USER_FRAMING);
    this.session = new Session({
      device: options.device,
      log: options.log,
      maxDmaMaps: options.maxDmaMaps ?? DEFAULT_MAX_DMA_MAPS,
      send: (bytes) => this.send(bytes),
      closeFd: (closing) => native.fdClose(closing),
      resumed: () => this.watch(),
    });
    this.watch();
  }

  /** Takes messages while the session can and the client reads its replies. */
  private watch(): void {
    const wanted = this.session.ready && this.socket.pendingBytes <= UNSENT_BYTES_MAX;
    if (wanted && this.readWatch === undefined) {
      this.readWatch = this.options.reactor.watch(this.socket.fd, () => this.readable());
    } else if (!wanted) {
      this.readWatch?.cancel();
      this.readWatch = undefined;
    }
    if (this.socket.pendingBytes > 0 && this.writeWatch === undefined) {
      this.writeWatch = this.options.reactor.watchWritable(this.socket.fd, () => this.writable());
    }
  }

  private readable(): void {
    for (let turn = 0; turn < MESSAGES_PER_TURN && this.session.ready; turn++) {
      let received: Received | undefined | null;
      try {
        received = this.socket.receive();
      } catch (error) {
        this.ended(messageOf(error));
        return;
      }
      if (received === null || this.broken !== undefined) {
        received?.fds.forEach((fd) => native.fdClose(fd));
        this.ended(this.broken ?? 'the client closed the connection');
        return;
      }
      if (received === undefined) {
        break;
      }
      const error = this.session.handle(received.bytes, received.fds);
      if (error !== undefined) {
        this.ended(`${error.message} (${error.code})`);
        return;
      }
    }
    this.watch();
  }

  private writable(): void {
    this.writeWatch = undefined;
    try {
      this.socket.flush();
    } catch (error) {
      this.ended(messageOf(error));
      return;
    }
    this.watch();
  }

  private send(bytes: Uint8Array): void {
    if (this.broken !== undefined) {
      return;
    }
    try {
      this.socket.send(bytes);
      if (this.socket.pendingBytes > 0) {
        this.watch();
      }
    } catch (error) {
      // The device may be in the middle of a call: the session ends when the reactor next comes by.
      this.broken = messageOf(error);
    }
  }

  close(done: () => void): void {
    this.readWatch?.cancel();
    this.writeWatch?.cancel();
    this.socket.close();
    this.session.close(done);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Listens on a socket and serves one device to one client after another. */
export class VfioUserServer {
  private readonly listener: Listener;
  private readonly watch: Watch;
  private connection: Connection | undefined;
  /** The device still puts away what the last client left. */
  private settling = false;
  private readonly waiting: number[] = [];
  private closing: (() => void) | undefined;

  /** Throws what the addon's `listen` throws: EADDRINUSE where another process serves this socket. */
  constructor(private readonly options: ServerOptions) {
    this.listener = native.listen(options.path, options.mode ?? SOCKET_MODE);
    this.watch = options.reactor.watch(this.listener.fd, () => this.acceptable());
  }

  /** Drops the client, if there is one, and removes the socket; `done` comes when the device is at rest. */
  close(done: () => void): void {
    this.closing = done;
    this.watch.cancel();
    this.listener.close();
    this.waiting.splice(0).forEach((fd) => native.fdClose(fd));
    if (this.connection !== undefined) {
      this.end('the target closes the socket');
    } else if (!this.settling) {
      done();
    }
  }

  private acceptable(): void {
    for (let fd = this.listener.accept(); fd !== undefined; fd = this.listener.accept()) {
      if (this.waiting.length === WAITING_MAX) {
        this.options.log.warn('refused a client: too many wait already', { socket: this.options.path });
        native.fdClose(fd);
        continue;
      }
      this.waiting.push(fd);
      if (this.connection !== undefined || this.settling) {
        const message = 'a second client connected and waits for the first to leave: one VMM per socket';
        this.options.log.warn(message, { socket: this.options.path, waiting: this.waiting.length });
      }
    }
    this.serveNext();
  }

  private serveNext(): void {
    if (this.connection !== undefined || this.settling) {
      return;
    }
    const fd = this.waiting.shift();
    if (fd !== undefined) {
      this.options.log.info('client connected', { socket: this.options.path });
      this.connection = new Connection(this.options, fd, (reason) => this.end(reason));
    }
  }

  private end(reason: string): void {
    const { connection } = this;
    if (connection === undefined) {
      return;
    }
    this.options.log.info(`client disconnected: ${reason}`, { socket: this.options.path });
    this.connection = undefined;
    this.settling = true;
    connection.close(() => {
      this.settling = false;
      this.serveNext();
      this.closing?.();
    });
  }
}
