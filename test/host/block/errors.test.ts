// The table from errno to BLOCK_* results: total, and what it promises by name.

import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { test } from 'node:test';
import * as records from '../../../assembly/abi/records.ts';
import {
  BLOCK_RESULT_NAMES,
  BlockError,
  blockResultName,
  blockResultOfCompletion,
  blockResultOfErrno,
  errnoName,
  errnoOf,
} from '../../../host/block/errors.ts';

const { errno } = constants;

test('the names are those of the records, by number', () => {
  const numbers = Object.entries(records).filter(([name]) => /^BLOCK_[A-Z_]+$/.test(name));
  assert.equal(numbers.length, BLOCK_RESULT_NAMES.length);
  for (const [name, number] of numbers) assert.equal(blockResultName(number), name);
});

test('every errno has a result, and only 0 is success', () => {
  assert.equal(blockResultOfErrno(0), records.BLOCK_OK);
  for (let number = 1; number < 256; number++) {
    const result = blockResultOfErrno(number);
    assert.ok(result > 0 && result < BLOCK_RESULT_NAMES.length, errnoName(number));
    // The range is the addon's to check: no errno of the kernel blames the guest for it.
    assert.notEqual(result, records.BLOCK_OUT_OF_RANGE);
  }
});

test('what each errno is called', () => {
  const table: readonly [number, number][] = [
    [errno.EIO, records.BLOCK_MEDIUM_ERROR],
    [errno.ENOSPC, records.BLOCK_NO_SPACE],
    [errno.EDQUOT, records.BLOCK_NO_SPACE],
    [errno.EFBIG, records.BLOCK_NO_SPACE],
    [errno.EROFS, records.BLOCK_READ_ONLY],
    [errno.EPERM, records.BLOCK_READ_ONLY],
    [errno.EBADF, records.BLOCK_READ_ONLY],
    [errno.EFAULT, records.BLOCK_MEMORY_FAULT],
    [errno.EOPNOTSUPP, records.BLOCK_NOT_SUPPORTED],
    [errno.ECANCELED, records.BLOCK_CANCELED],
    [errno.EAGAIN, records.BLOCK_BUSY],
    [errno.ENOMEM, records.BLOCK_BUSY],
    [errno.EINVAL, records.BLOCK_MEDIUM_ERROR],
    [4711, records.BLOCK_MEDIUM_ERROR],
  ];
  for (const [number, result] of table) assert.equal(blockResultOfErrno(number), result, errnoName(number));
});

test('a completion holds a result or a negative errno', () => {
  assert.equal(blockResultOfCompletion(0), records.BLOCK_OK);
  assert.equal(blockResultOfCompletion(records.BLOCK_BUSY), records.BLOCK_BUSY);
  assert.equal(blockResultOfCompletion(-errno.ENOSPC), records.BLOCK_NO_SPACE);
  assert.equal(blockResultOfCompletion(99), records.BLOCK_MEDIUM_ERROR);
});

test('a thrown system error becomes a BlockError with its code', () => {
  const cause = Object.assign(new Error('no space'), { errno: -errno.ENOSPC });
  const error = BlockError.from(cause, 'open disk.img');
  assert.equal(error.message, 'cannot open disk.img: ENOSPC');
  assert.equal(error.code, 'BLOCK_NO_SPACE');
  assert.equal(error.errno, errno.ENOSPC);
  assert.equal(error.cause, cause);
  assert.equal(errnoOf('anything'), errno.EIO);
  assert.equal(errnoName(4711), 'errno 4711');
});
