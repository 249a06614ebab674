// Identify (Base 5.17): CNS 00h to 03h, 05h, 06h, 08h, 10h to 13h and 1Ch; any other CNS is Invalid Field. Each
// structure is built in the slot's private page over zeros and goes to the guest as one page. NSIDs are judged by
// the rules of Base 3.2.1.5 and of each structure: an inactive namespace is a page of zeros, an invalid one Invalid
// Namespace or Format. Only the NVM command set exists.

import { CONFIG_BASE, DATA_BUFFER_BYTES, NAMESPACE_COUNT } from '../abi/memory-map.ts';
import { CONFIG_CNTLID } from '../abi/records.ts';
import { namespaceActive, namespaceAllocated, nsidCheck } from './namespaces.ts';
import { dataOut } from '../dptr/transfer.ts';
import {
  CNS_ACTIVE_NAMESPACES,
  CNS_ALLOCATED_NAMESPACE,
  CNS_ALLOCATED_NAMESPACES,
  CNS_COMMAND_SETS,
  CNS_CONTROLLER,
  CNS_CONTROLLERS,
  CNS_CSI_CONTROLLER,
  CNS_CSI_NAMESPACE,
  CNS_INDEPENDENT_NAMESPACE,
  CNS_NAMESPACE,
  CNS_NAMESPACE_CONTROLLERS,
  CNS_NAMESPACE_DESCRIPTORS,
  CONTROLLER_LIST_COUNT,
  CONTROLLER_LIST_FIRST,
  CSI_NVM,
  IDENTIFY_BYTES,
  IDENTIFY_CDW10_RESERVED_MASK,
  IDENTIFY_CDW11_RESERVED_MASK,
  IDENTIFY_CNS_WIDTH,
  IDENTIFY_CNTID_SHIFT,
  IDENTIFY_CSI_SHIFT,
  IOCS_VECTOR_NVM,
} from '../spec/nvme-identify.ts';
import { NSID_BROADCAST, STATUS_INVALID_FIELD, STATUS_INVALID_NAMESPACE } from '../spec/nvme.ts';
import { Namespace } from '../wire/namespace.ts';
import { Slot } from '../wire/slot.ts';
import { DONE, refuse } from '../wire/status.ts';
import { identifyController } from './identify-controller.ts';
import {
  identifyDescriptors,
  identifyIndependentNamespace,
  identifyNamespace,
} from './identify-namespace.ts';

if (IDENTIFY_BYTES > DATA_BUFFER_BYTES) ERROR('an Identify structure must fit a private page');

/** CNTID of "the controller that processes the command". */
const CNTID_THIS: u32 = 0xffff;

export function identify(slot: Slot): u32 {
  const sqe = slot.sqe;
  const cns = sqe.cdw10 & ((1 << IDENTIFY_CNS_WIDTH) - 1);
  if (
    (sqe.cdw10 & IDENTIFY_CDW10_RESERVED_MASK) != 0 ||
    (sqe.cdw11 & IDENTIFY_CDW11_RESERVED_MASK) != 0 ||
    (sqe.cdw12 | sqe.cdw13 | sqe.cdw15) != 0 ||
    // CDW14: the UUID Index selects from a list that does not exist here, the rest is reserved.
    sqe.cdw14 != 0
  ) {
    return refuse(STATUS_INVALID_FIELD);
  }
  memory.fill(slot.data, 0, IDENTIFY_BYTES);
  const status = structureFill(slot, cns);
  return status == DONE ? dataOut(slot, IDENTIFY_BYTES) : status;
}

