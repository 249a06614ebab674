// A guest on vhost-user-nvme whose target goes away and comes back, while its file system and fio are at work: what an
// upgrade of the target, its death, and a reset without it are to the guest.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Guest } from '../../host/demo/guest.ts';
import { VHOST_USER_NVME } from '../support/attachment.ts';
import { kernelComplaints } from '../support/guest-view.ts';
import { Lab } from '../support/lab.ts';
import type { TargetProcess } from '../support/target-process.ts';

const RESTARTS = 10;
const FIO =
  'fio --filename=/dev/nvme0n1 --direct=1 --ioengine=libaio --iodepth=16 --numjobs=2 --group_reporting ' +
  '--size=48m --offset_increment=64m --bsrange=4k-128k --bs_unaligned=0 --verify=crc32c --verify_fatal=1 --rw=randrw ' +
  '--random_generator=tausworthe64 --time_based --output-format=terse';

const skip = (await VHOST_USER_NVME.unavailable()) ?? false;

describe('a guest whose target restarts, vhost-user-nvme', { timeout: 600_000, skip }, () => {
  const lab = new Lab();
  const socket = lab.path('nvme.sock');
  const namespace = lab.disk('a.img');
  let target: TargetProcess;
  let guest: Guest;

  const start = async (): Promise<void> => {
    target = await lab.target('--socket', VHOST_USER_NVME.socket(socket), '--namespace', namespace);
  };

  before(async () => {
    await start();
    guest = await lab.guest({
      ...VHOST_USER_NVME.guest([socket]),
      qemu: await VHOST_USER_NVME.locateQemu(),
      append: 'nvme_core.io_timeout=5 nvme_core.admin_timeout=10',
    });
  });

  after(() => lab.close());

  test('ordered restarts under fio lose nothing, and the guest does not notice', async () => {
    const fio = await guest.background(`${FIO} --name=restarts --runtime=25`);
    for (let count = 0; count < RESTARTS; count++) {
      await sleep(1000);
      await lab.step(() => target.drain());
      await sleep(count * 50);
      await start();
    }
    const { status, output } = await lab.step(() => fio.wait({ timeoutSeconds: 120 }));
    assert.equal(status, 0, output);
    assert.deepEqual(await kernelComplaints(guest), []);
    assert.ok(target.messages.includes('the controller goes on where another target left it'), target.errors);
  });

  test('a target that was killed: the guest resets the controller and loses nothing', async () => {
    const fio = await guest.background(`${FIO} --name=killed --runtime=15`);
    await sleep(3000);
    await target.kill();
    await sleep(500);
    await start();
    const { status, output } = await lab.step(() => fio.wait({ timeoutSeconds: 180 }));
    assert.equal(status, 0, output);
    assert.match(target.errors, /died before it had finished/);
  });

  test('a controller reset while the target is away completes when it is back', async () => {
    await lab.step(() => target.drain());
    const reset = await guest.background('echo 1 >/sys/class/nvme/nvme0/reset_controller');
    await sleep(2000);
    await start();
    const { status, output } = await lab.step(() => reset.wait({ timeoutSeconds: 60 }));
    assert.equal(status, 0, output);
    await lab.step(() => guest.check('dd if=/dev/nvme0n1 of=/dev/null bs=1M count=16 iflag=direct'));
  });

  test('an idle guest costs no CPU, and a stopped one has no I/O under way', async () => {
    await sleep(1000);
    const before = target.voluntarySwitches();
    await sleep(4000);
    assert.ok(target.voluntarySwitches() - before <= 10);
    const fio = await guest.background(`${FIO} --name=stopped --runtime=6`);
    await sleep(1000);
    await guest.qmp('stop');
    await sleep(500);
    const { requests } = await target.statistics();
    await sleep(1000);
    assert.equal((await target.statistics()).requests, requests);
    await guest.qmp('cont');
    const { status, output } = await lab.step(() => fio.wait({ timeoutSeconds: 120 }));
    assert.equal(status, 0, output);
  });

  test('reboots, with a restart of the target in the middle', async () => {
    const next = guest.waitReboot();
    guest.run('reboot -f').catch(() => undefined);
    await sleep(500);
    await lab.step(() => target.drain());
    await sleep(1000);
    await start();
    await lab.step(() => next);
    await lab.step(() => guest.check('dd if=/dev/nvme0n1 of=/dev/null bs=1M count=16 iflag=direct'));
    await guest.shutdown();
    await lab.step(() => target.drain());
  });
});
