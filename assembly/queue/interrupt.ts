// Interrupts: message-signalled ones leave as a list of vectors, each at most once between two takes; the level of the
// INTx pin is computed when it is asked for.

import { INTERRUPT_BASE, INTERRUPT_BYTES, INTERRUPT_COUNT, QUEUE_COUNT } from '../abi/memory-map.ts';
import { ACCESS_CODES } from '../guest/access.ts';
import { CompletionQueue, QUEUE_LIVE, Scheduler, SHADOW_REFUSED_NONE } from '../wire/queue.ts';
import { DOORBELL_VALUE, headArm, kickAccess, shadowAccess, shadowHead } from './doorbell.ts';

if (QUEUE_COUNT > INTERRUPT_COUNT) ERROR('the interrupt ring has no room for every vector');

/** Hands the vectors to signal to the caller: their number. */
export function interruptsTake(): u32 {
  const s = Scheduler.get();
  if (s.interrupts == 0) return 0;
  s.interrupts = 0;
  let count: u32 = 0;
  for (let vector: u32 = 0; vector < <u32>QUEUE_COUNT; vector++) {
    if (load<u8>(s.vectors + vector) == 0) continue;
    store<u8>(s.vectors + vector, 0);
    store<u32>(<usize>INTERRUPT_BASE + <usize>count * INTERRUPT_BYTES, vector);
    count++;
  }
  return count;
}

/**
 * Whether the INTx pin is asserted: a completion queue with interrupts holds entries that the guest has not consumed,
 * and `mask` (INTMS) does not hide its vector. Heads that are in memory are read; where a window is missing, what is
 * known is the answer. Who asks serves a guest that uses the pin, and needs to know when it falls: with shadow
 * doorbells the guest is made to ring at the next change of each such queue's head.
 */
export function interruptPending(mask: u32): bool {
  const s = Scheduler.get();
  const page: usize = s.kicked != 0 ? kickAccess() : 0;
  const shadow: usize = s.shadow != 0 ? shadowAccess() : 0;
  let pending = false;
  for (let qid: u32 = 0; qid < <u32>QUEUE_COUNT; qid++) {
    const cq = CompletionQueue.at(qid);
    if (cq.state != QUEUE_LIVE || cq.interrupts == 0 || cq.head == <u32>cq.tail) continue;
    // INTMS has 32 bits: vectors beyond cannot be masked.
    if (cq.vector < 32 && mask & (1 << cq.vector)) continue;
    const doorbells = qid != 0 ? shadow : page;
    if (doorbells >= ACCESS_CODES) headSettle(cq, doorbells);
    if (cq.head != <u32>cq.tail) pending = true;
  }
  return pending;
}

/**
 * Arms EventIdx with the head as it is now, then looks again. Ends: the head moves towards the tail only. A value that
 * cannot be is left to the next look of a poll, which tells of it.
 */
function headSettle(cq: CompletionQueue, doorbells: usize): void {
  const polled = Scheduler.get().polled != 0;
  while (true) {
    if (!polled) headArm(cq);
    const head = cq.head;
    if (shadowHead(cq, doorbells) == DOORBELL_VALUE) cq.shadowRefused = SHADOW_REFUSED_NONE;
    if (cq.head == head) return;
  }
}
