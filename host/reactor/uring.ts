// The io_uring reactor: disk completions, sockets and eventfds all end in one ring, so that a target with nothing to
// do blocks in a single io_uring_enter and nothing wakes it but work.

import { native, type NativeController, type Uring } from '../native.ts';
import type { Watch } from '../transport/reactor-port.ts';
import type { Reactor } from './reactor.ts';

/** Submission entries: more than one batch of a busy controller; a full ring is submitted and goes on. */
const URING_ENTRIES = 1024;

/** This machine gives the process no io_uring; the message says what to change. */
export class UringDenied extends Error {
  readonly code = 'URING_DENIED';

  constructor(cause: unknown) {
    const reason = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
    super(
      `there is no io_uring here (${reason}): set sysctl kernel.io_uring_disabled=0, in a container allow ` +
        'io_uring in its seccomp profile, and use Linux 5.11 or later',
      { cause },
    );
    this.name = 'UringDenied';
  }
}

export class UringReactor implements Reactor {
  readonly #uring: Uring;
  /** Token of a watch → its handler. Tokens are never used twice, so a late one finds nobody. */
  readonly #handlers = new Map<number, () => void>();
  #lastToken = 0;

  /** Throws UringDenied. */
  constructor() {
    try {
      this.#uring = native.uring(URING_ENTRIES);
    } catch (cause) {
      throw new UringDenied(cause);
    }
  }

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
