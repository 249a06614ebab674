// A front end of the extended dialect of vhost-user-nvme with its guest, for tests: memory, a page of doorbells and
// eventfds that outlive targets, queues that are written and read by hand, and the state that one target leaves to the
// next. Every call waits for its reply; the target is another process.

import assert from 'node:assert/strict';
import { readSync, writeSync } from 'node:fs';
import * as nvme from '../../assembly/spec/nvme.ts';
import * as spec from '../../assembly/spec/vhost-user-nvme.ts';
import * as standard from '../../assembly/spec/vhost-user.ts';
import { native, type MessageSocket, type Received } from '../../host/native.ts';
import { VHOST_USER_FRAMING } from '../../host/transport/vhost-user/framing.ts';
import { CC_ENABLE } from './mock-guest.ts';

const GUEST_BYTES = 4 << 20;
const ENTRIES = 16;
const WAIT_US = 10_000_000;
const FEATURES = [
  spec.PROTOCOL_FEATURE_REPLY_ACK_BIT,
  spec.PROTOCOL_FEATURE_BACKEND_REQ_BIT,
  spec.PROTOCOL_FEATURE_CONFIGURE_MEM_SLOTS_BIT,
  spec.PROTOCOL_FEATURE_NVME_BIT,
].reduce((features, bit) => features | (1n << BigInt(bit)), 0n);
/** PCI Command: memory space, bus master; Message Control: MSI-X Enable. */
const FUNCTION = 0x8000_0006;

/** Where the guest has its queues (pair 0 and pair 1) and its data. */
const AT = { submission: 0x10000, completion: 0x20000, data: 0x100000 };

interface Queue {
  tail: number;
  head: number;
  phase: number;
}

const u32 = (...values: number[]): Buffer => {
  const bytes = Buffer.alloc(4 * values.length);
  values.forEach((value, index) => bytes.writeUInt32LE(value, 4 * index));
  return bytes;
};

const u64 = (...values: bigint[]): Buffer => {
  const bytes = Buffer.alloc(8 * values.length);
  values.forEach((value, index) => bytes.writeBigUInt64LE(value, 8 * index));
  return bytes;
};

export class FrontEnd {
  readonly #memory = native.memfdCreate('guest', GUEST_BYTES);
  readonly #page = native.memfdCreate('doorbells', spec.DOORBELL_PAGE_BYTES);
  readonly #kicks = [native.eventfdCreate(), native.eventfdCreate()];
  readonly #notifiers = [native.eventfdCreate(), native.eventfdCreate()];
  readonly #queues: Queue[] = [];
  #socket: MessageSocket | undefined;
  /** What the last target gave. */
  #state: { fd: number; size: bigint } | undefined;
  #lastCid = 0;

