/** NVME_IO_CMD: the value of a doorbell. */
import { test } from 'node:test';
import { u32 } from '../fixture.ts';
import { Fixture } from './harness.ts';

test('a tail and a head are written to their doorbells', () => {
  const fixture = Fixture.started();
  fixture.accepts(84, u32(1, 1, 5), [], ['write bar0 4104 05000000']);
  fixture.accepts(84, u32(2, 1, 4), [], ['write bar0 4108 04000000']);
  fixture.accepts(84, u32(2, 31, 0xffffffff), [], ['write bar0 4348 ffffffff']);
});

test('other types and queues, sizes and descriptors are refused', () => {
  const fixture = Fixture.started();
  for (const words of [
    [0, 1, 1],
    [3, 1, 1],
    [1, 0, 1],
    [1, 32, 1],
    [2, 0x80000000, 1],
  ]) {
    fixture.refuses(84, u32(...words));
  }
  for (const bytes of [0, 8, 11, 13, 64]) fixture.refuses(84, Buffer.alloc(bytes, 1), [30 + bytes]);
  fixture.refuses(84, u32(1, 1, 1), [60]);
});

test('before the start it is out of state', () => {
  new Fixture().refuses(84, u32(1, 1, 1));
});
