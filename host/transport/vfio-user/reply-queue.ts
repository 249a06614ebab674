// Replies in the order of their commands. Some are known at once, others when the device is done; the ids of
// messages need not differ, so a client can only tell them apart by their order (QEMU
// docs/interop/vfio-user.rst, "Header").

/** A place in the order. */
export interface ReplyPlace {
  /** Known once the command has completed. */
  bytes: Uint8Array | undefined;
}

export class ReplyQueue {
  readonly #places: ReplyPlace[] = [];
  readonly #send: (bytes: Uint8Array) => void;

  constructor(send: (bytes: Uint8Array) => void) {
    this.#send = send;
  }

  /** Replies that wait for one before them, or for the device. */
  get length(): number {
    return this.#places.length;
  }

  reserve(): ReplyPlace {
    const place: ReplyPlace = { bytes: undefined };
    this.#places.push(place);
    return place;
  }

  /** Fills a place and sends all that are complete up to the first that is not. */
  settle(place: ReplyPlace, bytes: Uint8Array): void {
    place.bytes = bytes;
    for (let head = this.#places[0]; head?.bytes !== undefined; head = this.#places[0]) {
      this.#places.shift();
      this.#send(head.bytes);
    }
  }

  /** Forgets all of them. */
  clear(): void {
    this.#places.length = 0;
  }
}
