/**
 * Programs for file systems and I/O from Debian's packages: for the test guest, and fio also for this machine.
 */
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { buildPath } from './checkout.ts';
import {
  ensurePackages,
  LIBRARY_DIRECTORY,
  TRIXIE,
  writeLauncher,
  type PackageRecipe,
  type PackageSet,
} from './debian.ts';
import { dropLibraries } from './elf.ts';
import type { Progress } from './setup-error.ts';

/** Libraries of features that no test uses, by the file that asks for them. */
const DROPPED: Readonly<Record<string, readonly string[]>> = {
  // Access to storage clusters, RDMA and persistent memory.
  'usr/bin/fio': [
    'libibverbs.so.1',
    'libnfs.so.14',
    'libgfapi.so.0',
    'libnbd.so.0',
    'librdmacm.so.1',
    'librados.so.2',
    'librbd.so.1',
    'libpmem.so.1',
  ],
  // Keys of NVMe over TCP with authentication.
  [`${LIBRARY_DIRECTORY}/libnvme.so.1`]: ['libcrypto.so.3', 'libkeyutils.so.1'],
};

const PACKAGES = [
  ...['fio', 'nvme-cli', 'e2fsprogs', 'util-linux', 'dash', 'libc6', 'libaio1t64', 'libnuma1', 'zlib1g'],
  ...['libnvme1t64', 'libjson-c5', 'libext2fs2t64', 'libcom-err2', 'libblkid1', 'libuuid1'],
];

/** Programs of the set, by path below its root, with further names of theirs. */
export const TOOL_PROGRAMS: Readonly<Record<string, readonly string[]>> = {
  'usr/bin/dash': ['usr/bin/sh'],
  'usr/bin/fio': [],
  'usr/sbin/blkdiscard': [],
  'usr/sbin/e2fsck': ['usr/sbin/fsck.ext4'],
  'usr/sbin/mke2fs': ['usr/sbin/mkfs.ext4'],
  'usr/sbin/nvme': [],
};

/** The set of tools in `build/guest/tools`, fetched if it is not there. Throws SetupError. */
export function ensureGuestTools(progress: Progress): Promise<PackageSet> {
  const programs = Object.keys(TOOL_PROGRAMS).map((file) => file.replaceAll('.', '\\.'));
  const recipe: PackageRecipe = {
    what: 'file-system and I/O tools',
    directory: buildPath('guest', 'tools'),
    suites: TRIXIE,
    packages: PACKAGES,
    wanted: new RegExp(`^(?:${PACKAGES.join('|')})$`),
    files: [
      [/^(fio|nvme-cli|e2fsprogs|util-linux|dash)$/, new RegExp(`^(?:${programs.join('|')})$`)],
      [/./, /^usr\/lib\/x86_64-linux-gnu\/[^/]*\.so[^/]*$/],
    ],
    revision: 1,
    finish: completeTools,
  };
  return ensurePackages(recipe, progress, 'fio with io_uring is needed: install fio 3 or later');
}

async function completeTools(directory: string): Promise<void> {
  for (const [name, libraries] of Object.entries(DROPPED)) {
    const file = path.join(directory, 'root', name);
    await writeFile(file, dropLibraries(await readFile(file), libraries));
  }
  await writeLauncher(directory, 'fio');
}
