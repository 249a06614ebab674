/**
 * Builds what a guest boots: Debian's kernel and an initramfs with busybox, an init script and a command agent
 * (guest-init.ts); the `test` image also has fio, nvme-cli and the tools of ext4.
 *
 * The kernel is Debian's "cloud" flavour of trixie: in it, unlike in the general one, the NVMe driver (with
 * multipath), ext4 and the serial console are built in, so the images carry no modules. Parameters of the driver
 * go on the kernel's command line (`nvme_core.io_timeout=5`); `initcall_blacklist=nvme_init` leaves it out.
 */
import { createHash } from 'node:crypto';
import { mkdir, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { buildPath } from './checkout.ts';
import { runCommand } from './command.ts';
import { writeCpio, type CpioEntry } from './cpio.ts';
import {
  ensurePackages,
  LIBRARY_DIRECTORY,
  LOADER,
  TRIXIE,
  type PackageRecipe,
  type PackageSet,
} from './debian.ts';
import { neededLibraries } from './elf.ts';
import { AGENT_SCRIPT, INIT_SCRIPT, PROFILE_SCRIPT } from './guest-init.ts';
import { ensureGuestTools, TOOL_PROGRAMS } from './guest-tools.ts';
import { withLock } from './lock.ts';
import { SetupError, type Progress } from './setup-error.ts';

/** `demo`: busybox only. `test`: also fio, nvme-cli, e2fsprogs, blkdiscard, and dash as the shell. */
export type GuestImageKind = 'demo' | 'test';

/** A guest that can be booted. */
export interface GuestImage {
  /** Absolute path of the kernel (bzImage). */
  readonly kernel: string;
  /** Absolute path of the initramfs. */
  readonly initramfs: string;
  /** Such as `6.12.107+deb13-cloud-amd64`. */
  readonly kernelRelease: string;
}

/** Parts of the kernel without which a guest is of no use, by their path in modules.builtin. */
const BUILTIN_REQUIRED = ['kernel/drivers/nvme/host/nvme.ko', 'kernel/fs/ext4/ext4.ko'];

/** Raised when the composition of an image changes in a way that its inputs do not show. */
const IMAGE_REVISION = 1;

const DIRECTORIES = ['dev', 'proc', 'sys', 'run', 'tmp', 'root', 'mnt', 'etc'];

/** The end of the sentence for a system whose packages cannot be used. */
const NEEDS =
  "a guest is built from Debian's packages: copy build/guest from a Debian machine and set DOORBELL_GUEST_IMAGES to it";

/**
 * The image in `build/guest/<kind>`, built now if it is not there or was built from other packages or scripts.
 *
 * DOORBELL_GUEST_IMAGES, if set, names a copy of `build/guest` of another machine, which is used as it is.
 *
 * Throws SetupError when its packages are missing and cannot be fetched.
 */
export async function ensureGuestImage(kind: GuestImageKind, progress: Progress): Promise<GuestImage> {
  const given = process.env['DOORBELL_GUEST_IMAGES'];
  if (given !== undefined && given !== '') {
    const image = await readImage(path.resolve(given, kind));
    if (image === undefined)
      throw new SetupError(`DOORBELL_GUEST_IMAGES is set to ${given}, which has no ${kind}`);
    return image;
  }
  const base = await ensurePackages(kernelRecipe(), progress, NEEDS);
  const tools = kind === 'test' ? await ensureGuestTools(progress) : undefined;
  const inputs = [
    IMAGE_REVISION,
    base.versions,
    tools?.versions,
    TOOL_PROGRAMS,
    INIT_SCRIPT,
    AGENT_SCRIPT,
    PROFILE_SCRIPT,
  ];
  const key = createHash('sha256').update(JSON.stringify(inputs)).digest('hex');
  const directory = buildPath('guest', kind);
  return withLock(buildPath('guest', 'lock'), progress, async () => {
    const present = await readImage(directory, key);
    if (present !== undefined) return present;
    progress(`building the ${kind} guest's initramfs`);
    await buildImage(directory, key, base, tools);
    const built = await readImage(directory, key);
    if (built === undefined) throw new Error(`${directory} was built but cannot be read`);
    return built;
  });
}

/** Debian's kernel and busybox, unpacked in `build/guest/kernel`. */
function kernelRecipe(): PackageRecipe {
  return {
    what: 'a kernel and busybox for the guest',
    directory: buildPath('guest', 'kernel'),
    suites: TRIXIE,
    packages: ['linux-image-cloud-amd64', 'busybox-static'],
    wanted: /^(linux-image-.*-cloud-amd64|busybox-static)$/,
    files: [
      [/^busybox-static$/, /^usr\/bin\/busybox$/],
      [/^linux-image-/, /^(boot\/vmlinuz-.*|usr\/lib\/modules\/[^/]*\/modules\.builtin)$/],
    ],
    revision: 1,
  };
}

/** The image in `directory`; undefined if there is none, or it was built for another key than one that is given. */
async function readImage(directory: string, key?: string): Promise<GuestImage | undefined> {
  const text = await readFile(path.join(directory, 'image.json'), 'utf8').catch(() => '');
  if (text === '') return undefined;
  const stamp = JSON.parse(text) as { readonly key: string; readonly kernelRelease: string };
  if (key !== undefined && stamp.key !== key) return undefined;
  return {
    kernel: path.join(directory, 'vmlinuz'),
    initramfs: path.join(directory, 'initramfs'),
    kernelRelease: stamp.kernelRelease,
  };
}

async function buildImage(
  directory: string,
  key: string,
  base: PackageSet,
  tools: PackageSet | undefined,
): Promise<void> {
  const temporary = `${directory}.new`;
  await rm(temporary, { recursive: true, force: true });
  await mkdir(temporary, { recursive: true });
  const kernelRelease = await findKernel(base.root);
  const kernel = await readFile(path.join(base.root, 'boot', `vmlinuz-${kernelRelease}`));
  const initramfs = writeCpio(await initramfsEntries(base, tools));
  await writeFile(path.join(temporary, 'vmlinuz'), kernel);
  await writeFile(path.join(temporary, 'initramfs'), gzipSync(initramfs, { level: 9 }));
  await writeFile(path.join(temporary, 'image.json'), JSON.stringify({ key, kernelRelease }));
  await rm(directory, { recursive: true, force: true });
  await rename(temporary, directory);
}

/** The release of the kernel below `root`, having made sure that it has what a guest needs. */
async function findKernel(root: string): Promise<string> {
  const file = (await readdir(path.join(root, 'boot'))).find((name) => name.startsWith('vmlinuz-'));
  if (file === undefined) throw new SetupError("Debian's kernel package has no boot/vmlinuz file");
  const release = file.slice('vmlinuz-'.length);
  const builtin = await readFile(path.join(root, 'usr/lib/modules', release, 'modules.builtin'), 'utf8');
  for (const required of BUILTIN_REQUIRED) {
    if (!builtin.split('\n').includes(required)) {
      throw new SetupError(
        `Debian's kernel ${release} does not have ${path.basename(required, '.ko')} built in`,
      );
    }
  }
  return release;
}

/** All members of the initramfs, directories before what is in them. */
async function initramfsEntries(base: PackageSet, tools: PackageSet | undefined): Promise<CpioEntry[]> {
  const busybox = path.join(base.root, 'usr/bin/busybox');
  const entries: CpioEntry[] = [
    { kind: 'symlink', path: 'bin', target: 'usr/bin' },
    { kind: 'symlink', path: 'sbin', target: 'usr/sbin' },
    { kind: 'symlink', path: 'lib', target: 'usr/lib' },
    { kind: 'symlink', path: 'lib64', target: LIBRARY_DIRECTORY },
    { kind: 'device', path: 'dev/console', major: 5, minor: 1 },
    { kind: 'symlink', path: 'etc/mtab', target: '/proc/self/mounts' },
    text('init', INIT_SCRIPT, 0o755),
    text('usr/sbin/agent', AGENT_SCRIPT, 0o755),
    text('etc/profile', PROFILE_SCRIPT),
    text('etc/passwd', 'root::0:0:root:/root:/bin/sh\n'),
    text('etc/group', 'root:x:0:\n'),
    { kind: 'file', path: 'usr/bin/busybox', mode: 0o755, data: await readFile(busybox) },
  ];
  if (tools !== undefined) entries.push(...(await toolEntries(tools.root)));
  const taken = new Set(entries.map((entry) => path.basename(entry.path)));
  for (const applet of (await runCommand(busybox, ['--list'])).split('\n').filter(Boolean)) {
    if (!taken.has(applet)) entries.push({ kind: 'symlink', path: `usr/bin/${applet}`, target: 'busybox' });
  }
  return [...directoriesOf(entries), ...entries];
}

/** The programs below `root`, and of the libraries there those that they need. */
async function toolEntries(root: string): Promise<CpioEntry[]> {
  const entries: CpioEntry[] = [];
  const queue = [LOADER, ...Object.keys(TOOL_PROGRAMS)];
  for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
    const file = path.join(root, name);
    const data = await readFile(file).catch((cause: unknown) => {
      throw new SetupError(
        `${name} is not in Debian's packages for the guest: remove ${path.dirname(root)}`,
        { cause },
      );
    });
    entries.push({ kind: 'file', path: name, mode: 0o755, data });
    for (const library of neededLibraries(data)) {
      const needed = `${LIBRARY_DIRECTORY}/${library}`;
      if (!queue.includes(needed) && !entries.some((entry) => entry.path === needed)) queue.push(needed);
    }
    for (const alias of TOOL_PROGRAMS[name] ?? []) {
      entries.push({ kind: 'symlink', path: alias, target: path.basename(name) });
    }
  }
  return entries;
}

/** The parents of all entries, and the empty directories that the init script mounts on. */
function directoriesOf(entries: readonly CpioEntry[]): CpioEntry[] {
  const paths = new Set(DIRECTORIES);
  for (const entry of entries) {
    for (let parent = path.dirname(entry.path); parent !== '.'; parent = path.dirname(parent))
      paths.add(parent);
  }
  return [...paths].sort().map((name) => ({ kind: 'directory', path: name }));
}

function text(name: string, content: string, mode = 0o644): CpioEntry {
  return { kind: 'file', path: name, mode, data: Buffer.from(content) };
}
