// What a target needs of a machine, what makes it slow, and how to mend either.

import { isVersionSufficient, parseQemuVersion } from '../demo/qemu.ts';
import type { Machine } from './machine.ts';

/** `missing`: something does not work. `slow`: it works, and could be better. */
export type Verdict = 'ok' | 'slow' | 'missing';

export interface Finding {
  readonly name: string;
  readonly verdict: Verdict;
  /** What is there. */
  readonly found: string;
  /** What to do; of all but `ok`. */
  readonly cure?: string;
}

export interface Needs {
  /** How many controllers are to be served. */
  readonly controllers: number;
  /** Windows of each. */
  readonly windows: number;
  /** Files whose storage is to be looked at. */
  readonly files: readonly string[];
}

/** io_uring has what the ring of a target takes (native/uring.cc); and what makes it cheap. */
const KERNEL_LEAST = [5, 11];
const KERNEL_GOOD = [6, 1];
const NODE_LEAST = [20, 19];
const NODE_GOOD = [24, 0];

/** Mappings of a process beside its controllers: code, stacks, V8. */
const MAPS_PROCESS = 2000;
/** Mappings of a controller beside its windows: guest memory in pieces, while firmware runs. */
const MAPS_CONTROLLER = 128;
/** Descriptors of a process, and of a controller: its socket, memory, and an eventfd for each vector. */
const FDS_PROCESS = 64;
const FDS_CONTROLLER = 96;

export function examine(machine: Machine, needs: Needs): readonly Finding[] {
  return [
    platform(machine),
    version('Node.js', machine.node, NODE_LEAST, NODE_GOOD, 'install Node.js 24'),
    version('kernel', machine.kernel, KERNEL_LEAST, KERNEL_GOOD, 'boot Linux 6.1 or later'),
    uring(machine),
    memfd(machine),
    mappings(machine, needs),
    descriptors(machine, needs),
    qemu(machine),
    kvm(machine),
    ...needs.files.map((file) => storage(machine, file)),
  ];
}

function platform({ platform: name, architecture }: Machine): Finding {
  const found = `${name} ${architecture}`;
  if (name === 'linux' && ['x64', 'arm64'].includes(architecture))
    return { name: 'platform', verdict: 'ok', found };
  return { name: 'platform', verdict: 'missing', found, cure: 'use Linux on x86-64 or ARM64' };
}

function version(
  name: string,
  text: string,
  least: readonly number[],
  good: readonly number[],
  cure: string,
): Finding {
  const [major = 0, minor = 0] = text.split('.').map((part) => Number.parseInt(part, 10));
  const isAtLeast = ([wantedMajor = 0, wantedMinor = 0]: readonly number[]): boolean =>
    major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
  if (isAtLeast(good)) return { name, verdict: 'ok', found: text };
  if (isAtLeast(least)) return { name, verdict: 'slow', found: text, cure };
  return { name, verdict: 'missing', found: `${text}, less than ${least.join('.')}`, cure };
}

function uring(machine: Machine): Finding {
  const name = 'io_uring';
  const error = machine.uringError();
  if (error === undefined) return { name, verdict: 'ok', found: 'permitted' };
  const setting = machine.read('/proc/sys/kernel/io_uring_disabled');
  const isDisabled = setting !== undefined && setting !== '0';
  const cure = isDisabled
    ? 'sysctl -w kernel.io_uring_disabled=0, and write it into /etc/sysctl.d to keep it'
    : 'allow io_uring_setup, io_uring_enter and io_uring_register in the seccomp profile of the container or service';
  const why = isDisabled ? `, kernel.io_uring_disabled=${setting}` : '';
  return { name, verdict: 'missing', found: `denied (${error}${why})`, cure };
}

function memfd(machine: Machine): Finding {
  const error = machine.memfdError();
  if (error === undefined) return { name: 'memfd', verdict: 'ok', found: 'sealed files work' };
  return {
    name: 'memfd',
    verdict: 'missing',
    found: `no sealed memfd (${error})`,
    cure: 'allow memfd_create in the seccomp profile; VMMs share guest memory by it',
  };
}

function mappings(machine: Machine, { controllers, windows }: Needs): Finding {
  const name = 'vm.max_map_count';
  const limit = Number(machine.read('/proc/sys/vm/max_map_count') ?? Number.NaN);
  const needed = MAPS_PROCESS + controllers * (windows + MAPS_CONTROLLER);
  if (Number.isNaN(limit)) {
    return { name, verdict: 'slow', found: 'unknown', cure: 'mount /proc, so that limits can be seen' };
  }
  const found = `${limit} mappings, ${controllers} controllers want ${needed}`;
  if (limit >= needed) return { name, verdict: 'ok', found };
  const cure = `sysctl -w vm.max_map_count=${roundUp(needed)}, or fewer --windows`;
  return { name, verdict: 'missing', found, cure };
}

function descriptors(machine: Machine, { controllers }: Needs): Finding {
  const name = 'open files';
  const limits = machine.read('/proc/self/limits') ?? '';
  // Node.js raises its soft limit to the hard one.
  const hard = /^Max open files\s+\S+\s+(\d+|unlimited)/m.exec(limits)?.[1];
  const needed = FDS_PROCESS + controllers * FDS_CONTROLLER;
  if (hard === undefined) {
    return { name, verdict: 'slow', found: 'unknown', cure: 'mount /proc, so that limits can be seen' };
  }
  const found = `${hard} descriptors, ${controllers} controllers want ${needed}`;
  if (hard === 'unlimited' || Number(hard) >= needed) return { name, verdict: 'ok', found };
  const cure = `ulimit -n ${roundUp(needed)}, or LimitNOFILE=${roundUp(needed)} in a systemd unit`;
  return { name, verdict: 'missing', found, cure };
}

function qemu(machine: Machine): Finding {
  const name = 'QEMU';
  const cure = 'install QEMU 10.1 or later for vfio-user; doorbell demo fetches one to try';
  const text = machine.run(
    machine.architecture === 'arm64' ? 'qemu-system-aarch64' : 'qemu-system-x86_64',
    '--version',
  );
  const found = text === undefined ? undefined : parseQemuVersion(text);
  // A target serves other VMMs as well, and those of other containers.
  if (found === undefined) return { name, verdict: 'slow', found: 'not on the PATH', cure };
  if (isVersionSufficient(found)) return { name, verdict: 'ok', found };
  return { name, verdict: 'slow', found: `${found} knows no vfio-user`, cure };
}

function kvm(machine: Machine): Finding {
  if (machine.mayOpen('/dev/kvm')) return { name: 'KVM', verdict: 'ok', found: '/dev/kvm can be opened' };
  return {
    name: 'KVM',
    verdict: 'slow',
    found: '/dev/kvm cannot be opened',
    cure: 'load kvm_intel or kvm_amd, and add this user to the group kvm; without it guests are emulated',
  };
}

function storage(machine: Machine, file: string): Finding {
  const name = `O_DIRECT on ${file}`;
  try {
    const fault = machine.directFault(file);
    if (fault === undefined) return { name, verdict: 'ok', found: 'works' };
    const cure = 'use ext4, XFS or a block device where the page cache is to be avoided';
    return { name, verdict: 'slow', found: fault, cure };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    const cure = 'name a file that is there and that this user may read';
    return { name, verdict: 'missing', found: `cannot be opened (${code})`, cure };
  }
}

/** To the next power of two: a number that a person would write. */
function roundUp(count: number): number {
  return 2 ** Math.ceil(Math.log2(count));
}
