// The null backend: it keeps nothing, and what it says of itself is true.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as abi from '../../../assembly/abi/records.ts';
import type { NullSpec } from '../../../host/block/backend.ts';
import { openBackend } from '../../../host/block/open.ts';
import { Machine } from './machine.ts';

const MIB = 1024 * 1024;
const SIZE = 2 ** 50;

function withMachine(options: Partial<NullSpec>, body: (machine: Machine) => void): void {
  const backend = openBackend({
    scheme: 'null',
    size: SIZE,
    blockSize: 4096,
    readOnly: false,
    reads: 'zeros',
    ...options,
  });
  const machine = new Machine(backend);
  body(machine);
  machine.close();
  backend.close();
}

test('what is written is gone, and reads are zeros', () => {
  withMachine({}, (machine) => {
    assert.equal(machine.write(SIZE - MIB, Buffer.alloc(MIB, 1)), 'BLOCK_OK');
    assert.ok(machine.read(SIZE - MIB, MIB).every((byte) => byte === 0));
    const results = machine.run(
      { operation: abi.OPERATION_FLUSH },
      { operation: abi.OPERATION_WRITE_ZEROES, offset: 0, length: SIZE },
      { operation: abi.OPERATION_DEALLOCATE, segments: [[0, 4096]] },
      { operation: abi.OPERATION_READ, offset: SIZE, length: 4096, segments: [[0, 4096]] },
    );
    assert.deepEqual(results, ['BLOCK_OK', 'BLOCK_OK', 'BLOCK_OK', 'BLOCK_OUT_OF_RANGE']);
  });
});

test('reads=nothing leaves the guest’s memory as it is, and read-only is read-only', () => {
  withMachine({ reads: 'nothing', readOnly: true }, (machine) => {
    machine.guestWrite(0, Buffer.alloc(4096, 7));
    assert.ok(machine.read(0, 4096).every((byte) => byte === 7));
    assert.equal(machine.write(0, Buffer.alloc(4096, 1)), 'BLOCK_READ_ONLY');
  });
});

test('Compare finds what a read would have stored; the rest is done at once and leaves no trace', () => {
  const compare = { operation: abi.OPERATION_COMPARE, length: 8192, segments: [[12, 8192]] } as const;
  for (const reads of ['zeros', 'nothing'] as const) {
    withMachine({ reads }, (machine) => {
      assert.deepEqual(machine.run(compare), ['BLOCK_OK']);
      machine.guestWrite(12 + 8191, Buffer.of(1));
      assert.deepEqual(machine.run(compare), [reads === 'zeros' ? 'BLOCK_MISCOMPARE' : 'BLOCK_OK']);
      const copy = { operation: abi.OPERATION_COPY, length: MIB, segments: [[MIB, MIB]] } as const;
      const results = machine.run(
        { operation: abi.OPERATION_WRITE_UNCORRECTABLE, length: SIZE },
        { operation: abi.OPERATION_VERIFY, length: SIZE },
        copy,
        { ...copy, segments: [[SIZE, MIB]] },
        { ...compare, offset: SIZE },
        { operation: abi.OPERATION_READ, length: 4096, segments: [[0, 4096]] },
      );
      const outside = 'BLOCK_OUT_OF_RANGE';
      assert.deepEqual(results, ['BLOCK_OK', 'BLOCK_OK', 'BLOCK_OK', outside, outside, 'BLOCK_OK']);
    });
  }
});

test('it says that it keeps nothing', () => {
  const spec = { scheme: 'null', size: SIZE, blockSize: 512, readOnly: false } as const;
  const zeros = openBackend({ ...spec, reads: 'zeros' });
  assert.equal(zeros.label, 'null:1P');
  assert.equal(zeros.identity, undefined);
  assert.equal(zeros.geometry.deallocate, true);
  assert.match(zeros.notices.join(), /keeps no data/);
  const nothing = openBackend({ ...spec, reads: 'nothing' });
  assert.equal(nothing.geometry.deallocate, false);
});
