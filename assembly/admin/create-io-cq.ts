// Create I/O Completion Queue (Base 5.4).

import { QUEUE_COUNT } from '../abi/memory-map.ts';
import { NEED_WRITE } from '../guest/access.ts';
import { headBegin } from '../queue/doorbell.ts';
import { completionQueueCreate } from '../queue/lifecycle.ts';
import {
  CQE_SHIFT,
  CREATE_CQ_IEN,
  CREATE_CQ_IV_SHIFT,
  CREATE_CQ_RESERVED_MASK,
  STATUS_INVALID_FIELD,
  STATUS_INVALID_INTERRUPT_VECTOR,
} from '../spec/nvme.ts';
import { CompletionQueue, QUEUE_ABSENT, Scheduler } from '../wire/queue.ts';
import { AGAIN, Slot } from '../wire/slot.ts';
import { DONE, refuse } from '../wire/status.ts';
import { queueAttributesCheck, queueEntries, queueId, queueMemoryCheck } from './queue-attributes.ts';

/** `sizesSet`: CC.IOSQES and CC.IOCQES are valid. */
export function createIoCq(slot: Slot, sizesSet: bool): u32 {
  const sqe = slot.sqe;
  const qid = queueId(sqe);
  const exists = qid < <u32>QUEUE_COUNT && CompletionQueue.at(qid).state != QUEUE_ABSENT;
  const attributes = queueAttributesCheck(sqe, exists, sizesSet);
  if (attributes != DONE) return attributes;
  if (sqe.cdw11 & CREATE_CQ_RESERVED_MASK) return refuse(STATUS_INVALID_FIELD);
  if (sqe.cdw12 | sqe.cdw13 | sqe.cdw14 | sqe.cdw15) return refuse(STATUS_INVALID_FIELD);
  // One vector for the admin queue and one for each I/O queue pair.
  const vector = sqe.cdw11 >>> CREATE_CQ_IV_SHIFT;
  if (vector > Scheduler.get().queuePairs) return refuse(STATUS_INVALID_INTERRUPT_VECTOR);
  const entries = queueEntries(sqe);
  const memory = queueMemoryCheck(sqe.prp1, entries << CQE_SHIFT, NEED_WRITE);
  if (memory != DONE) return memory;
  if (!headBegin(slot, qid)) return AGAIN;
  completionQueueCreate(qid, sqe.prp1, entries, vector, (sqe.cdw11 & CREATE_CQ_IEN) != 0);
  return DONE;
}
