// What the core alone costs: reads through its three calls, completed at once, against core-loop.c, which does the
// same in plain C. Both loops get 32 commands more by two stores into the shadow doorbells, from rings that were
// filled beforehand, so that neither measures a guest.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import * as map from '../../assembly/abi/memory-map.ts';
import { BLOCK_OK, COMPLETION_SLOT, REQUEST_SLOT } from '../../assembly/abi/records.ts';
import * as nvme from '../../assembly/spec/nvme.ts';
import { buildPath, findCheckout } from '../../host/demo/checkout.ts';
import { findProgram, runCommand } from '../../host/demo/command.ts';
import { SetupError } from '../../host/demo/setup-error.ts';
import { MockGuest } from '../support/mock-guest.ts';
import { compared, type Effort, type Section } from './figures.ts';

const BATCH = 32;
const ENTRIES = 1024;
/** Things that a poll may do, as the target lets it. */
const BUDGET = 256;

interface Case {
  readonly name: string;
  readonly bytes: number;
  /** Pages in descending order, so that none are merged. */
  readonly scattered: boolean;
}

const CASES: readonly Case[] = [
  { name: '4 KiB read', bytes: 4096, scattered: false },
  { name: '128 KiB read, scattered pages (32 segments)', bytes: 131_072, scattered: true },
  { name: '128 KiB read, contiguous pages (1 segment)', bytes: 131_072, scattered: false },
];

export async function measureCore(effort: Effort): Promise<Section> {
  const loop = await CLoop.start();
  try {
    const figures = [];
    for (const each of CASES) {
      const core = new CoreLoop(each);
      // The first laps are compiled anew while they run.
      core.run(effort.coreBatches);
      await loop.run(each, effort.coreBatches);
      const [ours, theirs]: [number[], number[]] = [[], []];
      for (let round = 0; round < effort.coreRounds; round++) {
        ours.push(core.run(effort.coreBatches));
        theirs.push(await loop.run(each, effort.coreBatches));
      }
      figures.push(compared(each.name, 'ns', ours, { name: 'plain C', samples: theirs }));
    }
    const method =
      'Nanoseconds of one command in the core: fetched, checked, PRPs walked, request record, completed at once, ' +
      `CQE. ${BATCH} commands at a time, no I/O, no guest; slices of ${effort.coreBatches * BATCH} commands in turns.`;
    return { title: 'The core alone', method, figures };
  } finally {
    loop.stop();
  }
}

/** A core with one I/O queue pair whose ring is full of reads. */
class CoreLoop {
  readonly #guest = MockGuest.up({ memory: 32 << 20, queues: 0, namespaces: [{ blocks: 1n << 20n }] });
  /** Index, in words, of the shadow doorbells of queue 1. */
  readonly #doorbells: number;
  #tail = 0;

