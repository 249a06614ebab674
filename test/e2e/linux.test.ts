// A Linux guest on one controller with two namespaces, 512-byte and 4,096-byte blocks, from boot to reboot: what a
// person does with a disk, each step on the state that the one before it left. The same for every attachment.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createReadStream, statSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import type { Guest } from '../../host/demo/guest.ts';
import { ATTACHMENTS } from '../support/attachment.ts';
import { DISK_BYTES, Lab, MIB } from '../support/lab.ts';
import { kernelComplaints, linkDisks } from '../support/guest-view.ts';
import { allocatedRuns } from '../support/sparse.ts';
import type { TargetProcess } from '../support/target-process.ts';

/** fio's own report of a verify error is an exit status other than 0. */
const FIO =
  'fio --direct=1 --ioengine=libaio --iodepth=32 --numjobs=2 --group_reporting --verify=crc32c ' +
  '--verify_fatal=1 --bsrange=4k-1m --bs_unaligned=0 --random_generator=tausworthe64 --output-format=terse';

/** SHA-256 of a file's bytes from `start` to `end`, both included. */
async function digest(file: string, start = 0, end = DISK_BYTES - 1): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file, { start, end })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

/** Digests of the two halves of a disk. */
function halvesDigests(file: string): Promise<string[]> {
  const half = DISK_BYTES / 2;
  return Promise.all([digest(file, 0, half - 1), digest(file, half, DISK_BYTES - 1)]);
}

