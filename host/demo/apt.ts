/**
 * A private apt: its own lists, cache and configuration in one directory, so that packages of any Debian release
 * can be resolved and downloaded without root and without the machine's own apt noticing.
 *
 * Mirror, keyring, proxy and the like are the machine's own; of its configuration nothing else is used.
 */
import { mkdir, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import {
  chooseMirror,
  formatDeb822,
  parseDeb822Sources,
  parseOneLineSources,
  type AptSource,
} from './apt-sources.ts';
import { CommandError, runCommand, tryCommand } from './command.ts';
import { SetupError, type Progress } from './setup-error.ts';

const SYSTEM_KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

/** Package lists younger than this are used as they are. */
const LISTS_AGE_MAX_MS = 24 * 3600 * 1000;

/** Settings of the machine's apt that say how to reach a mirror: proxies, certificates, retries, clock checks. */
const INHERITED_SETTINGS = /^Acquire::(https?|ftp|Retries|Queue-Mode|ForceIPv[46]|Check-[A-Za-z-]+)(::| )/i;

/** Options of a source that hold for the whole archive, with their spelling in deb822. */
const INHERITED_OPTIONS = ['Signed-By', 'Trusted', 'Check-Valid-Until', 'Check-Date'];

/** What apt expects to find. */
const DIRECTORIES = [
  ...['state/lists/partial', 'cache/archives/partial', 'log'],
  ...['etc/apt.conf.d', 'etc/preferences.d', 'etc/trusted.gpg.d'],
];

/** One package that apt would download. */
export interface AvailablePackage {
  readonly name: string;
  readonly version: string;
  readonly bytes: number;
}

/** A source package that apt would download. */
export interface AvailableSource {
  readonly name: string;
  /** Without the epoch, such as `10.0.13+ds-0+deb13u1`. */
  readonly version: string;
  readonly bytes: number;
}

/** The release this machine runs, from /etc/os-release. */
export interface HostRelease {
  /** True on Debian 12 and 13, for amd64: where packages can be fetched. */
  readonly supported: boolean;
  /** Such as `trixie`; empty if unknown. */
  readonly codename: string;
  /** For messages, such as `Debian GNU/Linux 13 (trixie)`. */
  readonly name: string;
}

/** Reads which system this is. `text` is that of os-release(5). */
export function parseHostRelease(text: string, arch: string = process.arch): HostRelease {
  const fields = new Map<string, string>();
  for (const line of text.split('\n')) {
    const match = /^([A-Z_]+)="?([^"]*)"?$/.exec(line);
    if (match !== null) fields.set(match[1] ?? '', match[2] ?? '');
  }
  const debian = fields.get('ID') === 'debian' && ['12', '13'].includes(fields.get('VERSION_ID') ?? '');
  return {
    supported: debian && arch === 'x64',
    codename: fields.get('VERSION_CODENAME') ?? '',
    name: `${fields.get('PRETTY_NAME') ?? 'this system'} on ${arch}`,
  };
}

/** The release of the machine this runs on. */
export async function hostRelease(): Promise<HostRelease> {
  return parseHostRelease(await readFile('/etc/os-release', 'utf8').catch(() => ''));
}

/** A private apt over some suites of one mirror. */
export class PrivateApt {
  private constructor(private readonly directory: string) {}

