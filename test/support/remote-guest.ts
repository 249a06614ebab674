// A guest at the other end of a target's socket, good or bad: a vfio-user client, a file as its memory, queues that are
// written and read by hand, so that anything can be in them.

import { closeSync, readSync, writeSync } from 'node:fs';
import * as nvme from '../../assembly/spec/nvme.ts';
import { COMMAND_BUS_MASTER, COMMAND_MEMORY_SPACE, CONFIG_COMMAND } from '../../assembly/spec/pci.ts';
import { MSIX_CONTROL_ENABLE } from '../../assembly/spec/pci.ts';
import { REGION_INDEX_CONFIG } from '../../assembly/spec/vfio-user.ts';
import { doorbellOffset } from '../../host/core/driver.ts';
import { native } from '../../host/native.ts';
import { CC_ENABLE } from './mock-guest.ts';
import { VfioUserClient } from './vfio-user-client.ts';

export const GUEST_BYTES = 4 << 20;
const ENTRIES = 32;
const WAIT_MS = 5000;
/** MSI-X Message Control in config space. */
const MSIX_CONTROL_AT = 0x52;

/** Where the queues lie; the rest of guest memory is free. */
const AT = {
  adminSubmission: 0x1000,
  adminCompletion: 0x2000,
  submission: 0x3000,
  completion: 0x4000,
};

/** A submission queue entry; what is left out is 0. */
export interface Entry {
  opcode: number;
  nsid?: number;
  prp1?: number | bigint;
  prp2?: number | bigint;
  cdw10?: number;
  cdw11?: number;
  cdw12?: number;
}

interface Queue {
  submission: number;
  completion: number;
  tail: number;
  head: number;
  phase: number;
}

export class RemoteGuest {
  readonly client: VfioUserClient;
  readonly #fd: number;
  readonly #queues = new Map<number, Queue>();
  #lastCid = 0;

  /** Connects and hands its memory over: a file of GUEST_BYTES, which it takes over, or a memfd. */
  constructor(socketPath: string, fd: number = native.memfdCreate('guest', GUEST_BYTES)) {
    this.#fd = fd;
    this.client = VfioUserClient.connect(socketPath);
    this.client.version({ max_data_xfer_size: 1 << 20, write_multiple: true });
    this.client.mapMemory({ gpa: 0n, length: BigInt(GUEST_BYTES), fd });
  }

  /** Connected, enabled, with queue pair 1. */
  static up(socketPath: string, fd?: number): RemoteGuest {
    const guest = new RemoteGuest(socketPath, fd);
    guest.enable();
    guest.queuePairCreate();
    return guest;
  }

  get status(): number {
    return this.client.registerRead(nvme.REG_CSTS);
  }

