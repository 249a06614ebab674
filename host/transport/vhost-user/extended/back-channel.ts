// The socket of SET_BACKEND_REQ_FD, on which the target tells a front end what it did not ask for. Each message says
// how things stand, so only the newest of a kind counts: for a front end that does not read, one of each is kept, and
// those before are dropped. A front end that closes it has lost interest, which is its right.
//
// A front end could pass an end of its own connection, and then nobody would hear that it has ended, because the target
// itself holds it open. So only a socket of a pair is taken, and what comes on it, descriptors too, is thrown away.

import { HEADER_REQUEST } from '../../../../assembly/spec/vhost-user.ts';
import { native, type MessageSocket } from '../../../native.ts';
import type { ReactorPort, Watch } from '../../reactor-port.ts';
import { VHOST_USER_FRAMING } from '../framing.ts';
import { viewOf } from '../messages/header.ts';

export interface BackChannel {
  send(bytes: Uint8Array): void;
  close(): void;
}

/** Takes the descriptor and sends a first message. Throws where it is no end of a socketpair or cannot be sent to. */
export type BackChannelOpen = (fd: number, first: Uint8Array) => BackChannel;

export class SocketBackChannel implements BackChannel {
  readonly #reactor: ReactorPort;
  #socket: MessageSocket | undefined;
  #watch: Watch | undefined;
  readonly #readWatch: Watch;
  /** What is sent once the socket has taken all before, by its request. */
  readonly #newest = new Map<number, Uint8Array>();

  constructor(fd: number, first: Uint8Array, reactor: ReactorPort) {
    this.#reactor = reactor;
    if (!native.socketIsPair(fd)) {
      native.fdClose(fd);
      throw new Error('the descriptor is not one end of a socketpair');
    }
    this.#socket = native.messageSocket(fd, VHOST_USER_FRAMING);
    this.#readWatch = reactor.watch(fd, () => {
      if (!native.socketDiscard(fd)) this.close();
    });
    try {
      this.#socket.send(first);
    } catch (error) {
      this.close();
      if (!isPeerGone(error)) throw error;
    }
    this.#await();
  }

  send(bytes: Uint8Array): void {
    const request = viewOf(bytes).getUint32(HEADER_REQUEST, true);
    this.#newest.delete(request);
    this.#newest.set(request, bytes);
    this.#flush();
  }

  close(): void {
    this.#readWatch.cancel();
    this.#watch?.cancel();
    this.#watch = undefined;
    this.#socket?.close();
    this.#socket = undefined;
    this.#newest.clear();
  }

  #flush(): void {
    try {
      for (const [request, bytes] of this.#newest) {
        if (this.#socket?.flush() !== true) break;
        this.#newest.delete(request);
        this.#socket.send(bytes);
      }
    } catch {
      this.close();
    }
    this.#await();
  }

  /** Goes on when the socket takes more. */
  #await(): void {
    const socket = this.#socket;
    if (socket === undefined || socket.pendingBytes === 0 || this.#watch !== undefined) return;
    this.#watch = this.#reactor.watchWritable(socket.fd, () => {
      this.#watch = undefined;
      this.#flush();
    });
  }
}

function isPeerGone(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EPIPE';
}
