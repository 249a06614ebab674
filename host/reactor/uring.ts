// The io_uring reactor: disk completions, sockets and eventfds all end in one ring, so that a target with nothing to
// do blocks in a single io_uring_enter and nothing wakes it but work.

import { native, type NativeController, type Uring } from '../native.ts';
import type { Watch } from '../transport/reactor-port.ts';
import type { Reactor } from './reactor.ts';

/** Submission entries: more than one batch of a busy controller; a full ring is submitted and goes on. */
const URING_ENTRIES = 1024;

export class UringReactor implements Reactor {
  readonly #uring: Uring = native.uring(URING_ENTRIES);
  /** Token of a watch → its handler. Tokens are never used twice, so a late one finds nobody. */
  readonly #handlers = new Map<number, () => void>();
  #lastToken = 0;

  watch(fd: number, onReadable: () => void): Watch {
    const token = this.#tokenFor(onReadable);
    this.#uring.watch(fd, token);
    return {
      cancel: () => {
        if (this.#handlers.delete(token)) this.#uring.unwatch(token);
      },
    };
  }

  watchWritable(fd: number, onWritable: () => void): Watch {
    const token = this.#tokenFor(() => {
      this.#handlers.delete(token);
      onWritable();
    });
    this.#uring.watchWritable(fd, token);
    return {
      cancel: () => {
        if (this.#handlers.delete(token)) this.#uring.unwatch(token);
      },
    };
  }

  submit(controller: NativeController, count: number): void {
    this.#uring.submit(controller, count);
  }

  turn(waitMicroseconds: number): number {
    const count = this.#uring.enter(waitMicroseconds);
    if (count === 0) return 0;
    let called = 0;
    for (const token of this.#uring.tokens.subarray(0, count)) {
      // A handler called before may have cancelled this watch.
      const handler = this.#handlers.get(token);
      if (handler === undefined) continue;
      handler();
      called++;
    }
    return called;
  }

  now(): number {
    return native.now();
  }

  close(): void {
    this.#handlers.clear();
    this.#uring.close();
  }

  #tokenFor(handler: () => void): number {
    this.#lastToken = (this.#lastToken + 1) >>> 0;
    this.#handlers.set(this.#lastToken, handler);
    return this.#lastToken;
  }
}
