/**
 * Builds a disk that boots by itself, on BIOS and on UEFI: a partition table, GRUB for both, the kernel and the
 * initramfs of a guest, and a spare partition. Everything is from Debian's packages, unpacked in `build/guest/boot`;
 * no part of it needs root or a loop device.
 *
 * GRUB's configuration is inside its core image: it shows no menu, waits for nobody, and reads one file system.
 */
import { createHash } from 'node:crypto';
import { mkdir, open, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import {
  BIOS_BOOT,
  EFI_SYSTEM,
  LINUX_DATA,
  loadGrub,
  partitionTable,
  placeGrub,
  type Partition,
} from './boot-image-layout.ts';
import { buildPath } from './checkout.ts';
import { runCommand } from './command.ts';
import { ensurePackages, LIBRARY_DIRECTORY, LOADER, TRIXIE, type PackageSet } from './debian.ts';
import { ensureGuestImage, type GuestImage } from './guest-image.ts';
import { KERNEL_OPTIONS } from './guest.ts';
import { withLock } from './lock.ts';
import type { UefiFirmware } from './qemu.ts';
import { SetupError, type Progress } from './setup-error.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

export const BOOT_DISK_BYTES = 64 * MIB;

/** The partitions of a boot disk, in their order. */
export const BOOT_PARTITIONS = {
  loader: { type: BIOS_BOOT, name: 'BIOS boot loader', start: 64 * KIB, bytes: 960 * KIB },
  system: { type: EFI_SYSTEM, name: 'EFI system', start: MIB, bytes: 39 * MIB },
  spare: { type: LINUX_DATA, name: 'spare', start: 40 * MIB, bytes: 23 * MIB },
} as const satisfies Record<string, Partition>;

/** Raised when the composition of the disk changes in a way that its inputs do not show. */
const IMAGE_REVISION = 1;

/** Boot loader, tools for FAT, and firmware, with the libraries that GRUB's tool needs. */
const PACKAGES = [
  ...[
    'grub-common',
    'grub-pc-bin',
    'grub-efi-amd64-bin',
    'dosfstools',
    'mtools',
    'ovmf',
    'libc6',
    'liblzma5',
  ],
  ...['libdevmapper1.02.1', 'libselinux1', 'libpcre2-8-0', 'libudev1', 'libcap2'],
];

const GRUB_COMMON_MODULES = ['part_gpt', 'fat', 'linux'];

/** GRUB runs this as it starts; its prefix has made the system partition the root. */
const GRUB_SCRIPT = `linux /vmlinuz ${KERNEL_OPTIONS}
initrd /initramfs
boot
`;

/**
 * Absolute path of a disk of BOOT_DISK_BYTES for blocks of 512 or 4,096 bytes that boots the test guest, built now if
 * it is not there or was built from something else. It is for all: a guest gets a copy.
 *
 * Throws SetupError when packages are missing and cannot be fetched.
 */
export async function ensureBootDisk(blockBytes: 512 | 4096, progress: Progress): Promise<string> {
  const packages = await ensureBootPackages(progress);
  const guest = await ensureGuestImage('test', progress);
  const initramfs = await readFile(guest.initramfs);
  const inputs = [IMAGE_REVISION, packages.versions, guest.kernelRelease, GRUB_SCRIPT, BOOT_PARTITIONS];
  const hash = createHash('sha256').update(JSON.stringify(inputs)).update(initramfs);
  const directory = buildPath('guest', 'boot-disks');
  const file = path.join(directory, `${String(blockBytes)}-${hash.digest('hex').slice(0, 16)}.img`);
  return withLock(buildPath('guest', 'boot-lock'), progress, async () => {
    if (await stat(file).catch(() => undefined)) return file;
    progress(`building a boot disk with blocks of ${String(blockBytes)} bytes`);
    await mkdir(directory, { recursive: true });
    const scratch = path.join(directory, 'scratch');
    await rm(scratch, { recursive: true, force: true });
    await mkdir(scratch);
    await buildDisk(path.join(scratch, 'disk'), scratch, packages, guest, blockBytes);
    await removeOthers(directory, blockBytes);
    await rename(path.join(scratch, 'disk'), file);
    await rm(scratch, { recursive: true });
    return file;
  });
}

/** Removes the disks with blocks of this size, which were built from something else. */
async function removeOthers(directory: string, blockBytes: number): Promise<void> {
  for (const name of await readdir(directory)) {
    if (name.startsWith(`${String(blockBytes)}-`) && name.endsWith('.img'))
      await rm(path.join(directory, name));
  }
}

/** UEFI for a virtual machine: TianoCore's OVMF, without secure boot. Throws SetupError as ensureBootDisk does. */
export async function ensureUefiFirmware(progress: Progress): Promise<UefiFirmware> {
  const { root } = await ensureBootPackages(progress);
  const directory = path.join(root, 'usr/share/OVMF');
  return {
    code: path.join(directory, 'OVMF_CODE_4M.fd'),
    variables: path.join(directory, 'OVMF_VARS_4M.fd'),
  };
}

function ensureBootPackages(progress: Progress): Promise<PackageSet> {
  const names = PACKAGES.map((name) => name.replaceAll('.', '\\.'));
  const recipe = {
    what: 'boot loader and firmware',
    directory: buildPath('guest', 'boot'),
    suites: TRIXIE,
    packages: PACKAGES,
    wanted: new RegExp(`^(?:${names.join('|')})$`),
    files: [
      [/^grub-common$/, /^usr\/bin\/grub-mkimage$/],
      [/^grub-(pc|efi-amd64)-bin$/, /^usr\/lib\/grub\/(i386-pc|x86_64-efi)\/[^/]*\.(mod|img|lst)$/],
      [/^dosfstools$/, /^usr\/sbin\/mkfs\.fat$/],
      [/^mtools$/, /^usr\/bin\/mtools$/],
      [/^ovmf$/, /^usr\/share\/OVMF\/OVMF_(CODE|VARS)_4M\.fd$/],
      [/./, /^usr\/lib\/x86_64-linux-gnu\/[^/]*\.so[^/]*$/],
    ] as const,
    revision: 1,
  };
  return ensurePackages(recipe, progress, 'a boot disk and its firmware are built from packages of Debian');
}

async function buildDisk(
  file: string,
  scratch: string,
  packages: PackageSet,
  guest: GuestImage,
  blockBytes: number,
): Promise<void> {
  const grub = path.join(packages.root, 'usr/lib/grub');
  const bios = path.join(scratch, 'core.img');
  const uefi = path.join(scratch, 'BOOTX64.EFI');
  await makeGrub(packages, scratch, 'i386-pc', ['biosdisk'], bios);
  await makeGrub(packages, scratch, 'x86_64-efi', [], uefi);

  const { loader, system } = BOOT_PARTITIONS;
  const core = await readFile(bios);
  const placed =
    blockBytes === 512
      ? placeGrub(await readFile(path.join(grub, 'i386-pc/boot.img')), core, loader.start)
      : loadGrub(core, loader.start, blockBytes);
  if (placed.core.length > loader.bytes) throw new SetupError('GRUB does not fit into its partition');

  const partitions = Object.values(BOOT_PARTITIONS);
  const disk = await open(file, 'wx');
  try {
    await disk.truncate(BOOT_DISK_BYTES);
    const pieces = partitionTable(partitions, BOOT_DISK_BYTES, blockBytes, placed.bootCode);
    for (const { offset, bytes } of [...pieces, { offset: loader.start, bytes: placed.core }]) {
      await disk.write(bytes, 0, bytes.length, offset);
    }
  } finally {
    await disk.close();
  }
  await makeFileSystem(packages, file, system, blockBytes, {
    '/vmlinuz': guest.kernel,
    '/initramfs': guest.initramfs,
    '/EFI/BOOT/BOOTX64.EFI': uefi,
  });
}

/** A GRUB for one platform that has what it needs inside. */
async function makeGrub(
  packages: PackageSet,
  scratch: string,
  platform: string,
  modules: readonly string[],
  output: string,
): Promise<void> {
  const script = path.join(scratch, 'grub.cfg');
  await writeFile(script, GRUB_SCRIPT);
  await runProgram(packages, 'usr/bin/grub-mkimage', [
    ...['--directory', path.join(packages.root, 'usr/lib/grub', platform), '--format', platform],
    ...['--prefix', '(,gpt2)/', '--config', script, '--output', output],
    ...GRUB_COMMON_MODULES,
    ...modules,
  ]);
}

/** A FAT file system in the partition, with `files`: host paths by their paths in it. */
async function makeFileSystem(
  packages: PackageSet,
  disk: string,
  partition: Partition,
  blockBytes: number,
  files: Readonly<Record<string, string>>,
): Promise<void> {
  await runProgram(packages, 'usr/sbin/mkfs.fat', [
    ...[
      '-F',
      '16',
      '-S',
      String(blockBytes),
      '-s',
      String(4096 / blockBytes),
      '-i',
      'd00be110',
      '--invariant',
    ],
    ...['--offset', String(partition.start / blockBytes), disk, String(partition.bytes / KIB)],
  ]);
  const mtools = (...args: string[]): Promise<string> =>
    runProgram(packages, 'usr/bin/mtools', ['-c', ...args], { MTOOLS_SKIP_CHECK: '1' });
  const target = `${disk}@@${String(partition.start)}`;
  await mtools('mmd', '-i', target, '::/EFI', '::/EFI/BOOT');
  for (const [name, source] of Object.entries(files))
    await mtools('mcopy', '-i', target, source, `::${name}`);
}

function runProgram(
  packages: PackageSet,
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const at = (name: string): string => path.join(packages.root, name);
  const libraries = ['--inhibit-cache', '--library-path', at(LIBRARY_DIRECTORY)];
  return runCommand(at(LOADER), [...libraries, at(program), ...args], { env });
}
