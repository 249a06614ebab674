// What a front end drives: one NVMe controller as the PCI function that a VMM sees. Both socket protocols reduce to
// these calls; nothing of either protocol is behind this line.

/** The two regions of the function that have contents: BAR0 (registers, doorbells) and PCI configuration space. */
export type DeviceRegion = 'bar0' | 'config';

/** Interrupt kinds of the function. */
export type InterruptKind = 'intx' | 'msix';

/** A stretch of guest memory as a VMM hands it over. */
export interface MemoryRegion {
  /** Guest physical address of the first byte. */
  gpa: bigint;
  /** Bytes. */
  length: bigint;
  /** Offset in the file; 0 without one. */
  offset: bigint;
  /** Stays the caller's, who may close it after the call; undefined for memory that is not shared. */
  fd: number | undefined;
  readable: boolean;
  writable: boolean;
}

/** Why a call was refused; `errno` is what a protocol that speaks errno answers. */
export class DeviceError extends Error {
  constructor(
    readonly code: string,
    readonly errno: number,
    message: string,
  ) {
    super(message);
    this.name = 'DeviceError';
  }
}

export interface Device {
  /** Bytes of a region: BAR0 a power of two of at least 16 KiB, config space 4,096. */
  regionBytes(region: DeviceRegion): number;
  /** Interrupts of a kind: 1 for INTx, I/O queue pairs + 1 for MSI-X. */
  interruptCount(kind: InterruptKind): number;
  /** Reads `length` bytes; the range lies inside the region (the caller checked). */
  regionRead(region: DeviceRegion, offset: number, length: number): Uint8Array;
  /**
   * Writes; the range lies inside the region (the caller checked). `done` comes once the effect is complete (a
   * reset may have to wait for I/O).
   */
  regionWrite(region: DeviceRegion, offset: number, bytes: Uint8Array, done: () => void): void;
  /** Throws DeviceError: EINVAL, EEXIST, ENOSPC, ENXIO, EACCES. */
  memoryAdd(region: MemoryRegion): void;
  /**
   * Throws DeviceError ENOENT when no region is exactly this one. `done` comes when no I/O touches it any more,
   * within 3 s.
   */
  memoryRemove(gpa: bigint, length: bigint, done: () => void): void;
  /**
   * Sets, or with undefined removes, the eventfd of a vector. Takes ownership of the fd. An interrupt that became
   * pending while the vector had none is signalled when it gets one. Throws DeviceError EINVAL for another kind of fd.
   */
  notifierSet(kind: InterruptKind, vector: number, fd: number | undefined): void;
  /** Removes all notifiers of a kind: that kind is off. */
  notifiersClear(kind: InterruptKind): void;
  /** Signals a vector as if the controller had raised it (SET_IRQS with trigger and no eventfd). */
  interruptTrigger(kind: InterruptKind, vector: number): void;
  /** The VMM delivered the INTx and takes the next one: signal again if the pin is still asserted. */
  intxUnmask(): void;
  /** Function-level reset: everything as at power-on, but memory regions and notifiers, which the VMM owns. */
  reset(done: () => void): void;
  /** The VMM is gone: drop memory, notifiers and state. `done` comes when the device can serve the next one. */
  disconnect(done: () => void): void;
}

/** What became of an admin command that was given directly. */
export interface CommandCompletion {
  /** SCT << 8 | SC, Do Not Retry in bit 14. */
  status: number;
  /** Dword 0. */
  result: number;
  /** What the guest's buffer would have got, up to 4,096 bytes; empty where the command has no data, or failed. */
  data: Uint8Array;
}

/**
 * Further calls for a protocol whose VMM keeps registers and admin queue itself: admin commands arrive one by one, and
 * doorbells of I/O queues are never rung.
 */
