/**
 * Damaged messages: whatever bytes come, the session never throws, answers each message that wants an answer exactly
 * once, and accounts for every descriptor. The seed of a failure is in its message.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../../../support/random.ts';
import { damage, u32, u64 } from '../../fixture.ts';
import { entry, message, NEED_REPLY, table } from '../harness.ts';
import { ALL_FEATURES, ExtendedFixture, MIB, slot } from './harness.ts';

const SEEDS = 300;
const MESSAGES = 60;
const NONE = Buffer.alloc(0);

/** Payloads of every request as they should be, and their descriptors. */
const GOOD: readonly (readonly [request: number, payload: Buffer, fds: number])[] = [
  [2, u64(1n << 30n), 0],
  [3, NONE, 0],
  [5, table([0n, MIB], [MIB, MIB]), 2],
  [16, u64(ALL_FEATURES), 0],
  [21, NONE, 1],
  [37, slot(0n, MIB), 1],
  [38, slot(0n, MIB), 0],
  [0x400, NONE, 0],
  [0x401, Buffer.concat([u32(4, 0), Buffer.alloc(20, 0x41), u32(0)]), 0],
  [0x402, u32(0x1c, 4), 0],
  [0x403, Buffer.concat([u32(0x14, 4), u64(1n)]), 0],
  [0x404, u32(0x80000006, 0), 0],
  [0x405, Buffer.concat([entry(6, 1, 0, 1), u32(4096, 0)]), 0],
  [0x406, Buffer.concat([entry(1, 1, 1, 0), u32(512, 0), Buffer.alloc(512)]), 0],
  [0x407, u32(8, 1), 0],
  [0x408, u64(4096n, 0n), 1],
  [0x408, u64(0n, 0n), 0],
  [0x409, u32(1, 0), 1],
  [0x40a, u32(1, 1), 1],
  [0x40a, u32(0xffffffff, 3), 0],
  [0x40b, NONE, 0],
  [0x40c, u64(1n), 0],
  [0x40c, u64(0n), 0],
  [0x40d, NONE, 0],
  [0x40e, u64(0x3000n), 1],
];

test('whatever comes, one answer each and no descriptor lost', () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const random = new Random(seed);
    const fixture = ExtendedFixture.agreed();
    let fd = 10;
    for (let count = 0; count < MESSAGES; count++) {
      const [request, payload, due] = random.pick(GOOD);
      if (request === 16) continue;
      const fds = Array.from({ length: random.oneIn(4) ? random.below(9) : due }, () => fd++);
      for (const one of fds) if (random.oneIn(8)) fixture.noEventfds.add(one);
      const wanted = random.oneIn(2) ? NEED_REPLY : 0;
      const error = fixture.handle(message(request, damage(random, payload), 1 | wanted), fds);
      assert.equal(error, undefined, `seed ${seed}: a fault in a payload is no reason to part`);
      const replies = fixture.replies().filter((sent) => !sent.startsWith('status'));
      const answers = request >= 0x400 || wanted !== 0 ? 1 : 0;
      assert.equal(replies.length, answers, `seed ${seed}, message ${count}`);
      if (answers === 1) assert.equal(Buffer.from(replies[0] ?? '', 'hex').readUInt32LE(0), request);
      assert.ok(fixture.session.ready);
    }
    fixture.close();
  }
});

test('damaged headers and first messages part in order or go on', () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const random = new Random(seed);
    const fixture = random.oneIn(2) ? new ExtendedFixture() : ExtendedFixture.agreed();
    for (let count = 0; count < MESSAGES; count++) {
      const [request, payload] = random.pick(GOOD);
      const bytes = damage(random, message(request, damage(random, payload)));
      const error = fixture.handle(bytes, [1000 + 2 * count, 1001 + 2 * count]);
      if (error !== undefined) {
        assert.equal(error.fatal, true, `seed ${seed}`);
        break;
      }
    }
    fixture.close();
  }
});
