// Firmware boots a Linux from a namespace, for every attachment, with blocks of 512 and 4,096 bytes: the disk has boot
// loader, kernel and initramfs, and QEMU is given none. What has booted reads the disk and writes to it.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { constants, copyFileSync, createReadStream } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { BOOT_PARTITIONS, ensureBootDisk, ensureUefiFirmware } from '../../host/demo/boot-image.ts';
import type { Guest } from '../../host/demo/guest.ts';
import type { UefiFirmware } from '../../host/demo/qemu.ts';
import { SetupError, silent } from '../../host/demo/setup-error.ts';
import { ATTACHMENTS, type Attachment } from '../support/attachment.ts';
import { kernelComplaints } from '../support/guest-view.ts';
import { Lab, MIB } from '../support/lab.ts';
import type { TargetProcess } from '../support/target-process.ts';

interface Firmware {
  readonly name: string;
  readonly uefi: boolean;
  /** For `Guest`. */
  options(): Promise<{ firmware?: UefiFirmware }>;
}

const FIRMWARES: readonly Firmware[] = [
  { name: 'SeaBIOS', uefi: false, options: () => Promise.resolve({}) },
  { name: 'OVMF', uefi: true, options: async () => ({ firmware: await ensureUefiFirmware(silent) }) },
];

const BLOCK_SIZES = [512, 4096] as const;

const SPARE = '/dev/nvme0n1p3';

/** SHA-256 of a part of a file. */
async function digest(file: string, start: number, bytes: number): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file, { start, end: start + bytes - 1 }))
    hash.update(chunk as Buffer);
  return hash.digest('hex');
}

/** Why there can be no boot disk; undefined if there can. Where everything is required it is for the tests to fail. */
async function findObstacle(): Promise<string | undefined> {
  try {
    for (const blockSize of BLOCK_SIZES) await ensureBootDisk(blockSize, silent);
    return undefined;
  } catch (error) {
    if (!(error instanceof SetupError) || process.env['DOORBELL_REQUIRE_ALL'] === '1') throw error;
    return error.message;
  }
}

const obstacle = await findObstacle();

async function bootTests(firmware: Firmware, blockSize: 512 | 4096, attachment: Attachment): Promise<void> {
  const skip = obstacle ?? (await attachment.unavailable()) ?? false;
  const name = `${firmware.name} boots from ${attachment.name}, ${String(blockSize)}-byte blocks`;
  describe(name, { timeout: 300_000, skip }, () => {
    const lab = new Lab();
    const disk = lab.path('boot.img');
    let target: TargetProcess;
    let guest: Guest;

    before(async () => {
      copyFileSync(await ensureBootDisk(blockSize, silent), disk, constants.COPYFILE_FICLONE);
      const socket = lab.path('nvme.sock');
      const namespace = `file:${disk},block-size=${String(blockSize)}`;
      target = await lab.target('--socket', attachment.socket(socket), '--namespace', namespace);
      guest = await lab.step(async () =>
        lab.guest({
          ...attachment.guest([socket]),
          ...(await firmware.options()),
          qemu: await attachment.locateQemu(),
          image: undefined,
          bootTimeoutSeconds: 120,
        }),
      );
    });

    after(() => lab.close());

    const inGuest = (script: string): Promise<string> => lab.step(() => guest.check(script));

    test('Linux was started by the loader on the disk', async () => {
      assert.match(await inGuest('cat /proc/cmdline'), /^BOOT_IMAGE=\/vmlinuz /);
      const booted = (await inGuest('test -d /sys/firmware/efi && echo UEFI || echo BIOS')).trim();
      assert.equal(booted, firmware.uefi ? 'UEFI' : 'BIOS');
      assert.equal((await inGuest('blockdev --getss /dev/nvme0n1')).trim(), String(blockSize));
    });

    test('nobody complains', async () => {
      assert.deepEqual(
        target.log.filter(({ level }) => level === 'error' || level === 'warn'),
        [],
      );
      assert.deepEqual(await kernelComplaints(guest), []);
      assert.equal((await target.statistics()).requestErrors, 0);
    });

    test('the partition that was booted from reads as it is in the file', async () => {
      const { start, bytes } = BOOT_PARTITIONS.system;
      const [seen] = (await inGuest('sha256sum /dev/nvme0n1p2')).split(' ');
      assert.equal(seen, await digest(disk, start, bytes));
    });

    test('the spare partition takes verified data, and the file has it', async () => {
      await inGuest(
        `fio --name=spare --filename=${SPARE} --direct=1 --ioengine=libaio --iodepth=16 --rw=randrw \
           --bsrange=4k-256k --size=16m --verify=crc32c --verify_fatal=1 --output-format=terse`,
      );
      await inGuest(`dd if=/dev/urandom of=${SPARE} bs=1M count=4 oflag=direct conv=fsync`);
      const sum = await inGuest(`dd if=${SPARE} bs=1M count=4 iflag=direct 2>/dev/null | sha256sum`);
      assert.equal(sum.split(' ')[0], await digest(disk, BOOT_PARTITIONS.spare.start, 4 * MIB));
    });

    // What Linux leaves behind differs by attachment and driver, not by the size of a block.
    if (blockSize === 512) {
      test('the firmware takes the controller over again after a reboot', async () => {
        const before = await digest(disk, 0, BOOT_PARTITIONS.spare.start);
        await lab.step(() => guest.reboot());
        assert.match(await inGuest('cat /proc/cmdline'), /^BOOT_IMAGE=\/vmlinuz /);
        assert.equal(await digest(disk, 0, BOOT_PARTITIONS.spare.start), before);
      });
    }
  });
}

for (const attachment of ATTACHMENTS) {
  for (const firmware of FIRMWARES) {
    for (const blockSize of BLOCK_SIZES) await bootTests(firmware, blockSize, attachment);
  }
}
