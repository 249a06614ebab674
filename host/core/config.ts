// Writes the configuration areas of a core: what the controller says of itself, and its namespaces. Values are the
// operator's and were validated before; the core checks the ranges once more in `core_init` and `namespace_update`.

import {
  CONFIG_BASE,
  NAMESPACE_BASE,
  NAMESPACE_BYTES,
  NAMESPACE_SIZE,
} from '../../assembly/abi/memory-map.ts';
import * as abi from '../../assembly/abi/records.ts';

/** One controller, as Identify Controller and CAP will describe it. */
export interface ControllerConfig {
  /** Offer Doorbell Buffer Config (OACS bit 8). */
  shadowDoorbells: boolean;
  /** The subsystem has, or may get, more than this one controller (CMIC bit 1). */
  multiController: boolean;
  /** Controller identifier, unique in the subsystem: 0 to FFEFh. */
  cntlid: number;
  /** PCI vendor and subsystem vendor ids. */
  vid: number;
  ssvid: number;
  /** 1 to IO_QUEUE_PAIRS_MAX. */
  ioQueuePairs: number;
  /** Entries of the largest queue: 2 to QUEUE_ENTRIES_MAX. */
  queueEntries: number;
  /** Command slots: SLOT_ADMIN_RESERVE + 1 to SLOT_COUNT. */
  slots: number;
  /** IEEE OUI as a number of 24 bits: 0x001122 is 00-11-22. */
  ieeeOui: number;
  /** ASCII, at most 20, 40 and 8 characters. */
  serial: string;
  model: string;
  firmware: string;
  /** NVMe Qualified Name of the subsystem, at most 223 bytes UTF-8. */
  subnqn: string;
}

/** One namespace. */
export interface NamespaceConfig {
  /** 1 to NAMESPACE_COUNT. */
  nsid: number;
  /** False: the subsystem has it, this controller does not (Identify 10h and 11h show it). Default: true. */
  attached?: boolean;
  /** Two or more controllers may be attached (NMIC bit 0). */
  shared: boolean;
  readOnly: boolean;
  /** Deallocate really frees blocks, which then read as zeros. */
  deallocate: boolean;
  /** The backend has a volatile write cache. */
  volatileCache: boolean;
  /** log2 of the logical block size: 9 or 12. */
  lbaShift: 9 | 12;
  /** Size in logical blocks. */
  blocks: bigint;
  /** 16, 8 and 16 bytes, big-endian as people write them. All zeros: not reported. */
  nguid: Uint8Array;
  eui64: Uint8Array;
  uuid: Uint8Array;
  /** Preferred I/O size in logical blocks, 0 = not reported. */
  optimalBlocks: number;
}

/** Fills CONFIG and NAMESPACE; namespaces that are not listed are inactive. */
export function configWrite(
  bytes: Uint8Array,
  view: DataView,
  config: ControllerConfig,
  namespaces: readonly NamespaceConfig[],
): void {
  const base = CONFIG_BASE;
  bytes.fill(0, base, base + abi.CONFIG_BYTES);
  view.setUint32(
    base + abi.CONFIG_FLAGS,
    flag(config.shadowDoorbells, abi.CONFIG_FLAG_SHADOW_DOORBELLS) |
      flag(config.multiController, abi.CONFIG_FLAG_MULTI_CONTROLLER),
    true,
  );
  view.setUint16(base + abi.CONFIG_CNTLID, config.cntlid, true);
  view.setUint16(base + abi.CONFIG_VID, config.vid, true);
  view.setUint16(base + abi.CONFIG_SSVID, config.ssvid, true);
  view.setUint16(base + abi.CONFIG_IO_QUEUE_PAIRS, config.ioQueuePairs, true);
  view.setUint16(base + abi.CONFIG_QUEUE_ENTRIES, config.queueEntries, true);
  view.setUint16(base + abi.CONFIG_SLOTS, config.slots, true);
  view.setUint16(base + abi.CONFIG_IEEE_OUI, config.ieeeOui & 0xffff, true);
  view.setUint8(base + abi.CONFIG_IEEE_OUI + 2, (config.ieeeOui >>> 16) & 0xff);
  textWrite(bytes, base + abi.CONFIG_SERIAL, config.serial, 20, 0x20);
  textWrite(bytes, base + abi.CONFIG_MODEL, config.model, 40, 0x20);
  textWrite(bytes, base + abi.CONFIG_FIRMWARE, config.firmware, 8, 0x20);
  textWrite(bytes, base + abi.CONFIG_SUBNQN, config.subnqn, 256, 0);
  bytes.fill(0, NAMESPACE_BASE, NAMESPACE_BASE + NAMESPACE_SIZE);
  for (const namespace of namespaces) {
    namespaceWrite(bytes, view, NAMESPACE_BASE + (namespace.nsid - 1) * NAMESPACE_BYTES, namespace);
  }
}

/** Fills one namespace record; undefined: there is none. */
export function namespaceWrite(
  bytes: Uint8Array,
  view: DataView,
  base: number,
  namespace: Omit<NamespaceConfig, 'nsid'> | undefined,
): void {
  bytes.fill(0, base, base + NAMESPACE_BYTES);
  if (namespace === undefined) return;
  view.setUint32(
    base + abi.NAMESPACE_FLAGS,
    (namespace.attached === false ? abi.NAMESPACE_FLAG_ALLOCATED : abi.NAMESPACE_FLAG_ACTIVE) |
      flag(namespace.shared, abi.NAMESPACE_FLAG_SHARED) |
      flag(namespace.readOnly, abi.NAMESPACE_FLAG_READ_ONLY) |
      flag(namespace.deallocate, abi.NAMESPACE_FLAG_DEALLOCATE) |
      flag(namespace.volatileCache, abi.NAMESPACE_FLAG_VOLATILE_CACHE),
    true,
  );
  view.setUint32(base + abi.NAMESPACE_LBA_SHIFT, namespace.lbaShift, true);
  view.setBigUint64(base + abi.NAMESPACE_BLOCKS, namespace.blocks, true);
  bytes.set(namespace.nguid, base + abi.NAMESPACE_NGUID);
  bytes.set(namespace.eui64, base + abi.NAMESPACE_EUI64);
  bytes.set(namespace.uuid, base + abi.NAMESPACE_UUID);
  view.setUint32(base + abi.NAMESPACE_OPTIMAL_BLOCKS, namespace.optimalBlocks, true);
}

function flag(condition: boolean, bit: number): number {
  return condition ? bit : 0;
}

function textWrite(bytes: Uint8Array, at: number, text: string, length: number, padding: number): void {
  bytes.fill(padding, at, at + length);
  bytes.set(new TextEncoder().encode(text).subarray(0, length), at);
}
