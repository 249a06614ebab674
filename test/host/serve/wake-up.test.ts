// No doorbell is lost while the target falls asleep. With no time to spin the target arms EventIdx and blocks after
// every few commands, while a client in a process of its own writes shadow doorbells as fast as it can: whoever of the
// two looks second must see what the other wrote.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { buildPath } from '../../../host/demo/checkout.ts';
import { ClientHandle } from '../../bench/client-handle.ts';
import { TargetProcess } from '../../support/target-process.ts';

const MIB = 1024 * 1024;
const SLICES = 12;
const SLICE_MS = 400;
const NVM_READ = 2;

test('a client that kicks as the target falls asleep is always served', { timeout: 120_000 }, async (t) => {
  mkdirSync(buildPath('tmp'), { recursive: true });
  const directory = mkdtempSync(buildPath('tmp', 'wake-'));
  const socket = path.join(directory, 's');
  const target = await TargetProcess.start('--socket', socket, '--namespace', 'ram:16M', '--spin-us', '0');
  const client = await ClientHandle.connect(socket);
  try {
    let commands = 0;
    for (let slice = 0; slice < SLICES; slice++) {
      // Rejects when a command is not completed within 10 seconds.
      const result = await client.slice({
        ...{ nsid: 1, opcode: NVM_READ, bytes: 16 * MIB, commandBytes: 4096, random: true },
        ...{ depth: [1, 2, 4, 32][slice % 4] ?? 1, milliseconds: SLICE_MS, seed: slice + 1 },
      });
      assert.equal(result.failed, 0);
      commands += result.commands;
    }
    const { sleeps } = await target.statistics();
    t.diagnostic(`${String(commands)} commands, slept ${String(sleeps)} times`);
    assert.ok(sleeps > 100, 'the target did fall asleep between them');
  } finally {
    await client.stop();
    await target.kill();
    rmSync(directory, { recursive: true, force: true });
  }
});
