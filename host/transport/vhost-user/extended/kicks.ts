// The eventfds of SET_KICK. A kick says only that there is something to look at: being watched, it ends the reactor's
// sleep, and then the core looks at every doorbell of its controller. So a kick is read, counted and nothing more.

import type { SessionPort } from '../../socket/connection.ts';
import type { Watch } from '../../reactor-port.ts';
import type { ResumableDevice } from '../../device.ts';
import { ProtocolError } from '../messages/protocol-error.ts';

export interface KickOptions extends Pick<SessionPort, 'watch' | 'closeFd'> {
  /** Readies an eventfd that a peer passed; false if the descriptor is none. */
  eventfdAdopt: (fd: number) => boolean;
  /** Reads and clears its counter. Never waits. */
  eventfdRead: (fd: number) => number;
  device: ResumableDevice;
}

export class Kicks {
  readonly #options: KickOptions;
  readonly #kicks = new Map<number, { fd: number; watch: Watch }>();

  constructor(options: KickOptions) {
    this.#options = options;
  }

  /** The eventfd of a queue pair, in place of an older one; takes it from `fds`. None: there is no kick any more. */
  set(qid: number, fds: number[]): ProtocolError | undefined {
    const [fd] = fds;
    const { eventfdAdopt, eventfdRead, watch } = this.#options;
    if (fd !== undefined && !eventfdAdopt(fd)) {
      return new ProtocolError('VHOST_USER_FDS', `the descriptor of kick ${qid} is no eventfd`);
    }
    this.#remove(qid);
    if (fd !== undefined) {
      const read = (): void => this.#options.device.doorbellsCount(eventfdRead(fd));
      this.#kicks.set(qid, { fd, watch: watch(fd, read) });
    }
    fds.length = 0;
    return undefined;
  }

  close(): void {
    for (const qid of [...this.#kicks.keys()]) this.#remove(qid);
  }

  #remove(qid: number): void {
    const kick = this.#kicks.get(qid);
    if (kick === undefined) return;
    this.#kicks.delete(qid);
    kick.watch.cancel();
    this.#options.closeFd(kick.fd);
  }
}