  /**
   * Connects and sets up all that a target needs. With a state from before: the reason of its refusal, 0 where the
   * controller goes on.
   */
  attach(path: string): number | undefined {
    this.#socket = native.messageSocket(native.connect(path), VHOST_USER_FRAMING);
    this.request(standard.REQUEST_GET_FEATURES);
    this.#post(standard.REQUEST_SET_PROTOCOL_FEATURES, u64(FEATURES));
    const reason = this.#giveBack();
    const region = u64(0n, 0n, BigInt(GUEST_BYTES), 0n, 0n);
    this.ask(spec.REQUEST_ADD_MEM_REG, region, [this.#memory]);
    this.ask(spec.REQUEST_SET_DOORBELL_PAGE, u64(BigInt(spec.DOORBELL_PAGE_BYTES), 0n), [this.#page]);
    this.#kicks.forEach((fd, qid) => this.ask(spec.REQUEST_SET_KICK, u32(qid, 0), [fd]));
    this.#notifiers.forEach((fd, vector) =>
      this.ask(spec.REQUEST_SET_NOTIFIER, u32(vector, spec.NOTIFIER_SET), [fd]),
    );
    this.ask(spec.REQUEST_SET_FUNCTION, u32(FUNCTION, 0));
    const { bytes, fds } = this.request(spec.REQUEST_GET_STATE);
    const [fd = -1] = fds;
    this.#state = { fd, size: bytes.readBigUInt64LE(standard.HEADER_BYTES + spec.GET_STATE_REPLY_SIZE) };
    if (reason === spec.STATE_RESUMED) this.ask(spec.REQUEST_QUIESCE, u64(BigInt(spec.QUIESCE_GO_ON)));
    return reason;
  }

  /** Waits until the target has closed the socket. */
  detached(): void {
    this.#until('the target’s end', () => this.#socket?.receive() === null);
    this.#socket?.close();
  }

  close(): void {
    this.#socket?.close();
    for (const fd of [this.#memory, this.#page, ...this.#kicks, ...this.#notifiers]) native.fdClose(fd);
    if (this.#state !== undefined) native.fdClose(this.#state.fd);
  }

  /** A request and its reply. */
  request(request: number, payload: Uint8Array = Buffer.alloc(0), fds: readonly number[] = []): Received {
    this.#post(request, payload, fds, standard.FLAG_NEED_REPLY);
    let received: Received | undefined | null;
    this.#until(`a reply to ${request}`, () => (received = this.#socket?.receive()) !== undefined);
    assert.ok(received, 'the target is there');
    assert.equal(received.bytes.readUInt32LE(0), request);
    return received;
  }

  /** A request that has to succeed. */
  ask(request: number, payload: Uint8Array, fds: readonly number[] = []): Buffer {
    const { bytes } = this.request(request, payload, fds);
    assert.equal(bytes.readBigUInt64LE(standard.HEADER_BYTES), 0n, `result of ${request}`);
    return bytes;
  }

  registerRead(offset: number): number {
    const bytes = this.ask(spec.REQUEST_GET_REGISTER, u32(offset, 4));
    return bytes.readUInt32LE(standard.HEADER_BYTES + spec.GET_REGISTER_REPLY_VALUE);
  }

  registerWrite(offset: number, value: number): void {
    this.ask(spec.REQUEST_SET_REGISTER, Buffer.concat([u32(offset, 4), u64(BigInt(value))]));
  }

  /** CC.EN = 1, and queue pair 1 with vector 1. */
  enable(): void {
    writeSync(this.#page, Buffer.alloc(spec.DOORBELL_PAGE_BYTES), 0, spec.DOORBELL_PAGE_BYTES, 0);
    this.registerWrite(nvme.REG_AQA, (ENTRIES - 1) | ((ENTRIES - 1) << nvme.AQA_ACQS_Z_SHIFT));
    this.registerWrite(nvme.REG_ASQ, AT.submission);
    this.registerWrite(nvme.REG_ACQ, AT.completion);
    this.#queues[0] = { tail: 0, head: 0, phase: 1 };
    this.registerWrite(nvme.REG_CC, CC_ENABLE);
    this.#until('CSTS.RDY', () => (this.registerRead(nvme.REG_CSTS) & nvme.CSTS_RDY) !== 0);
    const size = ((ENTRIES - 1) << 16) | 1;
    this.#queues[1] = { tail: 0, head: 0, phase: 1 };
    const vector = (1 << nvme.CREATE_CQ_IV_SHIFT) | nvme.CREATE_CQ_IEN | nvme.CREATE_QUEUE_PC;
    const queue = (1 << nvme.CREATE_SQ_CQID_SHIFT) | nvme.CREATE_QUEUE_PC;
    this.submit(0, nvme.ADMIN_CREATE_IO_CQ, [AT.completion + 0x1000, size, vector]);
    assert.equal(this.completed(0), 0);
    this.submit(0, nvme.ADMIN_CREATE_IO_SQ, [AT.submission + 0x1000, size, queue]);
    assert.equal(this.completed(0), 0);
  }

  /** Puts a command with PRP1, CDW10 and CDW11 into a queue, stores the doorbell and kicks. */
  submit(qid: number, opcode: number, [prp1 = 0, cdw10 = 0, cdw11 = 0]: readonly number[], nsid = 0): void {
    const entry = Buffer.alloc(nvme.SQE_BYTES);
    this.#lastCid += 1;
    entry.writeUInt8(opcode, nvme.SQE_OPCODE);
    entry.writeUInt16LE(this.#lastCid, nvme.SQE_CID);
    entry.writeUInt32LE(nsid, nvme.SQE_NSID);
    entry.writeBigUInt64LE(BigInt(prp1), nvme.SQE_PRP1);
    entry.writeUInt32LE(cdw10, nvme.SQE_CDW10);
    entry.writeUInt32LE(cdw11, nvme.SQE_CDW11);
    const queue = this.#queue(qid);
    const at = AT.submission + qid * 0x1000 + queue.tail * nvme.SQE_BYTES;
    writeSync(this.#memory, entry, 0, entry.length, at);
    queue.tail = (queue.tail + 1) % ENTRIES;
    this.#ring(qid, 0, queue.tail);
  }

  /** One block, to or from the page of data. */
  io(opcode: number, nsid = 1): void {
    this.submit(1, opcode, [AT.data], nsid);
  }

  /** Waits for the interrupt and the next completion of a queue; its status. */
  completed(qid: number): number {
    const queue = this.#queue(qid);
    const entry = Buffer.alloc(nvme.CQE_BYTES);
    this.#until(`a completion in queue ${qid}`, () => {
      const at = AT.completion + qid * 0x1000 + queue.head * nvme.CQE_BYTES;
      readSync(this.#memory, entry, 0, entry.length, at);
      return (entry.readUInt16LE(nvme.CQE_STATUS) & 1) === queue.phase;
    });
    const notifier = this.#notifiers[qid] ?? -1;
    this.#until(`the interrupt of queue ${qid}`, () => native.eventfdRead(notifier) > 0);
    queue.head = (queue.head + 1) % ENTRIES;
    if (queue.head === 0) queue.phase ^= 1;
    this.#ring(qid, 4, queue.head);
    return entry.readUInt16LE(nvme.CQE_STATUS) >> nvme.CQE_STATUS_SHIFT;
  }

  get data(): Buffer {
    const bytes = Buffer.alloc(512);
    readSync(this.#memory, bytes, 0, bytes.length, AT.data);
    return bytes;
  }

  set data(bytes: Buffer) {
    writeSync(this.#memory, bytes, 0, bytes.length, AT.data);
  }

  #queue(qid: number): Queue {
    const queue = this.#queues[qid];
    assert.ok(queue, `queue ${qid} exists`);
    return queue;
  }

  #ring(qid: number, at: number, value: number): void {
    writeSync(this.#page, u32(value), 0, 4, 8 * qid + at);
    native.eventfdSignal(this.#kicks[qid] ?? -1);
  }

  #giveBack(): number | undefined {
    const state = this.#state;
    if (state === undefined) return undefined;
    const { bytes } = this.request(spec.REQUEST_SET_STATE, u64(state.size), [state.fd]);
    native.fdClose(state.fd);
    this.#state = undefined;
    return bytes.readUInt32LE(standard.HEADER_BYTES + spec.SET_STATE_REPLY_REASON);
  }

  #post(request: number, payload: Uint8Array, fds: readonly number[] = [], flags = 0): void {
    const header = u32(request, standard.FLAG_VERSION | flags, payload.length);
    this.#socket?.send(Buffer.concat([header, payload]), fds);
  }

  #until(what: string, condition: () => boolean): void {
    const end = native.now() + WAIT_US;
    while (!condition()) {
      assert.ok(native.now() < end, `${what} within 10 s`);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}
