/**
 * Finds a QEMU that speaks vfio-user (10.1 or later), or fetches one; and the options to run it with.
 */
import { buildPath } from './checkout.ts';
import { findProgram, tryCommand } from './command.ts';
import { ensurePackages, TRIXIE, writeLauncher, type PackageRecipe } from './debian.ts';
import { SetupError, type Progress } from './setup-error.ts';

const PROGRAM = 'qemu-system-x86_64';

/** The first version with `-device vfio-user-pci`. */
const VERSION_MIN = [10, 1] as const;

const MIB = 1024 * 1024;

/** A QEMU that can be started. */
export interface Qemu {
  /** Program to run. */
  readonly command: string;
  /** Such as `11.1.3`. */
  readonly version: string;
  /** Where it is from, for people. */
  readonly note: string;
}

/**
 * The QEMU that DOORBELL_QEMU names; else the one in PATH if it is new enough; else, on Debian 12 and 13, one from
 * Debian's backports, fetched into `build/qemu`.
 *
 * Throws SetupError when DOORBELL_QEMU does not fit, or there is no QEMU and none can be fetched.
 */
export async function locateQemu(progress: Progress): Promise<Qemu> {
  const chosen = process.env['DOORBELL_QEMU'];
  if (chosen !== undefined && chosen !== '') {
    const probed = await probe(chosen);
    if (typeof probed === 'string')
      throw new SetupError(`DOORBELL_QEMU is set to ${chosen}, which ${probed}`);
    return { ...probed, note: 'from DOORBELL_QEMU' };
  }
  const installed = await findProgram(PROGRAM);
  const probed = installed === undefined ? 'is not installed' : await probe(installed);
  if (typeof probed !== 'string') return { ...probed, note: 'installed on this machine' };
  await ensurePackages(
    qemuRecipe(),
    progress,
    `QEMU ${VERSION_MIN.join('.')} or later with vfio-user-pci is needed, and ${PROGRAM} ${probed}: ` +
      'install it, or set DOORBELL_QEMU to it',
  );
  const fetched = await probe(buildPath('qemu', 'bin', PROGRAM));
  if (typeof fetched === 'string')
    throw new SetupError(`the QEMU in ${buildPath('qemu')} ${fetched}: remove it`);
  return { ...fetched, note: "from Debian's packages, in build/qemu" };
}

/** The version in the output of `--version`, or undefined. */
export function parseQemuVersion(text: string): string | undefined {
  return /version (\d+\.\d+(?:\.\d+)?)/.exec(text)?.[1];
}

/** True if `version` is 10.1 or later. */
export function isVersionSufficient(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > VERSION_MIN[0] || (major === VERSION_MIN[0] && minor >= VERSION_MIN[1]);
}

/** What a QEMU needs to use doorbell's controllers. */
export interface VfioUserOptions {
  /** Sockets of the controllers, one each, in the order of the guest's PCI slots. */
  readonly socketPaths: readonly string[];
  /** Guest memory in bytes, a multiple of 1 MiB. */
  readonly memoryBytes: number;
  /** True: the firmware tries to boot from the controllers, in their order, and from nothing before them. */
  readonly bootable?: boolean;
}

/**
 * The QEMU options for these controllers: guest memory that the target can map (a memfd, shared), a q35 machine on
 * it, and a device for each socket. `-device` is in its JSON form, the only one in which a socket can be given.
 *
 * Throws RangeError for a memory size that is not a positive multiple of 1 MiB.
 */
export function vfioUserOptions({ socketPaths, memoryBytes, bootable }: VfioUserOptions): string[] {
  const options = sharedMemoryOptions(memoryBytes);
  for (const [index, path] of socketPaths.entries()) {
    const order = bootable === true ? { bootindex: index } : {};
    options.push(...vfioUserDevice(path, order));
  }
  return options;
}

/** Guest memory that a target can map. Throws as `vfioUserOptions`. */
export function sharedMemoryOptions(memoryBytes: number): string[] {
  const size = formatMemory(memoryBytes);
  const memory = ['-m', size, '-object', `memory-backend-memfd,id=mem,size=${size},share=on`];
  return [...memory, '-machine', 'q35,memory-backend=mem'];
}

/** A controller that speaks vfio-user. */
export function vfioUserDevice(path: string, more: Readonly<Record<string, number>> = {}): string[] {
  return ['-device', JSON.stringify({ driver: 'vfio-user-pci', socket: { type: 'unix', path }, ...more })];
}

/** A controller that speaks vhost-user-nvme: the device of native/qemu, which connects anew when its target is gone. */
export function vhostUserNvmeDevice(path: string, id: string): string[] {
  const socket = `socket,id=${id},path=${path.replaceAll(',', ',,')},reconnect-ms=1000`;
  return ['-chardev', socket, '-device', `vhost-user-nvme,chardev=${id}`];
}

/** A UEFI for QEMU: absolute paths of its code, and of the variables that it begins with. Neither file changes. */
export interface UefiFirmware {
  readonly code: string;
  readonly variables: string;
}

