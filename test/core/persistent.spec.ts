// What outlives resets and power: counters of the health log, saved features, the progress marker; and the two features
// whose value is data.

import { PERSISTENT_BASE } from '../../assembly/abi/memory-map.ts';
import {
  NAMESPACE_FLAG_ACTIVE,
  NAMESPACE_FLAG_VOLATILE_CACHE,
  PERSISTENT_BYTES,
  PERSISTENT_FLAG_RUNNING,
} from '../../assembly/abi/records.ts';
import { registerWrite } from '../../assembly/controller/registers.ts';
import { controllerReset } from '../../assembly/controller/state.ts';
import { queuePoll } from '../../assembly/controller/poll.ts';
import {
  LOG_SMART_BUSY_TIME,
  LOG_SMART_POWER_CYCLES,
  LOG_SMART_POWER_ON_HOURS,
  LOG_SMART_UNSAFE_SHUTDOWNS,
} from '../../assembly/spec/nvme-logs.ts';
import {
  ADMIN_GET_FEATURES,
  ADMIN_GET_LOG_PAGE,
  ADMIN_SET_FEATURES,
  NVM_READ,
  REG_CC,
  SQE_CDW10,
  SQE_CDW11,
  SQE_PRP1,
  STATUS_DATA_TRANSFER_ERROR,
  STATUS_DNR,
  STATUS_INVALID_FIELD,
} from '../../assembly/spec/nvme.ts';
import { persistent } from '../../assembly/wire/persistent.ts';
import { answer, entry, ISSUED, run, start } from './support/io.ts';
import {
  CC_ENABLED,
  DATA,
  MEMORY,
  boot,
  command,
  data64,
  data8,
  dataAll,
  enable,
  powerOn,
  reap,
  result,
  sqe,
  submit,
  takeOver,
  timeSet,
} from './support/machine.ts';

const INVALID_FIELD: u32 = STATUS_INVALID_FIELD | STATUS_DNR;
const CACHED: u32 = NAMESPACE_FLAG_ACTIVE | NAMESPACE_FLAG_VOLATILE_CACHE;
const SAVE: u32 = 1 << 31;
const HOUR: u64 = 3600000000;

function get(fid: u32, select: u32 = 0, cdw11: u32 = 0): u32 {
  assert(command(ADMIN_GET_FEATURES, 0, fid | (select << 8), cdw11) == 0);
  return result();
}

/** Set Features with the data that lie at DATA. */
function setData(fid: u32): u32 {
  const at = sqe(ADMIN_SET_FEATURES);
  store<u32>(at, fid, SQE_CDW10);
  submit();
  return reap();
}

function health(offset: u32): u64 {
  assert(command(ADMIN_GET_LOG_PAGE, 0, 2 | (127 << 16)) == 0);
  return data64(offset);
}

