// What the tests of options assert of every refusal.

import assert from 'node:assert/strict';
import { UsageError, type UsageCode } from '../../../host/config/usage-error.ts';

/** Asserts that `body` throws a UsageError of one line with this code and these words. */
export function refused(code: UsageCode, words: RegExp, body: () => unknown): void {
  assert.throws(body, (error) => {
    assert.ok(error instanceof UsageError, String(error));
    assert.match(error.message, words);
    assert.equal(error.code, code);
    assert.doesNotMatch(error.message, /\n/);
    return true;
  });
}
