// A simulated reactor: one controller, its guest and a storage with delays, in virtual time drawn from a seed. The
// reactor sleeps as the real one does: after `queue_arm` said so it polls no more until a doorbell, a completion or
// the core's deadline wakes it; so a wake-up that is lost shows up as a hang. Requests take their time and overtake
// each other, some fail half done. At any moment the guest resets the controller, the VMM goes away and another one
// comes, or the target dies and goes on from its state image. The oracle of test/support/workload.ts checks the data.

import assert from 'node:assert/strict';
import * as abi from '../../assembly/abi/records.ts';
import * as nvme from '../../assembly/spec/nvme.ts';
import { MockGuest } from '../support/mock-guest.ts';
import { PagedGuest } from '../support/paged-guest.ts';
import type { Request } from '../support/model-disk.ts';
import { Random } from '../support/random.ts';
import { Workload } from '../support/workload.ts';

export interface SimulationOptions {
  seed: number;
  /** Commands of the guest in all. */
  commands?: number;
  /** Sleeps without a word to the core, to prove that the simulation notices. */
  sleepUnarmed?: boolean;
}

/** What happened, for a person who reads a summary. */
export interface SimulationResult {
  commands: number;
  failed: number;
  sleeps: number;
  doorbellsRung: number;
  doorbellsSpared: number;
  resets: number;
  disconnects: number;
  restarts: number;
  /** Virtual microseconds. */
  microseconds: number;
}

/** Storage errors that a request may end with, and the statuses that they and an abort become. */
const RESULTS = [
  abi.BLOCK_MEDIUM_ERROR,
  abi.BLOCK_NO_SPACE,
  abi.BLOCK_NOT_SUPPORTED,
  abi.BLOCK_CANCELED,
  abi.BLOCK_BUSY,
] as const;
const STATUSES = [
  nvme.STATUS_UNRECOVERED_READ_ERROR,
  nvme.STATUS_WRITE_FAULT,
  nvme.STATUS_CAPACITY_EXCEEDED,
  nvme.STATUS_INTERNAL_ERROR,
  nvme.STATUS_ABORT_REQUESTED,
  nvme.STATUS_NAMESPACE_NOT_READY,
];

interface Due {
  request: Request;
  at: number;
  result: number;
}

/** Virtual microseconds without progress that are a hang: well above what storage and guest ever pause. */
const HANG_MICROSECONDS = 300_000;

class Simulation {
  readonly #random: Random;
  readonly #guest: MockGuest;
  readonly #options: SimulationOptions;
  #workload: Workload;
  #due: Due[] = [];
  #left: number;
  #asleep = false;
  #polledAt = 0;
  #progressAt: number;
  #queues: number[] = [];
  /** When the guest acts next: it has a life of its own. */
  #guestAt = 0;
  readonly #counts = { sleeps: 0, resets: 0, disconnects: 0, restarts: 0, commands: 0, failed: 0 };

