// What a guest sees of its NVMe disks, asked with what its image has.

import type { Guest } from '../../host/demo/guest.ts';

/**
 * Links /dev/ns1, /dev/ns2, ... to the namespaces of controller 0 by their NSID: Linux scans namespaces in parallel
 * and numbers the disks as it finds them.
 */
export async function linkDisks(guest: Guest): Promise<void> {
  await guest.check(
    `for disk in /sys/block/nvme*n*; do
       test -e $disk/nsid || continue
       ln -sf $(basename $disk) /dev/ns$(cat $disk/nsid)
     done`,
  );
}

/** Kernel messages about NVMe of level warning and worse. */
export async function kernelComplaints(guest: Guest): Promise<string[]> {
  const lines = (await guest.check('dmesg -r')).split('\n');
  return lines.filter((line) => /^<[0-4]>/.test(line) && /nvme/i.test(line));
}
