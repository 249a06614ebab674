// The typed surface of the addon, and the only importer of the .node file. The addon is thin: one system call or
// one batch a function, no policy, no words for people. A failed system call throws a SystemError as Node's own
// do: `code` ('ENOENT'), `errno` (positive), `syscall`.

import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

/** How messages are framed: a header of fixed size that holds the size as u32 at `sizeOffset`. */
export interface Framing {
  headerBytes: number;
  sizeOffset: number;
  /** Whether the size counts the header too (vfio-user does, vhost-user does not). */
  sizeIncludesHeader: boolean;
  /** Whole messages above this many bytes are refused with EMSGSIZE. */
  maxBytes: number;
  /** Descriptors above this many in one message are closed and the message is refused with EMFILE. */
  maxFds: number;
}

/** A whole message. The receiver owns the descriptors. */
export interface Received {
  bytes: Buffer;
  fds: number[];
}

/**
 * A listening UNIX socket, close-on-exec, non-blocking. A stale socket file is replaced; a live one, and any
 * other file,
 * is EADDRINUSE. (Finding out costs the live listener a connection that ends at once.)
 */
export interface Listener {
  readonly fd: number;
  /** A connection's descriptor (non-blocking), or undefined when none waits. */
  accept(): number | undefined;
  /** Idempotent; removes the socket file, unless somebody else's has taken its place. */
  close(): void;
}

/** A connection that carries framed messages with descriptors. Owns its fd. */
export interface MessageSocket {
  readonly fd: number;
  /**
   * The next whole message; undefined when no whole message is there yet; null at end of file.
   * The header is read alone, with the descriptors that came with it, then exactly the body: messages that were sent
   * back to back keep their own descriptors. Thrown, now and from then on, since the boundaries are lost:
   * EBADMSG (the
   * size is less than the header), EMSGSIZE, EMFILE (too many descriptors, or none free in this process), EPROTO
   * (descriptors inside a body). No descriptor of a refused message stays open.
   */
  receive(): Received | undefined | null;
  /**
   * Sends, or keeps what the socket does not take now (see `pendingBytes`). The fds stay the caller's: those of kept
   * bytes are duplicates. EPIPE when the peer is gone.
   */
  send(bytes: Uint8Array, fds?: readonly number[]): void;
  /** Sends kept bytes on; true when nothing is left. */
  flush(): boolean;
  readonly pendingBytes: number;
  /** Descriptors that wait with them. */
  readonly pendingFds: number;
  close(): void;
}

/** What fstat and fcntl say of a descriptor that a peer passed. */
export interface FdInfo {
  device: number;
  inode: number;
  /** Bytes of a regular file or block device; 0 for what has no size. */
  size: number;
  /** Regular files (memfd included). */
  isFile: boolean;
  /** O_RDONLY descriptors cannot be mapped for writing. */
  writable: boolean;
  /** F_SEAL_* bits, -1 where the file knows no seals. */
  seals: number;
  /** Preferred block size: 2 MiB and more mean huge pages. */
  blockSize: number;
}

export interface RegionAdded {
  /** Where segments of this region begin: the address of its first byte in this process. */
  ioBase: bigint;
  /** Small number of the file, the same for the same (device, inode) while it is mapped. */
  file: number;
}

/**
 * A namespace's storage as the addon executes it. Slices are the addon's business: offset and length are
 * checked there.
 */
export type NativeStorage =
  | {
      kind: 'file';
      /** Stays the caller's; must stay open until `namespaceDetach` and `inFlight` 0. */
      fd: number;
      /** Bytes of the namespace in the file: [offset, offset + length). */
      offset: number;
      length: number;
      /**
       * The fd was opened with O_DIRECT: memory and length of each segment must be aligned, else the request
       * bounces.
       */
      direct: boolean;
      /** Alignment of memory addresses and lengths for O_DIRECT (a power of two up to 4096; 1 when buffered). */
      memoryAlignment: number;
      readOnly: boolean;
      /**
       * Submitting a read or write may make the submitter wait: each is given to a thread of the kernel at once.
       * Default: false.
       */
      mayBlock?: boolean;
      /** fallocate modes that work on this file. */
      zeroRange: boolean;
      punchHole: boolean;
    }
  | { kind: 'ram'; disk: RamDisk; offset: number; length: number; readOnly: boolean }
  /** Keeps nothing; a read stores zeros, or nothing either. */
  | { kind: 'null'; length: number; readOnly: boolean; zeros: boolean };

/** What the ioctls of a block device say. */
export interface BlockDevice {
  bytes: number;
  /** Bytes of the smallest request. */
  logicalBlock: number;
  /** Bytes of a good request; 0 where the device does not say. */
  optimalBytes: number;
  /** Set by `blockdev --setro`, or by the device itself. */
  readOnly: boolean;
  major: number;
  minor: number;
}

