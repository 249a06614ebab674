/** SET_MEM_TABLE: all memory at once; a guest at work does not meet the moment without it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EINVAL, u32, u64 } from '../../fixture.ts';
import { message, NEED_REPLY, reply, table } from '../harness.ts';
import { ExtendedFixture, MIB } from './harness.ts';

const [ONE, TWO] = [MIB.toString(), (2n * MIB).toString()];

test('the first table is mapped at once, its descriptors are closed', () => {
  const fixture = ExtendedFixture.agreed();
  fixture.accepts(
    5,
    table([0n, MIB], [2n * MIB, MIB, MIB]),
    [30, 31],
    [`map 0 ${ONE} 0 30 rw`, `map ${TWO} ${ONE} ${ONE} 31 rw`],
  );
  assert.deepEqual(fixture.closedFds, [30, 31]);
  fixture.close();
});

test('another one takes its place while nothing is fetched', () => {
  const fixture = ExtendedFixture.withMemory();
  fixture.accepts(
    5,
    table([0n, 2n * MIB]),
    [30],
    ['quiesce', `unmap 0 ${ONE}`, `map 0 ${TWO} 0 30 rw`, 'proceed'],
  );
  fixture.close();
});

test('each step waits for the one before', () => {
  const fixture = ExtendedFixture.withMemory();
  for (const call of ['quiesce', 'unmap']) fixture.device.late.add(call);
  fixture.handle(message(5, table([0n, 2n * MIB]), 1 | NEED_REPLY), [30]);
  assert.deepEqual(fixture.calls(), ['quiesce']);
  assert.ok(!fixture.session.ready);
  fixture.device.complete();
  assert.deepEqual(fixture.calls(), [`unmap 0 ${ONE}`]);
  fixture.device.complete();
  assert.deepEqual(fixture.calls(), [`map 0 ${TWO} 0 30 rw`, 'proceed']);
  assert.deepEqual(fixture.replies(), [reply(5, u64(0n))]);
  fixture.close();
});

test('a controller that the front end has stopped stays so', () => {
  const fixture = ExtendedFixture.withMemory();
  fixture.accepts(0x40c, u64(1n), [], ['quiesce']);
  fixture.accepts(5, table([0n, 2n * MIB]), [30], [`unmap 0 ${ONE}`, `map 0 ${TWO} 0 30 rw`]);
  fixture.close();
});

test('memory that the controller has let go of meanwhile is no obstacle', () => {
  const fixture = ExtendedFixture.withMemory();
  fixture.device.regions.clear();
  fixture.accepts(
    5,
    table([0n, 2n * MIB]),
    [30],
    ['quiesce', `unmap 0 ${ONE}`, `map 0 ${TWO} 0 30 rw`, 'proceed'],
  );
  fixture.close();
});

test('a front end that leaves meanwhile leaves nothing behind', () => {
  for (const late of ['quiesce', 'unmap']) {
    const fixture = ExtendedFixture.withMemory();
    fixture.device.late.add(late);
    fixture.handle(message(5, table([0n, 2n * MIB]), 1 | NEED_REPLY), [30]);
    fixture.calls();
    fixture.session.close(() => undefined);
    fixture.device.complete();
    fixture.nothingLeaks();
    assert.ok(!fixture.calls().some((call) => call.startsWith('map') || call === 'proceed'));
    assert.deepEqual(fixture.replies(), []);
  }
});

test('what the controller refuses leaves no part of the table behind', () => {
  const fixture = ExtendedFixture.withMemory();
  fixture.device.regions.set(2n * MIB, MIB);
  fixture.refuses(
    5,
    table([MIB, MIB], [2n * MIB, MIB]),
    17,
    [30, 31],
    [
      'quiesce',
      `unmap 0 ${ONE}`,
      `map ${ONE} ${ONE} 0 30 rw`,
      `map ${TWO} ${ONE} 0 31 rw`,
      `unmap ${ONE} ${ONE}`,
      'proceed',
    ],
  );
  fixture.close();
});

test('too many, overlapping, wrapping, empty and ragged regions; counts that lie', () => {
  const fixture = ExtendedFixture.agreed();
  let fd = 30;
  const regions = Array.from({ length: 9 }, (_, index) => [BigInt(index) * MIB, MIB] as const);
  fixture.refuses(
    5,
    table(...regions),
    EINVAL,
    regions.slice(1).map(() => fd++),
  );
  for (const bad of [
    [
      [0n, 2n * MIB],
      [MIB, MIB],
    ],
    [
      [0n, MIB],
      [0n, MIB],
    ],
    [[0xffff_ffff_ffff_f000n, 0x2000n]],
    [[1n << 52n, MIB]],
    [[(1n << 52n) - 0x1000n, 0x2000n]],
    [[0n, 0n]],
    [[0n, 0x1800n]],
    [[0x800n, 0x1000n]],
    [[0n, 0x1000n, 0x10n]],
  ] as [bigint, bigint, bigint?][][]) {
    fixture.refuses(
      5,
      table(...bad),
      EINVAL,
      bad.map(() => fd++),
    );
  }
  fixture.refuses(5, Buffer.concat([u32(0xffffffff, 0), u64(0n, MIB, 0n, 0n)]), EINVAL, [fd++]);
  fixture.refusesOtherShapes(5, table([0n, MIB]), [1]);
  fixture.close();
});