  constructor({ bytes, scattered }: Case) {
    const guest = this.#guest;
    const { driver } = guest;
    const address = (size: number): number => guest.allocate(size);
    const [submission, completion] = [address(ENTRIES * nvme.SQE_BYTES), address(ENTRIES * nvme.CQE_BYTES)];
    driver.createCompletionQueue(1, completion, ENTRIES, undefined);
    guest.succeed();
    driver.createSubmissionQueue(1, submission, ENTRIES, 1);
    guest.succeed();
    const [shadow, events] = [address(nvme.PAGE_BYTES), address(nvme.PAGE_BYTES)];
    driver.doorbellBuffers(shadow, events);
    guest.succeed();
    this.#doorbells = (guest.memory.base + shadow + 2 * nvme.DOORBELL_BYTES) / 4;
    const lists = address(BATCH * nvme.PAGE_BYTES);
    const data = address(BATCH * bytes);
    for (let index = 0; index < ENTRIES; index++) {
      const pages = Array.from({ length: bytes / nvme.PAGE_BYTES }, (_, page) => page * nvme.PAGE_BYTES);
      const buffer = data + (index % BATCH) * bytes;
      const addresses = (scattered ? pages.toReversed() : pages).map((offset) => buffer + offset);
      this.#entryWrite(submission + index * nvme.SQE_BYTES, index, addresses, {
        blocks: bytes / 512,
        list: lists + (index % BATCH) * nvme.PAGE_BYTES,
      });
    }
  }

  /** Serves so many batches; nanoseconds of processor time of one command. */
  run(batches: number): number {
    const { core } = this.#guest;
    const { words } = core;
    const begin = process.cpuUsage();
    for (let batch = 0; batch < batches; batch++) {
      words[this.#doorbells + 1] = this.#tail;
      this.#tail = (this.#tail + BATCH) % ENTRIES;
      words[this.#doorbells] = this.#tail;
      core.queuePoll(BUDGET, batch);
      const count = core.requestsTake();
      requestsComplete(words, count);
      core.completionsPost(count);
      if (count !== BATCH) assert.fail(`the core took ${count} of ${BATCH} commands`);
    }
    // Of this process alone: what others take from the processor is no part of it.
    const { user, system } = process.cpuUsage(begin);
    return ((user + system) * 1e3) / (batches * BATCH);
  }

  #entryWrite(
    at: number,
    cid: number,
    pages: readonly number[],
    options: { blocks: number; list: number },
  ): void {
    const { memory } = this.#guest;
    const entry = memory.view(at, nvme.SQE_BYTES);
    entry.setUint8(nvme.SQE_OPCODE, nvme.NVM_READ);
    entry.setUint16(nvme.SQE_CID, cid, true);
    entry.setUint32(nvme.SQE_NSID, 1, true);
    entry.setUint32(nvme.SQE_CDW10, cid * 8, true);
    entry.setUint32(nvme.SQE_CDW12, options.blocks - 1, true);
    entry.setBigUint64(nvme.SQE_PRP1, BigInt(pages[0] ?? 0), true);
    if (pages.length < 3) return;
    entry.setBigUint64(nvme.SQE_PRP2, BigInt(options.list), true);
    const list = memory.view(options.list, nvme.PAGE_BYTES);
    pages.slice(1).forEach((page, index) => {
      list.setBigUint64(index * nvme.PRP_ENTRY_BYTES, BigInt(page), true);
    });
  }
}

/** What the addon does after the I/O, with as little JavaScript as can be: each request's slot, and BLOCK_OK. */
function requestsComplete(words: Uint32Array, count: number): void {
  let from = (map.REQUEST_BASE + REQUEST_SLOT) >>> 2;
  let to = (map.COMPLETION_BASE + COMPLETION_SLOT) >>> 2;
  for (let index = 0; index < count; index++) {
    words[to] = words[from] as number;
    words[to + 1] = BLOCK_OK;
    from += map.REQUEST_BYTES >>> 2;
    to += map.COMPLETION_BYTES >>> 2;
  }
}

/** core-loop.c, compiled and running. */
class CLoop {
  readonly #program: string;
  readonly #child;
  readonly #lines;

  private constructor(program: string) {
    this.#program = program;
    this.#child = spawn(program, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  /** Compiles it with -O2, by $CC or the first C compiler found. Throws SetupError without any. */
  static async start(): Promise<CLoop> {
    const source = path.join(findCheckout(), 'test/bench/core-loop.c');
    const program = buildPath('bench', `core-loop-${process.pid}`);
    mkdirSync(buildPath('bench'), { recursive: true });
    const defines = Object.entries(map).map(([name, value]) => `-D${name}=${value}`);
    await runCommand(await compiler(), ['-std=gnu11', '-O2', ...defines, source, '-o', program]);
    return new CLoop(program);
  }

  /** Nanoseconds of one command. */
  async run({ bytes, scattered }: Case, batches: number): Promise<number> {
    this.#child.stdin.write(`${bytes} ${scattered ? 1 : 0} ${batches}\n`);
    const answer: IteratorResult<string, unknown> = await this.#lines.next();
    if (answer.done === true) throw new Error('core-loop.c ended without an answer');
    return Number(answer.value);
  }

  stop(): void {
    this.#child.stdin.end();
    rmSync(this.#program, { force: true });
  }
}

async function compiler(): Promise<string> {
  for (const name of [process.env['CC'], 'cc', 'gcc', 'clang']) {
    const found = name === undefined ? undefined : await findProgram(name);
    if (found !== undefined) return found;
  }
  throw new SetupError('the core is compared with plain C: install a C compiler (gcc or clang)');
}
