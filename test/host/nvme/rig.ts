// A controller as the target makes it (a core, the addon, a ring), and its guest: the driver over a memfd that both
// sides map. The clock can be put forward, and a namespace can hang: its storage is a pipe that nobody writes to.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import path from 'node:path';
import { INIT_OK } from '../../../assembly/abi/records.ts';
import * as nvme from '../../../assembly/spec/nvme.ts';
import { COMMAND_BUS_MASTER, COMMAND_MEMORY_SPACE, CONFIG_COMMAND } from '../../../assembly/spec/pci.ts';
import { Core } from '../../../host/core/core.ts';
import { doorbellOffset, Driver } from '../../../host/core/driver.ts';
import { createLog } from '../../../host/log/log.ts';
import { native, type NativeController, type RamDisk } from '../../../host/native.ts';
import { Controller } from '../../../host/nvme/controller.ts';
import type { ControllerSetup } from '../../../host/nvme/limits.ts';
import type { Reactor } from '../../../host/reactor/reactor.ts';
import { UringReactor } from '../../../host/reactor/uring.ts';
import { CC_ENABLE } from '../../support/mock-guest.ts';

/** Where guest memory lies in the driver's linear memory. */
const GUEST_BASE = 0x200000;
export const GUEST_BYTES = 0x800000;
const ENTRIES = 32;
const NAMESPACE_BYTES = 1 << 20;
/** Guest memory in two regions: queues and PRP lists below, data above. */
export const DATA_AT = 0x400000;
export const LOW = { gpa: 0n, length: BigInt(DATA_AT) };
export const HIGH = { gpa: BigInt(DATA_AT), length: BigInt(GUEST_BYTES - DATA_AT) };
const AT = {
  adminSubmission: 0x1000,
  adminCompletion: 0x2000,
  submission: 0x3000,
  completion: 0x4000,
  adminLists: 0x40000,
  lists: 0x100000,
};
/** MSI-X Message Control in config space, whose capability list is fixed. */
export const MSIX_CONTROL_AT = 0x52;
/** Namespaces of the rig. */
export const RAM = 1;
export const HANGING = 2;

/** The ring of all rigs of a test, with a clock that the test puts forward. */
export class TestReactor implements Reactor {
  readonly #ring = new UringReactor();
  /** Microseconds that the clock is ahead. */
  ahead = 0;
  readonly #behind = new Map<NativeController, NativeController>();

  /** Requests of `face` are executed by `real`. */
  represent(face: NativeController, real: NativeController): void {
    this.#behind.set(face, real);
  }

  watch(...args: Parameters<Reactor['watch']>): ReturnType<Reactor['watch']> {
    return this.#ring.watch(...args);
  }
  watchWritable(...args: Parameters<Reactor['watchWritable']>): ReturnType<Reactor['watchWritable']> {
    return this.#ring.watchWritable(...args);
  }
  submit(controller: NativeController, count: number): void {
    this.#ring.submit(this.#behind.get(controller) ?? controller, count);
  }
  turn(waitMicroseconds: number): number {
    return this.#ring.turn(waitMicroseconds);
  }
  now(): number {
    return native.now() + this.ahead;
  }
  close(): void {
    this.#ring.close();
  }
}

const IDENTITY = {
  shadowDoorbells: true,
  multiController: false,
  cntlid: 1,
  vid: 0x1af4,
  ssvid: 0x1af4,
  ioQueuePairs: 64,
  queueEntries: 1024,
  slots: 1024,
  ieeeOui: 0x525400,
  serial: 'RIG',
  model: 'rig',
  firmware: '1',
  subnqn: 'nqn.2014-08.org.nvmexpress:uuid:4f2a52f0-7f4f-4d53-9d8e-0a3d7d5c2b10',
};

const NAMESPACE = {
  shared: false,
  readOnly: false,
  deallocate: false,
  volatileCache: false,
  lbaShift: 9 as const,
  blocks: BigInt(NAMESPACE_BYTES / 512),
  nguid: new Uint8Array(16),
  eui64: new Uint8Array(8),
  uuid: new Uint8Array(16),
  optimalBlocks: 0,
};

export interface RigOptions {
  directory: string;
  reactor: TestReactor;
  /** What the controller sees of the addon; may wrap it. */
  face?: (real: NativeController) => NativeController;
  /** What the target has: changed from what every rig has. */
  change?: (setup: ControllerSetup) => ControllerSetup;
  /** Goes on with the guest and the storage of another rig. */
  after?: ControllerRig;
}

