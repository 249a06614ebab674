// `doorbell demo`: a target on a small disk, a Linux guest in QEMU, verified I/O through the guest's own NVMe driver,
// and a summary of what both sides saw.

import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseServeOptions, type ServeOptions } from '../config/options.ts';
import type { TargetStatistics } from '../serve/messages.ts';
import { startTarget, type Target } from '../serve/target.ts';
import { buildPath } from './checkout.ts';
import { ensureGuestImage } from './guest-image.ts';
import { Guest } from './guest.ts';
import { locateQemu } from './qemu.ts';

const MIB = 1024 * 1024;
const DISK_BYTES = 256 * MIB;
const GUEST_MEMORY_BYTES = 512 * MIB;
const GUEST_CPUS = 2;
/** Writers at work at the same time, each in its own part of the disk. */
const WRITERS = 4;
const PART_MIB = 8;

export interface DemoOptions {
  /** Leave the person a shell in the guest at the end; needs a terminal. */
  readonly shell: boolean;
  /** Takes one line without its newline. */
  readonly say: (line: string) => void;
}

/** Resolves to true if and only if every byte that the guest wrote is in the disk's file. */
export async function runDemo({ shell, say }: DemoOptions): Promise<boolean> {
  say('doorbell demo: a Linux guest in QEMU does I/O on a file through doorbell');
  const progress = (line: string): void => say(`  … ${line}`);
  const qemu = await locateQemu(progress);
  const image = await ensureGuestImage('demo', progress);
  const directory = buildPath('demo');
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
  // Not below the checkout: the path of a socket has at most 107 bytes.
  const sockets = await mkdtemp(path.join(tmpdir(), 'doorbell-demo-'));
  const socketPath = path.join(sockets, 'nvme.sock');
  const diskPath = path.join(directory, 'disk.img');

  let shadowed = false;
  const target = await startTarget(demoOptions(socketPath, diskPath), (line) => {
    shadowed ||= line.includes('shadow doorbells in use');
    say(`  target: ${line.trimEnd()}`);
  });
  const here = (file: string): string => path.relative(process.cwd(), file);
  say(`\ntarget   serves ${here(diskPath)} (${String(DISK_BYTES / MIB)} MiB) on ${socketPath}`);
  try {
    return await withGuest(target);
  } finally {
    await target.drain().catch(() => undefined);
    await rm(sockets, { recursive: true, force: true });
  }

  async function withGuest(running: Target): Promise<boolean> {
    const started = performance.now();
    const guest = await Promise.race([
      Guest.boot({
        qemu,
        image,
        socketPaths: [socketPath],
        memoryBytes: GUEST_MEMORY_BYTES,
        cpus: GUEST_CPUS,
      }),
      running.died,
    ]);
    try {
      const seconds = ((performance.now() - started) / 1000).toFixed(1);
      say(
        `guest    Linux ${image.kernelRelease} booted in ${seconds} s (QEMU ${qemu.version}, ${qemu.note})`,
      );
      for (const line of await lookAround(guest)) say(`         ${line}`);
      say(
        `         doorbells   ${shadowed ? 'shadow doorbells in use' : 'registers alone: no shadow doorbells'}`,
      );
      say(
        `\nI/O      ${WRITERS} writers, ${PART_MIB} MiB of random data each, written and read back past the page cache`,
      );
      const verified = await verifiedIo(guest, diskPath, say);
      if (shell && verified) await leaveShell(guest, say);
      await guest.shutdown();
      summarize(await running.drain(), verified, say);
      return verified;
    } finally {
      await guest.kill();
    }
  }
}

function demoOptions(socketPath: string, diskPath: string): ServeOptions {
  return parseServeOptions({
    socket: [escapeCommas(socketPath)],
    namespace: [`file:${escapeCommas(diskPath)},size=${DISK_BYTES}`],
    // A guest without virtualization is slow to come back, so that shadow doorbells show only with patience.
    spinUs: '10000',
  });
}

/** A path as it stands in an option that commas divide. */
function escapeCommas(file: string): string {
  return file.replaceAll(',', ',,');
}

