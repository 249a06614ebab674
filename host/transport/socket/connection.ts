// One peer's socket around its session, whatever the protocol: receives whole messages with their descriptors, hands
// them over, sends what comes back. It does not listen while the session cannot take a message, nor to a peer that
// leaves its replies unread.

import { native, type Framing, type MessageSocket, type Received } from '../../native.ts';
import type { ReactorPort, Watch } from '../reactor-port.ts';

/** Messages handled before others on the reactor have their turn. */
const MESSAGES_PER_TURN = 64;
/** And the time they may take, in microseconds: a reset costs as much as hundreds of doorbells. */
const TURN_MICROSECONDS = 1000;
/** Bytes of replies that a peer may leave unread before no more of its messages are taken. */
const UNSENT_BYTES_MAX = 4 << 20;
/** And descriptors that wait with them: the process has a number of them that others need, too. */
const UNSENT_FDS_MAX = 8;

/** So often in a row is no coincidence. */
const FUTILE_MAX = 100;

/** What a connection needs of a protocol's session. */
export interface FramedSession {
  /** Whether a message may be handed over now. */
  readonly ready: boolean;
  /** Takes the descriptors. What it returns ends the connection. */
  handle(bytes: Uint8Array, fds: number[]): { readonly message: string; readonly code: string } | undefined;
  /** The target is about to end: no message is handed over any more, `close` follows upon `done`. */
  drain?(done: () => void): void;
  close(done: () => void): void;
}

/** What a session is given of its connection and of the reactor. */
export interface SessionPort {
  /** The descriptors stay the caller's. Never throws. */
  send: (bytes: Uint8Array, fds?: readonly number[]) => void;
  closeFd: (fd: number) => void;
  /** `ready` was false after a message and is true again. */
  resumed: () => void;
  /** Calls back as long as the descriptor is readable, until the watch is cancelled. */
  watch: ReactorPort['watch'];
}

export interface ConnectionOptions<S extends FramedSession> {
  framing: Framing;
  reactor: ReactorPort;
  createSession: (port: SessionPort) => S;
  /** Said of a peer whose very first message is none of this protocol. */
  stranger: string;
  /** The peer is gone or was dropped: `reason`. */
  ended: (reason: string) => void;
  /** A `probe` that found the session busy may find out more now, though not from within this call. */
  resumed: () => void;
}

/**
 * What is known of a peer: it is there; it is gone, and `ended` was called; it cannot be told before the session can
 * take a message; or not before more of its messages have been handled.
 */
export type PeerState = 'there' | 'gone' | 'busy' | 'more';

/** The peer being served. Watches its socket from the start until `close`. */
export class Connection<S extends FramedSession> {
  readonly session: S;
  readonly #options: ConnectionOptions<S>;
  readonly #socket: MessageSocket;
  #readWatch: Watch | undefined;
  #writeWatch: Watch | undefined;
  /** Why nothing can be sent any more; the session ends at the next turn. */
  #broken: string | undefined;
  #isDraining = false;
  /** A message of the peer's was taken: it speaks this protocol. */
  #isKnown = false;
  /** Times in a row that nothing could be sent although the kernel had said so. */
  #futile = 0;

  constructor(options: ConnectionOptions<S>, fd: number) {
    this.#options = options;
    this.#socket = native.messageSocket(fd, options.framing);
    this.session = options.createSession({
      send: (bytes, fds) => this.#send(bytes, fds),
      closeFd: (closing) => native.fdClose(closing),
      resumed: () => {
        this.#watch();
        options.resumed();
      },
      watch: (watched, onReadable) => options.reactor.watch(watched, onReadable),
    });
    this.#watch();
  }

  /** Looks whether the peer has gone meanwhile; one that leaves its replies unread makes room for another. */
  probe(): PeerState {
    if (this.#socket.pendingBytes > 0 && !this.#flush()) return 'gone';
    if (!this.session.ready) return 'busy';
    if (this.#isListening) return this.#readable();
    // Nobody would hear of its end any more: that comes behind what it is not listened to for.
    return this.#end('it left its replies unread, and another one has connected');
  }

  /** Lets the session put down what outlives the target; takes no message any more. */
  drain(done: () => void): void {
    this.#isDraining = true;
    this.#watch();
    if (this.session.drain === undefined) done();
    else this.session.drain(done);
  }

  close(done: () => void): void {
    this.#readWatch?.cancel();
    this.#writeWatch?.cancel();
    this.#socket.close();
    this.session.close(done);
  }

  /** Whether the peer reads its replies and may go on. */
  get #isListening(): boolean {
    const { pendingBytes, pendingFds } = this.#socket;
    return !this.#isDraining && pendingBytes <= UNSENT_BYTES_MAX && pendingFds <= UNSENT_FDS_MAX;
  }

  /** Takes messages while the session can and the peer reads its replies. */
  #watch(): void {
    const wanted = this.session.ready && this.#isListening;
    if (wanted && this.#readWatch === undefined) {
      this.#readWatch = this.#options.reactor.watch(this.#socket.fd, () => this.#readable());
    } else if (!wanted) {
      this.#readWatch?.cancel();
      this.#readWatch = undefined;
    }
    if (this.#socket.pendingBytes > 0 && this.#writeWatch === undefined) {
      this.#writeWatch = this.#options.reactor.watchWritable(this.#socket.fd, () => this.#writable());
    }
  }

  /** The kernel reports a peer that shut its end down here, too, and again at once, though it takes nothing. */
  #writable(): void {
    this.#writeWatch = undefined;
    const waiting = this.#socket.pendingBytes;
    if (!this.#flush()) return;
    this.#futile = this.#socket.pendingBytes === waiting ? this.#futile + 1 : 0;
    if (this.#futile < FUTILE_MAX) this.#watch();
    else this.#end('the peer shut its end down and does not read its replies');
  }

  #readable(): PeerState {
    const end = native.now() + TURN_MICROSECONDS;
    let isEmpty = false;
    for (let turn = 0; turn < MESSAGES_PER_TURN && this.session.ready && native.now() < end; turn++) {
      let received: Received | undefined | null;
      try {
        received = this.#socket.receive();
      } catch (error) {
        return this.#end(this.#faultOf(messageOf(error)));
      }
      if (received === null || this.#broken !== undefined) {
        received?.fds.forEach((fd) => native.fdClose(fd));
        return this.#end(this.#broken ?? 'the peer closed the connection');
      }
      isEmpty = received === undefined;
      if (received === undefined) break;
      const error = this.session.handle(received.bytes, received.fds);
      if (error !== undefined) return this.#end(this.#faultOf(`${error.message} (${error.code})`));
      this.#isKnown = true;
    }
    this.#watch();
    if (isEmpty) return 'there';
    return this.session.ready ? 'more' : 'busy';
  }

  #faultOf(message: string): string {
    return this.#isKnown ? message : `${message}; ${this.#options.stranger}`;
  }

  #end(reason: string): PeerState {
    this.#options.ended(reason);
    return 'gone';
  }

  /** Sends on what the peer had not taken; false if it is gone. */
  #flush(): boolean {
    try {
      this.#socket.flush();
      return true;
    } catch (error) {
      this.#end(messageOf(error));
      return false;
    }
  }

  #send(bytes: Uint8Array, fds?: readonly number[]): void {
    if (this.#broken !== undefined) return;
    try {
      this.#socket.send(bytes, fds);
      if (this.#socket.pendingBytes > 0) this.#watch();
    } catch (error) {
      // The device may be in the middle of a call: the session ends when the reactor next comes by.
      this.#broken = messageOf(error);
    }
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
