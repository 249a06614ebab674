// The disks that the guests of the benchmark have: doorbell's in every way that a VMM can be attached to it, and
// QEMU's own. Each guest has one, and a file of its own behind it, read and written past the page cache by io_uring.

import { writeFileSync } from 'node:fs';
import path from 'node:path';
import type { GuestImage } from '../../host/demo/guest-image.ts';
import { Guest, type GuestOptions } from '../../host/demo/guest.ts';
import { locateQemu } from '../../host/demo/qemu.ts';
import type { Progress } from '../../host/demo/setup-error.ts';
import { REACTOR_THREAD } from '../../host/serve/messages.ts';
import { ATTACHMENTS, type Attachment } from '../support/attachment.ts';
import { TargetProcess } from '../support/target-process.ts';
import { TargetCounter, TraceCounter, type DoorbellCounter } from './guest-doorbells.ts';
import { loadVirtioBlk } from './guest-virtio.ts';
import { Thread } from './thread.ts';

const GUEST_BYTES = 256 * 1024 * 1024;

/** What a disk is started with. */
export interface DiskSetting {
  /** Made for this disk; it holds `file`. */
  readonly directory: string;
  readonly file: string;
  readonly image: GuestImage;
  readonly progress: Progress;
}

/** A booted guest and its disk. */
export interface GuestDisk {
  readonly guest: Guest;
  /** Path of the disk in the guest. */
  readonly device: string;
  /** The thread that serves the disk. */
  readonly dataPlane: Thread;
  readonly doorbells: DoorbellCounter;
  stop(): Promise<void>;
}

export interface DiskKind {
  readonly name: string;
  /** Throws SetupError where something outside of doorbell is missing. */
  start(setting: DiskSetting): Promise<GuestDisk>;
}

/** QEMU's own NVMe controller, as it comes: shadow doorbells, but no ioeventfd. */
export const QEMU_NVME: DiskKind = { name: "QEMU's nvme", start: startQemuNvme };

const QEMU_VIRTIO: DiskKind = { name: "QEMU's virtio-blk", start: startQemuVirtio };

/** One attachment with shadow doorbells, or with Doorbell Buffer Config hidden from the guest. */
export function doorbellDisk(attachment: Attachment, shadow: 'on' | 'off'): DiskKind {
  const name = `doorbell, ${attachment.name}${shadow === 'on' ? '' : ', no shadow doorbells'}`;
  return { name, start: (setting) => startDoorbell(attachment, shadow, setting) };
}

export const DISKS: readonly DiskKind[] = [
  ...ATTACHMENTS.flatMap((attachment) => [doorbellDisk(attachment, 'on'), doorbellDisk(attachment, 'off')]),
  QEMU_NVME,
  QEMU_VIRTIO,
];

async function startDoorbell(
  attachment: Attachment,
  shadow: 'on' | 'off',
  { directory, file, image }: DiskSetting,
): Promise<GuestDisk> {
  const qemu = await attachment.locateQemu();
  const socket = path.join(directory, 's');
  const target = await TargetProcess.start(
    ...['--socket', `${attachment.socket(socket)},shadow-doorbells=${shadow}`, '--log-level', 'warn'],
    ...['--namespace', `file:${file.replaceAll(',', ',,')},direct=on`],
  );
  try {
    const guest = await boot({ qemu, image, ...attachment.guest([socket]) });
    return {
      guest,
      device: '/dev/nvme0n1',
      dataPlane: Thread.named(target.pid, REACTOR_THREAD),
      doorbells: new TargetCounter(target),
      stop: async () => {
        await guest.kill();
        await target.kill();
      },
    };
  } catch (error) {
    await target.kill();
    throw error;
  }
}

async function startQemuNvme(setting: DiskSetting): Promise<GuestDisk> {
  const { guest, trace } = await bootWithFile(setting, ['-device', 'nvme,drive=disk,serial=bench']);
  return {
    guest,
    device: '/dev/nvme0n1',
    // The main loop: QEMU's other timers and descriptors are there, too.
    dataPlane: new Thread(guest.pid ?? -1, guest.pid ?? -1),
    doorbells: new TraceCounter(guest, trace, ['pci_nvme_mmio_doorbell_sq', 'pci_nvme_mmio_doorbell_cq']),
    stop: async () => {
      await guest.kill();
    },
  };
}

async function startQemuVirtio(setting: DiskSetting): Promise<GuestDisk> {
  const options = ['-object', 'iothread,id=io', '-device', 'virtio-blk-pci,drive=disk,iothread=io'];
  const { guest, trace } = await bootWithFile(setting, options);
  try {
    await loadVirtioBlk(guest, setting.image, setting.progress);
    const threads = (await guest.qmp('query-iothreads')) as readonly { readonly 'thread-id': number }[];
    return {
      guest,
      device: '/dev/vda',
      dataPlane: new Thread(guest.pid ?? -1, threads[0]?.['thread-id'] ?? -1),
      doorbells: new TraceCounter(guest, trace, ['virtio_queue_notify']),
      stop: async () => {
        await guest.kill();
      },
    };
  } catch (error) {
    await guest.kill();
    throw error;
  }
}

/** A guest of stock QEMU, with the file as block node `disk`, and where its trace events go. */
async function bootWithFile(
  { directory, file, image, progress }: DiskSetting,
  options: readonly string[],
): Promise<{ guest: Guest; trace: string }> {
  const qemu = await locateQemu(progress);
  const trace = path.join(directory, 'trace');
  writeFileSync(trace, '');
  const protocol = { driver: 'file', filename: file, aio: 'io_uring', cache: { direct: true } };
  const node = JSON.stringify({ driver: 'raw', 'node-name': 'disk', file: protocol });
  const guest = await boot({ qemu, image, extra: ['-D', trace, '-blockdev', node, ...options] });
  return { guest, trace };
}

function boot(options: GuestOptions): Promise<Guest> {
  return Guest.boot({ cpus: 2, memoryBytes: GUEST_BYTES, ...options });
}
