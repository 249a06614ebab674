// The controller properties: BAR0 below 1000h (Base 3.1.3), read and written in aligned dwords. What is defined but
// not offered here (NSSR, boot partitions, CMB, PMR) reads 0 and ignores writes; an access that the specification
// does not define does the same and leaves an event.

import { EVENT_REGISTER_REFUSED } from '../abi/records.ts';
import {
  CAP_CSS_NVM,
  CAP_HIGH_CRWMS_SHIFT,
  CAP_HIGH_CSS_SHIFT,
  CAP_LOW_CQR_SHIFT,
  CAP_LOW_TO_SHIFT,
  CC_EN,
  CRTO_CRWMT_SHIFT,
  REG_ACQ,
  REG_ACQ_HIGH,
  REG_AQA,
  REG_ASQ,
  REG_ASQ_HIGH,
  REG_CAP,
  REG_CAP_HIGH,
  REG_CC,
  REG_CMBLOC,
  REG_CRTO,
  REG_CSTS,
  REG_DEFINED_END,
  REG_INTMC,
  REG_INTMS,
  REG_PMRCAP,
  REG_PMR_END,
  REG_VS,
  AQA_MASK,
  VS_2_0,
} from '../spec/nvme.ts';
import { eventRecord } from '../queue/event-records.ts';
import { controller } from '../wire/controller.ts';
import { configurationWrite } from './state.ts';

/** Longest time until CSTS.RDY follows CC.EN, in 500 ms: requests in flight are waited for, 30 s of slow storage. */
const READY_TIMEOUT: u32 = 60;

/** The low half of CAP: MQES from the configuration, contiguous queues, round robin only, TO. */
export function capLow(): u32 {
  return (
    (<u32>controller().queueEntries - 1) | (1 << CAP_LOW_CQR_SHIFT) | (READY_TIMEOUT << CAP_LOW_TO_SHIFT)
  );
}

/** The high half of CAP: stride 4 bytes, NVM command set, 4 KiB pages, ready with media. */
export function capHigh(): u32 {
  return (CAP_CSS_NVM << CAP_HIGH_CSS_SHIFT) | (1 << CAP_HIGH_CRWMS_SHIFT);
}

/** Reads a register; offsets that are not dword aligned or not defined read 0. */
export function registerRead(offset: u32): u32 {
  const c = controller();
  switch (offset) {
    case REG_CAP:
      return capLow();
    case REG_CAP_HIGH:
      return capHigh();
    case REG_VS:
      return VS_2_0;
    case REG_INTMS:
    case REG_INTMC:
      return c.interruptMask;
    case REG_CC:
      return c.cc;
    case REG_CSTS:
      return c.csts;
    case REG_AQA:
      return c.aqa;
    case REG_ASQ:
      return <u32>c.asq;
    case REG_ASQ_HIGH:
      return <u32>(c.asq >> 32);
    case REG_ACQ:
      return <u32>c.acq;
    case REG_ACQ_HIGH:
      return <u32>(c.acq >> 32);
    case REG_CRTO:
      return READY_TIMEOUT << CRTO_CRWMT_SHIFT;
    default:
      if (!absent(offset)) refused(offset, 0);
      return 0;
  }
}

/** Writes a register. The admin queue's registers take writes only while CC.EN is 0. */
export function registerWrite(offset: u32, value: u32): void {
  const c = controller();
  switch (offset) {
    case REG_INTMS:
      c.interruptMask |= value;
      return;
    case REG_INTMC:
      c.interruptMask &= ~value;
      return;
    case REG_CC:
      configurationWrite(value);
      return;
    case REG_AQA:
    case REG_ASQ:
    case REG_ASQ_HIGH:
    case REG_ACQ:
    case REG_ACQ_HIGH:
      if ((c.cc & CC_EN) != 0) refused(offset, value);
      else adminQueueWrite(offset, value);
      return;
    default:
      refused(offset, value);
  }
}

function adminQueueWrite(offset: u32, value: u32): void {
  const c = controller();
  switch (offset) {
    case REG_AQA:
      c.aqa = value & AQA_MASK;
      return;
    case REG_ASQ:
      c.asq = (c.asq & 0xffffffff00000000) | value;
      return;
    case REG_ASQ_HIGH:
      c.asq = (c.asq & 0xffffffff) | ((<u64>value) << 32);
      return;
    case REG_ACQ:
      c.acq = (c.acq & 0xffffffff00000000) | value;
      return;
    case REG_ACQ_HIGH:
      c.acq = (c.acq & 0xffffffff) | ((<u64>value) << 32);
      return;
  }
}

/** Registers of features that CAP says are absent: they read 0 and it is no mistake to look. */
function absent(offset: u32): bool {
  if ((offset & 3) != 0) return false;
  const early = offset > <u32>REG_CSTS && offset < <u32>REG_CRTO;
  return early || (offset >= <u32>REG_PMRCAP && offset < <u32>REG_PMR_END);
}

function refused(offset: u32, value: u32): void {
  eventRecord(EVENT_REGISTER_REFUSED, 0, 0, 0, 0, offset, value);
}

if (REG_DEFINED_END != REG_CRTO + 4) ERROR('CRTO is the last property');
if (REG_CMBLOC > REG_CRTO) ERROR('CMB registers lie before CRTO');
