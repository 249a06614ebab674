// Controller properties and the life of a controller: what a guest's driver sees before it has a queue.

import {
  EVENT_CONTROLLER_DISABLED,
  EVENT_CONTROLLER_FAILED,
  EVENT_CONTROLLER_READY,
  EVENT_CONTROLLER_SHUTDOWN,
  EVENT_DOORBELL_REFUSED,
  EVENT_REGISTER_REFUSED,
  CONFIG_CNTLID,
  CONFIG_IO_QUEUE_PAIRS,
  CONFIG_MODEL,
  CONFIG_QUEUE_ENTRIES,
  CONFIG_SLOTS,
  CONFIG_SUBNQN,
  INIT_CONFIG_INVALID,
  INIT_NAMESPACE_INVALID,
  INIT_OK,
  NAMESPACE_FLAG_ACTIVE,
  NAMESPACE_FLAG_VOLATILE_CACHE,
  COMPLETION_RESULT,
  COMPLETION_SLOT,
  OPERATION_FLUSH,
  REQUEST_NSID,
  REQUEST_OPERATION,
  REQUEST_SLOT,
} from '../../assembly/abi/records.ts';
import { COMPLETION_BASE, CONFIG_BASE, REQUEST_BASE } from '../../assembly/abi/memory-map.ts';
import { completionsPost } from '../../assembly/controller/dispatch.ts';
import { eventsTake } from '../../assembly/queue/event-records.ts';
import { doorbellWrite, queuePoll } from '../../assembly/controller/poll.ts';
import { registerWrite } from '../../assembly/controller/registers.ts';
import { controllerFail, controllerReset } from '../../assembly/controller/state.ts';
import { requestsTake } from '../../assembly/queue/requests.ts';
import { requestsOutstanding } from '../../assembly/queue/slots.ts';
import { FID_NUMBER_OF_QUEUES } from '../../assembly/spec/nvme-features.ts';
import {
  ADMIN_GET_FEATURES,
  REG_ACQ,
  REG_ACQ_HIGH,
  REG_AQA,
  REG_ASQ,
  REG_ASQ_HIGH,
  REG_BPINFO,
  REG_CAP,
  REG_CAP_HIGH,
  REG_CC,
  REG_CMBLOC,
  REG_CMBSZ,
  REG_CRTO,
  REG_CSTS,
  REG_DOORBELLS,
  REG_INTMC,
  REG_INTMS,
  REG_NSSR,
  REG_PMRCAP,
  REG_VS,
} from '../../assembly/spec/nvme.ts';
import {
  CC_ENABLED,
  boot,
  command,
  configFill,
  enable,
  eventsOf,
  namespaceFill,
  powerOn,
  reg,
  takeOver,
} from './support/machine.ts';

const SHST_OCCURRING: u32 = 1 << 2;
const SHST_COMPLETE: u32 = 2 << 2;

function start(): void {
  configFill();
  namespaceFill(1, NAMESPACE_FLAG_ACTIVE, 9, 2048, 0);
  powerOn();
  eventsTake();
}

