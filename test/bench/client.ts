// The guest of the benchmark: a vfio-user client whose memory is a memfd, mapped into the driver's linear memory and
// passed to the target, with one I/O queue pair that it polls. It runs in a process of its own (client-process.ts).

import * as nvme from '../../assembly/spec/nvme.ts';
import { COMMAND_BUS_MASTER, COMMAND_MEMORY_SPACE, CONFIG_COMMAND } from '../../assembly/spec/pci.ts';
import { REGION_INDEX_CONFIG } from '../../assembly/spec/vfio-user.ts';
import { Driver, doorbellOffset, type Load } from '../../host/core/driver.ts';
import { native } from '../../host/native.ts';
import { CC_ENABLE } from '../support/mock-guest.ts';
import { VfioUserClient } from '../support/vfio-user-client.ts';

/** Where guest memory lies in the driver's linear memory. */
const GUEST_BASE = 0x200000;
const GUEST_BYTES = 0x1000000;
const ADMIN_ENTRIES = 32;
const IO_ENTRIES = 1024;
/** Most commands outstanding. */
const DEPTH_MAX = 256;
const BLOCK_BYTES = 512;
/** Commands between two looks at the clock. */
const CLOCK_STEPS = 64;
const WAIT_US = 10_000_000;

/** What lies where in guest memory. */
const AT = {
  adminSubmission: 0x1000,
  adminCompletion: 0x2000,
  shadow: 0x3000,
  events: 0x4000,
  submission: 0x10000,
  completion: 0x20000,
  adminLists: 0x40000,
  lists: 0x200000,
  data: 0x800000,
};

/** What a slice is to do. */
export interface SliceOptions {
  readonly nsid: number;
  readonly depth: number;
  readonly milliseconds: number;
  /** Bytes of the namespace that are used, from its start. */
  readonly bytes: number;
  readonly opcode: number;
  readonly random: boolean;
  /** Bytes of one command; a multiple of 512. */
  readonly commandBytes: number;
  /** Not 0: which random numbers. */
  readonly seed: number;
  /** Commands after which the slice ends early; 0: none. */
  readonly limit?: number;
}

export interface SliceResult {
  readonly commands: number;
  readonly failed: number;
  readonly seconds: number;
  /** Median latency in microseconds, at depth 1. */
  readonly latency?: number;
}

export class BenchClient {
  readonly #client: VfioUserClient;
  readonly #driver: Driver;

  /** Connects, enables the controller, and sets up queue pair 1 with shadow doorbells. */
  constructor(socketPath: string) {
    const pages = (GUEST_BASE + GUEST_BYTES) / 65536;
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    const fd = native.memfdCreate('bench-guest', GUEST_BYTES);
    native.mapInto(new Uint8Array(memory.buffer), GUEST_BASE, fd, 0, GUEST_BYTES);
    this.#driver = new Driver({ memory, state: 0x10000, guestBase: GUEST_BASE, guestBytes: GUEST_BYTES });
    this.#client = VfioUserClient.connect(socketPath);
    this.#client.version({});
    this.#client.mapMemory({ gpa: 0n, length: BigInt(GUEST_BYTES), fd });
    native.fdClose(fd);
    const command = Buffer.alloc(2);
    command.writeUInt16LE(COMMAND_BUS_MASTER | COMMAND_MEMORY_SPACE);
    this.#client.regionWrite(REGION_INDEX_CONFIG, CONFIG_COMMAND, command);
    this.#enable();
    this.#queueCreate();
    this.#driver.doorbellBuffers(AT.shadow, AT.events);
    this.#adminRun();
    this.#driver.doorbellBuffersUse(AT.shadow, AT.events);
  }

  /** Keeps `depth` commands outstanding for a while, polling; waits for the last of them. */
  slice(options: SliceOptions): SliceResult {
    this.#loadStart(options);
    const begin = performance.now();
    const end = begin + options.milliseconds;
    const latencies = options.depth === 1 ? this.#paced(end) : (this.#full(end), undefined);
    const seconds = (performance.now() - begin) / 1000;
    const commands = this.#driver.loadCompleted;
    this.#drain();
    const failed = this.#driver.loadFailed;
    return { commands, failed, seconds, ...(latencies === undefined ? {} : { latency: latencies }) };
  }

  close(): void {
    this.#client.close();
  }

