// Identify Controller (CNS 01h, Base 5.17.2.1). Every field that is not 0 is written here, in the specification's
// order; a bit is set only where what it promises is implemented.

import { CONFIG_BASE, MDTS, NAMESPACE_COUNT, SLOT_ADMIN_RESERVE } from '../abi/memory-map.ts';
import {
  CONFIG_CNTLID,
  CONFIG_FIRMWARE,
  CONFIG_FLAG_MULTI_CONTROLLER,
  CONFIG_IEEE_OUI,
  CONFIG_MODEL,
  CONFIG_SERIAL,
  CONFIG_SSVID,
  CONFIG_SUBNQN,
  CONFIG_VID,
} from '../abi/records.ts';
import { shadowDoorbellsOffered } from './features.ts';
import { TEMPERATURE_CRITICAL, TEMPERATURE_WARNING } from './health.ts';
import { KEEP_ALIVE_GRANULARITY } from './keep-alive.ts';
import { ABORT_LIMIT, AER_LIMIT, ERROR_LOG_ENTRIES, controller } from '../wire/controller.ts';
import {
  CMIC_MULTI_CONTROLLER,
  CNTRLTYPE_IO,
  ENTRY_SIZE_MAX_SHIFT,
  FRMW_SLOT1_READ_ONLY,
  FRMW_SLOTS_SHIFT,
  IDCTRL_ACL,
  IDCTRL_AERL,
  IDCTRL_CCTEMP,
  IDCTRL_CMIC,
  IDCTRL_CNTLID,
  IDCTRL_CNTRLTYPE,
  IDCTRL_CQES,
  IDCTRL_ELPE,
  IDCTRL_FR,
  IDCTRL_FRMW,
  IDCTRL_FR_BYTES,
  IDCTRL_IEEE,
  IDCTRL_KAS,
  IDCTRL_LPA,
  IDCTRL_MAXCMD,
  IDCTRL_MDTS,
  IDCTRL_MN,
  IDCTRL_MNAN,
  IDCTRL_MN_BYTES,
  IDCTRL_NN,
  IDCTRL_OACS,
  IDCTRL_OAES,
  IDCTRL_OCFS,
  IDCTRL_ONCS,
  IDCTRL_RAB,
  IDCTRL_RTD3E,
  IDCTRL_SN,
  IDCTRL_SN_BYTES,
  IDCTRL_SQES,
  IDCTRL_SSVID,
  IDCTRL_SUBNQN,
  IDCTRL_SUBNQN_BYTES,
  IDCTRL_VER,
  IDCTRL_VID,
  IDCTRL_VWC,
  IDCTRL_WCTEMP,
  LPA_EFFECTS,
  LPA_EXTENDED,
  LPA_SUPPORTED_PAGES,
  OACS_DOORBELL_BUFFER_CONFIG,
  OAES_NAMESPACE_ATTRIBUTE,
  OCFS_FORMAT_0,
  ONCS_COMPARE,
  ONCS_COPY,
  ONCS_DATASET_MANAGEMENT,
  ONCS_SAVE_AND_SELECT,
  ONCS_TIMESTAMP,
  ONCS_VERIFY,
  ONCS_WRITE_UNCORRECTABLE,
  ONCS_WRITE_ZEROES,
  VWC_FLUSH_BROADCAST_ALL,
  VWC_FLUSH_BROADCAST_SHIFT,
  VWC_PRESENT,
} from '../spec/nvme-identify.ts';
import { CQE_SHIFT, SQE_SHIFT, VS_2_0 } from '../spec/nvme.ts';

/** Recommended Arbitration Burst, a power of two. */
const ARBITRATION_BURST: u8 = 6;
/** RTD3 Entry Latency, microseconds: what a shutdown may take while slow storage flushes. */
const SHUTDOWN_MICROSECONDS: u32 = 30000000;

const OPTIONAL_COMMANDS: u32 =
  ONCS_COMPARE |
  ONCS_WRITE_UNCORRECTABLE |
  ONCS_DATASET_MANAGEMENT |
  ONCS_WRITE_ZEROES |
  ONCS_SAVE_AND_SELECT |
  ONCS_TIMESTAMP |
  ONCS_VERIFY |
  ONCS_COPY;

