// What a front end needs of the loop that drives it: to be called when a descriptor can be read or written.

export interface Watch {
  /**
   * Ends the watch: its callback is not called any more. Idempotent. To be called before the fd is closed.
   */
  cancel(): void;
}

export interface ReactorPort {
  /**
   * Calls `onReadable` on the reactor's thread as long as `fd` is readable (level-triggered), end of file and
   * errors included, until the watch is cancelled. The callback may cancel the watch and begin others.
   */
  watch(fd: number, onReadable: () => void): Watch;
  /** Calls `onWritable` once, when `fd` takes bytes again or its peer is gone. */
  watchWritable(fd: number, onWritable: () => void): Watch;
}