describe('configuration', () => {
  test('a sound one is accepted', () => {
    configFill();
    namespaceFill(1, NAMESPACE_FLAG_ACTIVE, 9, 2048, 0);
    expect<u32>(powerOn()).toBe(INIT_OK);
  });

  test('each field out of range is refused', () => {
    configFill();
    store<u32>(CONFIG_BASE, 4);
    expect<u32>(powerOn()).toBe(INIT_CONFIG_INVALID, 'flags');
    for (let pairs: u16 = 0; pairs <= 65; pairs += 65) {
      configFill();
      store<u16>(CONFIG_BASE, pairs, CONFIG_IO_QUEUE_PAIRS);
      expect<u32>(powerOn()).toBe(INIT_CONFIG_INVALID, 'queue pairs');
    }
    for (let entries: u16 = 1; entries <= 1025; entries += 1024) {
      configFill();
      store<u16>(CONFIG_BASE, entries, CONFIG_QUEUE_ENTRIES);
      expect<u32>(powerOn()).toBe(INIT_CONFIG_INVALID, 'entries');
    }
    for (let slots: u16 = 16; slots <= 1025; slots += 1009) {
      configFill();
      store<u16>(CONFIG_BASE, slots, CONFIG_SLOTS);
      expect<u32>(powerOn()).toBe(INIT_CONFIG_INVALID, 'slots');
    }
    configFill();
    store<u8>(CONFIG_BASE, 0, CONFIG_MODEL + 39);
    expect<u32>(powerOn()).toBe(INIT_CONFIG_INVALID, 'model');
    configFill();
    store<u8>(CONFIG_BASE, 0, CONFIG_SUBNQN);
    expect<u32>(powerOn()).toBe(INIT_CONFIG_INVALID, 'no NQN');
    configFill();
    store<u8>(CONFIG_BASE, 0x6e, CONFIG_SUBNQN + 255);
    expect<u32>(powerOn()).toBe(INIT_CONFIG_INVALID, 'NQN without end');
    expect<u32>(CONFIG_CNTLID).toBe(4);
  });

  test('each namespace field out of range is refused', () => {
    configFill();
    namespaceFill(256, NAMESPACE_FLAG_ACTIVE | (1 << 6), 9, 2048, 0);
    expect<u32>(powerOn()).toBe(INIT_NAMESPACE_INVALID, 'flags');
    namespaceFill(256, NAMESPACE_FLAG_VOLATILE_CACHE, 9, 2048, 0);
    expect<u32>(powerOn()).toBe(INIT_NAMESPACE_INVALID, 'inactive with flags');
    namespaceFill(256, NAMESPACE_FLAG_ACTIVE, 10, 2048, 0);
    expect<u32>(powerOn()).toBe(INIT_NAMESPACE_INVALID, 'block size');
    namespaceFill(256, NAMESPACE_FLAG_ACTIVE, 9, 0, 0);
    expect<u32>(powerOn()).toBe(INIT_NAMESPACE_INVALID, 'empty');
    namespaceFill(256, NAMESPACE_FLAG_ACTIVE, 9, 1 << 54, 0);
    expect<u32>(powerOn()).toBe(INIT_NAMESPACE_INVALID, '2^63 bytes');
    namespaceFill(256, NAMESPACE_FLAG_ACTIVE, 9, (1 << 54) - 1, 65537);
    expect<u32>(powerOn()).toBe(INIT_NAMESPACE_INVALID, 'optimal blocks');
    namespaceFill(256, NAMESPACE_FLAG_ACTIVE, 9, (1 << 54) - 1, 65536);
    expect<u32>(powerOn()).toBe(INIT_OK);
  });
});

describe('registers', () => {
  beforeEach(start);

  test('CAP, VS and CRTO say what is offered', () => {
    expect<u32>(reg(REG_CAP) & 0xffff).toBe(63, 'MQES from the configuration, zero-based');
    expect<u32>((reg(REG_CAP) >> 16) & 7).toBe(1, 'CQR, round robin only');
    expect<u32>(reg(REG_CAP) >> 24).toBe(60, 'TO');
    expect<u32>(reg(REG_CAP_HIGH)).toBe((1 << 5) | (1 << 27), 'NVM command set, CRWMS, all else 0');
    expect<u32>(reg(REG_VS)).toBe(0x00020000);
    expect<u32>(reg(REG_CRTO)).toBe(60);
  });

  test('what CAP says is absent reads 0 without complaint', () => {
    expect<u32>(reg(REG_NSSR)).toBe(0);
    expect<u32>(reg(REG_CMBLOC)).toBe(0);
    expect<u32>(reg(REG_CMBSZ)).toBe(0);
    expect<u32>(reg(REG_BPINFO)).toBe(0);
    expect<u32>(reg(REG_PMRCAP)).toBe(0);
    expect<u32>(eventsOf(EVENT_REGISTER_REFUSED)).toBe(0);
  });

  test('undefined offsets read 0 and leave an event, writes too', () => {
    expect<u32>(reg(0x6c)).toBe(0);
    expect<u32>(reg(0xffc)).toBe(0);
    expect<u32>(reg(REG_CC + 1)).toBe(0);
    expect<u32>(eventsOf(EVENT_REGISTER_REFUSED)).toBe(3);
    registerWrite(REG_CAP, 1);
    registerWrite(REG_VS, 1);
    registerWrite(REG_NSSR, 0x4e564d65);
    registerWrite(REG_CMBLOC, 1);
    registerWrite(0xe00, 1);
    expect<u32>(eventsOf(EVENT_REGISTER_REFUSED)).toBe(5);
    expect<u32>(reg(REG_VS)).toBe(0x00020000);
  });

  test('INTMS sets and INTMC clears one mask, which both show', () => {
    registerWrite(REG_INTMS, 0x0f);
    registerWrite(REG_INTMC, 0x05);
    expect<u32>(reg(REG_INTMS)).toBe(0x0a);
    expect<u32>(reg(REG_INTMC)).toBe(0x0a);
  });

  test('the admin queue registers keep what is written while CC.EN is 0', () => {
    registerWrite(REG_AQA, 0xffffffff);
    registerWrite(REG_ASQ, 0x89abc000);
    registerWrite(REG_ASQ_HIGH, 0x01234567);
    registerWrite(REG_ACQ_HIGH, 0x76543210);
    registerWrite(REG_ACQ, 0xfedcb000);
    expect<u32>(reg(REG_AQA)).toBe(0x0fff0fff);
    expect<u32>(reg(REG_ASQ)).toBe(0x89abc000);
    expect<u32>(reg(REG_ASQ_HIGH)).toBe(0x01234567);
    expect<u32>(reg(REG_ACQ)).toBe(0xfedcb000);
    expect<u32>(reg(REG_ACQ_HIGH)).toBe(0x76543210);
    enable();
    registerWrite(REG_ASQ, 0x5000);
    expect<u32>(reg(REG_ASQ)).toBe(0x1000);
    expect<u32>(eventsOf(EVENT_REGISTER_REFUSED)).toBe(1);
  });

  test('events beyond the area are counted, not stored', () => {
    for (let i = 0; i < 300; i++) reg(0x6c);
    enable();
    expect<u32>(eventsOf(EVENT_CONTROLLER_READY)).toBe(1, 'the life cycle is never lost');
    for (let i = 0; i < 300; i++) reg(0x6c);
    expect<u32>(eventsTake()).toBe(256);
    expect<u32>(eventsTake()).toBe(0);
  });
});

