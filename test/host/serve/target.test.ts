// A target inside this process: what its reactor thread says last is heard, however late somebody listens.

import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import path from 'node:path';
import { after, test } from 'node:test';
import { parseServeOptions } from '../../../host/config/options.ts';
import { buildPath } from '../../../host/demo/checkout.ts';
import { startTarget } from '../../../host/serve/target.ts';

fs.mkdirSync(buildPath('tmp'), { recursive: true });
const directory = fs.mkdtempSync(buildPath('tmp', 'target-'));
after(() => fs.rmSync(directory, { recursive: true }));

const options = parseServeOptions({
  socket: [path.join(directory, 'nvme.sock')],
  namespace: ['ram:1M'],
  logLevel: 'error',
});

/** Keeps this thread from hearing anything. */
function sleep(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

test('the sums of a drain arrive though the thread has ended meanwhile', async () => {
  const target = await startTarget(options, () => undefined);
  const drained = target.drain();
  sleep(500);
  assert.equal((await drained).requests, 0);
  await assert.rejects(target.died, { code: 'REACTOR_ENDED' });
  await assert.rejects(target.statistics(), { code: 'REACTOR_ENDED' });
});

test('why a target did not start is told though its thread has ended meanwhile', async () => {
  const subsystems = options.subsystems.map((subsystem) => ({
    ...subsystem,
    sockets: subsystem.sockets.map((socket) => ({ ...socket, path: directory })),
  }));
  const starting = startTarget({ ...options, subsystems }, () => undefined);
  sleep(1000);
  await assert.rejects(starting, { name: 'UsageError', code: 'SOCKET_PATH' });
});
