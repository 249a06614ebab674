/**
 * What compiling QEMU needs of the machine: which of Debian's build packages are missing, and their installation
 * where the checks must not skip anything and may install it.
 */
import { findProgram, runCommand, tryCommand } from './command.ts';
import { SetupError, type Progress } from './setup-error.ts';

/** The first version of GLib that QEMU 10.0 takes. */
const GLIB_MIN = '2.66.0';

/** The first Python that QEMU 10.0 takes, with what it makes its virtual environment of. */
const PYTHON_CHECK = 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 8))';

/** The packages of a whole set, and what tells that one is there. */
const CHECKS: readonly (readonly [packages: string, isThere: () => Promise<boolean>])[] = [
  ['gcc libc6-dev', () => isProgram('cc')],
  ['dpkg-dev', () => isProgram('dpkg-source')],
  ['ninja-build', () => isProgram('ninja')],
  ['pkg-config', () => isProgram('pkg-config')],
  ['python3-venv', async () => succeeds(await findPython(), ['-c', PYTHON_CHECK])],
  ['libglib2.0-dev', () => succeeds('pkg-config', [`--atleast-version=${GLIB_MIN}`, 'glib-2.0'])],
  ['zlib1g-dev', () => succeeds('pkg-config', ['--exists', 'zlib'])],
];

/** The system's own Python, which has the system's packages, before one that a version manager put into PATH. */
export async function findPython(): Promise<string> {
  return (await findProgram('/usr/bin/python3')) ?? 'python3';
}

/** Debian's names of the packages that are needed to compile QEMU and are not installed. */
export async function missingBuildPackages(): Promise<string[]> {
  const verdicts = await Promise.all(CHECKS.map(([, isThere]) => isThere()));
  return CHECKS.flatMap(([packages], index) => (verdicts[index] === true ? [] : packages.split(' ')));
}

/**
 * Makes sure that QEMU can be compiled. Installs what is missing only for `.ci/run` (DOORBELL_REQUIRE_ALL=1), as
 * root, with apt-get; else throws SetupError, whose message names it.
 */
export async function provideBuildPackages(progress: Progress): Promise<void> {
  let missing = await missingBuildPackages();
  if (missing.length === 0) return;
  const mayInstall = process.env['DOORBELL_REQUIRE_ALL'] === '1' && process.getuid?.() === 0;
  if (mayInstall && (await isProgram('apt-get'))) {
    progress(`installing ${missing.join(', ')} (apt-get)`);
    await install(missing);
    missing = await missingBuildPackages();
    if (missing.length === 0) return;
  }
  throw new SetupError(
    'QEMU with the device vhost-user-nvme has to be compiled, and build packages are missing: ' +
      `apt-get install --no-install-recommends ${missing.join(' ')}`,
  );
}

async function install(packages: readonly string[]): Promise<void> {
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  const options = ['--quiet', '--yes', '--no-install-recommends', '-o', 'DPkg::Lock::Timeout=120'];
  try {
    await runCommand('apt-get', ['--quiet', 'update'], { env });
    await runCommand('apt-get', ['install', ...options, ...packages], { env });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new SetupError(`cannot install ${packages.join(' ')} (${reason}): check the network and /etc/apt`, {
      cause,
    });
  }
}

async function isProgram(name: string): Promise<boolean> {
  return (await findProgram(name)) !== undefined;
}

async function succeeds(file: string, args: readonly string[]): Promise<boolean> {
  const result = await tryCommand(file, args).catch(() => undefined);
  return result?.status === 0;
}
