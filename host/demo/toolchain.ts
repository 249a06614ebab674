/**
 * What the native build and the benchmarks need from outside: liburing's header and library, and fio. Each is
 * taken from the machine if it is there, else fetched below `build`.
 *
 * Run as a program it prints where liburing is, as JSON: `{"include":...,"libdir":...,"version":...}`. Progress
 * goes to stderr. Exit status 1 with one line on stderr when liburing is missing and cannot be fetched.
 */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { hostRelease } from './apt.ts';
import { buildPath } from './checkout.ts';
import { findProgram, tryCommand } from './command.ts';
import { ensurePackages, LIBRARY_DIRECTORY, TRIXIE } from './debian.ts';
import { ensureGuestTools } from './guest-tools.ts';
import { SetupError, type Progress } from './setup-error.ts';

const VERSION_MIN = [2, 3] as const;

/** Where liburing is. */
export interface Liburing {
  /** Directory for `-I`. */
  readonly include: string;
  /** Directory for `-L`; has `liburing.a`. Undefined if the linker finds the library by itself. */
  readonly libdir: string | undefined;
  /** Such as `2.9`. */
  readonly version: string;
}

/**
 * liburing 2.3 or later: the one installed under /usr, else from this release's own liburing-dev, unpacked in
 * `build/liburing`. Throws SetupError.
 */
export async function locateLiburing(progress: Progress): Promise<Liburing> {
  const installed = await readVersion('/usr/include');
  if (installed !== undefined && isVersionSufficient(installed)) {
    return { include: '/usr/include', libdir: undefined, version: installed };
  }
  // The machine's own release: newer headers include kernel headers that an older release lacks.
  const { codename } = await hostRelease();
  const { root } = await ensurePackages(
    {
      what: 'liburing',
      directory: buildPath('liburing'),
      suites: TRIXIE.includes(codename) ? TRIXIE : [codename],
      packages: ['liburing-dev'],
      wanted: /^liburing-dev$/,
      files: [[/^liburing-dev$/, /^usr\/(include\/.*|lib\/x86_64-linux-gnu\/liburing\.a)$/]],
      revision: 1,
    },
    progress,
    `liburing ${VERSION_MIN.join('.')} or later is needed to build the addon: ` +
      'install liburing-dev (or liburing-devel)',
  );
  const include = path.join(root, 'usr/include');
  const version = await readVersion(include);
  if (version === undefined)
    throw new SetupError(`no liburing.h in ${include}: remove ${buildPath('liburing')}`);
  return { include, libdir: path.join(root, LIBRARY_DIRECTORY), version };
}

/** Program to run as fio: the one in PATH, else the one of the guest's tools, fetched if needed. Throws SetupError. */
export async function locateFio(progress: Progress): Promise<string> {
  const installed = await findProgram('fio');
  if (installed !== undefined) {
    const methods = await tryCommand(installed, ['--enghelp']);
    if (methods.stdout.includes('io_uring')) return installed;
  }
  await ensureGuestTools(progress);
  return buildPath('guest', 'tools', 'bin', 'fio');
}

/** The version of the liburing whose headers are in `include`, or undefined if there is none. */
async function readVersion(include: string): Promise<string | undefined> {
  const header = await readFile(path.join(include, 'liburing.h'), 'utf8').catch(() => undefined);
  if (header === undefined) return undefined;
  const text = await readFile(path.join(include, 'liburing/io_uring_version.h'), 'utf8').catch(() => '');
  const major = /IO_URING_VERSION_MAJOR\s+(\d+)/.exec(text)?.[1];
  const minor = /IO_URING_VERSION_MINOR\s+(\d+)/.exec(text)?.[1];
  if (major !== undefined && minor !== undefined) return `${major}.${minor}`;
  // Versions before 2.4 do not tell theirs; this function came with 2.3.
  return header.includes('io_uring_submit_and_get_events') ? '2.3' : '2.0';
}

function isVersionSufficient(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > VERSION_MIN[0] || (major === VERSION_MIN[0] && minor >= VERSION_MIN[1]);
}

if (import.meta.url === pathToFileURL(path.resolve(process.argv[1] ?? '')).href) {
  try {
    const liburing = await locateLiburing((line) => console.error(line));
    console.log(JSON.stringify(liburing));
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    console.error(error.message);
    process.exitCode = 1;
  }
}
