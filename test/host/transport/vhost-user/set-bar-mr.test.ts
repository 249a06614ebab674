/** SET_BAR_MR: the memory in which the device keeps doorbells. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { u64 } from '../fixture.ts';
import { Fixture, message, table } from './harness.ts';

const BAR = table([0x10000000n, 0x200000n]);

test('the memory lies above all guest memory, its doorbells 1000h further on', () => {
  const fixture = new Fixture();
  fixture.accepts(85, BAR, [30], [`map ${1n << 52n} 2097152 0 30 rw`]);
  fixture.handle(message(5, table([0n, 0x100000n])), [31]);
  fixture.calls();
  fixture.accepts(83, u64(1n), [], ['start 10000000001000']);
});

test('another one takes its place; not while the controller runs', () => {
  const fixture = new Fixture();
  fixture.accepts(85, BAR, [30], [`map ${1n << 52n} 2097152 0 30 rw`]);
  fixture.accepts(
    85,
    table([0n, 0x2000n, 0x1000n]),
    [31],
    [`unmap ${1n << 52n} 2097152`, `map ${1n << 52n} 8192 4096 31 rw`],
  );
  Fixture.started().refuses(85, BAR, [32]);
});

test('one region, large enough, whole pages, one descriptor', () => {
  const fixture = new Fixture();
  let fd = 30;
  fixture.refuses(85, table(), []);
  fixture.refuses(85, table([0n, 0x2000n], [0x2000n, 0x2000n]), [fd++, fd++]);
  for (const size of [0n, 0x1000n, 0x2800n]) fixture.refuses(85, table([0n, size]), [fd++]);
  fixture.refuses(85, table([0n, 0x2000n, 0x800n]), [fd++]);
  fixture.refuses(85, BAR, []);
  fixture.refuses(85, BAR, [fd++, fd++]);
  for (const bytes of [0, 8, 39]) fixture.refuses(85, BAR.subarray(0, bytes), [fd++]);
  fixture.refuses(85, Buffer.concat([BAR, Buffer.alloc(1)]), [fd + 10]);
});

test('memory that the controller refuses is not used', () => {
  const fixture = new Fixture();
  fixture.device.regions.set(1n << 52n, 0x2000n);
  fixture.refuses(85, BAR, [30], [`map ${1n << 52n} 2097152 0 30 rw`]);
  fixture.handle(message(5, table([0n, 0x100000n])), [31]);
  fixture.calls();
  fixture.accepts(83, u64(1n), [], ['start -']);
  assert.ok(fixture.session.ready);
});