for (const attachment of ATTACHMENTS) {
  const skip = (await attachment.unavailable()) ?? false;
  describe(`a Linux guest on one controller, ${attachment.name}`, { timeout: 600_000, skip }, () => {
    const lab = new Lab();
    let target: TargetProcess;
    let guest: Guest;

    before(async () => {
      const socket = lab.path('nvme.sock');
      target = await lab.target(
        ...['--socket', attachment.socket(socket), '--namespace', lab.disk('a.img')],
        ...['--namespace', lab.disk('b.img', ',block-size=4096')],
      );
      guest = await lab.guest({
        ...attachment.guest([socket]),
        qemu: await attachment.locateQemu(),
        bootTimeoutSeconds: 120,
      });
      await linkDisks(guest);
    });

    after(async () => {
      await lab.close();
    });

    const inGuest = (script: string, timeoutSeconds = 180): Promise<string> =>
      lab.step(() => guest.check(script, { timeoutSeconds }));

    test('logs nothing worse than information, on both sides', async () => {
      assert.deepEqual(
        target.log.filter(({ level }) => level === 'error' || level === 'warn'),
        [],
      );
      assert.deepEqual(await kernelComplaints(guest), []);
    });

    test('boots and sees controller, namespaces and queues', async () => {
      const controller = await inGuest('nvme id-ctrl /dev/nvme0');
      assert.match(controller, /^mn\s+: doorbell NVMe controller/m);
      assert.match(controller, /^ver\s+: 0x20000$/m);
      assert.match(controller, /^oacs\s+: 0x100$/m);
      assert.equal((await inGuest('blockdev --getss /dev/ns1')).trim(), '512');
      assert.equal((await inGuest('blockdev --getss /dev/ns2')).trim(), '4096');
      assert.equal(Number(await inGuest('blockdev --getsize64 /dev/ns1')), DISK_BYTES);
      assert.match(await inGuest('dmesg'), /nvme0: 2\/0\/0 default\/read\/poll queues/);
      assert.ok(target.messages.includes('shadow doorbells in use'));
    });

    for (const disk of ['ns1', 'ns2']) {
      test(`${disk}: makes a file system, copies a tree, checks it`, async () => {
        await inGuest(`mkfs.ext4 -q -F /dev/${disk} && mount /dev/${disk} /mnt`);
        await inGuest('cp -a /usr /mnt/tree && sync');
        await inGuest(`umount /mnt && echo 3 >/proc/sys/vm/drop_caches && mount -o ro /dev/${disk} /mnt`);
        const sums = 'find . -type f -exec sha256sum {} + | sort | sha256sum';
        assert.equal(await inGuest(`cd /mnt/tree && ${sums}`), await inGuest(`cd /usr && ${sums}`));
        await inGuest(`cd / && umount /mnt && fsck.ext4 -f -n /dev/${disk}`);
      });

      test(`${disk}: fio, random reads and writes of 4 KiB to 1 MiB, verified`, async () => {
        await inGuest(
          `${FIO} --name=verify --filename=/dev/${disk} --rw=randrw --size=64m --offset_increment=64m`,
          240,
        );
      });
    }

    test('the guest and the file agree about every byte', async () => {
      await inGuest('sync; echo 3 >/proc/sys/vm/drop_caches');
      // One half for each virtual CPU: hashing is the slow part in a guest without virtualization.
      const half = (index: 0 | 1): string => {
        const read = `dd if=/dev/ns1 bs=1M skip=${String(index * 256)} count=256 iflag=direct 2>/dev/null`;
        return `${read} | sha256sum >/tmp/half${String(index)}`;
      };
      const seen = await inGuest(`${half(0)} & ${half(1)}; wait; cut -d ' ' -f 1 /tmp/half0 /tmp/half1`, 300);
      assert.deepEqual(seen.trim().split('\n'), await halvesDigests(lab.path('a.img')));
    });

    test('discard frees blocks of the file, write zeroes leaves zeros', async () => {
      const file = lab.path('a.img');
      await inGuest('dd if=/dev/urandom of=/dev/ns1 bs=1M count=8 oflag=direct conv=fsync');
      const written = statSync(file).blocks;
      await inGuest(`blkdiscard -o ${String(2 * MIB)} -l ${String(4 * MIB)} /dev/ns1`);
      assert.ok(statSync(file).blocks <= written - (4 * MIB) / 512, 'four MiB less are allocated');
      assert.ok(
        !allocatedRuns(file).some(({ start, end }) => start < 6 * MIB && end > 2 * MIB),
        'a hole where it was discarded',
      );
      assert.equal(
        (await inGuest(`cmp -n ${String(4 * MIB)} /dev/ns1 /dev/zero ${String(2 * MIB)} 0`)).trim(),
        '',
      );
      await inGuest(`blkdiscard -z -o ${String(6 * MIB)} -l ${String(MIB)} /dev/ns1`);
      assert.equal(
        (await inGuest(`cmp -n ${String(MIB)} /dev/ns1 /dev/zero ${String(6 * MIB)} 0`)).trim(),
        '',
      );
      await inGuest(`! cmp -n ${String(MIB)} /dev/ns1 /dev/zero ${String(7 * MIB)} 0 >/dev/null`);
    });

    test('a controller reset under I/O loses nothing', async () => {
      await inGuest(
        `${FIO} --name=reset --filename=/dev/ns1 --rw=randrw --size=64m --offset_increment=64m \
           >/tmp/fio.log 2>&1 & fio=$!
         for i in 1 2 3; do sleep 1; echo 1 >/sys/class/nvme/nvme0/reset_controller || exit 1; done
         wait $fio || { cat /tmp/fio.log; exit 1; }`,
        240,
      );
    });

    test('a function-level reset is survived', async () => {
      await inGuest(
        'device=$(readlink -f /sys/class/nvme/nvme0/device); cat $device/reset_method; echo 1 >$device/reset',
      );
      await inGuest('dd if=/dev/ns1 of=/dev/null bs=1M count=16 iflag=direct');
    });

    test('unbound and bound again it serves on', async () => {
      await inGuest(
        `address=$(basename $(readlink -f /sys/class/nvme/nvme0/device))
       echo $address >/sys/bus/pci/drivers/nvme/unbind
       test ! -e /dev/nvme0 || exit 1
       echo $address >/sys/bus/pci/drivers/nvme/bind
       for i in $(seq 50); do ls /dev/nvme0n1 /dev/nvme0n2 >/dev/null 2>&1 && break; sleep 0.2; done`,
      );
      await linkDisks(guest);
      await inGuest('dd if=/dev/ns1 of=/dev/null bs=1M count=16 iflag=direct');
    });

    test('reboots twice', async () => {
      const before = await digest(lab.path('a.img'));
      for (let count = 0; count < 2; count++) {
        await lab.step(() => guest.reboot());
        await linkDisks(guest);
        await inGuest('dd if=/dev/ns1 of=/dev/null bs=1M count=16 iflag=direct');
      }
      assert.equal(await digest(lab.path('a.img')), before);
    });

    test('powers off, and the target drains', async () => {
      await lab.step(() => guest.shutdown());
      const sums = await lab.step(() => target.drain());
      assert.equal(sums.requestErrors, 0);
      assert.ok(sums.requests > 1000);
    });
  });
}
