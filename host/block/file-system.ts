// File systems that keep io_uring's promise: a read or write that is submitted never makes the submitter wait.
//
// The kernel tries each operation in the submitting thread first, "without waiting", and hands it to a thread of its
// own if that fails. On network file systems and FUSE the first attempt may wait all the same, for a server that does
// not answer: the reactor would hang with it. There, and on all that is not known, the first attempt is left out.

import * as fs from 'node:fs';

/** statfs(2), linux/magic.h. */
const PROMPT = new Set([
  0xef53, // ext2, ext3, ext4
  0x58465342, // XFS
  0x9123683e, // Btrfs
  0xf2f52010, // F2FS
  0x01021994, // tmpfs
  0x858458f6, // ramfs
  0x794c7630, // overlayfs
]);

/** Whether submitting I/O of a regular file may make the submitter wait. */
export function mayBlock(realPath: string): boolean {
  return !PROMPT.has(fs.statfsSync(realPath).type);
}
