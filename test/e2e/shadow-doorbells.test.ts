// Shadow doorbells proven: the same two bursts at queue depth 32, with an idle gap between them, with and without. In
// the bursts a busy target is hardly ever rung, in the gap it sleeps.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Guest } from '../../host/demo/guest.ts';
import type { TargetStatistics } from '../../host/serve/messages.ts';
import { ATTACHMENTS, type Attachment } from '../support/attachment.ts';
import { Lab } from '../support/lab.ts';
import type { TargetProcess } from '../support/target-process.ts';

const BURST =
  'fio --name=burst --filename=/dev/nvme0n1 --rw=randread --bs=4k --direct=1 --ioengine=libaio --iodepth=32 ' +
  '--iodepth_batch_submit=8 --size=64m --io_size=32m --randrepeat=1 --output-format=terse';
const GAP_MS = 4000;
/** A sleeping data plane wakes for nothing; asking for the sums is what is left. */
const GAP_SWITCHES_MAX = 3;

interface Observation {
  doorbellsPerCommand: number;
  gapSwitches: number;
}

async function observe(attachment: Attachment, shadowDoorbells: 'on' | 'off'): Promise<Observation> {
  const lab = new Lab();
  try {
    const socket = lab.path('nvme.sock');
    const target = await lab.target(
      ...['--socket', `${attachment.socket(socket)},shadow-doorbells=${shadowDoorbells}`],
      ...['--namespace', 'ram:256M', '--spin-us', '10000'],
    );
    const guest = await lab.guest({ ...attachment.guest([socket]), qemu: await attachment.locateQemu() });
    const offered = /^oacs\s+: (\w+)$/m.exec(await guest.check('nvme id-ctrl /dev/nvme0'))?.[1];
    assert.equal(offered, shadowDoorbells === 'on' ? '0x100' : '0');
    const first = await burst(target, guest);
    const before = target.voluntarySwitches();
    await sleep(GAP_MS);
    const gapSwitches = target.voluntarySwitches() - before;
    const second = await burst(target, guest);
    return {
      doorbellsPerCommand: (first.doorbells + second.doorbells) / (first.requests + second.requests),
      gapSwitches,
    };
  } finally {
    await lab.close();
  }
}

/** What one burst added to the sums. The guest is given time to finish what it still has to say. */
async function burst(
  target: TargetProcess,
  guest: Guest,
): Promise<Pick<TargetStatistics, 'doorbells' | 'requests'>> {
  const before = await target.statistics();
  await guest.check(BURST, { timeoutSeconds: 120 });
  await sleep(500);
  const after = await target.statistics();
  return { doorbells: after.doorbells - before.doorbells, requests: after.requests - before.requests };
}

for (const attachment of ATTACHMENTS) {
  const skip = (await attachment.unavailable()) ?? false;
  describe(`shadow doorbells, ${attachment.name}`, { timeout: 400_000, skip }, () => {
    test('save four fifths of the doorbell messages in a burst, and let the target sleep in a gap', async (t) => {
      const on = await observe(attachment, 'on');
      const off = await observe(attachment, 'off');
      t.diagnostic(
        `doorbells a command: ${on.doorbellsPerCommand.toFixed(3)} on, ${off.doorbellsPerCommand.toFixed(3)} off`,
      );
      t.diagnostic(
        `context switches in the gap: ${String(on.gapSwitches)} on, ${String(off.gapSwitches)} off`,
      );
      assert.ok(off.doorbellsPerCommand > 0.3, 'without them a command costs doorbells');
      assert.ok(on.doorbellsPerCommand <= off.doorbellsPerCommand / 5, JSON.stringify({ on, off }));
      for (const { gapSwitches } of [on, off]) {
        assert.ok(gapSwitches <= GAP_SWITCHES_MAX, String(gapSwitches));
      }
    });
  });
}
