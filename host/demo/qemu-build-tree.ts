/**
 * A tree of QEMU's source, patched and configured, in which the device is compiled.
 *
 * A tree is taken for complete by its stamp, which is written last; an incomplete one is made anew. Files of the
 * device change in a complete one, and only what depends on them is compiled again.
 */
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { AvailableSource, PrivateApt } from './apt.ts';
import { tryCommand, type CommandOptions } from './command.ts';
import { ensurePackages, TRIXIE } from './debian.ts';
import { findPython } from './qemu-build-packages.ts';
import { CONFIGURE_OPTIONS, DEVICE_FOLDER, formatVersion, type Recipe } from './qemu-build-recipe.ts';
import type { Progress } from './setup-error.ts';

/** The one program that is compiled. */
export const PROGRAM = 'qemu-system-x86_64';

/** Lines of a failed step's output that are shown, and characters of each: command lines of compilers are long. */
const OUTPUT_LINES = 60;
const OUTPUT_COLUMNS = 200;

/** Directories in a tree. */
const SOURCE = 'source';
const BUILD = 'build';

/** A step of the build failed; the message is several lines, with the end of what the step said. */
export class BuildError extends Error {
  constructor(step: string, output: string) {
    const lines = output.trimEnd().split('\n');
    const first = lines.findIndex((line) => line.startsWith('FAILED:'));
    const shown = first < 0 ? lines.slice(-OUTPUT_LINES) : lines.slice(first, first + OUTPUT_LINES);
    super([`${step} failed:`, ...shown.map((line) => line.slice(0, OUTPUT_COLUMNS))].join('\n'));
    this.name = 'BuildError';
  }
}

export interface Tree {
  readonly directory: string;
  /** Variables that every command in the tree needs. */
  readonly env: Readonly<Record<string, string>>;
}

/** Provides a configured tree in `cache` of the `source` that `apt` knows, with the files of `recipe` in it. */
export async function provideTree(
  cache: string,
  source: AvailableSource,
  apt: PrivateApt,
  recipe: Recipe,
  progress: Progress,
): Promise<Tree> {
  const name = `build-${formatVersion(source.version)}`;
  const tree = { directory: path.join(cache, name), env: await provideMeson(cache, progress) };
  const stamp: Stamp = { version: source.version, key: recipe.treeKey };
  if (isDeepStrictEqual(await readStamp(tree.directory), stamp)) {
    await copyFiles(tree, recipe);
    return tree;
  }
  await rm(tree.directory, { recursive: true, force: true });
  await mkdir(path.join(tree.directory, BUILD), { recursive: true });
  await unpack(tree, await download(cache, source, apt, progress), recipe, progress);
  await copyFiles(tree, recipe);
  await configure(tree, progress);
  await writeFile(stampPath(tree.directory), JSON.stringify(stamp));
  await removeOthers(cache, name);
  return tree;
}

/** Compiles what is out of date in a tree; resolves to the program's path. Throws BuildError. */
export async function compileTree(tree: Tree, progress: Progress): Promise<string> {
  const jobs = availableParallelism();
  progress(`compiling QEMU, ${jobs} files at a time (minutes the first time, then seconds)`);
  // It may go on beside tests that measure time.
  const args = ['-n', '19', 'ninja', '-C', path.join(tree.directory, BUILD), `-j${jobs}`, PROGRAM];
  await runStep('compiling QEMU', 'nice', args, { env: tree.env });
  return path.join(tree.directory, BUILD, PROGRAM);
}

/** QEMU 10.0 wants meson 1.5 or later, Debian 12 has 1.0. Meson is Python alone, so Debian 13's runs on both. */
async function provideMeson(cache: string, progress: Progress): Promise<Record<string, string>> {
  const { root } = await ensurePackages(
    {
      what: 'meson',
      directory: path.join(cache, 'meson'),
      suites: TRIXIE,
      packages: ['meson'],
      wanted: /^meson$/,
      files: [[/./, /^usr\/(bin|lib)\//]],
      revision: 1,
    },
    progress,
    'QEMU with the device vhost-user-nvme is built of Debian packages',
  );
  return {
    PATH: `${path.join(root, 'usr/bin')}:${process.env['PATH'] ?? ''}`,
    PYTHONPATH: path.join(root, 'usr/lib/python3/dist-packages'),
  };
}

/** Fetches the source package unless it is there; returns its .dsc file. */
async function download(
  cache: string,
  source: AvailableSource,
  apt: PrivateApt,
  progress: Progress,
): Promise<string> {
  const directory = path.join(cache, `archive-${formatVersion(source.version)}`);
  await mkdir(directory, { recursive: true });
  progress(`downloading QEMU's source: ${(source.bytes / 1e6).toFixed(0)} MB, version ${source.version}`);
  // apt keeps what is there and complete.
  const file = await apt.downloadSource(source, directory);
  await removeOthers(cache, path.basename(directory));
  return file;
}

async function unpack(tree: Tree, archive: string, recipe: Recipe, progress: Progress): Promise<void> {
  progress("unpacking QEMU's source");
  const source = path.join(tree.directory, SOURCE);
  // apt has checked the archives; the keys of those who signed them are not installed everywhere.
  await runStep('unpacking QEMU', 'dpkg-source', ['--no-check', '--no-copy', '-x', archive, source]);
  for (const [name, text] of recipe.patches) {
    const args = ['--batch', '--forward', '--fuzz=0', '-p1', '-d', source];
    await runStep(`applying ${name}`, 'patch', args, { input: text.toString() });
  }
}

/** Writes the device's files where they differ, and removes those that are gone: ninja goes by their times. */
async function copyFiles(tree: Tree, recipe: Recipe): Promise<void> {
  const source = path.join(tree.directory, SOURCE);
  await mkdir(path.join(source, DEVICE_FOLDER), { recursive: true });
  for (const [name, text] of recipe.added) {
    const file = path.join(source, name);
    const present = await readFile(file).catch(() => undefined);
    if (present === undefined || !present.equals(text)) await writeFile(file, text);
  }
  for (const name of await readdir(path.join(source, DEVICE_FOLDER))) {
    const place = path.posix.join(DEVICE_FOLDER, name);
    if (!recipe.added.has(place)) await rm(path.join(source, place), { recursive: true });
  }
}

async function configure(tree: Tree, progress: Progress): Promise<void> {
  progress('configuring QEMU');
  const cwd = path.join(tree.directory, BUILD);
  const args = [`--python=${await findPython()}`, ...CONFIGURE_OPTIONS];
  await runStep('configuring QEMU', path.join(tree.directory, SOURCE, 'configure'), args, {
    cwd,
    env: tree.env,
  });
}

async function runStep(
  step: string,
  file: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<void> {
  const { status, stdout, stderr } = await tryCommand(file, args, options);
  if (status !== 0) throw new BuildError(step, stdout + stderr);
}

/** Removes what other versions of QEMU left in the cache beside `name`, whose first word says what it is. */
async function removeOthers(cache: string, name: string): Promise<void> {
  const kind = name.slice(0, name.indexOf('-') + 1);
  for (const other of await readdir(cache)) {
    if (other.startsWith(kind) && other !== name) await rm(path.join(cache, other), { recursive: true });
  }
}

interface Stamp {
  readonly version: string;
  readonly key: string;
}

function stampPath(directory: string): string {
  return path.join(directory, 'complete.json');
}

async function readStamp(directory: string): Promise<Stamp | undefined> {
  const text = await readFile(stampPath(directory), 'utf8').catch(() => '');
  return text === '' ? undefined : (JSON.parse(text) as Stamp);
}
