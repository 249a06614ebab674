/**
 * Damaged messages: whatever bytes come, the session never throws, answers each message that wants an answer
 * exactly once, and accounts for every descriptor. The seed of a failure is in its message.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../../support/random.ts';
import { damage } from '../fixture.ts';
import { Fixture, message, NO_REPLY, QEMU_CAPABILITIES, u32, u64, versionPayload } from './harness.ts';

const SEEDS = 300;
const MESSAGES = 60;

/** Payloads of every command as they should be. */
const GOOD: readonly (readonly [number, Buffer])[] = [
  [1, versionPayload(QEMU_CAPABILITIES)],
  [2, Buffer.concat([u32(32, 3), u64(0n, 0n, 0x1000n)])],
  [3, Buffer.concat([u32(24, 0), u64(0n, 0x1000n)])],
  [3, Buffer.concat([u32(24, 2), u64(0n, 0n)])],
  [4, u32(16, 0, 0, 0)],
  [5, Buffer.concat([u32(32, 0, 7, 0), u64(0n, 0n)])],
  [7, u32(16, 0, 2, 0)],
  [8, u32(20, 0x24, 2, 3, 2)],
  [8, u32(20, 0x21, 2, 0, 0)],
  [8, Buffer.concat([u32(23, 0x22, 2, 0, 3), Buffer.of(1, 0, 1)])],
  [9, Buffer.concat([u64(0x1cn), u32(0, 4)])],
  [10, Buffer.concat([u64(0x1000n), u32(0, 4, 9)])],
  [13, Buffer.alloc(0)],
  [15, Buffer.concat([u64(1n), u64(0x1000n), u32(0, 4), u64(1n)])],
];

test('whatever comes, one answer each and no descriptor lost', () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const random = new Random(seed);
    const fixture = Fixture.established();
    let fd = 10;
    for (let count = 0; count < MESSAGES; count++) {
      const [command, payload] = random.pick(GOOD);
      const posted = random.oneIn(4);
      const fds = Array.from({ length: random.oneIn(2) ? random.below(5) : 0 }, () => fd++);
      const bytes = message(count, command, damage(random, payload), posted ? NO_REPLY : 0);
      assert.equal(
        fixture.handle(bytes, fds),
        undefined,
        `seed ${seed}: a fault in a payload is no reason to part`,
      );
      const replies = fixture.replies();
      assert.equal(replies.length, posted ? 0 : 1, `seed ${seed}, message ${count}`);
      if (!posted) assert.equal(Buffer.from(replies[0] ?? '', 'hex').readUInt16LE(0), count);
    }
    fixture.session.close(() => undefined);
    fixture.nothingLeaks();
  }
});

test('damaged headers and first messages part in order or go on', () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const random = new Random(seed);
    const fixture = random.oneIn(2) ? new Fixture() : Fixture.established();
    for (let count = 0; count < MESSAGES; count++) {
      const [command, payload] = random.pick(GOOD);
      const bytes = damage(random, message(count, command, damage(random, payload)));
      const error = fixture.handle(bytes, [1000 + 2 * count, 1001 + 2 * count]);
      if (error !== undefined) {
        assert.equal(error.fatal, true, `seed ${seed}`);
        break;
      }
    }
    fixture.session.close(() => undefined);
    fixture.nothingLeaks();
  }
});