describe('saved features', () => {
  beforeEach(() => boot(CACHED, NAMESPACE_FLAG_ACTIVE));

  test('come back after a reset and after power, the others do not', () => {
    const fids: u32[] = [1, 2, 8, 10];
    const saved: u32[] = [5, 1 << 5, 0x1234, 1];
    const initial: u32[] = [7, 0, 0, 0];
    for (let i = 0; i < fids.length; i++) {
      expect<u32>(get(fids[i], 2)).toBe(initial[i], 'nothing saved: the default');
      expect<u32>(command(ADMIN_SET_FEATURES, 0, fids[i] | SAVE, saved[i])).toBe(0);
      expect<u32>(command(ADMIN_SET_FEATURES, 0, fids[i], initial[i])).toBe(0);
      expect<u32>(get(fids[i])).toBe(initial[i]);
      expect<u32>(get(fids[i], 1)).toBe(initial[i]);
      expect<u32>(get(fids[i], 2)).toBe(saved[i]);
      expect<u32>(get(fids[i], 3)).toBe(5);
    }
    registerWrite(REG_CC, 0);
    enable();
    for (let i = 0; i < fids.length; i++) expect<u32>(get(fids[i])).toBe(saved[i], 'Controller Reset');
    controllerReset();
    enable();
    for (let i = 0; i < fids.length; i++) expect<u32>(get(fids[i])).toBe(saved[i], 'function level reset');
    powerOn();
    enable();
    for (let i = 0; i < fids.length; i++) expect<u32>(get(fids[i])).toBe(saved[i], 'power');
  });

  test('both temperature thresholds, and the write cache', () => {
    expect<u32>(command(ADMIN_SET_FEATURES, 0, 4, 200 | (1 << 20))).toBe(0);
    expect<u32>(command(ADMIN_SET_FEATURES, 0, 4 | SAVE, 350)).toBe(0);
    expect<u32>(command(ADMIN_SET_FEATURES, 0, 6 | SAVE, 1)).toBe(0);
    powerOn();
    enable();
    expect<u32>(get(4)).toBe(350);
    expect<u32>(get(4, 0, 1 << 20)).toBe(200);
    expect<u32>(get(4, 2, 1 << 20)).toBe(200);
    expect<u32>(get(4, 1)).toBe(343);
    expect<u32>(get(6, 2)).toBe(1);
  });

  test('a value that is refused is not saved', () => {
    expect<u32>(command(ADMIN_SET_FEATURES, 0, 1 | SAVE, 1 << 3)).toBe(INVALID_FIELD);
    expect<u32>(persistent().saved).toBe(0);
  });

  test('the Software Progress Marker outlives resets by itself', () => {
    expect<u32>(get(0x80)).toBe(0);
    expect<u32>(command(ADMIN_SET_FEATURES, 0, 0x80, 7)).toBe(0);
    expect<u32>(command(ADMIN_SET_FEATURES, 0, 0x80, 256)).toBe(INVALID_FIELD);
    registerWrite(REG_CC, 0);
    enable();
    expect<u32>(get(0x80)).toBe(7);
    powerOn();
    enable();
    expect<u32>(get(0x80)).toBe(7);
    expect<u32>(get(0x80, 1)).toBe(0);
    expect<u32>(get(0x80, 2)).toBe(7);
    expect<u32>(get(0x80, 3)).toBe(5);
    expect<u32>(command(ADMIN_SET_FEATURES, 0, 0x80 | SAVE, 9)).toBe(0);
    expect<u32>(get(0x80, 2)).toBe(9);
  });

  test('a record that is none counts from zero, and impossible values are forgotten', () => {
    memory.fill(PERSISTENT_BASE, 0xa5, PERSISTENT_BYTES);
    powerOn();
    enable();
    expect<u64>(persistent().powerCycles).toBe(1);
    expect<u32>(get(1)).toBe(7);
    const record = persistent();
    record.saved = 0xffffffff;
    record.flags = 0xffffffff;
    record.progress = 0xffffffff;
    for (let fid: u32 = 0; fid < 16; fid++) record.valueSet(fid, 0xffffffff);
    powerOn();
    enable();
    expect<u32>(record.saved).toBe(1 << 4, 'any threshold is possible');
    expect<u32>(record.flags).toBe(PERSISTENT_FLAG_RUNNING);
    expect<u32>(get(0x80)).toBe(0xff);
    expect<u32>(get(1)).toBe(7);
    expect<u32>(get(2)).toBe(0);
  });
});

describe('the health log', () => {
  beforeEach(() => boot(NAMESPACE_FLAG_ACTIVE, NAMESPACE_FLAG_ACTIVE));

  test('power cycles, and unsafe shutdowns: power is lost without CC.SHN', () => {
    expect<u64>(health(LOG_SMART_POWER_CYCLES)).toBe(1);
    expect<u64>(health(LOG_SMART_UNSAFE_SHUTDOWNS)).toBe(0);
    powerOn();
    enable();
    expect<u64>(health(LOG_SMART_POWER_CYCLES)).toBe(2);
    expect<u64>(health(LOG_SMART_UNSAFE_SHUTDOWNS)).toBe(1);
    registerWrite(REG_CC, CC_ENABLED | (1 << 14));
    queuePoll(1, 0);
    powerOn();
    powerOn();
    enable();
    expect<u64>(health(LOG_SMART_POWER_CYCLES)).toBe(4);
    expect<u64>(health(LOG_SMART_UNSAFE_SHUTDOWNS)).toBe(1, 'shut down, then never enabled');
    registerWrite(REG_CC, CC_ENABLED | (1 << 14));
    registerWrite(REG_CC, 0);
    enable();
    powerOn();
    enable();
    expect<u64>(health(LOG_SMART_UNSAFE_SHUTDOWNS)).toBe(2, 'enabled again after the shutdown');
    registerWrite(REG_CC, 0);
    enable();
    takeOver();
    expect<u64>(health(LOG_SMART_UNSAFE_SHUTDOWNS)).toBe(2, 'neither a reset nor another process is a loss');
  });

  test('power-on hours and busy minutes go on over power', () => {
    start(NAMESPACE_FLAG_ACTIVE, NAMESPACE_FLAG_ACTIVE);
    timeSet(HOUR);
    queuePoll(8, 1000);
    queuePoll(8, 1000 + HOUR);
    entry(NVM_READ, 1, 0, 0);
    // The poll of `run` passes 0: a clock that starts anew.
    expect(run()).toBe(ISSUED);
    queuePoll(8, 90000000);
    expect(answer(0)).toBe(0);
    queuePoll(8, 90000000 + HOUR);
    powerOn();
    enable();
    queuePoll(8, 5);
    timeSet(5);
    expect<u64>(health(LOG_SMART_POWER_ON_HOURS)).toBe(2);
    expect<u64>(health(LOG_SMART_BUSY_TIME)).toBe(1, '90 s with a request outstanding');
  });
});