  writeMemory(at: number, bytes: Uint8Array): void {
    writeSync(this.#fd, bytes, 0, bytes.length, at);
  }

  readMemory(at: number, length: number): Buffer {
    const bytes = Buffer.alloc(length);
    readSync(this.#fd, bytes, 0, length, at);
    return bytes;
  }

  enable(): void {
    const { client } = this;
    this.#configWrite(CONFIG_COMMAND, COMMAND_BUS_MASTER | COMMAND_MEMORY_SPACE);
    this.#configWrite(MSIX_CONTROL_AT, MSIX_CONTROL_ENABLE);
    client.registerWrite(nvme.REG_AQA, (ENTRIES - 1) | ((ENTRIES - 1) << nvme.AQA_ACQS_Z_SHIFT));
    client.registerWrite(nvme.REG_ASQ, AT.adminSubmission);
    client.registerWrite(nvme.REG_ASQ_HIGH, 0);
    client.registerWrite(nvme.REG_ACQ, AT.adminCompletion);
    client.registerWrite(nvme.REG_ACQ_HIGH, 0);
    this.#queueMake(0, AT.adminSubmission, AT.adminCompletion);
    client.registerWrite(nvme.REG_CC, CC_ENABLE);
    this.#wait('CSTS.RDY', () => (this.status & nvme.CSTS_RDY) !== 0);
  }

  disable(): void {
    this.client.registerWrite(nvme.REG_CC, CC_ENABLE & ~nvme.CC_EN);
    this.#wait('CSTS.RDY = 0', () => (this.status & nvme.CSTS_RDY) === 0);
  }

  /** I/O queue pair 1 with vector 1. */
  queuePairCreate(): void {
    const size = (ENTRIES - 1) << 16;
    this.#queueMake(1, AT.submission, AT.completion);
    const completion = { opcode: nvme.ADMIN_CREATE_IO_CQ, prp1: AT.completion, cdw10: size | 1 };
    const submission = { opcode: nvme.ADMIN_CREATE_IO_SQ, prp1: AT.submission, cdw10: size | 1 };
    for (const entry of [
      { ...completion, cdw11: (1 << nvme.CREATE_CQ_IV_SHIFT) | nvme.CREATE_CQ_IEN | nvme.CREATE_QUEUE_PC },
      { ...submission, cdw11: (1 << nvme.CREATE_SQ_CQID_SHIFT) | nvme.CREATE_QUEUE_PC },
    ]) {
      const status = this.command(0, entry);
      if (status !== 0) throw new Error(`no queue pair: status ${status.toString(16)}`);
    }
  }

  /** Puts an entry into a queue; nobody is told. */
  push(qid: number, entry: Entry): void {
    const bytes = Buffer.alloc(nvme.SQE_BYTES);
    this.#lastCid = (this.#lastCid + 1) & 0x7fff;
    bytes.writeUInt32LE(entry.opcode, 0);
    bytes.writeUInt16LE(this.#lastCid, 2);
    bytes.writeUInt32LE(entry.nsid ?? 0, 4);
    bytes.writeBigUInt64LE(BigInt(entry.prp1 ?? 0), 24);
    bytes.writeBigUInt64LE(BigInt(entry.prp2 ?? 0), 32);
    [entry.cdw10, entry.cdw11, entry.cdw12].forEach((value, index) => {
      bytes.writeUInt32LE((value ?? 0) >>> 0, 40 + 4 * index);
    });
    this.pushRaw(qid, bytes);
  }

  pushRaw(qid: number, bytes: Uint8Array): void {
    const queue = this.#queue(qid);
    this.writeMemory(queue.submission + queue.tail * nvme.SQE_BYTES, bytes);
    queue.tail = (queue.tail + 1) % ENTRIES;
  }

  ring(qid: number): void {
    this.client.registerWrite(doorbellOffset(qid, 'submission'), this.#queue(qid).tail);
  }

  /** The next completion's status, without phase; undefined when there is none yet. */
  reap(qid: number): number | undefined {
    const queue = this.#queue(qid);
    const entry = this.readMemory(queue.completion + queue.head * nvme.CQE_BYTES, nvme.CQE_BYTES);
    const status = entry.readUInt16LE(14);
    if ((status & 1) !== queue.phase) return undefined;
    queue.head = (queue.head + 1) % ENTRIES;
    if (queue.head === 0) queue.phase ^= 1;
    this.client.registerWrite(doorbellOffset(qid, 'completion'), queue.head);
    return status >>> 1;
  }

  /** Does one command; returns its status. */
  command(qid: number, entry: Entry): number {
    this.push(qid, entry);
    this.ring(qid);
    let status: number | undefined;
    this.#wait('a completion', () => (status = this.reap(qid)) !== undefined);
    return status ?? 0;
  }

  close(): void {
    this.client.close();
    closeSync(this.#fd);
  }

  #queue(qid: number): Queue {
    const queue = this.#queues.get(qid);
    if (queue === undefined) throw new Error(`there is no queue ${qid}`);
    return queue;
  }

  #queueMake(qid: number, submission: number, completion: number): void {
    this.writeMemory(completion, Buffer.alloc(ENTRIES * nvme.CQE_BYTES));
    this.#queues.set(qid, { submission, completion, tail: 0, head: 0, phase: 1 });
  }

  #configWrite(at: number, value: number): void {
    const bytes = Buffer.alloc(2);
    bytes.writeUInt16LE(value);
    this.client.regionWrite(REGION_INDEX_CONFIG, at, bytes);
  }

  #wait(what: string, done: () => boolean): void {
    const deadline = performance.now() + WAIT_MS;
    while (!done()) {
      if (performance.now() > deadline) throw new Error(`${what} did not come; CSTS is ${this.status}`);
    }
  }
}