describe('enable and disable', () => {
  beforeEach(start);

  test('CC.EN makes the controller ready, and not', () => {
    enable();
    expect<u32>(reg(REG_CSTS)).toBe(1);
    expect<u32>(reg(REG_CC)).toBe(CC_ENABLED);
    expect<u32>(eventsOf(EVENT_CONTROLLER_READY)).toBe(1);
    registerWrite(REG_INTMS, 1);
    registerWrite(REG_CC, CC_ENABLED & ~1);
    expect<u32>(reg(REG_CSTS)).toBe(0);
    expect<u32>(reg(REG_CC)).toBe(0, 'a Controller Reset clears CC');
    expect<u32>(reg(REG_ASQ)).toBe(0x1000, 'but not the admin queue registers');
    expect<u32>(reg(REG_AQA)).toBe(0x000f000f);
    expect<u32>(reg(REG_INTMS)).toBe(0);
    expect<u32>(eventsOf(EVENT_CONTROLLER_DISABLED)).toBe(1);
    registerWrite(REG_CC, CC_ENABLED);
    expect<u32>(reg(REG_CSTS)).toBe(1);
  });

  test('what CAP does not offer is CSTS.CFS', () => {
    const wrong: u32[] = [1 << 4, 6 << 4, 7 << 4, 1 << 7, 15 << 7, 1 << 11, 7 << 11];
    for (let i = 0; i < wrong.length; i++) {
      start();
      enable();
      registerWrite(REG_CC, 0);
      eventsTake();
      registerWrite(REG_CC, CC_ENABLED | wrong[i]);
      expect<u32>(reg(REG_CSTS)).toBe(2);
      expect<u32>(eventsOf(EVENT_CONTROLLER_FAILED)).toBe(1);
      registerWrite(REG_CC, 0);
      expect<u32>(reg(REG_CSTS)).toBe(0, 'a Controller Reset helps');
      registerWrite(REG_CC, CC_ENABLED);
      expect<u32>(reg(REG_CSTS)).toBe(1);
    }
  });

  test('an admin queue that cannot work is CSTS.CFS', () => {
    // AQA, ASQ, ACQ: sizes of one entry, bases off a page, outside memory, across its end.
    const aqa: u32[] = [0x000f0000, 0x0000000f, 0x000f000f, 0x000f000f, 0x000f000f, 0x000f000f, 0x0fff0fff];
    const asq: u32[] = [0x1000, 0x1000, 0x1004, 0x1000, 0x400000, 0x1000, 0x3ff000];
    const acq: u32[] = [0x2000, 0x2000, 0x2000, 0x2800, 0x2000, 0xfffff000, 0x2000];
    for (let i = 0; i < aqa.length; i++) {
      start();
      registerWrite(REG_AQA, aqa[i]);
      registerWrite(REG_ASQ, asq[i]);
      registerWrite(REG_ACQ, acq[i]);
      registerWrite(REG_CC, CC_ENABLED);
      expect<u32>(reg(REG_CSTS)).toBe(2);
      expect<u32>(eventsOf(EVENT_CONTROLLER_FAILED)).toBe(1);
    }
  });

  test('address 0 is an address like any other', () => {
    registerWrite(REG_AQA, 0x000f000f);
    registerWrite(REG_ASQ, 0);
    registerWrite(REG_ACQ, 0x1000);
    registerWrite(REG_CC, CC_ENABLED);
    expect<u32>(reg(REG_CSTS)).toBe(1);
  });

  test('a doorbell before CSTS.RDY, of no queue, or too large is refused', () => {
    doorbellWrite(REG_DOORBELLS, 1);
    expect<u32>(eventsOf(EVENT_DOORBELL_REFUSED)).toBe(1);
    enable();
    doorbellWrite(REG_DOORBELLS, 16);
    doorbellWrite(REG_DOORBELLS + 4, 1);
    doorbellWrite(REG_DOORBELLS + 8, 0);
    doorbellWrite(REG_DOORBELLS + 2, 0);
    doorbellWrite(0xfffffffc, 0);
    expect<u32>(eventsOf(EVENT_DOORBELL_REFUSED)).toBe(5);
    expect<u32>(reg(REG_CSTS)).toBe(1);
  });

  test('a function level reset brings everything to power-on values', () => {
    enable();
    controllerReset();
    expect<u32>(reg(REG_CC) | reg(REG_CSTS) | reg(REG_AQA) | reg(REG_ASQ) | reg(REG_ACQ)).toBe(0);
    enable();
    expect<u32>(reg(REG_CSTS)).toBe(1);
  });

  test('the caller can fail the controller', () => {
    enable();
    controllerFail();
    controllerFail();
    expect<u32>(reg(REG_CSTS)).toBe(3);
    expect<u32>(eventsOf(EVENT_CONTROLLER_FAILED)).toBe(1);
    registerWrite(REG_CC, 0);
    registerWrite(REG_CC, CC_ENABLED);
    expect<u32>(reg(REG_CSTS)).toBe(1);
  });
});

