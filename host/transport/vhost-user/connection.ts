// One front end's socket around its session: receives whole messages with their descriptors, hands them over,
// sends what comes back. It does not listen while the session cannot take a message, nor to a front end that
// leaves its replies unread.

import { HEADER_BYTES, HEADER_SIZE, MESSAGE_FDS_MAX } from '../../../assembly/spec/vhost-user.ts';
import type { Log } from '../../log/log.ts';
import { native, type Framing, type MessageSocket, type Received } from '../../native.ts';
import type { DirectDevice } from '../device.ts';
import type { ReactorPort, Watch } from '../reactor-port.ts';
import { MAX_MESSAGE_BYTES } from './messages/header.ts';
import { Session } from './session.ts';

/** How vhost-user messages are cut out of the stream. */
export const VHOST_USER_FRAMING: Framing = {
  headerBytes: HEADER_BYTES,
  sizeOffset: HEADER_SIZE,
  sizeIncludesHeader: false,
  maxBytes: MAX_MESSAGE_BYTES,
  maxFds: MESSAGE_FDS_MAX,
};

/** Messages handled before others on the reactor have their turn. */
const MESSAGES_PER_TURN = 64;
/** Bytes of replies that a front end may leave unread before no more of its messages are taken. */
const UNSENT_BYTES_MAX = 4 << 20;

export interface ConnectionOptions {
  device: DirectDevice;
  reactor: ReactorPort;
  log: Log;
}

/** The front end being served. Watches its socket from the start until `close`. */
export class Connection {
  readonly session: Session;
  private readonly socket: MessageSocket;
  private readWatch: Watch | undefined;
  private writeWatch: Watch | undefined;
  /** Why nothing can be sent any more; the session ends at the next turn. */
  private broken: string | undefined;

  constructor(
    private readonly options: ConnectionOptions,
    fd: number,
    /** The front end is gone or was dropped: `reason`. */
    private readonly ended: (reason: string) => void,
  ) {
    this.socket = native.messageSocket(fd, VHOST_USER_FRAMING);
    this.session = new Session({
      device: options.device,
      log: options.log,
      send: (bytes) => this.send(bytes),
      closeFd: (closing) => native.fdClose(closing),
      resumed: () => this.watch(),
    });
    this.watch();
  }

  /** Takes messages while the session can and the front end reads its replies. */
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

  /** Looks whether the front end has gone meanwhile. */
  check(): void {
    if (this.session.ready) {
      this.readable();
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
        this.ended(this.broken ?? 'the front end closed the connection');
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
