// The driver of virtio-blk for a guest: Debian's kernel has it as a module, which is handed to the running guest.

import { readFile, readdir } from 'node:fs/promises';
import path from 'node:path';
import { buildPath } from '../../host/demo/checkout.ts';
import { ensurePackages, TRIXIE } from '../../host/demo/debian.ts';
import type { GuestImage } from '../../host/demo/guest-image.ts';
import type { Guest } from '../../host/demo/guest.ts';
import { SetupError, type Progress } from '../../host/demo/setup-error.ts';

const MODULE_DIRECTORY = 'kernel/drivers/block';

/** Throws SetupError if the module cannot be fetched, or only that of another kernel can. */
export async function loadVirtioBlk(
  guest: Guest,
  { kernelRelease }: GuestImage,
  progress: Progress,
): Promise<void> {
  const { root } = await ensurePackages(
    {
      what: "the guest's virtio-blk driver",
      directory: buildPath('guest', 'virtio'),
      suites: TRIXIE,
      packages: ['linux-image-cloud-amd64'],
      wanted: /^linux-image-.*-cloud-amd64$/,
      files: [[/^linux-image-/, /^usr\/lib\/modules\/[^/]*\/kernel\/drivers\/block\/virtio_blk\.ko/]],
      revision: 1,
    },
    progress,
    "the guest's virtio-blk driver is needed",
  );
  const directory = path.join(root, 'usr/lib/modules', kernelRelease, MODULE_DIRECTORY);
  const [name] = await readdir(directory).catch(() => []);
  if (name === undefined) {
    throw new SetupError(
      `${root} has no virtio-blk driver for the guest's kernel ${kernelRelease}: remove build/guest`,
    );
  }
  const module = (await readFile(path.join(directory, name))).toString('base64');
  await guest.check(`base64 -d >/tmp/${name} <<'END'
${module.replace(/.{76}/g, '$&\n')}
END
insmod /tmp/${name} && rm /tmp/${name} && test -b /dev/vda`);
}
