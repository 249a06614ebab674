// Who the subsystem, its controllers and its namespaces are, where the operator did not say.
//
// A guest finds its disks by these identifiers (/dev/disk/by-id, multipath, Windows' disk signatures), so they must be
// the same after a restart, and must differ between any two things that one guest could see together. They are
// SHA-256 hashes, shaped as UUIDs of version 8 (RFC 9562, 5.8), of:
//
//   subsystem   this machine and the path of the first socket: NQN and serial number
//   file        this machine and the real path of the file, whatever the NSID or the size
//   RAM         the subsystem's NQN and the NSID
//
// So a file that moves, or goes to another machine, gets new identifiers: configure uuid=, nguid= and --subsystem-nqn
// where a guest depends on them. "This machine" is machine-id(5), hashed as that page asks; without one, the host name.
//
// NGUID and EUI64 have to hold an IEEE OUI. doorbell uses one with the "locally administered" bit (IEEE 802c, AAI), the
// only kind that anybody may use.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';

/** Locally administered: D2-0B-E1. */
export const IEEE_OUI = 0xd20be1;
export const MODEL_DEFAULT = 'doorbell NVMe controller';

const MACHINE_ID_FILES = ['/etc/machine-id', '/var/lib/dbus/machine-id'];

/** What distinguishes this machine from others, across reboots. */
export function machineIdentity(files: readonly string[] = MACHINE_ID_FILES): string {
  for (const file of files) {
    const text = readText(file);
    if (/^[0-9a-f]{32}$/.test(text)) return `machine-id:${text}`;
  }
  return `hostname:${hostname()}`;
}

export interface SubsystemIds {
  readonly nqn: string;
  /** 20 characters. */
  readonly serial: string;
}

/** Identifiers of the subsystem whose first socket is `socketPath` (absolute). */
export function subsystemIds(machine: string, socketPath: string): SubsystemIds {
  const uuid = hashUuid('subsystem', machine, socketPath);
  return {
    nqn: `nqn.2014-08.org.nvmexpress:uuid:${formatUuid(uuid)}`,
    // 72 bits of the hash fill the 20 characters.
    serial: `DB${hash('serial', machine, socketPath).toString('hex').slice(0, 18).toUpperCase()}`,
  };
}

export interface NamespaceIds {
  /** 16 bytes, big-endian: RFC 9562. */
  readonly uuid: Uint8Array;
  /** 16 bytes, big-endian: 8 bytes of vendor extension, OUI, 5 bytes of extension. */
  readonly nguid: Uint8Array;
  /** 8 bytes, big-endian: OUI, 5 bytes of extension. */
  readonly eui64: Uint8Array;
}

/** Identifiers of stored data: `identity` is Backend.identity. */
export function storedNamespaceIds(machine: string, identity: string): NamespaceIds {
  return namespaceIds(['stored', machine, identity]);
}

/** Identifiers of data that lives in this process. */
export function volatileNamespaceIds(nqn: string, nsid: number): NamespaceIds {
  return namespaceIds(['volatile', nqn, String(nsid)]);
}

/** `6ba7b810-9dad-81d1-80b4-00c04fd430c8` */
export function formatUuid(uuid: Uint8Array): string {
  const digits = Buffer.from(uuid).toString('hex');
  return [8, 12, 16, 20, 32].map((end, index, ends) => digits.slice(ends[index - 1] ?? 0, end)).join('-');
}

function namespaceIds(parts: readonly string[]): NamespaceIds {
  const oui = [IEEE_OUI >>> 16, (IEEE_OUI >>> 8) & 0xff, IEEE_OUI & 0xff];
  const nguid = hash('nguid', ...parts).subarray(0, 16);
  nguid.set(oui, 8);
  const eui64 = hash('eui64', ...parts).subarray(0, 8);
  eui64.set(oui, 0);
  return { uuid: hashUuid('uuid', ...parts), nguid: Uint8Array.from(nguid), eui64: Uint8Array.from(eui64) };
}

/** A UUID of version 8 and the RFC's variant over the first 122 bits of the hash. */
function hashUuid(...parts: readonly string[]): Uint8Array {
  const bytes = Uint8Array.from(hash(...parts).subarray(0, 16));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x80;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  return bytes;
}

/** Zero bytes separate the parts: no path holds one, so no two lists of parts are the same text. */
function hash(...parts: readonly string[]): Buffer {
  return createHash('sha256')
    .update(['doorbell', ...parts].join('\0'))
    .digest();
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    return '';
  }
}
