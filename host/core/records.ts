// Readers of the records that a core hands out. Each is one object that is pointed at a record and read from there:
// the hot path makes no object per command. A reader is valid until the next call into its core.

import {
  COMMAND_RESULT_BASE,
  COMMAND_RESULT_BYTES,
  EVENT_BASE,
  EVENT_BYTES,
  REQUEST_BASE,
  REQUEST_BYTES,
  SEGMENT_BYTES,
} from '../../assembly/abi/memory-map.ts';
import * as abi from '../../assembly/abi/records.ts';

/** Two words of memory as one number; exact up to 2^53, which no address or size of this machine exceeds. */
function u64(words: Uint32Array, address: number): number {
  const index = address >>> 2;
  return (words[index + 1] as number) * 0x1_0000_0000 + (words[index] as number);
}

/** A storage or copy request (REQUEST_*). */
export class RequestRecord {
  readonly #words: Uint32Array;
  #base = REQUEST_BASE;

  constructor(words: Uint32Array) {
    this.#words = words;
  }

  /** Points at the record `index` of those last taken. */
  at(index: number): this {
    this.#base = REQUEST_BASE + index * REQUEST_BYTES;
    return this;
  }

  /** Slot number and generation; echoed in the completion. */
  get slot(): number {
    return this.#word(abi.REQUEST_SLOT);
  }
  /** OPERATION_*. */
  get operation(): number {
    return this.#word(abi.REQUEST_OPERATION) & 0xffff;
  }
  /** REQUEST_FLAG_*. */
  get flags(): number {
    return this.#word(abi.REQUEST_OPERATION) >>> 16;
  }
  get nsid(): number {
    return this.#word(abi.REQUEST_NSID);
  }
  get segmentCount(): number {
    return this.#word(abi.REQUEST_SEGMENT_COUNT);
  }
  /** Linear address of the slot's private page (the two copies). */
  get data(): number {
    return this.#word(abi.REQUEST_DATA);
  }
  /** Bytes from the start of the namespace. */
  get offset(): number {
    return u64(this.#words, this.#base + abi.REQUEST_OFFSET);
  }
  /** Bytes. */
  get length(): number {
    return u64(this.#words, this.#base + abi.REQUEST_LENGTH);
  }
  get sqid(): number {
    return this.#word(abi.REQUEST_SQID) & 0xffff;
  }
  get cid(): number {
    return this.#word(abi.REQUEST_SQID) >>> 16;
  }
  /** A segment's address (I/O base of its region plus offset), or a range's offset in the namespace. */
  segmentAddress(index: number): number {
    return u64(this.#words, this.#segment(index) + abi.SEGMENT_ADDRESS);
  }
  /** Bytes of a segment. */
  segmentLength(index: number): number {
    return u64(this.#words, this.#segment(index) + abi.SEGMENT_LENGTH);
  }

  #segment(index: number): number {
    return this.#word(abi.REQUEST_SEGMENTS) + index * SEGMENT_BYTES;
  }
  #word(offset: number): number {
    return this.#words[(this.#base + offset) >>> 2] as number;
  }
}

/** Something that a person may want to know (EVENT_*). */
export class EventRecord {
  readonly #words: Uint32Array;
  #base = EVENT_BASE;

  constructor(words: Uint32Array) {
    this.#words = words;
  }

  /** Points at the record `index` of those last taken. */
  at(index: number): this {
    this.#base = EVENT_BASE + index * EVENT_BYTES;
    return this;
  }

  /** EVENT_*. */
  get type(): number {
    return this.#word(abi.EVENT_TYPE) & 0xffff;
  }
  get qid(): number {
    return this.#word(abi.EVENT_TYPE) >>> 16;
  }
  get cid(): number {
    return this.#word(abi.EVENT_CID) & 0xffff;
  }
  /** SCT << 8 | SC. */
  get status(): number {
    return this.#word(abi.EVENT_CID) >>> 16;
  }
  get nsid(): number {
    return this.#word(abi.EVENT_NSID);
  }
  get argument(): number {
    return this.#word(abi.EVENT_ARGUMENT);
  }
  get value(): bigint {
    const index = (this.#base + abi.EVENT_VALUE) >>> 2;
    return (BigInt(this.#words[index + 1] as number) << 32n) | BigInt(this.#words[index] as number);
  }
  /** Events lost since the last take; in the first record only. */
  get dropped(): number {
    return this.#word(abi.EVENT_DROPPED);
  }

  #word(offset: number): number {
    return this.#words[(this.#base + offset) >>> 2] as number;
  }
}

/** What became of a command that was given directly (COMMAND_RESULT_*). */
export class CommandResult {
  readonly #words: Uint32Array;
  readonly #bytes: Uint8Array;
  #base = COMMAND_RESULT_BASE;

  constructor(words: Uint32Array, bytes: Uint8Array) {
    this.#words = words;
    this.#bytes = bytes;
  }

  /** Points at the record `index` of those last taken. */
  at(index: number): this {
    this.#base = COMMAND_RESULT_BASE + index * COMMAND_RESULT_BYTES;
    return this;
  }

  /** What `commandSubmit` returned. */
  get token(): number {
    return this.#word(abi.COMMAND_RESULT_TOKEN);
  }
  /** SCT << 8 | SC, with DNR. */
  get status(): number {
    return this.#word(abi.COMMAND_RESULT_STATUS) & 0xffff;
  }
  /** Dword 0. */
  get result(): number {
    return this.#word(abi.COMMAND_RESULT_DW0);
  }
  /** A copy of the data. */
  data(): Uint8Array {
    const at = this.#word(abi.COMMAND_RESULT_DATA);
    return this.#bytes.slice(at, at + this.#word(abi.COMMAND_RESULT_DATA_BYTES));
  }

  #word(offset: number): number {
    return this.#words[(this.#base + offset) >>> 2] as number;
  }
}