export interface QemuOptions extends VfioUserOptions {
  /** Virtual CPUs. Default 1. */
  readonly cpus?: number;
  /** Default `tcg`, which works everywhere; `kvm` needs /dev/kvm. */
  readonly accelerator?: 'tcg' | 'kvm';
  /** Default: QEMU's own, SeaBIOS. */
  readonly firmware?: UefiFirmware;
  /** Linux to boot, and its initramfs. */
  readonly kernel?: string;
  readonly initramfs?: string;
  /** Kernel command line. */
  readonly append?: string;
  /** Character devices for ttyS0, ttyS1, ... in the syntax of `-serial`. */
  readonly serial?: readonly string[];
  /** Appended as they are. */
  readonly extra?: readonly string[];
}

/** The whole command line of a guest without display, network or default devices. */
export function qemuArguments(options: QemuOptions): string[] {
  const args = ['-nodefaults', '-no-user-config', '-display', 'none'];
  args.push('-accel', options.accelerator ?? 'tcg', '-smp', String(options.cpus ?? 1));
  args.push(...vfioUserOptions(options));
  if (options.firmware !== undefined) args.push(...firmwareOptions(options.firmware));
  if (options.kernel !== undefined) args.push('-kernel', options.kernel);
  if (options.initramfs !== undefined) args.push('-initrd', options.initramfs);
  if (options.append !== undefined) args.push('-append', options.append);
  for (const device of options.serial ?? []) args.push('-serial', device);
  args.push(...(options.extra ?? []));
  return args;
}

/** Two flash devices. What the firmware writes to the second is gone with QEMU. */
function firmwareOptions({ code, variables }: UefiFirmware): string[] {
  const flash = (unit: number, file: string, more: string): string[] => [
    '-drive',
    `if=pflash,unit=${unit},format=raw,file=${file.replaceAll(',', ',,')},${more}`,
  ];
  return [...flash(0, code, 'readonly=on'), ...flash(1, variables, 'snapshot=on')];
}

/** The version of the QEMU at `command`, or what is wrong with it, as the end of a sentence. */
async function probe(command: string): Promise<{ command: string; version: string } | string> {
  const output = await tryCommand(command, ['--version']).catch(() => undefined);
  if (output === undefined) return 'cannot be run';
  const version = parseQemuVersion(output.stdout);
  if (version === undefined) return `does not run as QEMU (${firstLine(output.stderr) || 'it says nothing'})`;
  if (!isVersionSufficient(version)) return `is version ${version}`;
  const device = await tryCommand(command, ['-device', 'vfio-user-pci,help']);
  if (!device.stdout.includes('socket=')) return 'was built without vfio-user-pci';
  return { command, version };
}

function formatMemory(bytes: number): string {
  if (!Number.isSafeInteger(bytes) || bytes <= 0 || bytes % MIB !== 0) {
    throw new RangeError(`the memory of a guest must be a positive multiple of 1 MiB, not ${bytes} bytes`);
  }
  return bytes % (1024 * MIB) === 0 ? `${bytes / MIB / 1024}G` : `${bytes / MIB}M`;
}

function firstLine(text: string): string {
  return text.trim().split('\n')[0] ?? '';
}

/**
 * QEMU of trixie-backports. In its dependency closure, but not needed by a machine without display, sound and
 * network: the ROMs of network cards, libraries of modules that are not unpacked, and the base system.
 */
const UNWANTED =
  'adduser|base-passwd|debconf|gcc-.*|ipxe-qemu|passwd|login\\.defs|openssl-provider-legacy|qemu-system-common|' +
  'libacl1|libattr1|libasound2.*|libaudit.*|libbrlapi.*|libbsd0|libbz2.*|libcacard0|libcap-ng0|libcrypt1|libdb5.*|' +
  'libdebconfclient0|libexecs1|libmd0|libncursesw6|libnspr4|libnss3|libpam.*|libpcsclite1|libsasl2-modules-db|' +
  'libsemanage.*|libsepol2|libsqlite3-0|libsystemd0|libtinfo6|libusb-1.*|libusbredir.*';

function qemuRecipe(): PackageRecipe {
  return {
    what: 'QEMU',
    directory: buildPath('qemu'),
    suites: TRIXIE,
    preferredSuite: 'trixie-backports',
    packages: ['qemu-system-x86'],
    wanted: new RegExp(`^(?!(?:${UNWANTED})$)`),
    files: [
      [/^qemu-system-x86$/, new RegExp(`^usr/bin/${PROGRAM}$`)],
      [
        /^qemu-system-data$/,
        /^usr\/share\/qemu\/(linuxboot.*|multiboot.*|pvh\.bin|kvmvapic\.bin|qboot\.rom|keymaps\/en-us)$/,
      ],
      [/^seabios$/, /^usr\/share\/seabios\//],
      [/./, /^usr\/lib\/x86_64-linux-gnu\/[^/]*\.so[^/]*$/],
    ],
    revision: 1,
    finish: (directory) =>
      writeLauncher(directory, PROGRAM, {
        // None is unpacked; the machine's own, of another version, must not be found.
        setup: 'export QEMU_MODULE_DIR="$root/usr/lib/x86_64-linux-gnu/qemu"',
        args: '-L "$root/usr/share/qemu" -L "$root/usr/share/seabios"',
      }),
  };
}