/** Completes the first request that is taken. */
function completeFirst(result: u32): void {
  store<u32>(COMPLETION_BASE, load<u32>(REQUEST_BASE, REQUEST_SLOT), COMPLETION_SLOT);
  store<u32>(COMPLETION_BASE, result, COMPLETION_RESULT);
  completionsPost(1);
}

describe('failure of a controller that is disabled', () => {
  test('shows as CSTS.CFS and ends with the next enable', () => {
    start();
    controllerFail();
    expect<u32>(reg(REG_CSTS)).toBe(2);
    enable();
    expect<u32>(reg(REG_CSTS)).toBe(1);
  });
});

describe('shutdown', () => {
  test('without a cache it is complete at once', () => {
    boot(NAMESPACE_FLAG_ACTIVE, NAMESPACE_FLAG_ACTIVE);
    registerWrite(REG_CC, CC_ENABLED | (1 << 14));
    expect<u32>(reg(REG_CSTS)).toBe(1 | SHST_COMPLETE);
    expect<u32>(eventsOf(EVENT_CONTROLLER_SHUTDOWN)).toBe(1);
    registerWrite(REG_CC, 0);
    expect<u32>(reg(REG_CSTS)).toBe(0);
  });

  test('of a disabled controller it is complete at once and does not outlive the next enable', () => {
    start();
    registerWrite(REG_CC, 1 << 14);
    expect<u32>(reg(REG_CSTS)).toBe(SHST_COMPLETE);
    registerWrite(REG_CC, 0);
    enable();
    expect<u32>(reg(REG_CSTS)).toBe(1);
    expect<u32>(command(ADMIN_GET_FEATURES, 0, FID_NUMBER_OF_QUEUES)).toBe(0);
  });

  test('that is asked for while a reset waits for requests is not forgotten', () => {
    boot(NAMESPACE_FLAG_ACTIVE | NAMESPACE_FLAG_VOLATILE_CACHE, NAMESPACE_FLAG_ACTIVE);
    registerWrite(REG_CC, CC_ENABLED | (1 << 14));
    expect<u32>(requestsTake()).toBe(1);
    registerWrite(REG_CC, 0);
    registerWrite(REG_CC, 1 << 14);
    completeFirst(0);
    expect<u32>(reg(REG_CSTS)).toBe(SHST_COMPLETE);
  });

  test('with caches each namespace is flushed first, even when a flush fails', () => {
    const flags: u32 = NAMESPACE_FLAG_ACTIVE | NAMESPACE_FLAG_VOLATILE_CACHE;
    boot(flags, flags);
    registerWrite(REG_CC, CC_ENABLED | (2 << 14));
    for (let nsid: u32 = 1; nsid <= 3; nsid += 2) {
      expect<u32>(reg(REG_CSTS)).toBe(1 | SHST_OCCURRING);
      expect<u32>(requestsTake()).toBe(1);
      expect<u32>(load<u16>(REQUEST_BASE, REQUEST_OPERATION)).toBe(OPERATION_FLUSH);
      expect<u32>(load<u32>(REQUEST_BASE, REQUEST_NSID)).toBe(nsid);
      completeFirst(nsid == 1 ? 2 : 0);
    }
    expect<u32>(requestsTake()).toBe(0);
    expect<u32>(reg(REG_CSTS)).toBe(1 | SHST_COMPLETE);
    expect<u32>(eventsOf(EVENT_CONTROLLER_SHUTDOWN)).toBe(1);
  });

  test('a process that takes over in the middle flushes anew, and gets to the end', () => {
    const flags: u32 = NAMESPACE_FLAG_ACTIVE | NAMESPACE_FLAG_VOLATILE_CACHE;
    boot(flags, flags);
    registerWrite(REG_CC, CC_ENABLED | (1 << 14));
    expect<u32>(requestsTake()).toBe(1);
    takeOver();
    queuePoll(8, 0);
    for (let nsid: u32 = 1; nsid <= 3; nsid += 2) {
      expect<u32>(reg(REG_CSTS)).toBe(1 | SHST_OCCURRING);
      expect<u32>(requestsTake()).toBe(1);
      expect<u32>(load<u32>(REQUEST_BASE, REQUEST_NSID)).toBe(nsid);
      completeFirst(0);
    }
    expect<u32>(reg(REG_CSTS)).toBe(1 | SHST_COMPLETE);
  });

  test('a process that takes over after a reset waits for nobody', () => {
    boot(NAMESPACE_FLAG_ACTIVE | NAMESPACE_FLAG_VOLATILE_CACHE, NAMESPACE_FLAG_ACTIVE);
    registerWrite(REG_CC, CC_ENABLED | (1 << 14));
    expect<u32>(requestsTake()).toBe(1);
    registerWrite(REG_CC, 0);
    expect<u32>(reg(REG_CSTS) & 1).toBe(1);
    takeOver();
    queuePoll(8, 0);
    expect<u32>(reg(REG_CSTS)).toBe(0);
    expect<u32>(requestsOutstanding()).toBe(0);
  });

  test('a reset in the middle waits for the flush, then a new life begins', () => {
    boot(NAMESPACE_FLAG_ACTIVE | NAMESPACE_FLAG_VOLATILE_CACHE, NAMESPACE_FLAG_ACTIVE);
    registerWrite(REG_CC, CC_ENABLED | (1 << 14));
    expect<u32>(requestsTake()).toBe(1);
    registerWrite(REG_CC, 0);
    expect<u32>(reg(REG_CSTS) & 1).toBe(1, 'RDY stays while a request is out');
    registerWrite(REG_CC, CC_ENABLED);
    queuePoll(1, 0);
    completeFirst(0);
    expect<u32>(reg(REG_CSTS)).toBe(1);
    expect<u32>(eventsOf(EVENT_CONTROLLER_DISABLED)).toBe(1);
  });

  test('a function level reset clears RDY at once; a new enable waits for the orphan', () => {
    boot(NAMESPACE_FLAG_ACTIVE | NAMESPACE_FLAG_VOLATILE_CACHE, NAMESPACE_FLAG_ACTIVE);
    registerWrite(REG_CC, CC_ENABLED | (1 << 14));
    expect<u32>(requestsTake()).toBe(1);
    controllerReset();
    expect<u32>(reg(REG_CSTS)).toBe(0);
    enable();
    expect<u32>(reg(REG_CSTS)).toBe(0);
    completeFirst(0);
    expect<u32>(reg(REG_CSTS)).toBe(1);
  });
});
