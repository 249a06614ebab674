/**
 * The lock around what is fetched: one at a time, released however its holder ends.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { withDeadline } from '../../../host/demo/deadline.ts';
import { withLock } from '../../../host/demo/lock.ts';
import { silent } from '../../../host/demo/setup-error.ts';

const DIRECTORY = mkdtempSync(path.join(tmpdir(), 'doorbell-lock-'));
after(() => rmSync(DIRECTORY, { recursive: true }));

test('the second waits for the first, which may fail', async () => {
  const file = path.join(DIRECTORY, 'a', 'lock');
  const order: string[] = [];
  const first = withLock(file, silent, async () => {
    order.push('first begins');
    await sleep(50);
    order.push('first ends');
    throw new Error('no luck');
  });
  await sleep(20);
  const second = withLock(file, silent, () => {
    order.push('second');
    return Promise.resolve(2);
  });
  await assert.rejects(first, /no luck/);
  assert.equal(await second, 2);
  assert.deepEqual(order, ['first begins', 'first ends', 'second']);
});

test('a deadline rejects in time and lets a result through', async () => {
  const late = (): Error => new Error('late');
  await assert.rejects(withDeadline(sleep(500, 0, { ref: false }), 0.01, late), /late/);
  assert.equal(await withDeadline(Promise.resolve(1), 10, late), 1);
  await assert.rejects(withDeadline(Promise.reject(new Error('own')), 10, late), /own/);
});
