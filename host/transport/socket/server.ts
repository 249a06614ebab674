// The listening socket of either protocol: one peer at a time. Who connects while another is served waits for it to
// leave, or is refused, as the protocol has it; nobody is refused for one that has left already.

import type { Log } from '../../log/log.ts';
import { native, type Framing, type Listener } from '../../native.ts';
import type { ReactorPort, Watch } from '../reactor-port.ts';
import { Connection, type FramedSession, type SessionPort } from './connection.ts';

/** Whoever may connect owns the controller: only the target's own user, unless told otherwise. */
const SOCKET_MODE = 0o600;
/** Peers that may wait for the one being served. */
const WAITING_MAX = 4;

/** What a protocol makes of a listening socket. */
export interface Protocol<S extends FramedSession> {
  framing: Framing;
  createSession: (port: SessionPort) => S;
  /** The protocol's word for who connects. */
  peer: 'client' | 'front end';
  /** What to do about a peer whose very first message is none of this protocol. */
  stranger: string;
  /** Who connects while another one is served. */
  second: 'waits' | 'is refused';
}

export interface SocketOptions {
  /** Path of the UNIX socket. */
  path: string;
  /** Permissions of the socket file; by default only the target's own user may connect. */
  mode?: number;
  reactor: ReactorPort;
  log: Log;
}

/** Listens on a socket and serves one peer after another. */
export class SocketServer<S extends FramedSession> {
  readonly #options: SocketOptions;
  readonly #protocol: Protocol<S>;
  readonly #listener: Listener;
  readonly #watch: Watch;
  #connection: Connection<S> | undefined;
  /** The device still puts away what the last peer left. */
  #settling = false;
  readonly #waiting: number[] = [];
  /** Begins in the reactor's next turn what must not happen within a call of the device. */
  #nextTurn: Watch | undefined;
  /** A descriptor to give up when there is no other: see `#turnAway`. */
  #spare: number | undefined;
  #closing: (() => void) | undefined;

  /** Throws what the addon's `listen` throws: EADDRINUSE where another process serves this socket. */
  constructor(options: SocketOptions, protocol: Protocol<S>) {
    this.#options = options;
    this.#protocol = protocol;
    this.#listener = native.listen(options.path, options.mode ?? SOCKET_MODE);
    this.#spare = native.eventfdCreate();
    this.#watch = options.reactor.watch(this.#listener.fd, () => this.#acceptable());
  }

  /** Whether a peer is being served. */
  get connected(): boolean {
    return this.#connection !== undefined;
  }

  /**
   * Removes the socket, lets the session put down what outlives the target, and drops the peer; `done` comes when the
   * device is at rest. Once more: drops the peer at once.
   */
  close(done: () => void): void {
    const isFirst = this.#closing === undefined;
    this.#closing = done;
    this.#watch.cancel();
    this.#listener.close();
    if (this.#spare !== undefined) native.fdClose(this.#spare);
    this.#spare = undefined;
    this.#nextTurn?.cancel();
    this.#waiting.splice(0).forEach((fd) => native.fdClose(fd));
    const end = (): void => this.#end('the target closes the socket');
    if (this.#connection === undefined) {
      if (!this.#settling) done();
    } else if (isFirst) this.#connection.drain(end);
    else end();
  }

  #acceptable(): void {
    try {
      for (let fd = this.#listener.accept(); fd !== undefined; fd = this.#listener.accept())
        this.#enqueue(fd);
    } catch (error) {
      this.#turnAway(error);
    }
    this.#serveNext();
    this.#judge();
  }

  #enqueue(fd: number): void {
    const { path, log } = this.#options;
    const { peer, second } = this.#protocol;
    if (this.#waiting.length === WAITING_MAX) {
      log
        .limited(`${peer} refused`)
        .warn(`refused a ${peer}: too many wait already`, { socket: path, waiting: WAITING_MAX });
      native.fdClose(fd);
      return;
    }
    this.#waiting.push(fd);
    if (second === 'waits' && (this.#connection !== undefined || this.#settling)) {
      const message = `a second ${peer} connected and waits for the first to leave: one VMM per socket`;
      log.limited(`${peer} waits`).warn(message, { socket: path, waiting: this.#waiting.length });
    }
  }

  /**
   * A peer could not be accepted: this process has no free descriptor, as when VMMs pass thousands. Left in the
   * backlog it would wake the reactor again and again, so the spare descriptor makes room to hang up on it.
   */
  #turnAway(error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    const { peer } = this.#protocol;
    this.#options.log
      .limited('accept')
      .warn(`cannot accept a ${peer}: ${reason}; raise ulimit -n, or start with fewer controllers`, {
        socket: this.#options.path,
      });
    if (this.#spare !== undefined) native.fdClose(this.#spare);
    this.#spare = undefined;
    try {
      const fd = this.#listener.accept();
      if (fd !== undefined) native.fdClose(fd);
      this.#spare = native.eventfdCreate();
    } catch {
      // Somebody took the descriptor; the peer stays in the backlog, and the next turn tries again.
    }
  }

  #serveNext(): void {
    if (this.#connection !== undefined || this.#settling) return;
    const fd = this.#waiting.shift();
    if (fd === undefined) return;
    const { path, log, reactor } = this.#options;
    const { framing, createSession, peer, stranger } = this.#protocol;
    log.limited(`${peer} connected`).info(`${peer} connected`, { socket: path });
    this.#connection = new Connection(
      {
        framing,
        reactor,
        createSession,
        stranger,
        ended: (reason) => this.#end(reason),
        resumed: () => this.#judgeLater(),
      },
      fd,
    );
    this.#judgeLater();
  }

  /**
   * Where no second peer may wait: refuses those that do, once the one being served is known to be there. The end of a
   * predecessor may be on its socket and not have been read.
   */
  #judge(): void {
    if (this.#protocol.second === 'waits' || this.#waiting.length === 0) return;
    const state = this.#connection?.probe();
    if (state === 'more') this.#judgeLater();
    if (state !== 'there') return;
    this.#nextTurn?.cancel();
    this.#nextTurn = undefined;
    const message = 'refused a second front end: one VMM per socket, and the first is still connected';
    for (const fd of this.#waiting.splice(0)) {
      this.#options.log.limited('second').warn(message, { socket: this.#options.path });
      native.fdClose(fd);
    }
  }

  #judgeLater(): void {
    const [fd] = this.#waiting;
    if (this.#protocol.second === 'waits' || fd === undefined || this.#nextTurn !== undefined) return;
    // Nothing was ever sent to who waits: it can be written to, in the very next turn.
    this.#nextTurn = this.#options.reactor.watchWritable(fd, () => {
      this.#nextTurn = undefined;
      this.#judge();
    });
  }

  #end(reason: string): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    const { peer } = this.#protocol;
    this.#options.log
      .limited(`${peer} disconnected`)
      .info(`${peer} disconnected: ${reason}`, { socket: this.#options.path });
    this.#connection = undefined;
    this.#settling = true;
    // A newcomer is about to be served: nothing is to be judged of it.
    this.#nextTurn?.cancel();
    this.#nextTurn = undefined;
    connection.close(() => {
      this.#settling = false;
      this.#serveNext();
      this.#closing?.();
    });
  }
}
