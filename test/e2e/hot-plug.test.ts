// Memory and devices that come and go while a guest on vhost-user-nvme does I/O.

import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Guest } from '../../host/demo/guest.ts';
import { VHOST_USER_NVME } from '../support/attachment.ts';
import { GIB, Lab } from '../support/lab.ts';
import type { TargetProcess } from '../support/target-process.ts';

const FIO =
  'fio --filename=/dev/nvme0n1 --direct=1 --ioengine=libaio --iodepth=16 --size=64m --bs=64k --verify=crc32c ' +
  '--verify_fatal=1 --rw=randrw --time_based --output-format=terse';

const skip = (await VHOST_USER_NVME.unavailable()) ?? false;

describe('hot plug, vhost-user-nvme', { timeout: 400_000, skip }, () => {
  const lab = new Lab();
  const sockets = [lab.path('a.sock'), lab.path('b.sock')];
  let target: TargetProcess;
  let guest: Guest;

  before(async () => {
    target = await lab.target(
      ...sockets.flatMap((socket, index) => [
        ...['--socket', `${VHOST_USER_NVME.socket(socket)},namespaces=${String(index + 1)}`],
        ...['--namespace', lab.disk(`${String(index)}.img`)],
      ]),
    );
    const [first = ''] = sockets;
    const attached = VHOST_USER_NVME.guest([first]);
    guest = await lab.guest({
      ...attached,
      qemu: await VHOST_USER_NVME.locateQemu(),
      extra: [
        ...(attached.extra ?? []),
        ...['-m', '1G,slots=2,maxmem=4G'],
        ...['-device', 'pcie-root-port,id=port0,chassis=1,slot=1'],
      ],
    });
  });

  after(() => lab.close());

  test('memory that is added under I/O can be read and written by the device', async () => {
    const fio = await guest.background(`${FIO} --name=memory --runtime=10`);
    await sleep(1000);
    const size = GIB;
    await guest.qmp('object-add', { 'qom-type': 'memory-backend-memfd', id: 'more', size, share: true });
    await guest.qmp('device_add', { driver: 'pc-dimm', id: 'dimm', memdev: 'more' });
    const kilobytes = await lab.step(() =>
      guest.check(
        `sleep 1; for state in /sys/devices/system/memory/memory*/state; do
           test $(cat $state) = offline && echo online >$state
         done
         awk '/MemTotal/ { print $2 }' /proc/meminfo`,
      ),
    );
    assert.ok(Number(kilobytes) > 1.5 * 1024 * 1024, kilobytes);
    // More than the memory that there was: some of it lies in the new.
    await lab.step(() =>
      guest.check(
        `mkdir -p /tmp/big; mount -t tmpfs -o size=1400m none /tmp/big
         dd if=/dev/urandom of=/tmp/big/seed bs=1M count=16 2>/dev/null
         for i in $(seq 75); do cp /tmp/big/seed /tmp/big/$i; done
         for i in $(seq 1 15 75) 75; do
           dd if=/tmp/big/$i of=/dev/nvme0n1 bs=1M seek=128 oflag=direct 2>/dev/null
           dd if=/dev/nvme0n1 bs=1M skip=128 count=16 iflag=direct 2>/dev/null | cmp - /tmp/big/seed || exit 1
         done; umount /tmp/big`,
        { timeoutSeconds: 180 },
      ),
    );
    const { status, output } = await lab.step(() => fio.wait({ timeoutSeconds: 60 }));
    assert.equal(status, 0, output);
  });

  test('a device that is added and removed ten times leaves nothing', async () => {
    const descriptors = (): number => readdirSync(`/proc/${String(guest.pid)}/fd`).length;
    const atTarget = (): number => readdirSync(`/proc/${String(target.pid)}/fd`).length;
    const [, path = ''] = sockets;
    const before = [descriptors(), atTarget()];
    for (let count = 0; count < 10; count++) {
      const backend = { type: 'socket', data: { addr: { type: 'unix', data: { path } }, server: false } };
      await guest.qmp('chardev-add', { id: 'hot', backend });
      await guest.qmp('device_add', {
        driver: VHOST_USER_NVME.driver,
        id: 'hot',
        chardev: 'hot',
        bus: 'port0',
        serial: 'plugged',
        'num-io-queues': 1,
      });
      await lab.step(() =>
        guest.check(
          `for i in $(seq 100); do
             for space in /sys/block/nvme*n*; do test $(cat $space/nsid) = 2 && disk=/dev/$(basename $space); done
             test -n "$disk" && break; sleep 0.1
           done
           nvme id-ctrl /dev/nvme1 | grep -q '^sn *: plugged' || exit 1
           grep -qx 2 /sys/class/nvme/nvme1/queue_count || exit 1
           dd if=$disk of=/dev/null bs=1M count=4 iflag=direct`,
        ),
      );
      await guest.qmp('device_del', { id: 'hot' });
      await gone(guest, 'hot', count + 1);
      await guest.qmp('chardev-remove', { id: 'hot' });
    }
    await sleep(200);
    assert.deepEqual([descriptors(), atTarget()], before);
    await lab.step(() => guest.check('dd if=/dev/nvme0n1 of=/dev/null bs=1M count=4 iflag=direct'));
  });
});

/** Waits until the device has left for the `count`th time: the guest has to agree. */
async function gone(guest: Guest, device: string, count: number): Promise<void> {
  const leavings = (): number =>
    guest
      .events()
      .filter(
        ({ event, data }) =>
          event === 'DEVICE_DELETED' && (data as { device?: string } | undefined)?.device === device,
      ).length;
  for (let turn = 0; turn < 200 && leavings() < count; turn++) await sleep(100);
  assert.equal(leavings(), count, 'the device left');
}
