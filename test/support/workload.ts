// Random I/O with an oracle. Commands that are outstanding at the same time never touch the same blocks, unless all of
// them only read; so the order in which a controller does them cannot matter, and what each must leave behind is
// known: reads are compared with what was written before, the bytes around every buffer with what was there.

import assert from 'node:assert/strict';
import * as nvme from '../../assembly/spec/nvme.ts';
import type { Completed, MockGuest } from './mock-guest.ts';
import type { Random } from './random.ts';

const PAGE = nvme.PAGE_BYTES;
/** What buffers hold around the data. */
const CANARY = 0xc7;

type Kind = 'read' | 'write' | 'zeroes' | 'deallocate' | 'flush';

interface Outstanding {
  kind: Kind;
  sqid: number;
  cid: number;
  /** Byte ranges of the namespace that it reads or changes. */
  ranges: { offset: number; bytes: number }[];
  pages: number[];
  offset: number;
  bytes: number;
  /** What a write puts there. */
  data: Uint8Array;
}

export interface WorkloadOptions {
  guest: MockGuest;
  random: Random;
  nsid?: number;
  lbaShift?: number;
  /** Most blocks of one command. */
  blocksMax?: number;
  /** Pages of guest memory for buffers. */
  pages?: number;
  /** Statuses that a command may complete with, besides success; what it did is then read from the disk. */
  allowed?: readonly number[];
}

export class Workload {
  readonly #guest: MockGuest;
  readonly #random: Random;
  readonly #nsid: number;
  readonly #lbaShift: number;
  readonly #blocksMax: number;
  readonly #allowed: readonly number[];
  /** Free pages, in ascending order: neighbours are often contiguous. */
  readonly #free: number[];
  /** What the namespace must hold. */
  readonly expected: Uint8Array;
  readonly outstanding: Outstanding[] = [];
  readonly counts: Record<Kind, number> = { read: 0, write: 0, zeroes: 0, deallocate: 0, flush: 0 };
  /** Completions with another status than success. */
  failed = 0;

  constructor(options: WorkloadOptions) {
    this.#guest = options.guest;
    this.#random = options.random;
    this.#nsid = options.nsid ?? 1;
    this.#lbaShift = options.lbaShift ?? 9;
    this.#blocksMax = options.blocksMax ?? 64;
    this.#allowed = options.allowed ?? [];
    const count = options.pages ?? 512;
    this.#free = Array.from({ length: count }, () => this.#guest.allocate(PAGE)).sort((a, b) => a - b);
    this.expected = this.#disk.slice();
  }

  /** Puts one random command into a queue; false when there is no room for it. The doorbell is the caller's. */
  submit(sqid: number): boolean {
    const random = this.#random;
    const kind = random.pick<Kind>([
      'read',
      'read',
      'read',
      'write',
      'write',
      'write',
      'zeroes',
      'deallocate',
      'flush',
    ]);
    const command = this.#command(kind, sqid);
    if (!command) return false;
    this.#prepare(command);
    const cid = this.#guest.driver.submit(sqid);
    if (cid === undefined) {
      this.#guest.driver.clear();
      this.#release(command);
      return false;
    }
    command.cid = cid;
    this.outstanding.push(command);
    return true;
  }

