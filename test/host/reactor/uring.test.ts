// A machine without io_uring: the reactor says so, and what to change.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { native } from '../../../host/native.ts';
import { UringDenied, UringReactor } from '../../../host/reactor/uring.ts';

test('where io_uring is denied, the error names the cure', () => {
  const { uring } = native;
  native.uring = () => {
    throw Object.assign(new Error('EPERM: Operation not permitted, io_uring_setup'), {
      code: 'EPERM',
      errno: 1,
    });
  };
  try {
    assert.throws(
      () => new UringReactor(),
      (error) => {
        assert.ok(error instanceof UringDenied);
        assert.equal(error.code, 'URING_DENIED');
        assert.match(error.message, /\(EPERM\): set sysctl kernel\.io_uring_disabled=0/);
        return true;
      },
    );
  } finally {
    native.uring = uring;
  }
});
