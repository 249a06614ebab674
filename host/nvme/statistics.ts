// What a controller counts, over all that sat in its seat.

export interface ControllerStatistics {
  /** Doorbell registers that were written, by messages: what shadow doorbells save. */
  doorbells: number;
  /** Requests handed to the storage. */
  requests: number;
  /** Requests that ended with another result than BLOCK_OK. */
  requestErrors: number;
  /** Interrupts raised. */
  interrupts: number;
  /** Windows filled. */
  windowFills: number;
}

export function noStatistics(): ControllerStatistics {
  return { doorbells: 0, requests: 0, requestErrors: 0, interrupts: 0, windowFills: 0 };
}