  /** Checks what a completion says against what there must be. */
  done(completed: Completed): void {
    assert.ok(!completed.stranger, `stranger: queue ${completed.sqid} CID ${completed.cid}`);
    const index = this.outstanding.findIndex(
      ({ sqid, cid }) => sqid === completed.sqid && cid === completed.cid,
    );
    assert.ok(index >= 0, `queue ${completed.sqid} CID ${completed.cid} was not outstanding`);
    const [command] = this.outstanding.splice(index, 1) as [Outstanding];
    if (completed.status !== 0) {
      const text = `${command.kind} ended with ${completed.status.toString(16)}`;
      assert.ok(this.#allowed.includes(completed.status), text);
      this.failed++;
      this.#resolve(command);
    } else {
      this.#check(command);
      this.counts[command.kind]++;
    }
    this.#release(command);
  }

  /** The controller was reset: whatever was outstanding has happened, or not, block by block. */
  abandoned(): void {
    for (const command of this.outstanding.splice(0)) {
      this.#resolve(command);
      this.#release(command);
    }
  }

  /** Nothing is outstanding, and the disk holds what it must. */
  finish(): void {
    assert.equal(this.outstanding.length, 0, 'commands that never completed');
    same(this.#disk, this.expected, 'the disk');
    assert.equal(this.#guest.driver.strangers, 0);
  }

  get #disk(): Uint8Array {
    return this.#guest.disk.namespace(this.#nsid).bytes;
  }

  #command(kind: Kind, sqid: number): Outstanding | undefined {
    const random = this.#random;
    const command = {
      kind,
      sqid,
      cid: 0,
      ranges: [],
      pages: [],
      offset: 0,
      bytes: 0,
      data: new Uint8Array(),
    };
    const made: Outstanding = command;
    const ranges = kind === 'flush' ? 0 : kind === 'deallocate' ? random.between(1, 8) : 1;
    for (let index = 0; index < ranges; index++) {
      const range = this.#range();
      if (!this.#conflicts(kind, range, made.ranges)) made.ranges.push(range);
    }
    if (ranges > 0 && made.ranges.length === 0) return undefined;
    if (kind === 'read' || kind === 'write') {
      made.bytes = made.ranges[0]?.bytes ?? 0;
      made.offset = random.oneIn(2) ? 0 : random.below(PAGE / 4) * 4;
    } else if (kind === 'deallocate') made.bytes = made.ranges.length * nvme.DSM_RANGE_BYTES;
    const pages = Math.ceil((made.offset + made.bytes) / PAGE);
    if (pages > this.#free.length) return undefined;
    made.pages = this.#pagesTake(pages);
    return made;
  }

  #range(): { offset: number; bytes: number } {
    const random = this.#random;
    const total = this.expected.length >>> this.#lbaShift;
    const blocks = random.oneIn(4) ? random.between(1, this.#blocksMax) : random.between(1, 8);
    const lba = random.below(total - blocks + 1);
    return { offset: lba * 2 ** this.#lbaShift, bytes: blocks * 2 ** this.#lbaShift };
  }

  #conflicts(kind: Kind, range: Outstanding['ranges'][0], own: Outstanding['ranges']): boolean {
    const meets = (other: Outstanding['ranges'][0]): boolean =>
      range.offset < other.offset + other.bytes && other.offset < range.offset + range.bytes;
    return (
      own.some(meets) ||
      this.outstanding.some((other) => (kind !== 'read' || other.kind !== 'read') && other.ranges.some(meets))
    );
  }

  /** Pages one after the other as they are free, or from anywhere. */
  #pagesTake(count: number): number[] {
    const random = this.#random;
    if (random.oneIn(2)) return this.#free.splice(random.below(this.#free.length - count + 1), count);
    return Array.from(
      { length: count },
      () => this.#free.splice(random.below(this.#free.length), 1)[0] as number,
    );
  }

  #release(command: Outstanding): void {
    this.#free.push(...command.pages);
    this.#free.sort((a, b) => a - b);
  }

  #prepare(command: Outstanding): void {
    const { driver } = this.#guest;
    const random = this.#random;
    for (const page of command.pages) this.#guest.memory.at(page, PAGE).fill(CANARY);
    const lba = (command.ranges[0]?.offset ?? 0) / 2 ** this.#lbaShift;
    const blocks = (command.ranges[0]?.bytes ?? 0) / 2 ** this.#lbaShift;
    const fua = random.oneIn(8) ? nvme.RW_FUA : 0;
    switch (command.kind) {
      case 'read':
        driver.read(this.#nsid, lba, blocks, fua);
        break;
      case 'write':
        command.data = new Uint8Array(command.bytes);
        random.fill(command.data);
        driver.write(this.#nsid, lba, blocks, fua);
        break;
      case 'zeroes':
        driver.writeZeroes(this.#nsid, lba, blocks, fua | (random.oneIn(2) ? nvme.WRITE_ZEROES_DEAC : 0));
        break;
      case 'deallocate':
        command.data = this.#rangesEncode(command.ranges);
        driver.datasetManagement(this.#nsid, command.ranges.length);
        break;
      case 'flush':
        driver.flush(this.#nsid);
        break;
    }
    if (command.bytes === 0) return;
    driver.dataPages(command.pages, command.offset, command.bytes);
    driver.listOffset(random.oneIn(2) ? 0 : random.below(PAGE / 8) * 8);
    this.#buffer(command, (memory, at) => {
      if (command.kind !== 'read') memory.set(command.data.subarray(at, at + memory.length));
    });
  }

  #rangesEncode(ranges: Outstanding['ranges']): Uint8Array {
    const view = new DataView(new ArrayBuffer(ranges.length * nvme.DSM_RANGE_BYTES));
    ranges.forEach(({ offset, bytes }, index) => {
      const at = index * nvme.DSM_RANGE_BYTES;
      view.setUint32(at + nvme.DSM_RANGE_BLOCKS, bytes >>> this.#lbaShift, true);
      view.setBigUint64(at + nvme.DSM_RANGE_LBA, BigInt(offset >>> this.#lbaShift), true);
    });
    return new Uint8Array(view.buffer);
  }

  /** Visits the parts of a command's buffer, with how far into the data each begins. */
  #buffer(command: Outstanding, visit: (memory: Uint8Array, at: number) => void): void {
    let at = 0;
    command.pages.forEach((page, index) => {
      const start = index === 0 ? command.offset : 0;
      const bytes = Math.min(PAGE - start, command.bytes - at);
      visit(this.#guest.memory.at(page + start, bytes), at);
      at += bytes;
    });
  }

  #check(command: Outstanding): void {
    if (command.kind === 'read') {
      const from = command.ranges[0]?.offset ?? 0;
      this.#buffer(command, (memory, at) => {
        same(memory, this.expected.subarray(from + at, from + at + memory.length), `read at ${from + at}`);
      });
    }
    this.#canaries(command);
    this.#apply(command, this.expected);
  }

  /** Bytes of the pages that are no data are as they were. */
  #canaries(command: Outstanding): void {
    const first = command.pages[0];
    const last = command.pages.at(-1);
    if (first === undefined || last === undefined) return;
    const end = (command.offset + command.bytes) % PAGE;
    const before = this.#guest.memory.at(first, command.offset);
    const after = end === 0 ? new Uint8Array() : this.#guest.memory.at(last + end, PAGE - end);
    const touched = before.some((byte) => byte !== CANARY) || after.some((byte) => byte !== CANARY);
    assert.ok(!touched, `${command.kind} touched memory around its buffer`);
  }

  /** What a command leaves behind. */
  #apply(command: Outstanding, bytes: Uint8Array): void {
    for (const { offset, bytes: length } of command.ranges) {
      if (command.kind === 'write') bytes.set(command.data, offset);
      else if (command.kind !== 'read') bytes.fill(0, offset, offset + length);
    }
  }

  /** A command that may have happened: each of its blocks is as it was or as it should be. */
  #resolve(command: Outstanding): void {
    if (command.ranges.length === 0) return;
    const wanted = this.expected.slice();
    this.#apply(command, wanted);
    const block = 2 ** this.#lbaShift;
    for (const { offset, bytes } of command.ranges) {
      for (let at = offset; at < offset + bytes; at += block) {
        const is = this.#disk.subarray(at, at + block);
        const old = this.expected.subarray(at, at + block);
        const fits =
          Buffer.compare(is, old) === 0 || Buffer.compare(is, wanted.subarray(at, at + block)) === 0;
        assert.ok(fits, `block at ${at} is neither as it was nor as it was written`);
        old.set(is);
      }
    }
  }
}

function same(actual: Uint8Array, expected: Uint8Array, what: string): void {
  if (Buffer.compare(actual, expected) === 0) return;
  const at = actual.findIndex((byte, index) => byte !== expected[index]);
  assert.equal(at, -1, `${what}: byte ${at} is ${actual[at]}, not ${expected[at]}`);
}
