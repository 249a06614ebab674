// Delete I/O Completion Queue (Base 5.6): after the submission queues that complete to it. Entries that the guest has
// not consumed are its own affair.

import { completionQueueDelete } from '../queue/lifecycle.ts';
import {
  DELETE_QUEUE_CDW10_RESERVED_MASK,
  STATUS_INVALID_FIELD,
  STATUS_INVALID_QUEUE_DELETION,
  STATUS_INVALID_QUEUE_ID,
} from '../spec/nvme.ts';
import { CompletionQueue, QUEUE_LIVE } from '../wire/queue.ts';
import { Slot } from '../wire/slot.ts';
import { DONE, refuse } from '../wire/status.ts';
import { queueId, queueIdInRange } from './queue-attributes.ts';

export function deleteIoCq(slot: Slot): u32 {
  const sqe = slot.sqe;
  const qid = queueId(sqe);
  if (!queueIdInRange(qid)) return refuse(STATUS_INVALID_QUEUE_ID);
  const cq = CompletionQueue.at(qid);
  if (cq.state != QUEUE_LIVE) return refuse(STATUS_INVALID_QUEUE_ID);
  if (sqe.cdw10 & DELETE_QUEUE_CDW10_RESERVED_MASK) return refuse(STATUS_INVALID_FIELD);
  if (sqe.cdw11 | sqe.cdw12 | sqe.cdw13 | sqe.cdw14 | sqe.cdw15) return refuse(STATUS_INVALID_FIELD);
  if (cq.submissionQueues != 0) return refuse(STATUS_INVALID_QUEUE_DELETION);
  completionQueueDelete(cq);
  return DONE;
}
