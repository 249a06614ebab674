// Admin commands as the 2019 device forwards them: what it leaves out is filled in, what it takes for granted is done.
//
// * At start it fills opcode, NSID and CDW10 of an Identify and leaves rubbish in the rest of the entry.
// * It asks for each namespace up to NN: so NN is the last active one here.
// * It creates a queue anew without deleting it (firmware, then the operating system).
// * It asks for a number of queues when there are queues already; the answer does not depend on the question.
// * It gives eventfds to completion queues, not to vectors: each gets a vector of its own.

import { FID_NUMBER_OF_QUEUES } from '../../../assembly/spec/nvme-features.ts';
import * as identify from '../../../assembly/spec/nvme-identify.ts';
import * as nvme from '../../../assembly/spec/nvme.ts';
import type { CommandCompletion, DirectDevice } from '../device.ts';
import { viewOf } from './messages/header.ts';
import { encodeAdminReply, encodeEntry, withCdw11, type AdminCommand } from './messages/nvme.ts';

/** Commands that are about queues, which there are only between a start and a stop. */
const QUEUE_COMMANDS = new Set<number>([
  nvme.ADMIN_DELETE_IO_SQ,
  nvme.ADMIN_CREATE_IO_SQ,
  nvme.ADMIN_DELETE_IO_CQ,
  nvme.ADMIN_CREATE_IO_CQ,
  nvme.ADMIN_DOORBELL_BUFFER_CONFIG,
]);

const QID_MASK = (1 << nvme.CREATE_QUEUE_QID_WIDTH) - 1;

export class AdminCommands {
  readonly #device: DirectDevice;
  /** Queues that exist; submission queues with the completion queue that they name. */
  readonly #completionQueues = new Set<number>();
  readonly #submissionQueues = new Map<number, number>();

  constructor(device: DirectDevice) {
    this.#device = device;
  }

  /** A stop: there are no queues any more. */
  queuesForget(): void {
    this.#completionQueues.clear();
    this.#submissionQueues.clear();
  }

  /** Executes; `done` gets the reply. */
  run(command: AdminCommand, started: boolean, done: (reply: Uint8Array) => void): void {
    const answer = ({ status, result }: CommandCompletion): void =>
      done(encodeAdminReply(command.cid, status, result));
    if (command.opcode === nvme.ADMIN_IDENTIFY) {
      this.#identify(command, ({ status, result, data }) =>
        done(encodeAdminReply(command.cid, status, result, data)),
      );
    } else if (QUEUE_COMMANDS.has(command.opcode)) {
      if (started) this.#queueCommand(command, answer);
      else answer(refusal(nvme.STATUS_COMMAND_SEQUENCE_ERROR));
    } else if (command.opcode === nvme.ADMIN_SET_FEATURES && command.cdw10 === FID_NUMBER_OF_QUEUES) {
      const get = encodeEntry(nvme.ADMIN_GET_FEATURES, command.cid, 0, FID_NUMBER_OF_QUEUES);
      this.#device.command(get, answer);
    } else {
      this.#device.command(command.entry, answer);
    }
  }

  /** CNS 0 and 1, which are what the device keeps. */
  #identify({ cid, nsid, cdw10 }: AdminCommand, answer: (completion: CommandCompletion) => void): void {
    if (cdw10 === identify.CNS_NAMESPACE) {
      this.#device.command(encodeEntry(nvme.ADMIN_IDENTIFY, cid, nsid, cdw10), answer);
    } else if (cdw10 === identify.CNS_CONTROLLER) {
      this.#lastNamespace((last) => {
        this.#device.command(encodeEntry(nvme.ADMIN_IDENTIFY, cid, 0, cdw10), (completion) => {
          if (completion.data.length > 0) viewOf(completion.data).setUint32(identify.IDCTRL_NN, last, true);
          answer(completion);
        });
      });
    } else {
      answer(refusal(nvme.STATUS_INVALID_FIELD));
    }
  }

  #lastNamespace(then: (nsid: number) => void): void {
    const list = encodeEntry(nvme.ADMIN_IDENTIFY, 0, 0, identify.CNS_ACTIVE_NAMESPACES);
    this.#device.command(list, ({ data }) => {
      let last = 0;
      const view = viewOf(data);
      for (let at = 0; at + 4 <= data.length; at += 4) last = Math.max(last, view.getUint32(at, true));
      then(last);
    });
  }

  #queueCommand(command: AdminCommand, answer: (completion: CommandCompletion) => void): void {
    const qid = command.cdw10 & QID_MASK;
    const isCreation =
      command.opcode === nvme.ADMIN_CREATE_IO_CQ || command.opcode === nvme.ADMIN_CREATE_IO_SQ;
    const before = isCreation ? this.#deletions(command.opcode, qid) : [];
    let { entry } = command;
    if (command.opcode === nvme.ADMIN_CREATE_IO_CQ) {
      const low = command.cdw11 & ((1 << nvme.CREATE_CQ_IV_SHIFT) - 1);
      entry = withCdw11(entry, (low | (qid << nvme.CREATE_CQ_IV_SHIFT)) >>> 0);
    }
    this.#all(before, () => {
      this.#device.command(entry, (completion) => {
        if (completion.status === nvme.STATUS_SUCCESS) this.#note(command, qid);
        answer(completion);
      });
    });
  }

  /** What has to go before a queue of this id can be created: the one of this id, and who completes to it. */
  #deletions(opcode: number, qid: number): Uint8Array[] {
    const sqids =
      opcode === nvme.ADMIN_CREATE_IO_SQ
        ? [...this.#submissionQueues.keys()].filter((sqid) => sqid === qid)
        : [...this.#submissionQueues].filter(([, cqid]) => cqid === qid).map(([sqid]) => sqid);
    const entries = sqids.map((sqid) => {
      this.#submissionQueues.delete(sqid);
      return encodeEntry(nvme.ADMIN_DELETE_IO_SQ, 0, 0, sqid);
    });
    if (opcode === nvme.ADMIN_CREATE_IO_CQ && this.#completionQueues.delete(qid)) {
      entries.push(encodeEntry(nvme.ADMIN_DELETE_IO_CQ, 0, 0, qid));
    }
    return entries;
  }

  #note({ opcode, cdw11 }: AdminCommand, qid: number): void {
    if (opcode === nvme.ADMIN_CREATE_IO_CQ) this.#completionQueues.add(qid);
    else if (opcode === nvme.ADMIN_DELETE_IO_CQ) this.#completionQueues.delete(qid);
    else if (opcode === nvme.ADMIN_DELETE_IO_SQ) this.#submissionQueues.delete(qid);
    else if (opcode === nvme.ADMIN_CREATE_IO_SQ) {
      this.#submissionQueues.set(qid, cdw11 >>> nvme.CREATE_SQ_CQID_SHIFT);
    }
  }

  /** Runs one command after the other, whatever becomes of them. */
  #all(entries: readonly Uint8Array[], then: () => void): void {
    const [first, ...rest] = entries;
    if (first === undefined) then();
    else this.#device.command(first, () => this.#all(rest, then));
  }
}

function refusal(status: number): CommandCompletion {
  return { status: status | nvme.STATUS_DNR, result: 0, data: new Uint8Array(0) };
}
