// Delete I/O Submission Queue (Base 5.7): nothing is fetched from it any more; the command completes after the
// commands that were. Entries that were not fetched are dropped, as the specification allows.

import { EVENT_QUEUE_DELETED } from '../abi/records.ts';
import { eventRecord } from '../queue/event-records.ts';
import { submissionQueueDelete } from '../queue/lifecycle.ts';
import {
  DELETE_QUEUE_CDW10_RESERVED_MASK,
  STATUS_INVALID_FIELD,
  STATUS_INVALID_QUEUE_ID,
} from '../spec/nvme.ts';
import { QUEUE_LIVE, SubmissionQueue } from '../wire/queue.ts';
import { PENDING, Slot } from '../wire/slot.ts';
import { DONE, refuse } from '../wire/status.ts';
import { queueId, queueIdInRange } from './queue-attributes.ts';

export function deleteIoSq(slot: Slot): u32 {
  const sqe = slot.sqe;
  const qid = queueId(sqe);
  if (!queueIdInRange(qid)) return refuse(STATUS_INVALID_QUEUE_ID);
  const sq = SubmissionQueue.at(qid);
  if (sq.state != QUEUE_LIVE) return refuse(STATUS_INVALID_QUEUE_ID);
  if (sqe.cdw10 & DELETE_QUEUE_CDW10_RESERVED_MASK) return refuse(STATUS_INVALID_FIELD);
  if (sqe.cdw11 | sqe.cdw12 | sqe.cdw13 | sqe.cdw14 | sqe.cdw15) return refuse(STATUS_INVALID_FIELD);
  eventRecord(EVENT_QUEUE_DELETED, qid, sqe.cid, 0, 0, 0, 0);
  return submissionQueueDelete(sq, slot) ? DONE : PENDING;
}
