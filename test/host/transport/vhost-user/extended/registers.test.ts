/** GET_REGISTER, SET_REGISTER, SET_FUNCTION: accesses that are none, and effects that take time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EINVAL, u16, u32, u64 } from '../../fixture.ts';
import { message, reply } from '../harness.ts';
import { ExtendedFixture } from './harness.ts';

const set = (offset: number, size: number, value: bigint): Buffer =>
  Buffer.concat([u32(offset, size), u64(value)]);

/** Offset and size of accesses that are none to a register. */
const NONE = [
  [0, 0],
  [0, 1],
  [0, 2],
  [0, 16],
  [2, 4],
  [4, 8],
  [0xffc, 8],
  [0x1000, 4],
  [0x1000, 8],
  [0xfffffffc, 4],
] as const;

test('a register of 4 or 8 bytes is read, zero-extended', () => {
  const fixture = ExtendedFixture.agreed();
  fixture.accepts(
    0x402,
    u32(8, 4),
    [],
    ['read bar0 8 4'],
    Buffer.concat([u64(0n), Buffer.of(8, 9, 10, 11), u32(0)]),
  );
  fixture.accepts(0x402, u32(0x28, 8), [], ['read bar0 40 8'], u64(0n, 0x2f2e2d2c2b2a2928n));
  fixture.accepts(
    0x402,
    u32(0xffc, 4),
    [],
    ['read bar0 4092 4'],
    Buffer.concat([u64(0n), Buffer.of(0xfc, 0xfd, 0xfe, 0xff), u32(0)]),
  );
  fixture.close();
});

test('a register is written, and answered when the effect is complete', () => {
  const fixture = ExtendedFixture.agreed();
  fixture.accepts(0x403, set(0x14, 4, 0x460001n), [], ['write bar0 20 01004600']);
  fixture.accepts(0x403, set(0x28, 8, 0x1122_3344_5566_7000n), [], ['write bar0 40 0070665544332211']);
  fixture.device.late.add('write');
  fixture.handle(message(0x403, set(0x14, 4, 0n)));
  assert.ok(!fixture.session.ready);
  assert.deepEqual(fixture.replies(), []);
  fixture.device.complete();
  assert.deepEqual(fixture.replies(), [reply(0x403, u64(0n))], 'answered without NEED_REPLY');
  assert.equal(fixture.resumed, 1);
  fixture.close();
});

test('accesses that are none to a register', () => {
  const fixture = ExtendedFixture.agreed();
  for (const [offset, size] of NONE) {
    fixture.refuses(0x402, u32(offset, size), EINVAL);
    fixture.refuses(0x403, set(offset, size, 0n), EINVAL);
  }
  fixture.refuses(0x403, set(0x14, 4, 1n << 32n), EINVAL);
  fixture.refusesOtherShapes(0x402, u32(0, 8), [0]);
  fixture.refusesOtherShapes(0x403, set(0x14, 4, 0n), [0]);
});

test('Command and MSI-X control reach configuration space, wherever the capability is', () => {
  const fixture = ExtendedFixture.agreed();
  const { config } = fixture.device;
  config.fill(0);
  config[0x34] = 0x40;
  config.set([0x01, 0x50], 0x40);
  config.set([0x11, 0], 0x50);
  fixture.accepts(
    0x404,
    Buffer.concat([u16(0x0406), u16(0x8000), u32(0)]),
    [],
    ['read config 0 256', 'write config 4 0604', 'write config 82 0080'],
  );
  fixture.refuses(0x404, Buffer.concat([u16(6), u16(0), u32(1)]), EINVAL);
  fixture.refusesOtherShapes(0x404, Buffer.alloc(8), [0]);
  fixture.close();
});

test('a list of capabilities that has no end', () => {
  const fixture = ExtendedFixture.agreed();
  fixture.accepts(0x404, Buffer.alloc(8), [], ['read config 0 256', 'write config 4 0000']);
  fixture.close();
});
