// What an operator sees of a controller: its state and its queues, read from the core's image without disturbing it.

import {
  COMPLETION_QUEUE_BASE,
  QUEUE_BYTES,
  QUEUE_COUNT,
  SUBMISSION_QUEUE_BASE,
} from '../../assembly/abi/memory-map.ts';
import * as abi from '../../assembly/abi/queues.ts';
import { CSTS_CFS, CSTS_RDY, CSTS_SHST_SHIFT, CSTS_SHST_WIDTH, REG_CSTS } from '../../assembly/spec/nvme.ts';
import type { Core } from '../core/core.ts';

/** A submission queue with its completion queue. */
export interface QueueLook {
  /** 0 is the admin queue. */
  qid: number;
  cqid: number;
  /** Of the completion queue's interrupts. */
  vector: number;
  entries: number;
  head: number;
  tail: number;
  /** Commands that the guest has put there and that were not fetched. */
  waiting: number;
  /** Commands fetched and not completed. */
  outstanding: number;
  /** Commands fetched since it was created; wraps at 2^32. */
  commands: number;
}

export interface ControllerLook {
  state: 'off' | 'ready' | 'shut down' | 'failed';
  queues: QueueLook[];
}

export function lookAt(core: Core): ControllerLook {
  return { state: stateOf(core), queues: queuesOf(core.view) };
}

function stateOf(core: Core): ControllerLook['state'] {
  const csts = core.registerRead(REG_CSTS);
  if (core.failure !== undefined || (csts & CSTS_CFS) !== 0) return 'failed';
  if (((csts >>> CSTS_SHST_SHIFT) & ((1 << CSTS_SHST_WIDTH) - 1)) !== 0) return 'shut down';
  return (csts & CSTS_RDY) === 0 ? 'off' : 'ready';
}

function queuesOf(view: DataView): QueueLook[] {
  const queues: QueueLook[] = [];
  for (let qid = 0; qid < QUEUE_COUNT; qid++) {
    const base = SUBMISSION_QUEUE_BASE + qid * QUEUE_BYTES;
    if (view.getUint8(base + abi.SUBMISSION_QUEUE_STATE) === 0) continue;
    const entries = view.getUint32(base + abi.SUBMISSION_QUEUE_ENTRIES, true);
    const head = view.getUint32(base + abi.SUBMISSION_QUEUE_HEAD, true);
    const tail = view.getUint32(base + abi.SUBMISSION_QUEUE_TAIL, true);
    const cqid = view.getUint16(base + abi.SUBMISSION_QUEUE_CQID, true);
    const completion = COMPLETION_QUEUE_BASE + cqid * QUEUE_BYTES;
    queues.push({
      qid,
      cqid,
      vector: view.getUint16(completion + abi.COMPLETION_QUEUE_VECTOR, true),
      entries,
      head,
      tail,
      waiting: entries === 0 ? 0 : (tail + entries - head) % entries,
      outstanding: view.getUint32(base + abi.SUBMISSION_QUEUE_OUTSTANDING, true),
      commands: view.getUint32(base + abi.SUBMISSION_QUEUE_SEQUENCE, true),
    });
  }
  return queues;
}