describe('Timestamp (0Eh)', () => {
  beforeEach(() => {
    boot(NAMESPACE_FLAG_ACTIVE, NAMESPACE_FLAG_ACTIVE);
    timeSet(1000000);
  });

  test('counts from the reset, then from what was set', () => {
    expect<u32>(command(ADMIN_GET_FEATURES, 0, 0x0e)).toBe(0);
    expect<u32>(data8(6)).toBe(0, 'origin: reset');
    expect<bool>(dataAll(8, 4088, 0xee)).toBe(true, 'eight bytes and no more');
    store<u64>(MEMORY + DATA, 0xffff0190_12345678);
    expect<u32>(setData(0x0e)).toBe(0);
    timeSet(1000000 + 2500999);
    expect<u32>(command(ADMIN_GET_FEATURES, 0, 0x0e)).toBe(0);
    expect<u64>(data64(0)).toBe((0x0190_12345678 + 2500) | ((<u64>1) << 49), 'origin: set');
    registerWrite(REG_CC, 0);
    enable();
    timeSet(4000000);
    expect<u32>(command(ADMIN_GET_FEATURES, 0, 0x0e)).toBe(0);
    expect<u32>(data8(6)).toBe(0);
  });

  test('another process keeps the count and says that it stood still', () => {
    store<u64>(MEMORY + DATA, 1000);
    expect<u32>(setData(0x0e)).toBe(0);
    queuePoll(1, 1000000 + 7000);
    takeOver();
    timeSet(50);
    queuePoll(1, 50);
    timeSet(50 + 3000);
    expect<u32>(command(ADMIN_GET_FEATURES, 0, 0x0e)).toBe(0);
    expect<u64>(data64(0)).toBe(1010 | ((<u64>3) << 48));
  });

  test('default and saved are zeros; CDW11 is reserved, and memory has to be there', () => {
    store<u64>(MEMORY + DATA, 1000);
    expect<u32>(setData(0x0e)).toBe(0);
    for (let select: u32 = 1; select < 3; select++) {
      expect<u32>(command(ADMIN_GET_FEATURES, 0, 0x0e | (select << 8))).toBe(0);
      expect<u64>(data64(0)).toBe(0);
    }
    expect<u32>(get(0x0e, 3)).toBe(4);
    expect<bool>(dataAll(0, 16, 0xee)).toBe(true, 'no data');
    const at = sqe(ADMIN_SET_FEATURES);
    store<u32>(at, 0x0e, SQE_CDW10);
    store<u32>(at, 1, SQE_CDW11);
    submit();
    expect<u32>(reap()).toBe(INVALID_FIELD);
    const other = sqe(ADMIN_SET_FEATURES);
    store<u32>(other, 0x0e, SQE_CDW10);
    store<u64>(other, 0x40000000, SQE_PRP1);
    submit();
    expect<u32>(reap()).toBe(STATUS_DATA_TRANSFER_ERROR | STATUS_DNR);
  });
});

describe('Host Behavior Support (16h)', () => {
  beforeEach(() => boot(NAMESPACE_FLAG_ACTIVE, NAMESPACE_FLAG_ACTIVE));

  test('ACRE is kept until the next reset; what is not offered is refused', () => {
    memory.fill(MEMORY + DATA, 0, 512);
    store<u8>(MEMORY + DATA, 1);
    expect<u32>(setData(0x16)).toBe(0);
    expect<u32>(command(ADMIN_GET_FEATURES, 0, 0x16)).toBe(0);
    expect<u32>(data8(0)).toBe(1);
    expect<bool>(dataAll(1, 511, 0)).toBe(true);
    expect<bool>(dataAll(512, 512, 0xee)).toBe(true);
    for (let byte: u32 = 0; byte < 512; byte++) {
      memory.fill(MEMORY + DATA, 0, 512);
      store<u8>(MEMORY + DATA + byte, 2);
      expect<u32>(setData(0x16)).toBe(INVALID_FIELD);
    }
    expect<u32>(command(ADMIN_GET_FEATURES, 0, 0x16)).toBe(0);
    expect<u32>(data8(0)).toBe(1);
    registerWrite(REG_CC, 0);
    enable();
    expect<u32>(command(ADMIN_GET_FEATURES, 0, 0x16)).toBe(0);
    expect<u32>(data8(0)).toBe(0);
    expect<u32>(get(0x16, 3)).toBe(4);
  });
});