  constructor(options: SimulationOptions) {
    this.#options = options;
    this.#random = new Random(options.seed);
    // Windows that are copied at each call are slow: fewer commands go through them.
    const copying = this.#random.oneIn(30);
    this.#left = options.commands ?? (copying ? 30 : 300);
    // Doorbells are stores into a page, and kicks, for every fourth seed.
    const Guest = options.seed % 4 === 3 ? PagedGuest : MockGuest;
    this.#guest = new Guest({
      memory: 8 << 20,
      ...(copying ? { copyingWindows: 2, spread: true } : {}),
      controller: { slots: this.#random.pick([20, 32, 1024]) },
      namespaces: [{ blocks: 2048n }],
      adminEntries: 8,
    });
    this.#bringUp();
    this.#progressAt = this.#guest.now;
    this.#workload = this.#workloadCreate();
  }

  run(): SimulationResult {
    while (this.#left > 0 || this.#workload.outstanding.length > 0) this.#step();
    this.#workload.finish();
    assert.equal(this.#guest.core.failure, undefined);
    return {
      ...this.#counts,
      doorbellsRung: this.#guest.driver.doorbellsRung,
      doorbellsSpared: this.#guest.driver.doorbellsSpared,
      microseconds: this.#guest.now,
    };
  }

  #workloadCreate(): Workload {
    return new Workload({
      guest: this.#guest,
      random: this.#random,
      pages: 128,
      blocksMax: 64,
      allowed: STATUSES,
    });
  }

  /** The guest's driver starts: admin queue, I/O queues, perhaps shadow doorbells. */
  #bringUp(): void {
    const random = this.#random;
    const guest = this.#guest;
    guest.enable();
    this.#queues = Array.from({ length: random.between(1, 3) }, (_, index) => index + 1);
    for (const qid of this.#queues)
      guest.queueCreate(qid, { entries: random.pick([4, 8, 16, 64]), depth: random.between(2, 24) });
    if (random.oneIn(3)) return;
    guest.shadowDoorbells();
  }

  /** The next thing that happens, whoever does it. */
  #step(): void {
    const guest = this.#guest;
    const wakeAt = this.#asleep ? this.#deadline() : guest.now + 1;
    const next = Math.min(wakeAt, this.#guestAt, ...this.#due.map((each) => each.at));
    guest.now = Math.max(guest.now, next);
    assert.ok(guest.now - this.#progressAt < HANG_MICROSECONDS, this.#hang());
    if (guest.now >= this.#guestAt) this.#guestActs();
    this.#storageCompletes();
    if (!this.#asleep || guest.now >= wakeAt) this.#reactorPolls();
  }

  #deadline(): number {
    const after = this.#guest.core.deadlineNext();
    return after === abi.DEADLINE_NONE ? Infinity : this.#polledAt + after;
  }

  // ---- The reactor ----

  #reactorPolls(): void {
    const guest = this.#guest;
    this.#asleep = false;
    const done = guest.poll(this.#random.between(1, 32));
    this.#polledAt = guest.now;
    this.#requestsDue();
    if (done > 0 || this.#due.length > 0 || !this.#random.oneIn(3)) return;
    const again = !this.#options.sleepUnarmed && guest.memory.call((core) => core.queueArm());
    guest.take();
    this.#requestsDue();
    this.#asleep = !again;
    if (this.#asleep) this.#counts.sleeps++;
  }

  /** Requests that were taken get their time and their fate. */
  #requestsDue(): void {
    const random = this.#random;
    for (const request of this.#guest.pending) {
      if (this.#due.some((each) => each.request === request)) continue;
      const late = random.oneIn(20) ? random.between(1000, 30_000) : random.between(5, 300);
      const result = random.oneIn(25) ? random.pick(RESULTS) : abi.BLOCK_OK;
      this.#due.push({ request, at: this.#guest.now + late, result });
    }
  }

  #storageCompletes(): void {
    const guest = this.#guest;
    const ready = this.#random.shuffle(this.#due.filter((each) => each.at <= guest.now));
    if (ready.length === 0) return;
    this.#due = this.#due.filter((each) => each.at > guest.now);
    guest.post(ready.map(({ request, result }) => ({ request, result: this.#execute(request, result) })));
    this.#requestsDue();
    this.#asleep = false;
  }

  /** A request that fails may have been done in part: its first segments, or nothing. */
  #execute(request: Request, result: number): number {
    const { disk, memory, core } = this.#guest;
    const copies = request.operation >= abi.OPERATION_COPY_OUT;
    const whole = copies || result === abi.BLOCK_OK;
    const part = whole ? request : { ...request, segments: request.segments.slice(0, this.#random.below(2)) };
    if (whole || (request.operation <= abi.OPERATION_WRITE && blocksWhole(part))) {
      disk.execute(part, memory.linear, core.bytes);
    }
    return copies ? abi.BLOCK_OK : result;
  }

  // ---- The guest ----

  #guestActs(): void {
    const random = this.#random;
    const guest = this.#guest;
    this.#guestAt = guest.now + (random.oneIn(30) ? random.between(1000, 50_000) : random.between(1, 200));
    const what = random.below(400);
    if (what === 0) this.#reset();
    else if (what === 1) this.#disconnect();
    else if (what === 2) this.#restart();
    else if (what < 200) this.#submit();
    else this.#reap();
  }

  #submit(): void {
    const sqid = this.#random.pick(this.#queues);
    for (let burst = this.#random.between(1, 12); burst > 0 && this.#left > 0; burst--) {
      if (!this.#workload.submit(sqid)) break;
      this.#left--;
      this.#progressAt = this.#guest.now;
    }
    if (this.#guest.ring(sqid)) this.#asleep = false;
  }

  #reap(): void {
    const cqid = this.#random.pick(this.#queues);
    const before = this.#guest.driver.doorbellsRung;
    const list = this.#guest.reap(cqid, this.#random.pick([1, 2, 3, 16]));
    if (this.#guest.driver.doorbellsRung !== before) this.#asleep = false;
    for (const completed of list) {
      this.#workload.done(completed);
      this.#counts.commands++;
      if (completed.status !== 0) this.#counts.failed++;
      this.#progressAt = this.#guest.now;
    }
  }

  /** The driver resets the controller under I/O: by CC.EN, or by a function-level reset. */
  #reset(): void {
    this.#counts.resets++;
    if (this.#random.oneIn(2)) this.#guest.core.controllerReset();
    else this.#guest.registerWrite(nvme.REG_CC, this.#guest.registerRead(nvme.REG_CC) & ~nvme.CC_EN);
    this.#begin();
  }

  /** The VMM goes, with its memory; another one comes. */
  #disconnect(): void {
    this.#counts.disconnects++;
    const { memory, core } = this.#guest;
    core.controllerReset();
    for (const { gpa, length } of [...memory.regions]) {
      assert.equal(memory.regionRemove(Number(gpa), Number(length)), abi.REGION_OK);
    }
    memory.regionsAdd();
    this.#begin();
  }

  /** What the storage still does of the old life is done before the new one is ready: `enable` sees to it. */
  #begin(): void {
    const guest = this.#guest;
    this.#late();
    guest.statusWait(nvme.CSTS_RDY, 0);
    guest.forget();
    this.#workload.abandoned();
    guest.release();
    this.#bringUp();
    this.#workload = this.#workloadContinue();
    this.#asleep = false;
    this.#progressAt = guest.now;
  }

  /** Requests of before the reset come back late, in any order. */
  #late(): void {
    const due = this.#random.shuffle(this.#due);
    this.#due = [];
    this.#guest.post(due.map(({ request, result }) => ({ request, result: this.#execute(request, result) })));
  }

  #workloadContinue(): Workload {
    const { expected } = this.#workload;
    const workload = this.#workloadCreate();
    assert.equal(Buffer.compare(workload.expected, expected), 0, 'the disk differs after a reset');
    return workload;
  }

  /** The target dies; what it had taken is lost, or was done without anybody hearing of it. */
  #restart(): void {
    this.#counts.restarts++;
    for (const { request, result } of this.#due) if (this.#random.oneIn(2)) this.#execute(request, result);
    this.#due = [];
    this.#guest.restart();
    this.#asleep = false;
  }

  #hang(): string {
    const { length } = this.#workload.outstanding;
    const reactor = this.#asleep ? 'asleep' : 'awake';
    return `hang: ${length} commands outstanding, ${this.#due.length} requests due, the reactor is ${reactor}`;
  }
}

/** Whether the segments of a part end at a block. */
function blocksWhole(request: Request): boolean {
  const bytes = request.segments.reduce((sum, segment) => sum + segment.length, 0);
  return bytes % 512 === 0;
}

/** Runs one simulation; throws where something does not hold. */
export function simulate(options: SimulationOptions): SimulationResult {
  return new Simulation(options).run();
}