/** Zero-filled anonymous memory that several namespaces or controllers may share. */
export interface RamDisk {
  readonly bytes: number;
  /** Bytes of memory really in use (mincore). */
  residentBytes(): number;
  close(): void;
}

/** Byte offsets of the areas in a core's linear memory that the addon reads and writes. */
export interface CoreLayout {
  windowBase: number;
  windowCount: number;
}

/** What the addon holds for one controller: windows in its core's memory, its guest's regions, its storage. */
export interface NativeController {
  /**
   * Checks address, length and protection against the file (EINVAL not a multiple of 4 KiB, empty or wrapping;
   * ENXIO beyond the
   * end of the file; EEXIST overlaps; EACCES write wanted on a read-only fd; ENODEV not a regular file, or one
   * of pages
   * larger than a window; ENOSPC more than REGION_COUNT regions; ENOMEM more than
   * 4 TiB of files) and maps it. Takes no ownership of the fd: a
   * duplicate
   * lives as long as the mapping. Without an fd the region is only remembered (no I/O, no window). Windows that are
   * filled stay as they are.
   */
  regionAdd(region: {
    gpa: bigint;
    length: bigint;
    offset: bigint;
    fd: number | undefined;
    readable: boolean;
    writable: boolean;
  }): RegionAdded;
  /**
   * From now on no request may touch the region, and no window shows it. Returns a ticket: requests that were
   * submitted
   * before may still touch it until `regionDrained(ticket)`. ENOENT when no region has exactly this range.
   */
  regionRemove(gpa: bigint, length: bigint): number;
  /** True once no submitted request touches the removed region; its address range is released then. */
  regionDrained(ticket: number): boolean;
  /** Gives up waiting: anonymous memory takes the place of the region, so that late I/O hits nobody. */
  regionAbandon(ticket: number): void;
  /**
   * Maps the 2 MiB at gpa = page << 21 into a window, piece by piece; what no readable region backs becomes
   * private zeros.
   * What the core stores into a read-only piece stays in a private copy. Of 2 MiB huge pages, a window shows one page
   * whole, or nothing.
   */
  windowFill(window: number, page: number): void;
  /** Anonymous memory over every window (a core that starts anew). */
  windowsClear(): void;
  /** EEXIST when the namespace has a storage; EINVAL when nsid is not 1 to NAMESPACE_COUNT. */
  namespaceAttach(nsid: number, storage: NativeStorage): void;
  /** Requests that were submitted still finish; later ones are BLOCK_OUT_OF_RANGE. */
  namespaceDetach(nsid: number): void;
  /** Requests that were submitted and not yet written to the completion ring. */
  readonly inFlight: number;
  /**
   * Completion records now at COMPLETION_BASE, in the core's layout, for `completions_post`; the count starts
   * again at 0.
   * A record's result is 0, a BLOCK_* code that the addon found itself, or a negative errno for the caller to name.
   */
  completionsTake(): number;
  /** How many of the records last taken have a result other than 0. */
  readonly completionErrors: number;
  /**
   * Accesses to this guest's memory, by the core or by the addon, that met a truncated file and were given an
   * anonymous page instead. Anything but 0: the peer broke its promise, and this controller must fail.
   */
  readonly busFaults: number;
  /**
   * Windows become ordinary memory, regions are unmapped. Waits for nothing: throws EBUSY while `inFlight` is
   * not 0. Idempotent.
   */
  close(): void;
}

/** One io_uring: requests of all controllers of a reactor, and readiness of its descriptors. */
export interface Uring {
  /**
   * Begins to watch for readability, hang-up or error; `token` (u32) comes back from each `enter` until the cause is
   * dealt with. EEXIST while the token is in use.
   */
  watch(fd: number, token: number): void;
  /**
   * No token of this watch comes back any more; the kernel lets go of the file at once. Call it before closing
   * the fd.
   */
  unwatch(token: number): void;
  /** Like watch, for writability, and over with the first report. The token may be the one of a `watch`. */
  watchWritable(fd: number, token: number): void;
  /**
   * Takes `count` request records from the controller's request area, makes a private copy of each, checks every
   * segment's range and direction against the controller's own regions, and shows those that pass to the kernel (RAM
   * and copies are done at once). Those that fail are completed with BLOCK_MEMORY_FAULT or BLOCK_OUT_OF_RANGE.
   */
  submit(controller: NativeController, count: number): void;
  /**
   * One io_uring_enter: gives the kernel what is queued and collects what is done. `waitMicroseconds`: 0 does not
   * wait (and makes no system call if there is nothing to give or to collect), a positive number at most that
   * long, -1
   * until something happens, a signal included. Never waits while requests have completed since the last call.
   * Returns
   * the number of tokens in `tokens`.
   */
  enter(waitMicroseconds: number): number;
  /** Tokens of descriptors that became readable, the first `enter()` result of them. */
  readonly tokens: Uint32Array;
  /**
   * Cancels requests of a controller, or the one in `slot`, as far as they have not been begun: those that wait in the
   * addon end at once, those that wait in the kernel soon, with BLOCK_CANCELED or -ECANCELED. What a device works on
   * goes on to its end. Waits for nothing.
   */
  cancel(controller: NativeController, slot?: number): void;
  /**
   * Cancels what can be canceled and waits for the rest: each request gets its completion. ETIMEDOUT after 3 s: what
   * has not ended then is left to the kernel, with its memory. Idempotent.
   */
  close(): void;
}