function structureFill(slot: Slot, cns: u32): u32 {
  const sqe = slot.sqe;
  const at = slot.data;
  const csi = sqe.cdw11 >> IDENTIFY_CSI_SHIFT;
  switch (cns) {
    case CNS_NAMESPACE:
      if (!Namespace.inRange(sqe.nsid)) return refuse(STATUS_INVALID_NAMESPACE);
      if (namespaceActive(sqe.nsid)) identifyNamespace(at, sqe.nsid);
      return DONE;
    case CNS_CONTROLLER:
      identifyController(at);
      return DONE;
    case CNS_ACTIVE_NAMESPACES:
      return namespaceList(at, sqe.nsid, false);
    case CNS_NAMESPACE_DESCRIPTORS: {
      const status = nsidCheck(sqe.nsid);
      if (status == DONE) identifyDescriptors(at, sqe.nsid);
      return status;
    }
    case CNS_CSI_NAMESPACE:
      // Without protection information every field of the NVM command set's structure is 0.
      if (csi != <u32>CSI_NVM) return refuse(STATUS_INVALID_FIELD);
      return Namespace.inRange(sqe.nsid) ? DONE : refuse(STATUS_INVALID_NAMESPACE);
    case CNS_CSI_CONTROLLER:
      // No limits beyond MDTS and the ranges of one Dataset Management: 0 in every field says so.
      return csi == <u32>CSI_NVM ? DONE : refuse(STATUS_INVALID_FIELD);
    case CNS_INDEPENDENT_NAMESPACE:
      if (!Namespace.inRange(sqe.nsid)) return refuse(STATUS_INVALID_NAMESPACE);
      if (namespaceActive(sqe.nsid)) identifyIndependentNamespace(at, sqe.nsid);
      return DONE;
    case CNS_ALLOCATED_NAMESPACES:
      return namespaceList(at, sqe.nsid, true);
    case CNS_ALLOCATED_NAMESPACE:
      if (!Namespace.inRange(sqe.nsid)) return refuse(STATUS_INVALID_NAMESPACE);
      if (namespaceAllocated(sqe.nsid)) identifyNamespace(at, sqe.nsid);
      return DONE;
    case CNS_NAMESPACE_CONTROLLERS:
      if (sqe.nsid == <u32>NSID_BROADCAST) return refuse(STATUS_INVALID_FIELD);
      if (!Namespace.inRange(sqe.nsid)) return refuse(STATUS_INVALID_NAMESPACE);
      if (namespaceActive(sqe.nsid)) controllerList(at, sqe.cdw10 >> IDENTIFY_CNTID_SHIFT);
      return DONE;
    case CNS_CONTROLLERS:
      controllerList(at, sqe.cdw10 >> IDENTIFY_CNTID_SHIFT);
      return DONE;
    case CNS_COMMAND_SETS:
      return commandSets(at, sqe.cdw10 >> IDENTIFY_CNTID_SHIFT);
    default:
      return refuse(STATUS_INVALID_FIELD);
  }
}

/** The active or allocated NSIDs above `after`, ascending; 1,024 fit, more than there can be. */
function namespaceList(at: usize, after: u32, allocated: bool): u32 {
  if (after >= <u32>NSID_BROADCAST - 1) return refuse(STATUS_INVALID_NAMESPACE);
  let place = at;
  for (let nsid = after + 1; nsid <= <u32>NAMESPACE_COUNT; nsid++) {
    if (allocated ? !namespaceAllocated(nsid) : !namespaceActive(nsid)) continue;
    store<u32>(place, nsid);
    place += 4;
  }
  return DONE;
}

/** This controller, unless its identifier is below `first`. Others are other guests', of whom nobody is told. */
function controllerList(at: usize, first: u32): void {
  const cntlid = load<u16>(CONFIG_BASE, CONFIG_CNTLID);
  if (<u32>cntlid < first) return;
  store<u16>(at, 1, CONTROLLER_LIST_COUNT);
  store<u16>(at, cntlid, CONTROLLER_LIST_FIRST);
}

/** One combination of command sets: NVM alone. CNTID names this controller, by its number or as FFFFh. */
function commandSets(at: usize, cntid: u32): u32 {
  if (cntid != CNTID_THIS && cntid != <u32>load<u16>(CONFIG_BASE, CONFIG_CNTLID))
    return refuse(STATUS_INVALID_FIELD);
  store<u64>(at, IOCS_VECTOR_NVM);
  return DONE;
}

if (NAMESPACE_COUNT * 4 > IDENTIFY_BYTES) ERROR('the namespace list must fit one page');
