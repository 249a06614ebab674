/**
 * QEMU with the device vhost-user-nvme: compiled from Debian's source package and native/qemu, and kept in the user's
 * cache directory, where all checkouts share it. The machine's own QEMU is not touched.
 *
 * Run as a program it prints the path of the compiled QEMU, and what it does on stderr; with `--if-missing` it takes
 * any version of QEMU that is there. Exit status 1 when something is missing, 2 when the build fails.
 */
import { copyFile, mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { hostRelease, PrivateApt, type AvailableSource } from './apt.ts';
import { findCheckout } from './checkout.ts';
import { tryCommand } from './command.ts';
import { ensurePackages, TRIXIE, type PackageSet } from './debian.ts';
import { withLock } from './lock.ts';
import { provideBuildPackages } from './qemu-build-packages.ts';
import { formatVersion, readRecipe, type Recipe } from './qemu-build-recipe.ts';
import { BuildError, compileTree, PROGRAM, provideTree } from './qemu-build-tree.ts';
import { parseQemuVersion, type Qemu } from './qemu.ts';
import { SetupError, type Progress } from './setup-error.ts';

const NEEDS = 'QEMU with the device vhost-user-nvme is built from Debian packages';
const ELSEWHERE = 'build one as native/qemu/README.md says, and set DOORBELL_DEVICE_QEMU to it';

/** Compiled programs that are kept: those of a few checkouts, and of the last few changes of the device. */
const KEPT = 4;

/**
 * The QEMU that DOORBELL_DEVICE_QEMU names; else the one that was compiled from this checkout's native/qemu, of
 * whatever version of Debian's source; else one that is compiled now, which takes minutes.
 *
 * Throws SetupError when DOORBELL_DEVICE_QEMU does not fit, or something is missing that compiling needs; BuildError
 * when it does not compile.
 */
export async function locateDeviceQemu(progress: Progress): Promise<Qemu> {
  const chosen = process.env['DOORBELL_DEVICE_QEMU'];
  if (chosen !== undefined && chosen !== '') {
    const version = await probe(chosen);
    if (version !== undefined) return { command: chosen, version, note: 'from DOORBELL_DEVICE_QEMU' };
    throw new SetupError(
      `DOORBELL_DEVICE_QEMU is set to ${chosen}, which is no QEMU with the device vhost-user-nvme`,
    );
  }
  const { key } = await readDeviceRecipe();
  const built = (await listBuilt()).find((name) => name.endsWith(`-${key}`));
  return built === undefined ? buildDeviceQemu(progress) : useBuilt(built);
}

/**
 * Compiles QEMU with the device of this checkout, unless it is there already, of the newest version of Debian 13's
 * source; where that cannot be asked for, what was compiled from an older one will do. Errors as locateDeviceQemu.
 */
export async function buildDeviceQemu(progress: Progress): Promise<Qemu> {
  const recipe = await readDeviceRecipe();
  const release = await hostRelease();
  if (!release.supported) throw new SetupError(`${NEEDS}, and this is ${release.name}: ${ELSEWHERE}`);
  return withLock(cachePath('lock'), progress, async () => {
    const suites = TRIXIE.slice(0, 1);
    let apt: PrivateApt;
    let source: AvailableSource;
    try {
      apt = await PrivateApt.open(cachePath('apt-sources'), suites, progress, 'deb-src');
      source = await apt.resolveSource('qemu');
    } catch (error) {
      const older = (await listBuilt()).find((name) => name.endsWith(`-${recipe.key}`));
      if (older === undefined || !(error instanceof SetupError)) throw error;
      progress(`${error.message}; using what is there`);
      return useBuilt(older);
    }
    const name = `built-${formatVersion(source.version)}-${recipe.key}`;
    if (!(await listBuilt()).includes(name)) {
      await provideBuildPackages(progress);
      const tree = await provideTree(cachePath(), source, apt, recipe, progress);
      await install(name, await compileTree(tree, progress), progress);
    }
    return useBuilt(name);
  });
}

/** Puts the program and its firmware into their place, whole or not at all. */
async function install(name: string, program: string, progress: Progress): Promise<void> {
  const firmware = await provideFirmware(progress);
  const temporary = cachePath('new');
  await rm(temporary, { recursive: true, force: true });
  // QEMU looks for its data beside the folder it is in.
  const data = path.join(temporary, 'share/qemu');
  await mkdir(path.join(temporary, 'bin'), { recursive: true });
  await mkdir(data, { recursive: true });
  await copyFile(program, path.join(temporary, 'bin', PROGRAM));
  for (const folder of ['usr/share/qemu', 'usr/share/seabios']) {
    const from = path.join(firmware.root, folder);
    for (const file of await readdir(from)) await copyFile(path.join(from, file), path.join(data, file));
  }
  const version = await probe(path.join(temporary, 'bin', PROGRAM));
  if (version === undefined) throw new BuildError('the compiled QEMU', 'it has no device vhost-user-nvme');
  await writeFile(path.join(temporary, 'version'), version);
  await rename(temporary, cachePath(name));
  for (const old of (await listBuilt()).slice(KEPT)) await rm(cachePath(old), { recursive: true });
}

/** SeaBIOS, and the ROMs that QEMU starts a kernel or a second processor with. */
function provideFirmware(progress: Progress): Promise<PackageSet> {
  const recipe = {
    what: "QEMU's firmware",
    directory: cachePath('firmware'),
    suites: TRIXIE,
    packages: ['seabios', 'qemu-system-data'],
    wanted: /^(seabios|qemu-system-data)$/,
    files: [
      [/^qemu-system-data$/, /^usr\/share\/qemu\/(linuxboot.*|multiboot.*|pvh\.bin|kvmvapic\.bin)$/],
      [/^seabios$/, /^usr\/share\/seabios\//],
    ],
    revision: 1,
  } as const;
  return ensurePackages(recipe, progress, NEEDS);
}

function readDeviceRecipe(): Promise<Recipe> {
  return readRecipe(path.join(findCheckout(), 'native/qemu'));
}

/** The names of the complete programs in the cache, the one last used first. */
async function listBuilt(): Promise<string[]> {
  const names = await readdir(cachePath()).catch(() => []);
  const found: { readonly name: string; readonly used: number }[] = [];
  for (const name of names.filter((candidate) => candidate.startsWith('built-'))) {
    const file = await stat(cachePath(name, 'version')).catch(() => undefined);
    if (file !== undefined) found.push({ name, used: file.mtimeMs });
  }
  return found.sort((a, b) => b.used - a.used).map(({ name }) => name);
}

async function useBuilt(name: string): Promise<Qemu> {
  const file = cachePath(name, 'version');
  const now = new Date();
  await utimes(file, now, now);
  return {
    command: cachePath(name, 'bin', PROGRAM),
    version: await readFile(file, 'utf8'),
    note: "from Debian's source and native/qemu, in the cache directory",
  };
}

/** Below XDG_CACHE_HOME; a relative one counts as unset, as the XDG Base Directory Specification says. */
export function cachePath(...segments: string[]): string {
  const chosen = process.env['XDG_CACHE_HOME'] ?? '';
  const base = path.isAbsolute(chosen) ? chosen : path.join(homedir(), '.cache');
  return path.join(base, 'doorbell/qemu', ...segments);
}

/** The version of the QEMU at `command`, or undefined if it is none, or has not the device. */
async function probe(command: string): Promise<string | undefined> {
  const output = await tryCommand(command, ['--version']).catch(() => undefined);
  const device = await tryCommand(command, ['-device', 'vhost-user-nvme,help']).catch(() => undefined);
  return device?.stdout.includes('chardev=') === true ? parseQemuVersion(output?.stdout ?? '') : undefined;
}

/** Returns the exit status. */
async function main(args: readonly string[]): Promise<number> {
  const begin = performance.now();
  const progress = (line: string): void => {
    console.error(line);
  };
  try {
    const ifMissing = args.includes('--if-missing');
    const qemu = await (ifMissing ? locateDeviceQemu(progress) : buildDeviceQemu(progress));
    const seconds = ((performance.now() - begin) / 1000).toFixed(1);
    progress(`QEMU ${qemu.version} with the device vhost-user-nvme, after ${seconds} s:`);
    console.log(qemu.command);
    return 0;
  } catch (error) {
    if (!(error instanceof SetupError || error instanceof BuildError)) throw error;
    console.error(error.message);
    return error instanceof SetupError ? 1 : 2;
  }
}

if (import.meta.url === pathToFileURL(path.resolve(process.argv[1] ?? '')).href) {
  process.exitCode = await main(process.argv.slice(2));
}
