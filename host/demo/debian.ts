/**
 * Sets of Debian packages, unpacked under a directory of the checkout: no root, and nothing outside it changes.
 *
 * A set appears whole or not at all: it is unpacked beside its place and renamed there, with a stamp that names
 * the recipe it was made by. Two processes may ask for the same set at once.
 */
import { createHash } from 'node:crypto';
import { chmod, mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { hostRelease, PrivateApt, type AvailablePackage } from './apt.ts';
import { buildPath } from './checkout.ts';
import { runCommand } from './command.ts';
import { withLock } from './lock.ts';
import { SetupError, type Progress } from './setup-error.ts';

/** Where in a set the libraries are, and the loader that finds them. */
export const LIBRARY_DIRECTORY = 'usr/lib/x86_64-linux-gnu';
export const LOADER = `${LIBRARY_DIRECTORY}/ld-linux-x86-64.so.2`;

/** The suites of Debian 13: one set of package lists serves everything that comes from them. */
export const TRIXIE: readonly string[] = ['trixie', 'trixie-backports'];

/** What to fetch, and what of it to keep. A change of any field but `what` and `directory` makes the set anew. */
export interface PackageRecipe {
  /** For people, such as `QEMU`. */
  readonly what: string;
  /** Absolute path of the set. */
  readonly directory: string;
  /** Suites of one Debian archive, such as `trixie`. */
  readonly suites: readonly string[];
  /** The suite to take packages from where it has them. */
  readonly preferredSuite?: string;
  /** Their dependencies are fetched too, where `wanted` matches. */
  readonly packages: readonly string[];
  /** Names of packages to fetch. */
  readonly wanted: RegExp;
  /** Which files to unpack, as patterns of package name and path (`usr/bin/...`); the first that fits rules. */
  readonly files: ReadonlyArray<readonly [packageName: RegExp, path: RegExp]>;
  /** Raised when `finish` changes. */
  readonly revision: number;
  /** Completes the set before it takes its place: `directory` holds the files in `root`. */
  readonly finish?: (directory: string) => Promise<void>;
}

/** A complete set. */
export interface PackageSet {
  /** Absolute path below which the files are, `usr` being the first level. */
  readonly root: string;
  /** Version by package name. */
  readonly versions: Readonly<Record<string, string>>;
}

interface Stamp {
  readonly recipe: string;
  readonly versions: Readonly<Record<string, string>>;
}

/**
 * The set that `recipe` describes, fetched now if it is not there.
 *
 * Throws SetupError when this is not Debian 12 or 13 on amd64, a program is missing, or the packages cannot be
 * fetched; `needs` completes the sentence for a system on which nothing can be fetched.
 */
export async function ensurePackages(
  recipe: PackageRecipe,
  progress: Progress,
  needs: string,
): Promise<PackageSet> {
  const key = recipeKey(recipe);
  const present = await readSet(recipe, key);
  if (present !== undefined) return present;
  const release = await hostRelease();
  if (!release.supported && process.env['DOORBELL_DEBIAN_MIRROR'] === undefined) {
    throw new SetupError(
      `${needs} (packages are fetched on Debian 12 and 13 for amd64 only, not on ${release.name})`,
    );
  }
  // One lock for all sets: they share the package lists.
  return withLock(buildPath('debian', 'lock'), progress, async () => {
    const made = await readSet(recipe, key);
    return made ?? (await makeSet(recipe, key, progress));
  });
}

/**
 * Writes a shell script that runs `root/usr/bin/<program>` of the set in `directory` with the set's own loader and
 * libraries, which may be newer than the machine's. The set can be moved: the script finds it from its own path.
 */
export async function writeLauncher(
  directory: string,
  program: string,
  options: { readonly setup?: string; readonly args?: string } = {},
): Promise<void> {
  const file = path.join(directory, 'bin', program);
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(
    file,
    `#!/bin/sh
root=$(cd "$(dirname "$(readlink -f "$0")")/../root" && pwd) || exit 1
${options.setup ?? ''}
exec "$root/${LOADER}" --inhibit-cache --argv0 "$0" --library-path "$root/${LIBRARY_DIRECTORY}" \\
  "$root/usr/bin/${program}" ${options.args ?? ''} "$@"
`,
  );
  await chmod(file, 0o755);
}

async function makeSet(recipe: PackageRecipe, key: string, progress: Progress): Promise<PackageSet> {
  const apt = await PrivateApt.open(
    buildPath('debian', `apt-${recipe.suites.join('+')}`),
    recipe.suites,
    progress,
  );
  const temporary = `${recipe.directory}.new`;
  const archives = path.join(temporary, 'archives');
  const root = path.join(temporary, 'root');
  await rm(temporary, { recursive: true, force: true });
  await mkdir(archives, { recursive: true });
  await mkdir(root);
  const resolve = async (): Promise<AvailablePackage[]> => {
    const closure = await apt.resolve(recipe.packages, recipe.preferredSuite);
    const packages = closure.filter(({ name }) => recipe.wanted.test(name));
    progress(`downloading ${recipe.what}: ${describe(packages)}`);
    return packages;
  };
  let packages = await resolve();
  let files: string[];
  try {
    files = await apt.download(packages, archives);
  } catch {
    // The archive moved on after the lists were fetched: once more with new ones.
    await apt.refresh(progress, recipe.suites);
    packages = await resolve();
    files = await apt.download(packages, archives);
  }
  progress(`unpacking ${recipe.what}`);
  for (const [index, { name }] of packages.entries()) {
    const rule = recipe.files.find(([packageName]) => packageName.test(name));
    if (rule !== undefined) await unpack(files[index] ?? '', rule[1], root, path.join(temporary, 'data.tar'));
  }
  await rm(archives, { recursive: true });
  await recipe.finish?.(temporary);
  const stamp: Stamp = {
    recipe: key,
    versions: Object.fromEntries(packages.map(({ name, version }) => [name, version])),
  };
  await writeFile(path.join(temporary, 'stamp.json'), `${JSON.stringify(stamp, null, 2)}\n`);
  await rm(recipe.directory, { recursive: true, force: true });
  await rename(temporary, recipe.directory);
  return { root: path.join(recipe.directory, 'root'), versions: stamp.versions };
}

/** Unpacks the files of a package whose path fits `wanted`. `scratch` is a file that may be overwritten. */
async function unpack(archive: string, wanted: RegExp, root: string, scratch: string): Promise<void> {
  const handle = await open(scratch, 'w');
  try {
    await runCommand('dpkg-deb', ['--fsys-tarfile', archive], { outputFd: handle.fd });
  } finally {
    await handle.close();
  }
  const members = (await runCommand('tar', ['-tf', scratch, '--quoting-style=literal'])).split('\n');
  const chosen = members.filter((name) => !name.endsWith('/') && wanted.test(name.replace(/^\.\//, '')));
  if (chosen.length > 0) {
    const options = ['--no-same-owner', '--no-recursion', '--verbatim-files-from', '-T', '-'];
    await runCommand('tar', ['-xf', scratch, '-C', root, ...options], { input: `${chosen.join('\n')}\n` });
  }
  await rm(scratch);
}

async function readSet(recipe: PackageRecipe, key: string): Promise<PackageSet | undefined> {
  const text = await readFile(path.join(recipe.directory, 'stamp.json'), 'utf8').catch(() => '');
  if (text === '') return undefined;
  const stamp = JSON.parse(text) as Stamp;
  if (stamp.recipe !== key) return undefined;
  return { root: path.join(recipe.directory, 'root'), versions: stamp.versions };
}

function recipeKey(recipe: PackageRecipe): string {
  const { suites, preferredSuite, packages, wanted, files, revision } = recipe;
  const patterns = files.map((rule) => rule.map(String));
  const parts = [suites, preferredSuite ?? '', packages, String(wanted), patterns, revision];
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}

function describe(packages: readonly AvailablePackage[]): string {
  const bytes = packages.reduce((sum, entry) => sum + entry.bytes, 0);
  const count = packages.length === 1 ? 'a package' : `${packages.length} packages`;
  return `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB in ${count}`;
}
