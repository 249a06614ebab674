/**
 * DMA_MAP: guest memory, with and without a descriptor. The device maps the file; the session closes the
 * descriptor.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EEXIST, EINVAL, EOPNOTSUPP, Fixture, message, NO_REPLY, reply, u32, u64 } from './harness.ts';

const DMA_MAP = 2;
const READ = 1;
const WRITE = 2;
const MMAP = 4;
const FILE_IO = 8;

function payload(
  address: bigint,
  size: bigint,
  { flags = READ | WRITE, offset = 0n, argsz = 32 } = {},
): Buffer {
  return Buffer.concat([u32(argsz, flags), u64(offset, address, size)]);
}

test('memory with a descriptor is added and the descriptor closed', () => {
  const fixture = Fixture.established();
  assert.equal(fixture.handle(message(2, DMA_MAP, payload(0n, 0x40000000n)), [30]), undefined);
  assert.deepEqual(fixture.replies(), [reply(2, DMA_MAP)]);
  assert.deepEqual(fixture.calls(), ['map 0 1073741824 0 30 rw']);
  assert.deepEqual(fixture.closedFds, [30]);
});

test('pipelined maps keep their own descriptors, offsets and addresses beyond 4 GiB', () => {
  const fixture = Fixture.established();
  fixture.handle(message(2, DMA_MAP, payload(0n, 0x80000000n)), [30]);
  const high = payload(0x100000000n, 0x100000000n, { offset: 0x80000000n });
  fixture.handle(message(3, DMA_MAP, high), [31]);
  fixture.handle(message(4, DMA_MAP, payload(0xfffc0000n, 0x40000n, { flags: READ })));
  assert.deepEqual(fixture.calls(), [
    'map 0 2147483648 0 30 rw',
    'map 4294967296 4294967296 2147483648 31 rw',
    'map 4294705152 262144 0 - r',
  ]);
  assert.deepEqual(fixture.replies(), [reply(2, DMA_MAP), reply(3, DMA_MAP), reply(4, DMA_MAP)]);
  fixture.nothingLeaks();
});

test('the access mode mmap is what a descriptor means anyway', () => {
  const fixture = Fixture.established();
  fixture.handle(message(2, DMA_MAP, payload(0n, 4096n, { flags: READ | MMAP })), [30]);
  assert.deepEqual(fixture.calls(), ['map 0 4096 0 30 r']);
  assert.deepEqual(fixture.replies(), [reply(2, DMA_MAP)]);
  fixture.refuses(message(3, DMA_MAP, payload(8192n, 4096n, { flags: READ | MMAP })), EINVAL);
});

test('memory for file I/O is refused', () => {
  const fixture = Fixture.established();
  const flags = READ | WRITE | FILE_IO;
  fixture.refuses(message(2, DMA_MAP, payload(0n, 4096n, { flags })), EINVAL);
  fixture.refuses(message(3, DMA_MAP, payload(0n, 4096n, { flags })), EOPNOTSUPP, [30]);
});

test('surplus descriptors are closed', () => {
  const fixture = Fixture.established();
  fixture.handle(message(2, DMA_MAP, payload(0n, 4096n)), [30, 31, 32]);
  assert.deepEqual(fixture.calls(), ['map 0 4096 0 30 rw']);
  fixture.nothingLeaks();
});

test('a payload or argsz too short is refused', () => {
  const fixture = Fixture.established();
  for (let length = 0; length < 32; length++) {
    fixture.refuses(message(2, DMA_MAP, payload(0n, 4096n).subarray(0, length)), EINVAL, [100 + length]);
  }
  for (const argsz of [0, 31]) {
    fixture.refuses(message(2, DMA_MAP, payload(0n, 4096n, { argsz })), EINVAL);
  }
});

test('a longer structure of a later version is accepted', () => {
  const fixture = Fixture.established();
  const longer = Buffer.concat([payload(0n, 4096n, { argsz: 48 }), Buffer.alloc(16, 0xff)]);
  fixture.handle(message(2, DMA_MAP, longer), [30]);
  assert.deepEqual(fixture.replies(), [reply(2, DMA_MAP)]);
});

test('flags that are not defined, or without any access, are refused', () => {
  const fixture = Fixture.established();
  for (const flags of [0, MMAP, 0x10, READ | 0x80000000]) {
    fixture.refuses(message(2, DMA_MAP, payload(0n, 4096n, { flags: flags >>> 0 })), EINVAL, [
      40 + (flags & 0xf),
    ]);
  }
});

test('what the device refuses is answered with its errno', () => {
  const cases: [bigint, bigint][] = [
    [0n, 0n],
    [0xfffffffffffff000n, 0x2000n],
    [0xffffffffffffffffn, 0xffffffffffffffffn],
  ];
  for (const [address, size] of cases) {
    const fixture = Fixture.established();
    fixture.handle(message(2, DMA_MAP, payload(address, size)), [30]);
    assert.deepEqual(fixture.replies(), [`02000200100000002100000016000000`]);
    fixture.nothingLeaks();
  }
  const fixture = Fixture.established();
  fixture.handle(message(2, DMA_MAP, payload(4096n, 4096n)), [30]);
  fixture.handle(message(3, DMA_MAP, payload(4096n, 4096n)), [31]);
  const [, second] = fixture.replies();
  assert.equal(Buffer.from(second ?? '', 'hex').readUInt32LE(12), EEXIST);
  fixture.nothingLeaks();
});

test('a posted map is not answered, refused or not', () => {
  const fixture = Fixture.established();
  fixture.handle(message(2, DMA_MAP, payload(0n, 4096n), NO_REPLY), [30]);
  fixture.handle(message(3, DMA_MAP, payload(0n, 4096n), NO_REPLY), [31]);
  fixture.handle(message(4, DMA_MAP, Buffer.alloc(3), NO_REPLY), [32]);
  assert.deepEqual(fixture.replies(), []);
  assert.equal(fixture.device.regions.size, 1);
  fixture.nothingLeaks();
});
