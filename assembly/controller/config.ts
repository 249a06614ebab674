// Checks what the caller wrote into the CONFIG and NAMESPACE areas, once, in core_init and core_resume, and into the
// mailbox of namespace_update. From then on the core trusts them, so each field that could break an invariant has its
// line here.

import {
  CONFIG_BASE,
  IO_QUEUE_PAIRS_MAX,
  MDTS,
  NAMESPACE_COUNT,
  QUEUE_ENTRIES_MAX,
  SLOT_ADMIN_RESERVE,
  SLOT_COUNT,
} from '../abi/memory-map.ts';
import {
  CONFIG_FIRMWARE,
  CONFIG_FLAGS,
  CONFIG_FLAG_MULTI_CONTROLLER,
  CONFIG_FLAG_SHADOW_DOORBELLS,
  CONFIG_IO_QUEUE_PAIRS,
  CONFIG_MODEL,
  CONFIG_QUEUE_ENTRIES,
  CONFIG_SERIAL,
  CONFIG_SLOTS,
  CONFIG_SUBNQN,
  INIT_CONFIG_INVALID,
  INIT_NAMESPACE_INVALID,
  INIT_OK,
  NAMESPACE_FLAG_ACTIVE,
  NAMESPACE_FLAG_ALLOCATED,
  NAMESPACE_FLAG_DEALLOCATE,
  NAMESPACE_FLAG_READ_ONLY,
  NAMESPACE_FLAG_SHARED,
  NAMESPACE_FLAG_VOLATILE_CACHE,
  NAMESPACE_OPTIMAL_BLOCKS,
} from '../abi/records.ts';
import {
  IDCTRL_FR_BYTES,
  IDCTRL_MN_BYTES,
  IDCTRL_SN_BYTES,
  IDCTRL_SUBNQN_BYTES,
} from '../spec/nvme-identify.ts';
import { QUEUE_ENTRIES_MIN } from '../spec/nvme.ts';
import { Namespace } from '../wire/namespace.ts';
import { nextVolatileNamespace } from '../dptr/flush-all.ts';
import { controller } from '../wire/controller.ts';

const CONFIG_FLAGS_KNOWN: u32 = CONFIG_FLAG_SHADOW_DOORBELLS | CONFIG_FLAG_MULTI_CONTROLLER;
const NAMESPACE_FLAGS_KNOWN: u32 =
  NAMESPACE_FLAG_ACTIVE |
  NAMESPACE_FLAG_SHARED |
  NAMESPACE_FLAG_READ_ONLY |
  NAMESPACE_FLAG_DEALLOCATE |
  NAMESPACE_FLAG_VOLATILE_CACHE |
  NAMESPACE_FLAG_ALLOCATED;
/** Byte offsets in a namespace must fit a signed 64-bit file offset. */
const NAMESPACE_BYTES_MAX: u64 = 0x7fffffffffffffff;
/** Preferred sizes are reported in 16 bits, zero-based. */
const OPTIMAL_BLOCKS_MAX: u32 = 65536;

if (MDTS > 8) ERROR('segments of one request are sized for an MDTS of 8');

/** INIT_OK, INIT_CONFIG_INVALID or INIT_NAMESPACE_INVALID; on success the record knows the figures. */
export function configAccept(): u32 {
  if (!controllerConfigValid()) return INIT_CONFIG_INVALID;
  for (let nsid: u32 = 1; nsid <= <u32>NAMESPACE_COUNT; nsid++) {
    if (!namespaceConfigValid(Namespace.at(nsid))) return INIT_NAMESPACE_INVALID;
  }
  const c = controller();
  c.configFlags = load<u32>(CONFIG_BASE, CONFIG_FLAGS);
  c.queuePairs = load<u16>(CONFIG_BASE, CONFIG_IO_QUEUE_PAIRS);
  c.queueEntries = load<u16>(CONFIG_BASE, CONFIG_QUEUE_ENTRIES);
  c.slots = load<u16>(CONFIG_BASE, CONFIG_SLOTS);
  volatileCacheLearn();
  return INIT_OK;
}

/** Whether some namespace has a volatile write cache, as Identify and feature 06h say. */
export function volatileCacheLearn(): void {
  controller().volatileCache = nextVolatileNamespace(0) != 0 ? 1 : 0;
}

function controllerConfigValid(): bool {
  const flags = load<u32>(CONFIG_BASE, CONFIG_FLAGS);
  const pairs: u32 = load<u16>(CONFIG_BASE, CONFIG_IO_QUEUE_PAIRS);
  const entries: u32 = load<u16>(CONFIG_BASE, CONFIG_QUEUE_ENTRIES);
  const slots: u32 = load<u16>(CONFIG_BASE, CONFIG_SLOTS);
  return (
    (flags & ~CONFIG_FLAGS_KNOWN) == 0 &&
    pairs >= 1 &&
    pairs <= <u32>IO_QUEUE_PAIRS_MAX &&
    entries >= <u32>QUEUE_ENTRIES_MIN &&
    entries <= <u32>QUEUE_ENTRIES_MAX &&
    slots > <u32>SLOT_ADMIN_RESERVE &&
    slots <= <u32>SLOT_COUNT &&
    asciiValid(CONFIG_BASE + CONFIG_SERIAL, IDCTRL_SN_BYTES) &&
    asciiValid(CONFIG_BASE + CONFIG_MODEL, IDCTRL_MN_BYTES) &&
    asciiValid(CONFIG_BASE + CONFIG_FIRMWARE, IDCTRL_FR_BYTES) &&
    // A terminated string that is not empty: Linux and others read it up to the first zero.
    load<u8>(CONFIG_BASE, CONFIG_SUBNQN) != 0 &&
    load<u8>(CONFIG_BASE, CONFIG_SUBNQN + IDCTRL_SUBNQN_BYTES - 1) == 0
  );
}

/** Whether a record can be a namespace's; one of zeros is that of none. */
export function namespaceConfigValid(namespace: Namespace): bool {
  if (namespace.flags == 0) return true;
  if ((namespace.flags & ~NAMESPACE_FLAGS_KNOWN) != 0) return false;
  if ((namespace.flags & (NAMESPACE_FLAG_ACTIVE | NAMESPACE_FLAG_ALLOCATED)) == 0) return false;
  if (namespace.lbaShift != 9 && namespace.lbaShift != 12) return false;
  if (load<u32>(changetype<usize>(namespace), NAMESPACE_OPTIMAL_BLOCKS) > OPTIMAL_BLOCKS_MAX) return false;
  return namespace.blocks != 0 && namespace.blocks <= NAMESPACE_BYTES_MAX >> namespace.lbaShift;
}

/** Printable ASCII, as Identify wants its strings (Base 1.4.2: 20h to 7Eh). */
function asciiValid(at: u32, bytes: u32): bool {
  for (let i: u32 = 0; i < bytes; i++) {
    const byte = load<u8>(at + i);
    if (byte < 0x20 || byte > 0x7e) return false;
  }
  return true;
}
