// Create I/O Submission Queue (Base 5.5). Queue Priority is ignored, since arbitration is round robin (CC.AMS = 0);
// so is the NVM Set Identifier, since there are no NVM Sets.

import { QUEUE_COUNT } from '../abi/memory-map.ts';
import { EVENT_QUEUE_CREATED } from '../abi/records.ts';
import { NEED_READ } from '../guest/access.ts';
import { tailBegin } from '../queue/doorbell.ts';
import { eventRecord } from '../queue/event-records.ts';
import { submissionQueueCreate } from '../queue/lifecycle.ts';
import {
  CREATE_SQ_CQID_SHIFT,
  CREATE_SQ_CDW12_RESERVED_MASK,
  CREATE_SQ_RESERVED_MASK,
  SQE_SHIFT,
  STATUS_CQ_INVALID,
  STATUS_INVALID_FIELD,
  STATUS_INVALID_QUEUE_ID,
} from '../spec/nvme.ts';
import { CompletionQueue, QUEUE_ABSENT, SubmissionQueue } from '../wire/queue.ts';
import { AGAIN, Slot } from '../wire/slot.ts';
import { DONE, refuse } from '../wire/status.ts';
import {
  queueAttributesCheck,
  queueEntries,
  queueId,
  queueIdInRange,
  queueMemoryCheck,
} from './queue-attributes.ts';

/** `sizesSet`: CC.IOSQES and CC.IOCQES are valid. */
export function createIoSq(slot: Slot, sizesSet: bool): u32 {
  const sqe = slot.sqe;
  const qid = queueId(sqe);
  const exists = qid < <u32>QUEUE_COUNT && SubmissionQueue.at(qid).state != QUEUE_ABSENT;
  const attributes = queueAttributesCheck(sqe, exists, sizesSet);
  if (attributes != DONE) return attributes;
  if (sqe.cdw11 & CREATE_SQ_RESERVED_MASK || sqe.cdw12 & CREATE_SQ_CDW12_RESERVED_MASK) {
    return refuse(STATUS_INVALID_FIELD);
  }
  if (sqe.cdw13 | sqe.cdw14 | sqe.cdw15) return refuse(STATUS_INVALID_FIELD);
  const cqid = sqe.cdw11 >>> CREATE_SQ_CQID_SHIFT;
  if (!queueIdInRange(cqid)) return refuse(STATUS_INVALID_QUEUE_ID);
  if (CompletionQueue.at(cqid).state == QUEUE_ABSENT) return refuse(STATUS_CQ_INVALID);
  const entries = queueEntries(sqe);
  const memory = queueMemoryCheck(sqe.prp1, entries << SQE_SHIFT, NEED_READ);
  if (memory != DONE) return memory;
  if (!tailBegin(slot, qid)) return AGAIN;
  submissionQueueCreate(qid, sqe.prp1, entries, cqid);
  eventRecord(EVENT_QUEUE_CREATED, qid, sqe.cid, 0, 0, entries, cqid);
  return DONE;
}
