/** SET_MEM_TABLE: a table takes the place of the one before; what cannot be is refused, descriptors are closed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { u32, u64 } from '../fixture.ts';
import { ack, Fixture, message, NEED_REPLY, table } from './harness.ts';

const MIB = 0x100000n;

test('regions are mapped from their offsets; the descriptors are closed', () => {
  const fixture = new Fixture();
  fixture.accepts(
    5,
    table([0n, 0xc0000000n], [0x100000000n, 0x80000000n, 0xc0000000n]),
    [30, 31],
    ['map 0 3221225472 0 30 rw', 'map 4294967296 2147483648 3221225472 31 rw'],
  );
});

test('a new table takes the place of the old one, once that is drained', () => {
  const fixture = new Fixture();
  fixture.accepts(
    5,
    table([0n, MIB], [MIB, MIB]),
    [30, 31],
    ['map 0 1048576 0 30 rw', 'map 1048576 1048576 0 31 rw'],
  );
  fixture.device.late.add('unmap');
  fixture.handle(message(5, table([0n, 2n * MIB]), 1 | NEED_REPLY), [32]);
  assert.deepEqual(fixture.calls(), ['unmap 0 1048576', 'unmap 1048576 1048576']);
  assert.ok(!fixture.session.ready);
  fixture.device.complete();
  assert.deepEqual(fixture.calls(), []);
  fixture.device.complete();
  assert.deepEqual(fixture.calls(), ['map 0 2097152 0 32 rw']);
  assert.deepEqual(fixture.replies(), [ack(5, 0)]);
  assert.equal(fixture.resumed, 1);
  fixture.nothingLeaks();
});

test('a table of no region takes all memory away', () => {
  const fixture = new Fixture();
  fixture.accepts(5, table([0n, MIB]), [30], ['map 0 1048576 0 30 rw']);
  fixture.accepts(5, table(), [], ['unmap 0 1048576']);
});

test('eight regions are taken, nine are not', () => {
  const fixture = new Fixture();
  const regions = Array.from({ length: 9 }, (_, index) => [BigInt(index) * MIB, MIB] as const);
  const fds = regions.map((_, index) => 30 + index);
  fixture.refuses(5, table(...regions), fds);
  fixture.handle(
    message(5, table(...regions.slice(1))),
    fds.slice(1).map((fd) => fd + 100),
  );
  assert.equal(fixture.calls().length, 8);
  fixture.nothingLeaks();
});

test('regions that overlap, wrap, are empty, or are no whole pages are refused', () => {
  const fixture = new Fixture();
  let fd = 30;
  for (const regions of [
    [
      [0n, 2n * MIB],
      [MIB, MIB],
    ],
    [
      [MIB, MIB],
      [0n, MIB + 0x1000n],
    ],
    [
      [0n, MIB],
      [0n, MIB],
    ],
    [[0xffff_ffff_ffff_f000n, 0x2000n]],
    [[0n, 0xffff_ffff_ffff_f000n]],
    [[1n << 52n, MIB]],
    [[0n, 0n]],
    [[0n, 0x1800n]],
    [[0x800n, 0x1000n]],
    [[0n, 0x1000n, 0x10n]],
  ] as [bigint, bigint, bigint?][][]) {
    fixture.refuses(
      5,
      table(...regions),
      regions.map(() => fd++),
    );
  }
});

test('what the controller refuses leaves no part of the table behind', () => {
  const fixture = new Fixture();
  const memoryAdd = fixture.device.memoryAdd.bind(fixture.device);
  fixture.device.regions.set(2n * MIB, MIB);
  fixture.device.memoryAdd = memoryAdd;
  fixture.refuses(
    5,
    table([0n, MIB], [2n * MIB, MIB]),
    [30, 31],
    ['map 0 1048576 0 30 rw', 'map 2097152 1048576 0 31 rw', 'unmap 0 1048576'],
  );
});

test('counts, sizes and descriptors have to agree', () => {
  const fixture = new Fixture();
  const one = table([0n, MIB]);
  for (const bytes of [0, 4, 7, 8, 39, 41]) {
    fixture.refuses(5, Buffer.concat([one, Buffer.alloc(8)]).subarray(0, bytes), [30 + bytes]);
  }
  fixture.refuses(5, Buffer.concat([u32(0xffffffff, 0), u64(0n, MIB, 0n, 0n)]), [100]);
  fixture.refuses(5, one, []);
  fixture.refuses(5, one, [101, 102]);
  fixture.refuses(5, table(), [103]);
});