/** The guest's own view of its controller. */
async function lookAround(guest: Guest): Promise<string[]> {
  const read = async (command: string): Promise<string> => (await guest.check(command)).trim();
  const model = await read('cat /sys/class/nvme/nvme0/model');
  const serial = await read('cat /sys/class/nvme/nvme0/serial');
  const nqn = await read('cat /sys/class/nvme/nvme0/subsysnqn');
  const sectors = Number(await read('cat /sys/block/nvme0n1/size'));
  const queues = await read("dmesg | sed -n 's/.*nvme nvme0: \\(.* queues\\).*/\\1/p' | tail -n 1");
  return [
    `controller  nvme0: ${model}, serial ${serial}`,
    `subsystem   ${nqn}`,
    `namespace   nvme0n1: ${(sectors * 512) / MIB} MiB`,
    `queues      ${queues}`,
  ];
}

/**
 * Writers fill their parts with one random pattern at the same time, then each part is read back by the guest, and
 * by us from the file.
 */
async function verifiedIo(guest: Guest, diskPath: string, say: (line: string) => void): Promise<boolean> {
  const parts = Array.from({ length: WRITERS }, (_, part) => part);
  const blocks = PART_MIB * 16;
  const write = (part: number): string =>
    `dd if=/tmp/pattern of=/dev/nvme0n1 oflag=direct bs=64k count=${blocks} seek=${part * blocks} 2>/dev/null`;
  const read = (part: number): string =>
    `dd if=/dev/nvme0n1 iflag=direct bs=64k count=${blocks} skip=${part * blocks} 2>/dev/null`;
  await guest.check(`dd if=/dev/urandom of=/tmp/pattern bs=1M count=${PART_MIB} 2>/dev/null`);
  const pattern = (await guest.check('sha256sum </tmp/pattern')).split(' ')[0] ?? '';
  const writes = parts.map((part) => `${write(part)} & p${part}=$!`);
  await guest.check(
    `${writes.join('\n')}\n${parts.map((part) => `wait $p${part} || exit 1`).join('\n')}\nsync`,
    {
      timeoutSeconds: 120,
    },
  );
  const reads = parts.map((part) => `${read(part)} | sha256sum`).join('\n');
  const seen = (await guest.check(reads, { timeoutSeconds: 120 })).trim().split('\n');
  let verified = true;
  for (const part of parts) {
    const inGuest = (seen[part] ?? '').split(' ')[0] === pattern;
    const inFile = (await digestOf(diskPath, part * PART_MIB * MIB, PART_MIB * MIB)) === pattern;
    verified &&= inGuest && inFile;
    say(`         part ${part}: read in the guest ${word(inGuest)}, in the file ${word(inFile)}`);
  }
  return verified;
}

function word(good: boolean): string {
  return good ? 'the same' : 'DIFFERENT';
}

async function digestOf(file: string, offset: number, bytes: number): Promise<string> {
  const handle = await open(file);
  try {
    const buffer = Buffer.alloc(bytes);
    await handle.read(buffer, 0, bytes, offset);
    return createHash('sha256').update(buffer).digest('hex');
  } finally {
    await handle.close();
  }
}

async function leaveShell(guest: Guest, say: (line: string) => void): Promise<void> {
  say('\nA shell in the guest; the disk is /dev/nvme0n1. Leave with "exit" or Ctrl-]. For example:');
  say('  cat /sys/class/nvme/nvme0/state /proc/partitions');
  say('  dd if=/dev/nvme0n1 of=/dev/null bs=1M count=64 iflag=direct');
  await guest.interactive();
}

function summarize(sum: TargetStatistics, verified: boolean, say: (line: string) => void): void {
  const saved = sum.requests === 0 ? 0 : sum.doorbells / sum.requests;
  say(`\ntarget   ${sum.requests} requests, ${sum.requestErrors} failed; ${sum.interrupts} interrupts`);
  say(`         ${sum.doorbells} doorbell writes (${saved.toFixed(2)} a request), slept ${sum.sleeps} times`);
  say(verified ? '\nAll data verified.' : '\nThe data did NOT verify.');
}
