// The RAM backend: the contract, and memory that does not exist.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openRam } from '../../../host/block/ram.ts';
import { UsageError } from '../../../host/config/usage-error.ts';
import { contract } from './contract.ts';

contract('ram', ({ size, blockSize, readOnly }) => {
  const backend = openRam({ scheme: 'ram', size, blockSize, readOnly });
  const { storage } = backend;
  return {
    backend,
    allocatedBytes: () => (storage.kind === 'ram' ? storage.disk.residentBytes() : 0),
    dispose: () => undefined,
  };
});

test('memory that does not exist is refused with a cure', () => {
  assert.throws(
    () => openRam({ scheme: 'ram', size: 2 ** 52, blockSize: 4096, readOnly: false }),
    (error) =>
      error instanceof UsageError && error.code === 'RAM_SIZE' && /make it smaller/.test(error.message),
  );
});

test('more memory than the machine has is said, and costs nothing', () => {
  const size = 2 ** 44;
  const backend = openRam({ scheme: 'ram', size, blockSize: 512, readOnly: false });
  assert.match(backend.notices.join(), /larger than this machine's memory/);
  assert.equal(backend.label, 'ram:16T');
  assert.equal(backend.identity, undefined);
  backend.close();
});