/** What lies outside of a target. */
interface Side {
  /** The driver's linear memory, in which the guest's is mapped, and the file of the latter. */
  memory: WebAssembly.Memory;
  fd: number;
  disk: RamDisk;
  /** Storage that hangs. */
  pipe: number;
}

export class ControllerRig {
  readonly core: Core;
  readonly native: NativeController;
  readonly controller: Controller;
  readonly lines: string[] = [];
  readonly #reactor: TestReactor;
  /** Guest and storage, which may outlive this controller. */
  readonly side: Side;
  readonly #isOwner: boolean;
  /** Where in guest memory doorbells are, if they are there. */
  doorbellPage: number | undefined;
  driver: Driver;

  constructor({ directory, reactor, face = (real) => real, change = (setup) => setup, after }: RigOptions) {
    this.#reactor = reactor;
    this.core = new Core({ windowCount: 8, addressOf: (view) => native.addressOf(view) });
    const namespaces = [RAM, HANGING].map((nsid) => ({ ...NAMESPACE, nsid }));
    const setup = change({ config: IDENTITY, namespaces });
    this.core.configure(setup.config, setup.namespaces);
    assert.equal(this.core.init(), INIT_OK);
    const { windowBase, windowCount } = this.core;
    this.native = native.controller(this.core.bytes, { windowBase, windowCount });
    this.#isOwner = after === undefined;
    this.side = after?.side ?? sideCreate(directory);
    const { disk, pipe } = this.side;
    this.native.namespaceAttach(RAM, {
      ...{ kind: 'ram', disk, offset: 0, length: NAMESPACE_BYTES, readOnly: false },
    });
    this.native.namespaceAttach(HANGING, {
      ...{ kind: 'file', fd: pipe, offset: 0, length: NAMESPACE_BYTES, readOnly: false },
      ...{ direct: false, memoryAlignment: 1, zeroRange: false, punchHole: false },
    });
    const log = createLog({ level: 'debug', json: false, write: (line) => this.lines.push(line) });
    const seen = face(this.native);
    reactor.represent(seen, this.native);
    this.controller = new Controller({ core: this.core, native: seen, setup, reactor, log });

    this.driver = after?.driver ?? this.#driverCreate();
  }

  /** What a VMM and its guest do from the connection to a working I/O queue pair; no interrupts but INTx. */
  up(): this {
    this.driver = this.#driverCreate();
    this.connect();
    this.enable();
    this.queueCreate();
    return this;
  }

  /** What a VMM does: memory, bus master. */
  connect(): this {
    this.memoryConnect();
    this.configWrite(CONFIG_COMMAND, COMMAND_BUS_MASTER | COMMAND_MEMORY_SPACE);
    return this;
  }

  memoryConnect(): void {
    for (const { gpa, length } of [LOW, HIGH]) this.memoryAdd(gpa, length);
  }

  /** Two bytes of config space. */
  configWrite(offset: number, value: number): void {
    this.controller.regionWrite('config', offset, Uint8Array.of(value & 0xff, value >>> 8), nothing);
  }

  memoryAdd(gpa: bigint, length: bigint): void {
    const file = { offset: gpa, fd: this.side.fd, readable: true, writable: true };
    this.controller.memoryAdd({ gpa, length, ...file });
  }

  /** Bytes of guest memory. */
  guest(address: number, bytes: number): Uint8Array {
    return new Uint8Array(this.side.memory.buffer, GUEST_BASE + address, bytes);
  }

  // ---- The reactor ----

  /** One turn of the loop; returns what was done. */
  turn(): number {
    let work = this.controller.poll(this.#reactor.now());
    work += this.#reactor.turn(0);
    return work + this.controller.complete();
  }

  /** Turns until `condition`, for five seconds at most. */
  until(condition: () => boolean, what: string): void {
    const end = native.now() + 5e6;
    while (!condition()) {
      this.turn();
      assert.ok(native.now() < end, `${what} within 5 s`);
    }
  }

  // ---- The guest ----

  register(offset: number): number {
    return Buffer.from(this.controller.regionRead('bar0', offset, 4)).readUInt32LE();
  }

  registerWrite(offset: number, value: number): void {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value >>> 0);
    if (offset >= nvme.REG_DOORBELLS && this.doorbellPage !== undefined) {
      this.guest(this.doorbellPage + offset - nvme.REG_DOORBELLS, 4).set(bytes);
      return;
    }
    this.controller.regionWrite('bar0', offset, bytes, nothing);
  }

