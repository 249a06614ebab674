/** GET_MAX_MEM_SLOTS, ADD_MEM_REG, REM_MEM_REG: memory region by region. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EEXIST, EINVAL, ENOENT, u64 } from '../../fixture.ts';
import { message, NEED_REPLY, reply } from '../harness.ts';
import { ENOSPC, ExtendedFixture, MEMORY_SLOTS, MIB, slot } from './harness.ts';

const ONE = MIB.toString();

test('so many regions can be added, and no more', () => {
  const fixture = ExtendedFixture.agreed();
  fixture.accepts(36, Buffer.alloc(0), [], [], u64(BigInt(MEMORY_SLOTS)));
  const at = (index: number): bigint => BigInt(index) * MIB;
  for (let index = 0; index < MEMORY_SLOTS; index++) {
    const fd = 30 + index;
    fixture.accepts(37, slot(at(index), MIB, 0x1000n), [fd], [`map ${at(index)} ${ONE} 4096 ${fd} rw`]);
  }
  fixture.refuses(37, slot(at(MEMORY_SLOTS), MIB), ENOSPC, [60]);
  fixture.accepts(38, slot(0n, MIB), [], [`unmap 0 ${ONE}`]);
  fixture.accepts(37, slot(0n, MIB), [61], [`map 0 ${ONE} 0 61 rw`]);
  fixture.close();
});

test('a removal is answered when no request touches the region any more', () => {
  const fixture = ExtendedFixture.withMemory();
  fixture.device.late.add('unmap');
  fixture.handle(message(38, slot(0n, MIB), 1 | NEED_REPLY), [30]);
  assert.deepEqual(fixture.calls(), [`unmap 0 ${ONE}`]);
  assert.deepEqual(fixture.replies(), []);
  assert.ok(!fixture.session.ready);
  assert.deepEqual(fixture.closedFds, [10, 30], 'its descriptor may come along');
  fixture.device.complete();
  assert.deepEqual(fixture.replies(), [reply(38, u64(0n))]);
  fixture.close();
});

test('a region that the controller has let go of meanwhile is gone', () => {
  const fixture = ExtendedFixture.withMemory();
  fixture.device.regions.clear();
  fixture.accepts(38, slot(0n, MIB), [], [`unmap 0 ${ONE}`]);
  fixture.refuses(38, slot(0n, MIB), ENOENT, [], [`unmap 0 ${ONE}`]);
  fixture.close();
});

test('what the controller refuses', () => {
  const fixture = ExtendedFixture.withMemory();
  fixture.refuses(37, slot(0n, MIB), EEXIST, [30], [`map 0 ${ONE} 0 30 rw`]);
  fixture.refuses(38, slot(0n, 2n * MIB), ENOENT, [], [`unmap 0 ${2n * MIB}`]);
  fixture.refuses(38, slot(MIB, MIB), ENOENT, [], [`unmap ${ONE} ${ONE}`]);
  fixture.accepts(38, slot(0n, MIB), [], [`unmap 0 ${ONE}`]);
  fixture.close();
});

test('regions that cannot be, and the doorbells are none of them', () => {
  const fixture = ExtendedFixture.agreed();
  let fd = 30;
  for (const region of [
    slot(0n, 0n),
    slot(0n, 0x1800n),
    slot(0x800n, 0x1000n),
    slot(0n, 0x1000n, 0x10n),
    slot(0xffff_ffff_ffff_f000n, 0x2000n),
    slot(1n << 52n, 0x1000n),
  ]) {
    fixture.refuses(37, region, EINVAL, [fd++]);
    fixture.refuses(38, region, EINVAL);
  }
  fixture.refusesOtherShapes(37, slot(0n, MIB), [1]);
  fixture.refusesOtherShapes(38, slot(0n, MIB), [0, 1]);
  fixture.close();
});
