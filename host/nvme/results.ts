// Names what became of requests: the addon tells errnos, the core wants BLOCK_* results, an operator wants both.

import { BLOCK_MISCOMPARE, BLOCK_OK } from '../../assembly/abi/records.ts';
import { blockResultName, blockResultOfCompletion, errnoName } from '../block/errors.ts';
import type { Core } from '../core/core.ts';
import type { Log } from '../log/log.ts';

/**
 * Gives each failed record of the `count` that were taken its BLOCK_* result in place of the errno that the addon saw,
 * and logs it. Returns how many failed.
 */
export function resultsName(core: Core, count: number, log: Log): number {
  let failed = 0;
  for (let index = 0; index < count; index++) {
    const seen = core.completionResult(index);
    // That a Compare found a difference is its answer, and no failure of the storage.
    if (seen === BLOCK_OK || seen === BLOCK_MISCOMPARE) continue;
    const result = blockResultOfCompletion(seen);
    core.completionResultSet(index, result);
    failed++;
    log.limited('request').warn('a request failed in the storage', {
      result: blockResultName(result),
      ...(seen < 0 ? { errno: errnoName(-seen) } : {}),
    });
  }
  return failed;
}
