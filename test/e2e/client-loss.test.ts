// Guests that go wrong: QEMU killed in the middle of I/O, and one whose memory is not shared. The target lives on and
// serves the next.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Guest } from '../../host/demo/guest.ts';
import { ATTACHMENTS, VHOST_USER_NVME } from '../support/attachment.ts';
import { Lab, MIB } from '../support/lab.ts';
import type { TargetProcess } from '../support/target-process.ts';

const ENDLESS_IO =
  'fio --name=endless --filename=/dev/nvme0n1 --rw=randrw --bs=64k --direct=1 --ioengine=libaio --iodepth=32 ' +
  '--size=128m --time_based --runtime=60';

const PRIVATE_MEMORY = [
  ...['-object', `memory-backend-ram,id=private,size=${String(256 * MIB)}`],
  ...['-machine', 'memory-backend=private'],
];

const noDevice = (await VHOST_USER_NVME.unavailable()) ?? false;

for (const attachment of ATTACHMENTS) {
  const skip = (await attachment.unavailable()) ?? false;
  describe(`a target that loses its clients, ${attachment.name}`, { timeout: 400_000, skip }, () => {
    const lab = new Lab();
    const socket = lab.path('nvme.sock');
    let target: TargetProcess;

    before(async () => {
      target = await lab.target('--socket', attachment.socket(socket), '--namespace', lab.disk('a.img'));
    });

    after(() => lab.close());

    const boot = async (): Promise<Guest> =>
      lab.guest({ ...attachment.guest([socket]), qemu: await attachment.locateQemu() });

    const holdings = (): { fds: number; guestMappings: number } => ({
      fds: readdirSync(`/proc/${String(target.pid)}/fd`).length,
      guestMappings:
        readFileSync(`/proc/${String(target.pid)}/maps`, 'utf8').split('memory-backend-memfd').length - 1,
    });

    test('QEMU killed under I/O: nothing is left of it, and the next one is served', async () => {
      const idle = holdings();
      for (let round = 0; round < 2; round++) {
        const guest = await boot();
        await lab.step(() => guest.check('dd if=/dev/nvme0n1 of=/dev/null bs=1M count=8 iflag=direct'));
        guest.run(ENDLESS_IO).catch(() => undefined);
        await sleep(2000);
        assert.ok(holdings().guestMappings > 0);
        await guest.kill();
        await sleep(500);
        assert.ok(target.alive);
        assert.deepEqual(holdings(), idle);
      }
    });

    test('and the next one finds a working controller', async () => {
      const guest = await boot();
      await lab.step(() => guest.check('dd if=/dev/nvme0n1 of=/dev/null bs=1M count=8 iflag=direct'));
      await guest.shutdown();
      await lab.step(() => target.drain());
    });
  });
}

describe('guest memory that is not shared', { timeout: 200_000 }, () => {
  const lab = new Lab();

  after(() => lab.close());

  test('vfio-user: the controller fails, the log names the cure', async () => {
    const socket = lab.path('nvme.sock');
    const target = await lab.target('--socket', socket, '--namespace', lab.disk('a.img'));
    const guest = await lab.guest({ socketPaths: [socket], memoryBytes: 256 * MIB, extra: PRIVATE_MEMORY });
    const disks = await lab.step(() => guest.check('sleep 1; ls /dev/nvme0n1 2>/dev/null || echo none'));
    assert.equal(disks.trim(), 'none');
    assert.ok(target.errors.includes('share=on'), target.errors);
    await guest.kill();
    assert.ok(target.alive);
  });

  test('vhost-user-nvme: QEMU does not start, and names the cure', { skip: noDevice }, async () => {
    const socket = lab.path('vhost.sock');
    const target = await lab.target('--socket', VHOST_USER_NVME.socket(socket), '--namespace', 'ram:64M');
    const { extra = [] } = VHOST_USER_NVME.guest([socket]);
    const booted = lab.guest({
      qemu: await VHOST_USER_NVME.locateQemu(),
      memoryBytes: 256 * MIB,
      extra: [...PRIVATE_MEMORY, ...extra],
    });
    await assert.rejects(booted, /share=on/);
    assert.ok(target.alive);
  });
});
