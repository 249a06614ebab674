// Ring arithmetic, exhaustively at small sizes against counting one entry at a time.

import { ringNext, ringPrevious, ringUsed } from '../../assembly/queue/ring.ts';

describe('ring', () => {
  it('goes around once in size steps, and back', () => {
    for (let size: u32 = 2; size <= 17; size++) {
      let position: u32 = 0;
      for (let step: u32 = 1; step <= size; step++) {
        const next = ringNext(position, size);
        expect(next).toBe(step % size);
        expect(ringPrevious(next, size)).toBe(position);
        position = next;
      }
      expect(position).toBe(0);
    }
  });

  it('counts the entries between every head and tail', () => {
    for (let size: u32 = 2; size <= 17; size++) {
      for (let head: u32 = 0; head < size; head++) {
        let tail = head;
        for (let used: u32 = 0; used < size; used++) {
          expect(ringUsed(head, tail, size)).toBe(used);
          tail = ringNext(tail, size);
        }
      }
    }
  });
});