export interface Addon {
  /** The socket file has these permissions, whatever the umask. */
  listen(path: string, mode: number): Listener;
  /** The descriptor of a connection, non-blocking. */
  connect(path: string): number;
  /** Takes the descriptor over. */
  messageSocket(fd: number, framing: Framing): MessageSocket;
  /** Whether a descriptor is one end of a connected pair of UNIX sockets without names, as of socketpair(2). */
  socketIsPair(fd: number): boolean;
  /** Throws away what waits to be received, descriptors too: at most 1 MiB. False at the end of the connection. */
  socketDiscard(fd: number): boolean;
  fdInfo(fd: number): FdInfo;
  /** Bytes of a file in memory (memfd, tmpfs, hugetlbfs); undefined of any other descriptor. Never waits for others. */
  memoryFileBytes(fd: number): number | undefined;
  fdClose(fd: number): void;
  eventfdCreate(): number;
  /**
   * Readies an event counter that a peer passed: whether the descriptor is one, and if so it is non-blocking from now
   * on. On any other descriptor, or on a full counter that blocks, `eventfdSignal` could fail or never return.
   */
  eventfdAdopt(fd: number): boolean;
  /** Adds 1 to the counter. A full one stays full; never waits, whatever the flags of the descriptor. */
  eventfdSignal(fd: number): void;
  /** Reads and clears the counter; 0 when nothing was there. */
  eventfdRead(fd: number): number;
  /**
   * Anonymous file that may be sealed; `huge`: of 2 MiB pages (ENOMEM at the first touch or mmap where none are
   * free).
   */
  memfdCreate(name: string, bytes: number, huge?: boolean): number;
  /** Anonymous file whose size nobody can change, and which takes no more seals: a peer can only write to it. */
  memfdSealed(name: string, bytes: number): number;
  /**
   * Exclusive (write) or shared (read) advisory lock (OFD) of a range, by default of all bytes, as a length of 0 means
   * all from the offset on; false when somebody else holds it.
   */
  fileLock(fd: number, exclusive: boolean, offset?: number, length?: number): boolean;
  /** ENOTTY when the descriptor is no block device. */
  blockDevice(fd: number): BlockDevice;
  /** fallocate(2) with FALLOC_FL_KEEP_SIZE; mode 'zero-range' | 'punch-hole'. For probing and tests. */
  fallocate(fd: number, mode: 'zero-range' | 'punch-hole', offset: number, length: number): void;
  /**
   * Where data or the next hole begins, at `offset` or behind it; undefined beyond the last. Moves the file's
   * offset.
   */
  fileSeek(fd: number, offset: number, what: 'data' | 'hole'): number | undefined;
  /** Alignments for O_DIRECT as statx reports them (0: the file takes none), or undefined where it does not. */
  directAlignment(fd: number): { memory: number; offset: number } | undefined;
  /** Address of the first byte of a view, in this process (for choosing an aligned window base). */
  addressOf(view: Uint8Array): bigint;
  /**
   * Maps a file into a view's memory at an offset (tests: the mock guest's memory in the driver's linear
   * memory). Both 4 KiB aligned.
   */
  mapInto(view: Uint8Array, offset: number, fd: number, fileOffset: number, length: number): void;
  ramDisk(bytes: number): RamDisk;
  /**
   * Over a core's whole memory, kept until `close`. EINVAL when the windows do not lie in it, above
   * WINDOW_BASE_MIN, on 4 KiB.
   */
  controller(memory: Uint8Array, layout: CoreLayout): NativeController;
  /** A ring of the calling thread. EPERM or ENOSYS where io_uring is denied. */
  uring(entries: number): Uring;
  /** Monotonic clock in microseconds. */
  now(): number;
  /** Names the calling thread for tools (prctl(2), PR_SET_NAME): at most 15 bytes count. */
  threadName(name: string): void;
}

/** Loads the addon; the error says how to build it. */
function load(): Addon {
  const path = fileURLToPath(new URL('../../native/doorbell.node', import.meta.url));
  if (!existsSync(path)) throw new Error('the native addon is not built: run "npm run build"');
  try {
    return createRequire(import.meta.url)(path) as Addon;
  } catch (cause) {
    const advice = 'run "npm run build"; if that changes nothing, remove build/native and run it again';
    throw new Error(`the native addon does not load here: ${advice}`, { cause });
  }
}

export const native: Addon = load();
