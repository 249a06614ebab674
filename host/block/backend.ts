// What stores the blocks of a namespace, and the contract that every backend keeps.
//
// A command never becomes a JavaScript object, so a backend has no read or write method. It is an *opener*: it checks
// what the operator asked for, learns the geometry, takes the lock, and hands over a NativeStorage, a description from
// which the addon executes requests (assembly/abi/records.ts, REQUEST_*) by itself. The promises below are therefore
// kept by both together, and one suite (test/host/block/contract.ts) holds every backend to them.
//
// Opening
// - `open` either succeeds or leaves nothing behind: no descriptor, no lock, no file that was not there before.
// - What the operator can cure is a UsageError that names the thing and the cure; what the machine failed at is a
//   BlockError.
// - What the operator ought to know though it works (no direct I/O, no locks) is a notice: one sentence each.
// - A backend that can be written is open once: a second writer or reader, in this process or another, is refused.
//   Of slices, that holds for their bytes, and where both say `overlap`, not at all.
//
// Requests
// - Offsets and lengths come from a guest. The addon checks each range against the namespace, without overflow, and
//   answers BLOCK_OUT_OF_RANGE; the last byte of a namespace never lies beyond 2^53 - 1. No request throws.
// - Ranges are whole logical blocks. Memory segments may begin at any address and have any length; where the
//   storage wants alignment, the request is copied once.
// - Read: sees all writes that completed before it was submitted. Blocks that were never written are zeros.
// - Write: when it completes, later reads see it. Requests in flight at the same time have no order among each other.
// - REQUEST_FLAG_FUA: the data of this request is durable before it completes.
// - Flush: the data of all requests that completed before it was submitted is durable before it completes. Where
//   `volatileCache` is false, completed means durable as far as this storage ever is, and flush is immediate.
// - Write Zeroes: the range reads as zeros, whether or not the storage has a quick way; with REQUEST_FLAG_DEALLOCATE
//   the space may be freed.
// - Deallocate: where `deallocate` is true, the ranges read as zeros and their space is freed; where it is false,
//   nothing happens and the data stays.
// - Compare: BLOCK_OK where storage and memory are the same, BLOCK_MISCOMPARE where a byte differs. Verify: every
//   block can be read. Copy: the destination reads as the source did; where the two overlap, as anything.
// - Write Uncorrectable: whatever reads the blocks gets BLOCK_MEDIUM_ERROR (a Copy BLOCK_SOURCE_ERROR), whichever
//   controller it comes from, until they are written or deallocated, or the last controller lets go of the storage.
//   Slices that overlap see the same marks; a slice knows nothing of marks outside of it, and may have 4,096 itself.
// - A read-only backend answers BLOCK_READ_ONLY to all that changes data. Flush succeeds.
// - A full disk is BLOCK_NO_SPACE for the request that did not fit; nothing else is lost, and freed space helps at
//   once.
// - A request ends exactly once, with BLOCK_OK, a BLOCK_* code or a negative errno, which errors.ts names.
// - Storage that answers nothing keeps its own requests waiting and nobody else's: not those of other namespaces, not
//   the reactor. `Uring.cancel` ends those that the kernel, or the addon, has not begun.
// - The null backend is the exception: it keeps no data, and no marks, and makes no promise about any. Compare finds
//   what a read would have stored.
//
// Closing
// - `close` releases descriptors, memory and locks; the caller has detached the storage and nothing is in flight.
//   Idempotent. It does not flush: durability is what Flush and FUA are for.

import type { NativeStorage } from '../native.ts';

/** Bytes of a logical block. */
export type BlockSize = 512 | 4096;

/** Direct I/O past the page cache: `auto` uses it where it works. */
export type DirectMode = 'on' | 'off' | 'auto';

/** A regular file or a block device, or a slice of one. */
export interface FileSpec {
  /** `block`: what is no block device is refused. `file` takes both. */
  readonly scheme: 'file' | 'block';
  /** As the operator wrote it: relative to the working directory. */
  readonly path: string;
  /**
   * Bytes. Without `offset`: creates the file if it is not there, and must equal its size if it is. With it: the length
   * of the slice.
   */
  readonly size: number | undefined;
  /** Bytes, whole blocks: the namespace is the slice that begins here, up to the end if `size` is not given. */
  readonly offset: number | undefined;
  /** Undefined: the logical block size of a device, 512 of a file. */
  readonly blockSize: BlockSize | undefined;
  readonly readOnly: boolean;
  readonly direct: DirectMode;
  /** The slice may overlap writable ones that say so too: their guests keep each other's data intact. */
  readonly overlap: boolean;
}

/** Memory of this process: gone when the process ends. */
export interface RamSpec {
  readonly scheme: 'ram';
  /** Bytes, whole blocks, not 0. */
  readonly size: number;
  readonly blockSize: BlockSize;
  readonly readOnly: boolean;
}

/** Nothing at all: writes vanish, every request is done at once. */
export interface NullSpec {
  readonly scheme: 'null';
  /** Bytes, whole blocks, not 0. */
  readonly size: number;
  readonly blockSize: BlockSize;
  readonly readOnly: boolean;
  /** What a read stores into the guest's memory. */
  readonly reads: 'zeros' | 'nothing';
}

export type BackendSpec = FileSpec | RamSpec | NullSpec;

export interface Geometry {
  /** Logical blocks, at least 1. */
  readonly blocks: bigint;
  readonly blockSize: BlockSize;
  /** Preferred size of a request in logical blocks; 0 where there is none to tell. */
  readonly optimalBlocks: number;
  readonly readOnly: boolean;
  /** Completed writes may be lost with the power until a flush: Flush and FUA mean something. */
  readonly volatileCache: boolean;
  /** Deallocated blocks read as zeros and their space is freed. */
  readonly deallocate: boolean;
}

/** An open backend. */
export interface Backend {
  /** For people: `file:/srv/disk.img`, `block:/dev/sdb,offset=0,size=10G`, `ram:1G`, `null:1T`. */
  readonly label: string;
  /**
   * Names the stored data across restarts, for deriving identifiers: the real path of a file, the absolute path of a
   * device as the operator wrote it (/dev/disk/by-id/ and names of volumes are stable, what they point to is not), and
   * where a slice begins. Undefined for storage that does not outlive the process; its identifiers derive from its
   * place in the subsystem.
   */
  readonly identity: string | undefined;
  readonly geometry: Geometry;
  /** What the addon executes; valid until `close`. */
  readonly storage: NativeStorage;
  /** Sentences for the operator, without a final full stop. */
  readonly notices: readonly string[];
  close(): void;
}
