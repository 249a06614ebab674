// A guest of 6 GiB: its I/O buffers lie above 4 GiB too, and the target reads and writes them there.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Guest } from '../../host/demo/guest.ts';
import { ATTACHMENTS } from '../support/attachment.ts';
import { GIB, Lab } from '../support/lab.ts';

/**
 * Counts the pages of fio's largest anonymous mappings whose frames lie at 4 GiB or above: /proc/PID/pagemap has 8
 * bytes a page, of which the low 55 bits are the frame number.
 */
const PFN_SCAN = `
         above=0
         for pid in $fio $(cat /proc/$fio/task/$fio/children); do
           for range in $(sed -n 's/^\\([0-9a-f]*-[0-9a-f]*\\) rw.* 00:00 0 *$/\\1/p' /proc/$pid/maps); do
             start=$((0x\${range%-*} / 4096)); pages=$(((0x\${range#*-} - 0x\${range%-*}) / 4096))
             test $pages -ge 64 || continue
             for entry in $(dd if=/proc/$pid/pagemap bs=8 skip=$start count=256 2>/dev/null | od -An -v -t x8); do
               frame=$((0x$entry & 0x7fffffffffffff))
               test $frame -ge 1048576 && above=$((above + 1))
             done
           done
         done
         echo above $above`;

for (const attachment of ATTACHMENTS) {
  const skip = (await attachment.unavailable()) ?? false;
  describe(`a guest of 6 GiB, ${attachment.name}`, { timeout: 300_000, skip }, () => {
    const lab = new Lab();
    let guest: Guest;

    before(async () => {
      const socket = lab.path('nvme.sock');
      await lab.target('--socket', attachment.socket(socket), '--namespace', lab.disk('a.img'));
      const qemu = await attachment.locateQemu();
      guest = await lab.guest({ ...attachment.guest([socket]), qemu, memoryBytes: 6 * GIB });
    });

    after(() => lab.close());

    test('does verified I/O with buffers above 4 GiB', async () => {
      // fio's buffers are locked and shown by their page frame numbers while it waits between its two phases.
      const output = await lab.step(() =>
        guest.check(
          `fio --name=high --filename=/dev/nvme0n1 --rw=randrw --bs=4k-1m --size=64m --direct=1 --ioengine=libaio \\
             --iodepth=32 --mem=malloc --lockmem=1m --verify=crc32c --verify_fatal=1 --output=/tmp/fio.log &
         fio=$!
         sleep 1
         ${PFN_SCAN}
         wait $fio || { cat /tmp/fio.log; exit 1; }`,
          { timeoutSeconds: 200 },
        ),
      );
      const above = Number(/^above (\d+)$/m.exec(output)?.[1]);
      assert.ok(above > 0, `fio has pages above 4 GiB: ${output}`);
    });
  });
}
