// One peer's socket around its session, whatever the protocol: receives whole messages with their descriptors, hands
// them over, sends what comes back. It does not listen while the session cannot take a message, nor to a peer that
// leaves its replies unread.

import { native, type Framing, type MessageSocket, type Received } from '../native.ts';
import type { ReactorPort, Watch } from './reactor-port.ts';

/** Messages handled before others on the reactor have their turn. */
const MESSAGES_PER_TURN = 64;
/** And the time they may take, in microseconds: a reset costs as much as hundreds of doorbells. */
const TURN_MICROSECONDS = 1000;
/** Bytes of replies that a peer may leave unread before no more of its messages are taken. */
const UNSENT_BYTES_MAX = 4 << 20;

/** What a connection needs of a protocol's session. */
export interface FramedSession {
  /** Whether a message may be handed over now. */
  readonly ready: boolean;
  /** Takes the descriptors. What it returns ends the connection. */
  handle(bytes: Uint8Array, fds: number[]): { readonly message: string; readonly code: string } | undefined;
  close(done: () => void): void;
}

/** What a session is given of its connection. */
export interface SessionPort {
  send: (bytes: Uint8Array) => void;
  closeFd: (fd: number) => void;
  /** `ready` was false after a message and is true again. */
  resumed: () => void;
}

export interface ConnectionOptions<S extends FramedSession> {
  framing: Framing;
  reactor: ReactorPort;
  createSession: (port: SessionPort) => S;
}

/** The peer being served. Watches its socket from the start until `close`. */
export class Connection<S extends FramedSession> {
  readonly session: S;
  private readonly socket: MessageSocket;
  private readWatch: Watch | undefined;
  private writeWatch: Watch | undefined;
  /** Why nothing can be sent any more; the session ends at the next turn. */
  private broken: string | undefined;

  constructor(
    private readonly options: ConnectionOptions<S>,
    fd: number,
    /** The peer is gone or was dropped: `reason`. */
    private readonly ended: (reason: string) => void,
  ) {
    this.socket = native.messageSocket(fd, options.framing);
    this.session = options.createSession({
      send: (bytes) => this.send(bytes),
      closeFd: (closing) => native.fdClose(closing),
      resumed: () => this.watch(),
    });
    this.watch();
  }

  /** Takes messages while the session can and the peer reads its replies. */
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

  /** Looks whether the peer has gone meanwhile. */
  check(): void {
    if (this.session.ready) {
      this.readable();
    }
  }

  private readable(): void {
    const end = native.now() + TURN_MICROSECONDS;
    for (let turn = 0; turn < MESSAGES_PER_TURN && this.session.ready && native.now() < end; turn++) {
      let received: Received | undefined | null;
      try {
        received = this.socket.receive();
      } catch (error) {
        this.ended(messageOf(error));
        return;
      }
      if (received === null || this.broken !== undefined) {
        received?.fds.forEach((fd) => native.fdClose(fd));
        this.ended(this.broken ?? 'the peer closed the connection');
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
