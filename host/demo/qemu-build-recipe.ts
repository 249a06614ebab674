/**
 * What QEMU with the device vhost-user-nvme is made of: the files of native/qemu, the options of `configure`, and the
 * two hashes that tell whether something made of them is still current.
 */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';

/** The device's folder in QEMU's source. */
export const DEVICE_FOLDER = 'hw/vhost-user-nvme';

/** Where QEMU looks for lists of boards and devices. */
const DEVICES_FOLDER = 'configs/devices/x86_64-softmmu';

/** Of native/qemu, what is for people alone. */
const FOR_PEOPLE = /^(README\.md|LICENSE)$/;

/** Raised when this program makes something else of the same files. */
const REVISION = 1;

/** Nothing but what doorbell's guests use: a build in minutes, and few packages to build it with. */
export const CONFIGURE_OPTIONS: readonly string[] = [
  '--target-list=x86_64-softmmu',
  ...['--without-default-features', '--without-default-devices', '--with-devices-x86_64=doorbell'],
  ...['--enable-system', '--enable-tcg', '--enable-kvm', '--disable-fdt'],
  ...['--disable-download', '--disable-docs', '--disable-install-blobs', '--disable-debug-info'],
  // Another compiler's new warnings are not errors in a released source.
  '--disable-werror',
];

/** Names and contents of files. */
export type Files = ReadonlyMap<string, Buffer>;

export interface Recipe {
  /** Copied into QEMU's source, by their path there. They may change in a tree that is configured. */
  readonly added: Files;
  /** Changes to QEMU's own files, in the order in which they are applied. A change of one needs a new tree. */
  readonly patches: Files;
  /** Names what a tree was unpacked, patched and configured by. */
  readonly treeKey: string;
  /** Names everything: two programs of one key and one version of QEMU are the same. */
  readonly key: string;
}

/** The recipe of the files in `directory`, which is native/qemu. */
export async function readRecipe(directory: string): Promise<Recipe> {
  const names = (await readdir(directory)).filter((name) => !FOR_PEOPLE.test(name)).sort();
  const contents = await Promise.all(names.map((name) => readFile(path.join(directory, name))));
  return makeRecipe(new Map(names.map((name, index) => [name, contents[index] ?? Buffer.alloc(0)])));
}

/** The recipe of these files of native/qemu; a pure function. */
export function makeRecipe(files: Files): Recipe {
  const entries = [...files].sort(([a], [b]) => (a < b ? -1 : 1));
  const patches = entries.filter(([name]) => name.endsWith('.patch'));
  const added = entries.filter(([name]) => !name.endsWith('.patch'));
  return {
    added: new Map(added.map(([name, text]) => [placeOf(name), text])),
    patches: new Map(patches),
    treeKey: hash(patches),
    key: hash(entries),
  };
}

/** A Debian version as a part of a file name without characters that make or a shell would read. */
export function formatVersion(version: string): string {
  return version.replace(/[^A-Za-z0-9.]+/g, '-');
}

function placeOf(name: string): string {
  return path.posix.join(name.endsWith('.mak') ? DEVICES_FOLDER : DEVICE_FOLDER, name);
}

function hash(entries: readonly (readonly [name: string, contents: Buffer])[]): string {
  const sum = createHash('sha256').update(JSON.stringify([REVISION, CONFIGURE_OPTIONS]));
  for (const [name, contents] of entries) sum.update(`${name}\0${contents.length}\0`).update(contents);
  return sum.digest('hex').slice(0, 16);
}
