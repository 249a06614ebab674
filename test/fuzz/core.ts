// Fuzzes a core from the guest's side: any entries, any guest memory, doorbells and registers of any value, requests
// that complete in any order with any result, regions that come and go, restarts from the state image. An episode is
// drawn from its seed alone, so a seed replays. What must hold, whatever the guest does:
//
//   - the core never traps, and never asks for a transfer outside of the guest's memory (test/support/model-disk.ts);
//   - every command that was submitted completes exactly once, Asynchronous Event Requests excepted;
//   - no request is forgotten: at the end none is outstanding.

import assert from 'node:assert/strict';
import { SLOT_BASE, SLOT_BYTES } from '../../assembly/abi/memory-map.ts';
import { BLOCK_BUSY, BLOCK_OK, OPERATION_COPY_OUT, OPERATION_WRITE } from '../../assembly/abi/records.ts';
import * as nvme from '../../assembly/spec/nvme.ts';
import { MockGuest } from '../support/mock-guest.ts';
import type { Request } from '../support/model-disk.ts';
import { Random } from '../support/random.ts';
import { entryDraw, memoryDraw, FUZZ_DATA, FUZZ_DATA_BYTES, type Drawn } from './draw.ts';

/** A bug that an episode is to have, so that the harness itself is tested: each must be found. */
export const BUGS = ['completion-lost', 'completion-doubled', 'segment-outside', 'slot-overwritten'] as const;
export type Bug = (typeof BUGS)[number];

export interface EpisodeOptions {
  seed: number;
  /** Actions of one episode. */
  actions?: number;
  bug?: Bug;
}

const MEMORY = 16 << 20;

/** The regions of an episode: the guest's own memory is whole, the part for data is of many kinds. */
function regionsDraw(
  random: Random,
): { address: number; bytes: number; writable: boolean; mapped: boolean }[] {
  const regions = [{ address: 0, bytes: FUZZ_DATA, writable: true, mapped: true }];
  for (let at = FUZZ_DATA; at < FUZZ_DATA + FUZZ_DATA_BYTES;) {
    const bytes = Math.min(4096 * random.between(1, 600), FUZZ_DATA + FUZZ_DATA_BYTES - at);
    const kind = random.below(12);
    if (kind > 0) regions.push({ address: at, bytes, writable: kind !== 1, mapped: kind !== 2 });
    at += bytes;
  }
  return regions;
}

class Episode {
  readonly #random: Random;
  readonly #guest: MockGuest;
  readonly #queues: number[];
  readonly #bug: Bug | undefined;
  /** Commands submitted and not completed, by queue and CID. */
  readonly #outstanding = new Map<string, Drawn>();
  readonly #done: Request[] = [];
  #restarts = 0;
  #bugDone = false;