  #loadStart(options: SliceOptions): void {
    const load: Load = {
      ...{ sqid: 1, nsid: options.nsid, opcode: options.opcode, depth: options.depth },
      blocks: options.commandBytes / BLOCK_BYTES,
      blockBytes: BLOCK_BYTES,
      random: options.random,
      units: Math.floor(options.bytes / options.commandBytes),
      seed: options.seed,
      buffer: AT.data,
      limit: options.limit ?? 0,
    };
    this.#driver.loadStart(load);
    this.#limit = load.limit === undefined ? 0 : Number(load.limit);
  }
  #limit = 0;

  /** One command after the other; the median of their latencies in microseconds. */
  #paced(end: number): number {
    const latencies = new Float64Array(4_000_000);
    let count = 0;
    this.#step();
    let sent = performance.now();
    for (let now = sent; now < end && count < latencies.length;) {
      while (this.#driver.loadStep() === 0) if (performance.now() > end + WAIT_US / 1000) this.#stalled();
      this.#ring();
      now = performance.now();
      latencies[count++] = (now - sent) * 1000;
      sent = now;
    }
    return latencies.subarray(0, count).sort()[count >>> 1] ?? NaN;
  }

  #full(end: number): void {
    while (performance.now() < end) {
      for (let step = 0; step < CLOCK_STEPS; step++) this.#step();
      if (this.#limit !== 0 && this.#driver.loadCompleted >= this.#limit) return;
    }
  }

  #step(): number {
    const reaped = this.#driver.loadStep();
    this.#ring();
    return reaped;
  }

  /** Submits nothing more and reaps what is under way. */
  #drain(): void {
    const deadline = native.now() + WAIT_US;
    while (this.#driver.outstanding(1) > 0) {
      this.#driver.reap(1);
      this.#ring();
      if (native.now() > deadline) this.#stalled();
    }
  }

  #stalled(): never {
    throw new Error(`${this.#driver.outstanding(1)} commands did not complete within 10 s`);
  }

  #ring(): void {
    const tail = this.#driver.submissionDoorbell(1);
    if (tail !== undefined) this.#client.registerWrite(doorbellOffset(1, 'submission'), tail);
    const head = this.#driver.completionDoorbell(1);
    if (head !== undefined) this.#client.registerWrite(doorbellOffset(1, 'completion'), head);
  }

  #enable(): void {
    const driver = this.#driver;
    driver.completionQueueCreate(0, AT.adminCompletion, ADMIN_ENTRIES);
    driver.submissionQueueCreate(0, {
      cqid: 0,
      address: AT.adminSubmission,
      entries: ADMIN_ENTRIES,
      lists: AT.adminLists,
    });
    const client = this.#client;
    client.registerWrite(nvme.REG_AQA, (ADMIN_ENTRIES - 1) | ((ADMIN_ENTRIES - 1) << nvme.AQA_ACQS_Z_SHIFT));
    client.registerWrite(nvme.REG_ASQ, AT.adminSubmission);
    client.registerWrite(nvme.REG_ASQ_HIGH, 0);
    client.registerWrite(nvme.REG_ACQ, AT.adminCompletion);
    client.registerWrite(nvme.REG_ACQ_HIGH, 0);
    client.registerWrite(nvme.REG_CC, CC_ENABLE);
    const deadline = native.now() + WAIT_US;
    while ((client.registerRead(nvme.REG_CSTS) & nvme.CSTS_RDY) === 0) {
      if (native.now() > deadline) throw new Error('the controller did not become ready within 10 s');
    }
  }

  #queueCreate(): void {
    const driver = this.#driver;
    driver.completionQueueCreate(1, AT.completion, IO_ENTRIES);
    driver.createCompletionQueue(1, AT.completion, IO_ENTRIES, undefined);
    this.#adminRun();
    driver.submissionQueueCreate(1, {
      cqid: 1,
      address: AT.submission,
      entries: IO_ENTRIES,
      depth: DEPTH_MAX,
      lists: AT.lists,
    });
    driver.createSubmissionQueue(1, AT.submission, IO_ENTRIES, 1);
    this.#adminRun();
  }

  /** Submits the prepared admin command, which must succeed. */
  #adminRun(): void {
    const driver = this.#driver;
    driver.submit(0);
    this.#client.registerWrite(doorbellOffset(0, 'submission'), driver.submissionDoorbell(0) ?? 0);
    const deadline = native.now() + WAIT_US;
    while (driver.reap(0) === 0) {
      if (native.now() > deadline) throw new Error('an admin command did not complete within 10 s');
    }
    const { status } = driver.completion(0);
    if (status !== 0) throw new Error(`an admin command ended with status ${status.toString(16)}`);
    this.#client.registerWrite(doorbellOffset(0, 'completion'), driver.completionDoorbell(0) ?? 0);
  }
}
