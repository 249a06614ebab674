// Two controllers in one guest: of two processes they are two disks, of one process that shares a namespace they are
// two paths to one disk.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Guest } from '../../host/demo/guest.ts';
import { ATTACHMENTS } from '../support/attachment.ts';
import { Lab } from '../support/lab.ts';

const VERIFY =
  'fio --direct=1 --ioengine=libaio --iodepth=16 --verify=crc32c --verify_fatal=1 --bs=4k --size=16m';

for (const attachment of ATTACHMENTS) {
  const skip = (await attachment.unavailable()) ?? false;
  describe(`two controllers of two processes, ${attachment.name}`, { timeout: 300_000, skip }, () => {
    const lab = new Lab();
    let guest: Guest;

    before(async () => {
      const sockets = [lab.path('a.sock'), lab.path('b.sock')];
      for (const [index, socket] of sockets.entries()) {
        await lab.target(
          '--socket',
          attachment.socket(socket),
          '--namespace',
          lab.disk(`${String(index)}.img`),
        );
      }
      guest = await lab.guest({ ...attachment.guest(sockets), qemu: await attachment.locateQemu() });
    });

    after(() => lab.close());

    test('are two disks of two subsystems', async () => {
      const nqns = await lab.step(() => guest.check('cat /sys/class/nvme/nvme*/subsysnqn'));
      assert.equal(new Set(nqns.trim().split('\n')).size, 2);
      assert.equal((await guest.check('ls /dev/nvme?n1')).trim().split(/\s+/).length, 2);
    });

    test('do verified I/O at the same time', async () => {
      const jobs = [0, 1].map(
        (index) => `${VERIFY} --name=d${String(index)} --rw=randwrite --filename=/dev/nvme${String(index)}n1`,
      );
      await lab.step(() =>
        guest.check(`${jobs[0] ?? ''} >/tmp/a 2>&1 & ${jobs[1] ?? ''} && wait $!`, { timeoutSeconds: 120 }),
      );
    });
  });
}

for (const attachment of ATTACHMENTS) {
  const skip = (await attachment.unavailable()) ?? false;
  describe(`two controllers of one process, ${attachment.name}`, { timeout: 300_000, skip }, () => {
    const lab = new Lab();
    let guest: Guest;

    before(async () => {
      const sockets = [lab.path('a.sock'), lab.path('b.sock')];
      const namespace = lab.disk('shared.img', ',share=on');
      await lab.target(
        ...sockets.flatMap((socket) => ['--socket', attachment.socket(socket)]),
        '--namespace',
        namespace,
      );
      guest = await lab.guest({ ...attachment.guest(sockets), qemu: await attachment.locateQemu() });
    });

    after(() => lab.close());

    test('have their own controller ids and are two paths to one disk', async () => {
      const ids = (await lab.step(() => guest.check('cat /sys/class/nvme/nvme*/cntlid'))).trim().split('\n');
      assert.deepEqual(ids.toSorted(), ['1', '2']);
      assert.equal(
        (await guest.check('ls -d /sys/class/nvme-subsystem/nvme-subsys*')).trim().split(/\s+/).length,
        1,
      );
      assert.equal((await guest.check('ls /dev/nvme?n1')).trim().split(/\s+/).length, 1);
      const paths = await guest.check('ls -d /sys/class/nvme/nvme*/nvme*c*n*');
      assert.equal(paths.trim().split(/\s+/).length, 2);
    });

    test('verified I/O over both paths, and over one when the other is reset', async () => {
      await lab.step(() =>
        guest.check(
          `disk=$(ls /dev/nvme?n1)
         echo round-robin >/sys/class/nvme-subsystem/nvme-subsys0/iopolicy
         ${VERIFY} --name=paths --rw=randrw --filename=$disk >/tmp/fio 2>&1 & fio=$!
         sleep 0.5; echo 1 >/sys/class/nvme/nvme1/reset_controller
         wait $fio || { cat /tmp/fio; exit 1; }`,
          { timeoutSeconds: 120 },
        ),
      );
    });
  });
}