/** Fills 4,096 bytes of zeros. */
export function identifyController(at: usize): void {
  const c = controller();
  identity(at);
  store<u8>(at, MDTS, IDCTRL_MDTS);
  store<u32>(at, VS_2_0, IDCTRL_VER);
  store<u32>(at, SHUTDOWN_MICROSECONDS, IDCTRL_RTD3E);
  store<u32>(at, OAES_NAMESPACE_ATTRIBUTE, IDCTRL_OAES);
  store<u8>(at, CNTRLTYPE_IO, IDCTRL_CNTRLTYPE);

  store<u16>(at, shadowDoorbellsOffered() ? OACS_DOORBELL_BUFFER_CONFIG : 0, IDCTRL_OACS);
  store<u8>(at, <u8>(ABORT_LIMIT - 1), IDCTRL_ACL);
  store<u8>(at, <u8>(AER_LIMIT - 1), IDCTRL_AERL);
  store<u8>(at, FRMW_SLOT1_READ_ONLY | (1 << FRMW_SLOTS_SHIFT), IDCTRL_FRMW);
  store<u8>(at, LPA_EFFECTS | LPA_EXTENDED | LPA_SUPPORTED_PAGES, IDCTRL_LPA);
  store<u8>(at, <u8>(ERROR_LOG_ENTRIES - 1), IDCTRL_ELPE);
  store<u16>(at, <u16>TEMPERATURE_WARNING, IDCTRL_WCTEMP);
  store<u16>(at, <u16>TEMPERATURE_CRITICAL, IDCTRL_CCTEMP);
  store<u16>(at, <u16>KEEP_ALIVE_GRANULARITY, IDCTRL_KAS);

  store<u8>(at, SQE_SHIFT | (SQE_SHIFT << ENTRY_SIZE_MAX_SHIFT), IDCTRL_SQES);
  store<u8>(at, CQE_SHIFT | (CQE_SHIFT << ENTRY_SIZE_MAX_SHIFT), IDCTRL_CQES);
  store<u16>(at, <u16>maximumCommands(), IDCTRL_MAXCMD);
  store<u32>(at, NAMESPACE_COUNT, IDCTRL_NN);
  store<u16>(at, <u16>OPTIONAL_COMMANDS, IDCTRL_ONCS);
  store<u8>(
    at,
    <u8>((VWC_FLUSH_BROADCAST_ALL << VWC_FLUSH_BROADCAST_SHIFT) | (c.volatileCache != 0 ? VWC_PRESENT : 0)),
    IDCTRL_VWC,
  );
  store<u16>(at, OCFS_FORMAT_0, IDCTRL_OCFS);
  store<u32>(at, NAMESPACE_COUNT, IDCTRL_MNAN);
}

/** Who this is: from the configuration, the same after every restart. */
function identity(at: usize): void {
  const multi = (controller().configFlags & CONFIG_FLAG_MULTI_CONTROLLER) != 0;
  store<u16>(at, load<u16>(CONFIG_BASE, CONFIG_VID), IDCTRL_VID);
  store<u16>(at, load<u16>(CONFIG_BASE, CONFIG_SSVID), IDCTRL_SSVID);
  memory.copy(at + IDCTRL_SN, CONFIG_BASE + CONFIG_SERIAL, IDCTRL_SN_BYTES);
  memory.copy(at + IDCTRL_MN, CONFIG_BASE + CONFIG_MODEL, IDCTRL_MN_BYTES);
  memory.copy(at + IDCTRL_FR, CONFIG_BASE + CONFIG_FIRMWARE, IDCTRL_FR_BYTES);
  store<u8>(at, ARBITRATION_BURST, IDCTRL_RAB);
  memory.copy(at + IDCTRL_IEEE, CONFIG_BASE + CONFIG_IEEE_OUI, 3);
  store<u8>(at, multi ? CMIC_MULTI_CONTROLLER : 0, IDCTRL_CMIC);
  store<u16>(at, load<u16>(CONFIG_BASE, CONFIG_CNTLID), IDCTRL_CNTLID);
  memory.copy(at + IDCTRL_SUBNQN, CONFIG_BASE + CONFIG_SUBNQN, IDCTRL_SUBNQN_BYTES);
}

/** Commands of one I/O queue that are processed at a time: its entries, or the slots that I/O may take. */
function maximumCommands(): u32 {
  const c = controller();
  return min<u32>(c.queueEntries, <u32>c.slots - SLOT_ADMIN_RESERVE);
}
