/** DEVICE_GET_INFO, DEVICE_GET_REGION_INFO, DEVICE_GET_IRQ_INFO: what the device has, and their argsz. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EINVAL, Fixture, message, NO_REPLY, reply, u32, u64 } from './harness.ts';

const GET_INFO = 4;
const GET_REGION_INFO = 5;
const GET_IRQ_INFO = 7;

const regionRequest = (index: number, argsz = 32): Buffer =>
  Buffer.concat([u32(argsz, 0, index, 0), u64(0n, 0n)]);
const irqRequest = (index: number, argsz = 16): Buffer => u32(argsz, 0, index, 0);

test('the device is PCI, can be reset, has 9 regions and 5 interrupt types', () => {
  const fixture = Fixture.established();
  fixture.handle(message(1, GET_INFO, u32(16, 0, 0, 0)));
  assert.deepEqual(fixture.replies(), [reply(1, GET_INFO, u32(16, 3, 9, 5))]);
});

test('BAR0 and config space have a size, the other regions none', () => {
  const fixture = Fixture.established();
  const sizes = [0x4000n, 0n, 0n, 0n, 0n, 0n, 0n, 4096n, 0n];
  sizes.forEach((size, index) => {
    fixture.handle(message(index, GET_REGION_INFO, regionRequest(index)));
    const flags = size === 0n ? 0 : 3;
    const info = Buffer.concat([u32(32, flags, index, 0), u64(size, 0n)]);
    assert.deepEqual(fixture.replies(), [reply(index, GET_REGION_INFO, info)]);
  });
});

test('INTx and ERR have one interrupt, MSI-X its vectors, MSI and REQ none', () => {
  const fixture = Fixture.established();
  const expected = [
    { flags: 1 | 4, count: 1 },
    { flags: 0, count: 0 },
    { flags: 1, count: 65 },
    { flags: 1, count: 1 },
    { flags: 0, count: 0 },
  ];
  expected.forEach(({ flags, count }, index) => {
    fixture.handle(message(index, GET_IRQ_INFO, irqRequest(index)));
    assert.deepEqual(fixture.replies(), [reply(index, GET_IRQ_INFO, u32(16, flags, index, count))]);
  });
});

test('an index beyond the last one is refused', () => {
  const fixture = Fixture.established();
  for (const index of [9, 10, 0x7fffffff, 0xffffffff]) {
    fixture.refuses(message(1, GET_REGION_INFO, regionRequest(index)), EINVAL, [index & 0xff]);
  }
  for (const index of [5, 0x80000000, 0xffffffff]) {
    fixture.refuses(message(1, GET_IRQ_INFO, irqRequest(index)), EINVAL);
  }
});

test('more room than needed is fine, and the reply says what it took', () => {
  const fixture = Fixture.established();
  fixture.handle(message(1, GET_REGION_INFO, regionRequest(7, 0xffffffff)));
  const info = Buffer.concat([u32(32, 3, 7, 0), u64(4096n, 0n)]);
  assert.deepEqual(fixture.replies(), [reply(1, GET_REGION_INFO, info)]);
  fixture.handle(message(1, GET_REGION_INFO, Buffer.concat([regionRequest(7, 64), Buffer.alloc(32, 1)])));
  assert.deepEqual(fixture.replies(), [reply(1, GET_REGION_INFO, info)]);
  fixture.handle(message(2, GET_INFO, Buffer.concat([u32(64, 0, 0, 0), Buffer.alloc(48)])));
  assert.deepEqual(fixture.replies(), [reply(2, GET_INFO, u32(16, 3, 9, 5))]);
  fixture.handle(message(3, GET_IRQ_INFO, irqRequest(3, 4096)));
  assert.deepEqual(fixture.replies(), [reply(3, GET_IRQ_INFO, u32(16, 1, 3, 1))]);
});

test('short payloads and a small argsz are refused', () => {
  const fixture = Fixture.established();
  for (const [command, request] of [
    [GET_INFO, u32(16, 0, 0, 0)],
    [GET_REGION_INFO, regionRequest(0)],
    [GET_IRQ_INFO, irqRequest(0)],
  ] as const) {
    for (let length = 0; length < request.length; length++) {
      fixture.refuses(message(1, command, request.subarray(0, length)), EINVAL);
    }
    for (const argsz of [0, request.length - 1]) {
      const small = Buffer.from(request);
      small.writeUInt32LE(argsz);
      fixture.refuses(message(1, command, small), EINVAL);
    }
  }
});

test('posted, they are not answered; descriptors are closed', () => {
  const fixture = Fixture.established();
  fixture.handle(message(1, GET_INFO, u32(16, 0, 0, 0), NO_REPLY), [30]);
  fixture.handle(message(1, GET_REGION_INFO, regionRequest(0), NO_REPLY), [31]);
  fixture.handle(message(1, GET_IRQ_INFO, irqRequest(0), NO_REPLY), [32]);
  assert.deepEqual(fixture.replies(), []);
  fixture.nothingLeaks();
});