export interface DirectDevice extends Device {
  /** Runs an admin command, 64 bytes, whether or not the controller is started. Never throws. */
  command(entry: Uint8Array, done: (completion: CommandCompletion) => void): void;
  /**
   * Enables the controller without an admin queue. Doorbells of I/O queues are looked at from time to time: in the page
   * at this guest physical address if there is one (laid out as in BAR0 from 1000h), from Doorbell Buffer Config on in
   * the guest's own buffers. Without either they come by `regionWrite`.
   */
  start(doorbells: bigint | undefined): void;
  /**
   * Disables it: queues are gone, commands of theirs end without completions. `done` comes when no I/O is under way any
   * more and what completed before is durable, within 6 s.
   */
  stop(done: () => void): void;
}

/** Command sets of commands that are given directly. */
export type CommandSet = 'admin' | 'nvm';

/** What a VMM decides about its controller. */
export interface ControllerLimits {
  /** 1 to what the target has; undefined: all. */
  ioQueuePairs: number | undefined;
  /** Entries of a queue; undefined: as many as the target can. */
  queueEntries: number | undefined;
  /** ASCII, at most 20 characters; undefined: the target's own. */
  serial: string | undefined;
}

/** Why a state image was refused. */
export type StateRefusal = 'foreign' | 'version' | 'unclean' | 'configuration' | 'damaged';

/**
 * Further calls for a protocol whose VMM outlives its target: it shares a page of doorbells, is told of CSTS, and keeps
 * the state of the controller while there is no target.
 */
export interface ResumableDevice extends DirectDevice {
  /**
   * Sets limits and serial number. Only at power-on state: throws DeviceError EBUSY once memory, queues or CC.EN are
   * there, EINVAL for a value out of range.
   */
  configure(limits: ControllerLimits): void;
  /**
   * Runs a command of either set whose data travel with it, at any time. `data`: what a command that transfers to the
   * controller brings, else undefined; `dataBytes`: what the caller has room for. At most 65,536 (NVM) or 4,096 (admin)
   * bytes. PSDT, MPTR and DPTR of the entry are not looked at. Never throws.
   */
  passthrough(
    set: CommandSet,
    entry: Uint8Array,
    data: Uint8Array | undefined,
    dataBytes: number,
    done: (completion: CommandCompletion) => void,
  ): void;
  /**
   * Doorbells of all queues are in the page at this guest physical address (laid out as in BAR0 from 1000h), and who
   * writes there wakes the reactor; undefined: by `regionWrite`. I/O queues leave it at Doorbell Buffer Config, the
   * admin queue never does. Throws DeviceError EBUSY while queues exist, but for the page that is in use already.
   */
  doorbellsKicked(page: bigint | undefined): void;
  /** So many doorbells were rung by kicks: for the statistics, kicks that came together count each. */
  doorbellsCount(count: number): void;
  /** Masks or unmasks a vector: what is raised meanwhile is signalled once at unmask. */
  notifierMask(vector: number, masked: boolean): void;
  /**
   * `changed` is called after every change of CSTS, and whenever doorbells of I/O queues have moved to the guest's own
   * memory (Doorbell Buffer Config, a state that was loaded) or back, until `disconnect`.
   */
  statusWatch(changed: (csts: number, shadowDoorbells: boolean) => void): void;
  /** Stops fetching; `done` comes when no request is under way any more, after 3 s at the latest with `false`. */
  quiesce(done: (drained: boolean) => void): void;
  /** Ends a quiesce. */
  proceed(): void;
  /** Bytes of a state file. */
  readonly stateBytes: number;
  /** Writes the state into the file with the mark of a completed drain. Only after `quiesce` was done with `true`. */
  stateSave(fd: number): void;
  /**
   * Goes on from the state in the file, of which `size` bytes count, quiesced, without memory, notifiers and doorbell
   * page until the caller gives them anew. Refused, the controller is at power-on state. Only at power-on state.
   */
  stateLoad(fd: number, size: number): StateRefusal | undefined;
}
