// Descriptors that a VMM may pass in place of a state file.

import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { test } from 'node:test';
import { native } from '../../../host/native.ts';
import { STATE_BYTES, stateRead } from '../../../host/nvme/state-file.ts';

/** Opens anything, for no use but to name it. */
const O_PATH = 0o10000000;

test('a descriptor that can tell nothing of itself holds no state', () => {
  const fd = native.memfdCreate('gone', 4096);
  native.fdClose(fd);
  assert.equal(stateRead(fd, STATE_BYTES), 'foreign');
});

test('nor does one that only names something: a disk does not tell it its size', () => {
  const paths = fs.readdirSync('/dev').map((name) => `/dev/${name}`);
  const disk = paths.find((path) => fs.statSync(path, { throwIfNoEntry: false })?.isBlockDevice());
  for (const path of ['/dev/null', ...(disk === undefined ? [] : [disk])]) {
    const fd = fs.openSync(path, O_PATH);
    assert.equal(stateRead(fd, STATE_BYTES), 'foreign', path);
    fs.closeSync(fd);
  }
});