  constructor(options: EpisodeOptions) {
    const random = new Random(options.seed);
    this.#random = random;
    this.#bug = options.bug;
    this.#guest = new MockGuest({
      memory: MEMORY,
      regions: regionsDraw(random),
      copyingWindows: random.oneIn(40) ? random.between(2, 3) : 0,
      controller: { slots: random.pick([17, 18, 24, 64, 1024]), shadowDoorbells: random.oneIn(2) },
      namespaces: [
        { blocks: BigInt(random.between(1, 4096)) },
        { lbaShift: 12, blocks: 512n, readOnly: random.oneIn(4) },
        { blocks: 2048n, volatileCache: false, deallocate: false },
      ],
      adminEntries: random.between(2, 16),
    });
    this.#guest.enable();
    const count = random.between(1, 4);
    this.#queues = [0];
    for (let qid = 1; qid <= count; qid++) {
      const entries = random.pick([2, 3, 4, 16, 64]);
      const cqid = qid > 1 && random.oneIn(3) ? random.between(1, qid - 1) : qid;
      const owner = this.#guest.completionQueues.has(cqid) ? cqid : qid;
      this.#guest.queueCreate(qid, { entries, depth: random.between(1, 24), cqid: owner });
      this.#queues.push(qid);
    }
    if (this.#guest.options.controller?.shadowDoorbells && random.oneIn(2)) this.#guest.shadowDoorbells();
  }

  run(actions: number): void {
    for (let action = 0; action < actions; action++) {
      this.#act();
      this.#alive();
    }
    this.#drain();
  }

  #act(): void {
    const random = this.#random;
    const what = random.below(100);
    if (what < 35) this.#submit();
    else if (what < 60) this.#guest.poll(random.between(1, 20));
    else if (what < 72) this.#complete(random.between(1, 8));
    else if (what < 84) this.#reap(random.between(1, 8));
    else if (what < 90) memoryDraw(random, this.#guest.memory);
    else if (what < 94) this.#doorbell();
    else if (what < 97) this.#guest.registerRead(random.below(0x400) * 4);
    else if (what < 98) this.#guest.registerWrite(random.pick(HARMLESS_REGISTERS), random.next());
    else if (what < 99) this.#region();
    else if (this.#restarts++ === 0) this.#guest.restart();
  }

  #alive(): void {
    const { failure } = this.#guest.core;
    assert.equal(failure, undefined, `the core trapped: ${failure?.stack ?? ''}`);
  }

  #submit(): void {
    const random = this.#random;
    const sqid = random.pick(this.#queues);
    for (let burst = random.between(1, 8); burst > 0; burst--) {
      const drawn = entryDraw(random, sqid === 0, this.#guest.memory);
      const cid = this.#guest.driver.raw(drawn.bytes).submit(sqid);
      if (cid === undefined) {
        this.#guest.driver.clear();
        break;
      }
      this.#outstanding.set(`${sqid}:${cid}`, drawn);
    }
    this.#guest.ring(sqid);
  }

  /** Doorbells that are refused: a queue's own with a value beyond its ring, or one of a queue that is not there. */
  #doorbell(): void {
    const random = this.#random;
    const qid = random.pick(this.#queues);
    const own = random.oneIn(2) && qid > 0;
    const offset = own
      ? nvme.REG_DOORBELLS + 8 * qid + 4 * random.below(2)
      : nvme.REG_DOORBELLS + 8 * random.between(5, 900) + 4 * random.below(2);
    const value = own ? random.between(64, 0xffff) : random.next();
    this.#guest.doorbellWrite(offset, value);
  }

  /** A region of the data part goes and comes back, or a new one comes. */
  #region(): void {
    const { memory } = this.#guest;
    const data = memory.regions.filter((region) => region.gpa >= FUZZ_DATA);
    const region = this.#random.pick(data);
    if (data.length === 0) return;
    memory.regionRemove(Number(region.gpa), Number(region.length));
    const { readable, writable, mapped } = region;
    const again = { address: Number(region.gpa), bytes: Number(region.length), readable, writable, mapped };
    if (!this.#random.oneIn(3)) assert.equal(memory.regionAdd(again), 0);
  }

  #complete(limit: number): void {
    const chosen = this.#random.shuffle([...this.#guest.pending]).slice(0, limit);
    const [first] = chosen;
    if (first && this.#bugNow('completion-lost')) {
      this.#guest.pending.splice(this.#guest.pending.indexOf(first), 1);
      chosen.shift();
    } else if (first && this.#bugNow('segment-outside')) {
      const [segment] = first.segments;
      if (segment && first.operation <= OPERATION_WRITE) segment.address = this.#guest.memory.base - 4096;
      else this.#bugDone = false;
    } else if (first && this.#bugNow('slot-overwritten')) {
      const at = SLOT_BASE + (first.slot & 0xffff) * SLOT_BYTES + nvme.SQE_CID;
      this.#guest.core.bytes[at] = (this.#guest.core.bytes[at] ?? 0) ^ 1;
    }
    this.#guest.post(chosen.map((request) => ({ request, result: this.#execute(request) })));
    this.#completeAgain(chosen);
  }

  /** Completions of requests that are done already, or never were: nobody may take them for another's. */
  #completeAgain(done: readonly Request[]): void {
    this.#done.push(...done);
    if (this.#done.length === 0 || !this.#random.oneIn(4)) return;
    const request = this.#random.pick(this.#done.slice(-16));
    const slot = this.#random.oneIn(4) ? this.#random.next() : request.slot;
    const pending = this.#guest.pending.some((each) => each.slot === slot);
    if (!pending) this.#guest.post([{ request: { ...request, slot }, result: BLOCK_OK }]);
  }

  /** Whether this bug is wanted, and was not made yet. */
  #bugNow(bug: Bug): boolean {
    if (this.#bug !== bug || this.#bugDone) return false;
    this.#bugDone = true;
    return true;
  }

  #execute(request: Request): number {
    const random = this.#random;
    const { memory, disk, core } = this.#guest;
    const result = random.oneIn(10) ? random.between(1, BLOCK_BUSY + 1) : BLOCK_OK;
    if (result !== BLOCK_OK) return result;
    const transfers = request.operation <= OPERATION_WRITE || request.operation >= OPERATION_COPY_OUT;
    if (!transfers) return disk.execute(request, memory.linear, core.bytes);
    for (const { address, length } of request.segments) {
      const offset = address - memory.base;
      assert.ok(offset >= 0 && offset + length <= MEMORY, 'a segment outside of guest memory');
      // A guest that aims a command at its own queues is to blame for what comes of it, and nothing can be said.
      if (offset < FUZZ_DATA) return BLOCK_OK;
    }
    return disk.execute(request, memory.linear, core.bytes);
  }

  #reap(max: number): number {
    const cqid = this.#random.pick([...this.#guest.completionQueues]);
    const list = this.#guest.reap(cqid, max);
    for (const { sqid, cid, stranger } of list) {
      const key = `${sqid}:${cid}`;
      assert.ok(!stranger && this.#outstanding.delete(key), `command ${key} completed more than once`);
      if (this.#bugNow('completion-doubled')) {
        assert.ok(this.#outstanding.delete(key), `command ${key} completed more than once`);
      }
    }
    return list.length;
  }

  /** Everything is given what it needs to end; then nothing is left. */
  #drain(): void {
    const guest = this.#guest;
    for (let idle = 0, pass = 0; idle < 5 && pass < DRAIN_PASSES; pass++) {
      guest.poll(64);
      this.#complete(guest.pending.length);
      let reaped = 0;
      for (let tries = 0; tries < 8; tries++) reaped += this.#reap(64);
      this.#alive();
      idle = this.#lost().length === 0 && guest.pending.length + reaped === 0 ? idle + 1 : 0;
    }
    assert.deepEqual(this.#lost(), [], 'commands that never completed');
    assert.equal(guest.core.requestsOutstanding(), 0, 'requests that the core still waits for');
    assert.equal(guest.driver.strangers, 0);
  }

  #lost(): string[] {
    return [...this.#outstanding].filter(([, drawn]) => !drawn.mayWait).map(([key]) => key);
  }
}

/** Rounds of polling and completing after which what is left is lost. */
const DRAIN_PASSES = 500;

/** Registers that a guest may write anything to while the controller runs. */
const HARMLESS_REGISTERS = [
  nvme.REG_CAP,
  nvme.REG_VS,
  nvme.REG_INTMS,
  nvme.REG_INTMC,
  nvme.REG_CSTS,
  nvme.REG_CRTO,
];

/** Runs one episode; throws where something does not hold. */
export function episode(options: EpisodeOptions): void {
  new Episode(options).run(options.actions ?? 500);
}