  ring(qid: number): void {
    const tail = this.driver.submissionDoorbell(qid);
    if (tail !== undefined) this.registerWrite(doorbellOffset(qid, 'submission'), tail);
  }

  ringHead(qid: number): void {
    const head = this.driver.completionDoorbell(qid);
    if (head !== undefined) this.registerWrite(doorbellOffset(qid, 'completion'), head);
  }

  enable(): void {
    const { driver } = this;
    const entries = ENTRIES;
    driver.completionQueueCreate(0, AT.adminCompletion, entries);
    driver.submissionQueueCreate(0, { cqid: 0, address: AT.adminSubmission, entries, lists: AT.adminLists });
    this.registerWrite(nvme.REG_AQA, (entries - 1) | ((entries - 1) << nvme.AQA_ACQS_Z_SHIFT));
    this.registerWrite(nvme.REG_ASQ, AT.adminSubmission);
    this.registerWrite(nvme.REG_ACQ, AT.adminCompletion);
    this.registerWrite(nvme.REG_CC, CC_ENABLE);
    this.until(() => (this.register(nvme.REG_CSTS) & nvme.CSTS_RDY) !== 0, 'CSTS.RDY');
  }

  /** Status of one I/O: 4 KiB at the start of a namespace, to or from DATA_AT. */
  io(operation: 'read' | 'write', nsid: number): number {
    this.ioStart(operation, nsid);
    return this.finish(1);
  }

  ioStart(operation: 'read' | 'write', nsid: number): void {
    this.driver.data(DATA_AT, 4096)[operation](nsid, 0, 8);
    assert.ok(this.driver.submit(1) !== undefined);
    this.ring(1);
  }

  /** A read that the storage has and does not answer. */
  hang(): void {
    this.ioStart('read', HANGING);
    this.until(() => this.native.inFlight === 1, 'the request is in flight');
  }

  /** Ends the requests that hang: each gets bytes. */
  unhang(bytes = 4096): void {
    fs.writeSync(this.side.pipe, Buffer.alloc(bytes, 0x5a));
  }

  /** Nothing may be in flight; the ring is the test's to close. */
  close(): void {
    this.controller.close();
    if (!this.#isOwner) return;
    for (const fd of [this.side.fd, this.side.pipe]) native.fdClose(fd);
    this.side.disk.close();
  }

  /** Creates I/O queue pair 1. */
  queueCreate(): void {
    const { driver } = this;
    driver.completionQueueCreate(1, AT.completion, ENTRIES);
    driver.createCompletionQueue(1, AT.completion, ENTRIES, 1);
    this.admin();
    driver.submissionQueueCreate(1, { cqid: 1, address: AT.submission, entries: ENTRIES, lists: AT.lists });
    driver.createSubmissionQueue(1, AT.submission, ENTRIES, 1);
    this.admin();
  }

  /** Runs the admin command that the driver has prepared; its dword 0. */
  admin(): number {
    assert.ok(this.driver.submit(0) !== undefined);
    this.ring(0);
    assert.equal(this.finish(0), 0);
    return this.driver.completion(0).result;
  }

  /** Status of the one command that is under way. */
  finish(qid: number): number {
    let count = 0;
    this.until(() => (count = this.driver.reap(qid)) !== 0, `a completion in queue ${qid}`);
    assert.equal(count, 1);
    this.ringHead(qid);
    return this.driver.completion(0).status & 0x7ff;
  }

  #driverCreate(): Driver {
    const memory = this.side.memory;
    return new Driver({ memory, state: 0x10000, guestBase: GUEST_BASE, guestBytes: GUEST_BYTES });
  }
}

export const nothing = (): void => {};

function sideCreate(directory: string): Side {
  const pages = (GUEST_BASE + GUEST_BYTES) / 65536;
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  const fd = native.memfdCreate('rig', GUEST_BYTES);
  native.mapInto(new Uint8Array(memory.buffer), GUEST_BASE, fd, 0, GUEST_BYTES);
  return { memory, fd, disk: native.ramDisk(NAMESPACE_BYTES), pipe: openPipe(directory) };
}

let pipes = 0;

/** Both ends of a new pipe in one descriptor, which blocks. */
function openPipe(directory: string): number {
  const name = path.join(directory, `pipe-${pipes++}`);
  execFileSync('mkfifo', [name]);
  return fs.openSync(name, 'r+');
}
