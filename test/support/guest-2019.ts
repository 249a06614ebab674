// The guest of the 2019 device: the driver over a memfd, whose admin commands go through the device's own admin queue
// and whose I/O queues the target serves in place.

import assert from 'node:assert/strict';
import * as nvme from '../../assembly/spec/nvme.ts';
import { doorbellOffset, Driver } from '../../host/core/driver.ts';
import { native } from '../../host/native.ts';
import { CC_ENABLE } from './mock-guest.ts';
import { Device2019, type AdminResult, type Device2019Options } from './vhost-user-2019.ts';

/** Where guest memory lies in the driver's linear memory. */
const GUEST_BASE = 0x200000;
export const GUEST_BYTES = 0x800000;
const BAR_BASE = GUEST_BASE + GUEST_BYTES;
const BAR_BYTES = 0x200000;
const ENTRIES = 8;
const WAIT_US = 10_000_000;

export const AT = { shadow: 0x3000, events: 0x4000, queues: 0x10000, lists: 0x100000, data: 0x400000 };

export interface Guest2019Options {
  /** The device has `barmem`; true. */
  bar?: boolean;
  /** Lets the target work; sleeps where it is another process. */
  wait?: () => void;
}

export class Guest2019 {
  readonly device: Device2019;
  driver: Driver;
  readonly #memory: WebAssembly.Memory;
  readonly #fd = native.memfdCreate('guest-2019', GUEST_BYTES);
  readonly #barFd = native.memfdCreate('barmem', BAR_BYTES);
  readonly #wait: () => void;

  constructor(path: string, options: Guest2019Options = {}) {
    const pages = (BAR_BASE + BAR_BYTES) / 65536;
    this.#memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    const bytes = new Uint8Array(this.#memory.buffer);
    native.mapInto(bytes, GUEST_BASE, this.#fd, 0, GUEST_BYTES);
    native.mapInto(bytes, BAR_BASE, this.#barFd, 0, BAR_BYTES);
    this.driver = this.#driverCreate();
    this.#wait = options.wait ?? ((): void => undefined);
    const device: Device2019Options = {
      memory: [{ fd: this.#fd, gpa: 0n, size: BigInt(GUEST_BYTES), offset: 0n }],
      wait: this.#wait,
      ...(options.bar === false
        ? {}
        : { bar: { fd: this.#barFd, bytes: bytes.subarray(BAR_BASE, BAR_BASE + BAR_BYTES) } }),
    };
    this.device = new Device2019(path, device);
  }

  bytes(at: number, length: number): Uint8Array {
    return new Uint8Array(this.#memory.buffer, GUEST_BASE + at, length);
  }

  /** CC.EN = 1; the driver begins anew. */
  enable(): this {
    this.driver = this.#driverCreate();
    this.device.configurationWrite(CC_ENABLE);
    return this;
  }

  disable(): void {
    this.device.configurationWrite(0);
  }

  shutdown(): void {
    this.device.configurationWrite(CC_ENABLE | (nvme.CC_SHN_NORMAL << nvme.CC_SHN_SHIFT));
  }

  /** The admin command that the driver has prepared. */
  admin(): AdminResult {
    const { buffer, byteOffset } = this.driver.sqe;
    const entry = new Uint8Array(buffer, byteOffset, nvme.SQE_BYTES).slice();
    this.driver.clear();
    return this.device.admin(entry);
  }

  /** Queue pair `qid`, its memory cleared; `vector` undefined: no interrupts. */
  pairCreate(qid: number, vector?: number): void {
    const completion = AT.queues + qid * 0x2000;
    const submission = completion + 0x1000;
    this.bytes(completion, 0x2000).fill(0);
    this.driver.completionQueueCreate(qid, completion, ENTRIES);
    this.driver.createCompletionQueue(qid, completion, ENTRIES, vector);
    assert.deepEqual(this.admin(), { status: 0, dw0: 0 });
    const lists = AT.lists + qid * 0x20000;
    this.driver.submissionQueueCreate(qid, { cqid: qid, address: submission, entries: ENTRIES, lists });
    this.driver.createSubmissionQueue(qid, submission, ENTRIES, qid);
    assert.deepEqual(this.admin(), { status: 0, dw0: 0 });
  }

  /** Doorbell Buffer Config; the pages hold rubbish before. */
  shadowDoorbells(): void {
    this.bytes(AT.shadow, 0x2000).fill(5);
    this.driver.doorbellBuffers(AT.shadow, AT.events);
    assert.deepEqual(this.admin(), { status: 0, dw0: 0 });
    this.driver.doorbellBuffersUse(AT.shadow, AT.events);
  }

  /** Reads or writes 4 KiB at the start of a namespace, to or from AT.data; the status. */
  io(operation: 'read' | 'write', qid = 1, nsid = 1): number {
    this.ioStart(operation, qid, nsid);
    this.until(() => this.reap(qid) === 1, `a completion in queue ${qid}`);
    return this.driver.completion(0).status & 0x7ff;
  }

  ioStart(operation: 'read' | 'write', qid = 1, nsid = 1): void {
    this.driver.data(AT.data, 4096)[operation](nsid, 0, 8);
    assert.ok(this.driver.submit(qid) !== undefined);
    this.ring(qid);
  }

  reap(qid: number): number {
    const count = this.driver.reap(qid);
    const head = count > 0 ? this.driver.completionDoorbell(qid) : undefined;
    if (head !== undefined) this.device.doorbell(doorbellOffset(qid, 'completion'), head);
    return count;
  }

  ring(qid: number): void {
    const tail = this.driver.submissionDoorbell(qid);
    if (tail !== undefined) this.device.doorbell(doorbellOffset(qid, 'submission'), tail);
  }

  until(condition: () => boolean, what: string): void {
    const end = native.now() + WAIT_US;
    while (!condition()) {
      this.#wait();
      assert.ok(native.now() < end, `${what} within 10 s`);
    }
  }

  close(): void {
    this.device.close();
    for (const fd of [this.#fd, this.#barFd]) native.fdClose(fd);
  }

  #driverCreate(): Driver {
    const memory = this.#memory;
    return new Driver({ memory, state: 0x10000, guestBase: GUEST_BASE, guestBytes: GUEST_BYTES });
  }
}