  /**
   * Prepares the private apt in `directory` for `suites` and fetches their package lists unless they are there
   * and less than a day old. The caller keeps other processes out of `directory`. `type` is what it will be asked
   * for: packages (`deb`) or source packages (`deb-src`).
   *
   * Throws SetupError when the machine has no Debian mirror, or the lists cannot be fetched.
   */
  static async open(
    directory: string,
    suites: readonly string[],
    progress: Progress,
    type: 'deb' | 'deb-src' = 'deb',
  ): Promise<PrivateApt> {
    const apt = new PrivateApt(directory);
    const sources = formatSources(await findMirror(), suites, type);
    const configuration = await formatConfiguration(directory);
    const known = await readFile(apt.#path('complete'), 'utf8').catch(() => '');
    if (known === sources + configuration && (await ageMs(apt.#path('complete'))) < LISTS_AGE_MAX_MS)
      return apt;
    if (known !== sources + configuration) await rm(directory, { recursive: true, force: true });
    for (const name of DIRECTORIES) {
      await mkdir(apt.#path(name), { recursive: true });
    }
    await writeFile(apt.#path('state/status'), '');
    await writeFile(apt.#path('etc/debian.sources'), sources);
    await writeFile(apt.#path('apt.conf'), configuration);
    await apt.refresh(progress, suites);
    await writeFile(apt.#path('complete'), sources + configuration);
    return apt;
  }

  /** Fetches the package lists anew. */
  async refresh(progress: Progress, suites: readonly string[]): Promise<void> {
    progress(`fetching the package lists of Debian ${suites.join(' and ')}`);
    try {
      await this.#run(['-o', 'APT::Update::Error-Mode=any', 'update']);
    } catch (cause) {
      throw fetchError("Debian's package lists", cause);
    }
  }

  /**
   * What installing `packages` on an empty system would download, dependencies first known, without recommended
   * packages. `preferred` names a suite to take packages from where it has them (apt's `-t`).
   */
  async resolve(packages: readonly string[], preferred?: string): Promise<AvailablePackage[]> {
    const target = preferred === undefined ? [] : ['-t', preferred];
    try {
      return parseUris(await this.#run(['install', '--print-uris', '--yes', ...target, ...packages]));
    } catch (cause) {
      throw fetchError(packages.join(', '), cause);
    }
  }

  /** Downloads packages into `directory`; returns the files, in the order of `packages`. */
  async download(packages: readonly AvailablePackage[], directory: string): Promise<string[]> {
    const names = packages.map(({ name, version }) => `${name}=${version}`);
    try {
      await this.#run(['download', ...names], directory);
    } catch (cause) {
      throw fetchError(packages.map(({ name }) => name).join(', '), cause);
    }
    const files = await readdir(directory);
    return packages.map(({ name }) => {
      const file = files.find((candidate) => candidate.startsWith(`${name}_`));
      if (file === undefined)
        throw new Error(`apt-get download reported success but left no file of ${name}`);
      return path.join(directory, file);
    });
  }

  /** The newest source package of a name. */
  async resolveSource(name: string): Promise<AvailableSource> {
    try {
      const text = await this.#run(['source', '--print-uris', '--download-only', '--only-source', name]);
      const source = parseSourceUris(text);
      if (source !== undefined) return source;
    } catch (cause) {
      throw fetchError(`the source package ${name}`, cause);
    }
    throw new SetupError(`there is no source package ${name} in the Debian mirror configured in /etc/apt`);
  }

  /**
   * Downloads the newest source package of a name into `directory` and returns its `.dsc` file. apt has compared
   * its files with the hashes in the signed package lists.
   */
  async downloadSource({ name, version }: AvailableSource, directory: string): Promise<string> {
    try {
      await this.#run(['source', '--download-only', '--only-source', name], directory);
    } catch (cause) {
      throw fetchError(`the source package ${name}`, cause);
    }
    return path.join(directory, `${name}_${version}.dsc`);
  }

  #path(name: string): string {
    return path.join(this.directory, name);
  }

  #run(args: readonly string[], cwd: string = this.directory): Promise<string> {
    return runCommand('apt-get', ['-q', '-q', ...args], { cwd, env: { APT_CONFIG: this.#path('apt.conf') } });
  }
}

/** Parses `apt-get install --print-uris`: lines of `'uri' name_version_arch.deb bytes hash`. */
export function parseUris(text: string): AvailablePackage[] {
  const packages: AvailablePackage[] = [];
  for (const line of text.split('\n')) {
    const match = /^'[^']*' ([^_\s]+)_([^_\s]+)_[a-z0-9]+\.deb (\d+)/.exec(line);
    if (match === null) continue;
    const [, name = '', version = '', bytes = ''] = match;
    packages.push({ name, version: decodeURIComponent(version), bytes: Number(bytes) });
  }
  return packages;
}

/** Parses `apt-get source --print-uris`: lines of `'uri' file bytes hash`, one of them a `name_version.dsc`. */
export function parseSourceUris(text: string): AvailableSource | undefined {
  const files = [...text.matchAll(/^'[^']*' (\S+) (\d+)/gm)];
  const bytes = files.reduce((sum, [, , size]) => sum + Number(size), 0);
  for (const [, file = ''] of files) {
    const [, name, version] = /^([^_]+)_([^_]+)\.dsc$/.exec(file) ?? [];
    if (name !== undefined && version !== undefined) return { name, version, bytes };
  }
  return undefined;
}

/** The mirror of Debian's main archive that this machine uses, or that DOORBELL_DEBIAN_MIRROR names. */
async function findMirror(): Promise<AptSource> {
  const override = process.env['DOORBELL_DEBIAN_MIRROR'];
  if (override !== undefined && override !== '') {
    return { types: ['deb'], uris: [override], suites: [], components: ['main'], options: {} };
  }
  const { codename } = await hostRelease();
  const mirror = chooseMirror(await readSources('/etc/apt'), codename);
  if (mirror === undefined) {
    throw new SetupError(
      `no mirror of Debian ${codename} is configured in /etc/apt: ` +
        'add one, or set DOORBELL_DEBIAN_MIRROR to its address',
    );
  }
  return mirror;
}

/** All package sources configured below `directory`, in apt's order. */
async function readSources(directory: string): Promise<AptSource[]> {
  const parts = (await readdir(path.join(directory, 'sources.list.d')).catch(() => [])).sort();
  const files = ['sources.list', ...parts.map((name) => path.join('sources.list.d', name))];
  const sources: AptSource[] = [];
  for (const file of files) {
    const parse = file.endsWith('.list')
      ? parseOneLineSources
      : file.endsWith('.sources')
        ? parseDeb822Sources
        : undefined;
    const text = await readFile(path.join(directory, file), 'utf8').catch(() => '');
    if (parse !== undefined) sources.push(...parse(text));
  }
  return sources;
}

function formatSources(mirror: AptSource, suites: readonly string[], type: string): string {
  const options = INHERITED_OPTIONS.map((name) => [name, mirror.options[name.toLowerCase()]] as const);
  return formatDeb822({
    Types: type,
    URIs: mirror.uris.join(' '),
    Suites: suites.join(' '),
    Components: 'main',
    Architectures: 'amd64',
    'Signed-By': SYSTEM_KEYRING,
    ...Object.fromEntries(options.filter(([, value]) => value !== undefined)),
  });
}

async function formatConfiguration(directory: string): Promise<string> {
  const machine = await tryCommand('apt-config', ['dump']);
  const inherited = machine.stdout.split('\n').filter((line) => INHERITED_SETTINGS.test(line));
  const at = (name: string): string => JSON.stringify(path.join(directory, name));
  return [
    `Dir "${directory}/";`,
    `Dir::State ${at('state/')}; Dir::State::status ${at('state/status')};`,
    `Dir::Cache ${at('cache/')}; Dir::Log ${at('log/')};`,
    `Dir::Etc ${at('etc/')}; Dir::Etc::sourcelist ${at('etc/debian.sources')}; Dir::Etc::sourceparts "-";`,
    // Mirrors that ask for a name read it where the machine's own apt does.
    'Dir::Etc::netrc "/etc/apt/auth.conf"; Dir::Etc::netrcparts "/etc/apt/auth.conf.d/";',
    'APT::Architecture "amd64"; APT::Architectures { "amd64"; };',
    // The unprivileged user of apt's downloads may not enter the checkout.
    'APT::Sandbox::User "root"; APT::Install-Recommends "false";',
    'Acquire::Languages "none"; Acquire::PDiffs "false";',
    // A tenth of the space for half a second more of each question.
    'Acquire::GzipIndexes "true"; Dir::Cache::pkgcache ""; Dir::Cache::srcpkgcache "";',
    ...inherited,
    '',
  ].join('\n');
}

function fetchError(what: string, cause: unknown): SetupError {
  if (cause instanceof SetupError) return cause;
  const said = cause instanceof CommandError ? /^E: .*/m.exec(cause.result.stderr)?.[0] : undefined;
  const reason = said?.replace(/\s+/g, ' ') ?? (cause instanceof Error ? cause.message : String(cause));
  return new SetupError(
    `cannot fetch ${what} (${reason}): check the network, and the mirror and proxy configured in /etc/apt`,
    { cause },
  );
}

async function ageMs(file: string): Promise<number> {
  const { mtimeMs } = await stat(file);
  return Math.abs(Date.now() - mtimeMs);
}
