// Get Log Page: what each page says, every way to ask for a part of one, and the status of each wrong request.

import { CONFIG_BASE } from '../../assembly/abi/memory-map.ts';
import {
  CONFIG_FLAGS,
  NAMESPACE_FLAG_ACTIVE,
  NAMESPACE_FLAG_VOLATILE_CACHE,
} from '../../assembly/abi/records.ts';
import { clockStart, healthRead, healthResult, healthWritten } from '../../assembly/admin/health.ts';
import { doorbellWrite, queuePoll } from '../../assembly/controller/poll.ts';
import {
  LOG_EFFECTS_IO,
  LOG_SMART_AVAILABLE_SPARE,
  LOG_SMART_COMPOSITE_TEMPERATURE,
  LOG_SMART_DATA_UNITS_READ,
  LOG_SMART_DATA_UNITS_WRITTEN,
  LOG_SMART_ERROR_ENTRIES,
  LOG_SMART_HOST_READS,
  LOG_SMART_HOST_WRITES,
  LOG_SMART_MEDIA_ERRORS,
  LOG_SMART_POWER_ON_HOURS,
} from '../../assembly/spec/nvme-logs.ts';
import {
  ADMIN_GET_LOG_PAGE,
  ADMIN_IDENTIFY,
  REG_DOORBELLS,
  SQE_CDW10,
  SQE_CDW11,
  SQE_PRP2,
  STATUS_DNR,
  STATUS_INVALID_FIELD,
  STATUS_INVALID_LOG_PAGE,
  STATUS_INVALID_NAMESPACE,
  STATUS_PRP_OFFSET_INVALID,
} from '../../assembly/spec/nvme.ts';
import {
  DATA,
  MEMORY,
  boot,
  command,
  commandAt,
  configFill,
  data16,
  data32,
  data64,
  data8,
  dataAll,
  enable,
  lastCid,
  namespaceFill,
  powerOn,
  reap,
  sqe,
  submit,
} from './support/machine.ts';

const INVALID_FIELD: u32 = STATUS_INVALID_FIELD | STATUS_DNR;
const INVALID_NAMESPACE: u32 = STATUS_INVALID_NAMESPACE | STATUS_DNR;
const INVALID_LOG_PAGE: u32 = STATUS_INVALID_LOG_PAGE | STATUS_DNR;
const BROADCAST: u32 = 0xffffffff;
const PAGES: u32[] = [0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x12, 0x13];
const SIZES: u32[] = [1024, 4096, 512, 512, 4096, 4096, 1024, 4096];

/** Reads `bytes` bytes (a multiple of 4) of a page from `offset`. */
function log(lid: u32, bytes: u32, offset: u64 = 0, nsid: u32 = BROADCAST): u32 {
  const dwords = bytes / 4 - 1;
  return commandAt(ADMIN_GET_LOG_PAGE, nsid, lid | (dwords << 16), dwords >> 16, offset, 0);
}

function start(): void {
  boot(NAMESPACE_FLAG_ACTIVE | NAMESPACE_FLAG_VOLATILE_CACHE, NAMESPACE_FLAG_ACTIVE);
}

describe('pages', () => {
  beforeEach(start);

  test('Supported Log Pages (00h) lists exactly those that answer', () => {
    expect<u32>(log(0, 1024)).toBe(0);
    for (let lid: u32 = 0; lid < 256; lid++) {
      const supported = data32(lid * 4);
      expect<u32>(supported).toBe(PAGES.includes(lid) ? 1 : 0);
    }
    for (let lid: u32 = 0; lid < 256; lid++) {
      expect<u32>(log(lid, 4)).toBe(PAGES.includes(lid) ? 0 : INVALID_LOG_PAGE);
    }
  });

  test('Error Information (01h): newest first', () => {
    expect<u32>(log(1, 4096)).toBe(0);
    expect<bool>(dataAll(0, 4096, 0)).toBe(true, 'no error yet');
    expect<u32>(command(0x7f, 9, 0)).toBe(0x4001);
    expect<u32>(command(ADMIN_IDENTIFY, 1, 0xff)).toBe(INVALID_FIELD);
    const cid = lastCid();
    expect<u32>(log(1, 4096)).toBe(0);
    expect<u64>(data64(0)).toBe(2);
    expect<u32>(data16(8)).toBe(0);
    expect<u32>(data16(10)).toBe(cid);
    expect<u32>(data16(12)).toBe(INVALID_FIELD << 1);
    expect<u32>(data16(14)).toBe(0xffff);
    expect<u32>(data32(24)).toBe(1);
    expect<u64>(data64(64)).toBe(1);
    expect<u32>(data32(64 + 24)).toBe(9);
    expect<bool>(dataAll(128, 3968, 0)).toBe(true);
  });

  test('Error Information keeps the last 64', () => {
    for (let i: u32 = 0; i < 70; i++) command(0x7f, i, 0);
    expect<u32>(log(1, 4096)).toBe(0);
    for (let i: u32 = 0; i < 64; i++) expect<u64>(data64(i * 64)).toBe(70 - i);
  });

  test('a refused doorbell is an error of no command', () => {
    doorbellWrite(REG_DOORBELLS + 0x100, 0);
    expect<u32>(log(1, 64)).toBe(0);
    expect<u64>(data64(0)).toBe(1);
    expect<u32>(data32(8)).toBe(0xffffffff);
  });

  test('SMART / Health (02h) counts', () => {
    healthRead(512 * 1000);
    healthRead(512);
    healthWritten(4096);
    healthResult(2);
    healthResult(3);
    command(0x7f, 0, 0);
    queuePoll(1, 5000000);
    queuePoll(1, 5000000 + 7200000000);
    expect<u32>(log(2, 512)).toBe(0);
    expect<u32>(data8(0)).toBe(0);
    expect<u32>(data16(LOG_SMART_COMPOSITE_TEMPERATURE)).toBe(313);
    expect<u32>(data8(LOG_SMART_AVAILABLE_SPARE)).toBe(100);
    expect<u64>(data64(LOG_SMART_DATA_UNITS_READ)).toBe(2, 'rounded up');
    expect<u64>(data64(LOG_SMART_DATA_UNITS_WRITTEN)).toBe(1);
    expect<u64>(data64(LOG_SMART_HOST_READS)).toBe(2);
    expect<u64>(data64(LOG_SMART_HOST_WRITES)).toBe(1);
    expect<u64>(data64(LOG_SMART_MEDIA_ERRORS)).toBe(1);
    expect<u64>(data64(LOG_SMART_ERROR_ENTRIES)).toBe(1);
    expect<u32>(log(2, 512, 0, 0)).toBe(0, 'NSID 0 is the controller too');
  });

  test('power-on hours survive a clock that starts anew', () => {
    queuePoll(1, 1000000000);
    queuePoll(1, 1000000000 + 3600000000);
    clockStart();
    queuePoll(1, 50);
    queuePoll(1, 50 + 3600000000);
    // The polls of `submit` pass 0: again a clock that starts anew.
    const at = sqe(ADMIN_GET_LOG_PAGE);
    store<u32>(at, 2 | (127 << 16), SQE_CDW10);
    submit();
    expect<u32>(reap()).toBe(0);
    expect<u64>(data64(LOG_SMART_POWER_ON_HOURS)).toBe(2);
  });

  test('Firmware Slot Information (03h): slot 1', () => {
    expect<u32>(log(3, 512)).toBe(0);
    expect<u32>(data8(0)).toBe(1);
    expect<bool>(dataAll(1, 7, 0)).toBe(true);
    expect<bool>(dataAll(8, 8, 0x46)).toBe(true);
    expect<bool>(dataAll(16, 496, 0)).toBe(true);
  });

  test('Commands Supported and Effects (05h) lists exactly what is executed', () => {
    const admin: u32[] = [0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 0x18, 0x7c];
    const plain: u32[] = [0, 2, 5, 12];
    const changing: u32[] = [1, 4, 8, 9, 0x19];
    expect<u32>(log(5, 4096)).toBe(0);
    for (let opcode: u32 = 0; opcode < 256; opcode++) {
      expect<u32>(data32(opcode * 4)).toBe(admin.includes(opcode) ? 0x00200001 : 0);
      const expected: u32 = changing.includes(opcode) ? 0x00100003 : plain.includes(opcode) ? 0x00100001 : 0;
      expect<u32>(data32(LOG_EFFECTS_IO + opcode * 4)).toBe(expected);
    }
    expect<bool>(dataAll(2048, 2048, 0)).toBe(true);
    for (let opcode: u32 = 0; opcode < 256; opcode++) {
      if (!admin.includes(opcode)) expect<u32>(command(opcode, 0, 0)).toBe(0x4001);
    }
  });

  test('Feature Identifiers Supported and Effects (12h), and none of NVMe-MI (13h)', () => {
    expect<u32>(log(0x12, 1024)).toBe(0);
    for (let fid: u32 = 0; fid < 256; fid++) {
      const early = fid == 1 || fid == 2 || (fid >= 4 && fid <= 11) || fid == 14 || fid == 15;
      const known = early || fid == 0x16 || fid == 0x80;
      expect<u32>(data32(fid * 4)).toBe(fid == 5 ? 0x00100001 : known ? 0x00200001 : 0);
    }
    expect<u32>(log(0x13, 4096)).toBe(0);
    expect<bool>(dataAll(0, 4096, 0)).toBe(true);
  });

  test('what the configuration takes away is gone from the lists', () => {
    configFill();
    namespaceFill(1, NAMESPACE_FLAG_ACTIVE, 9, 2048, 0);
    store<u32>(CONFIG_BASE, 0, CONFIG_FLAGS);
    powerOn();
    enable();
    expect<u32>(log(5, 4096)).toBe(0);
    expect<u32>(data32(0x7c * 4)).toBe(0);
    expect<u32>(command(0x7c, 0, 0)).toBe(0x4001);
    expect<u32>(log(0x12, 1024)).toBe(0);
    expect<u32>(data32(6 * 4)).toBe(0);
  });
});

describe('parts of a page', () => {
  beforeEach(start);

  test('each page from each end', () => {
    command(0x7f, 0, 0);
    for (let i = 0; i < PAGES.length; i++) {
      expect<u32>(log(PAGES[i], SIZES[i])).toBe(0);
      const first = data32(0);
      const third = data32(8);
      const last = data32(SIZES[i] - 4);
      expect<u32>(log(PAGES[i], 4)).toBe(0);
      expect<u32>(data32(0)).toBe(first);
      expect<bool>(dataAll(4, 4092, 0xee)).toBe(true, 'one dword and no more');
      expect<u32>(log(PAGES[i], 16, 8)).toBe(0);
      expect<u32>(data32(0)).toBe(third);
      expect<u32>(log(PAGES[i], 16, SIZES[i] - 4)).toBe(0);
      expect<u32>(data32(0)).toBe(last);
      expect<bool>(dataAll(4, 12, 0)).toBe(true, 'zeros behind the end');
      expect<u32>(log(PAGES[i], 16, SIZES[i])).toBe(0);
      expect<bool>(dataAll(0, 16, 0)).toBe(true);
    }
  });

  test('an offset beyond the page is refused, however large', () => {
    for (let i = 0; i < PAGES.length; i++) {
      expect<u32>(log(PAGES[i], 4, SIZES[i] + 4)).toBe(INVALID_FIELD);
      expect<u32>(log(PAGES[i], 4, 0x100000000)).toBe(INVALID_FIELD);
      expect<u32>(log(PAGES[i], 4, 0xfffffffffffffffc)).toBe(INVALID_FIELD);
      expect<u32>(log(PAGES[i], 4, 0x8000000000000000)).toBe(INVALID_FIELD);
    }
    expect<bool>(dataAll(0, 4096, 0xee)).toBe(true);
  });

  test('an offset is a multiple of 4 bytes', () => {
    for (let offset: u64 = 1; offset < 4; offset++) expect<u32>(log(2, 4, offset)).toBe(INVALID_FIELD);
  });

  test('a length beyond the page reads zeros', () => {
    expect<u32>(log(3, 8192)).toBe(0);
    expect<bool>(dataAll(8, 8, 0x46)).toBe(true);
    expect<bool>(dataAll(16, 8176, 0)).toBe(true);
    expect<bool>(dataAll(8192, 4096, 0xee)).toBe(true);
  });

  test('a length of MDTS is the last; FFFFFFFFh dwords are no overflow', () => {
    // 1 MiB: a PRP list of 255 pages that are all the same page.
    for (let i: u32 = 0; i < 255; i++) store<u64>(MEMORY + 0x20000 + i * 8, 0x30000);
    const at = sqe(ADMIN_GET_LOG_PAGE);
    store<u32>(at, 3 | (0xffff << 16), SQE_CDW10);
    store<u32>(at, 3, SQE_CDW11);
    store<u64>(at, 0x20000, SQE_PRP2);
    submit();
    expect<u32>(reap()).toBe(0);
    expect<bool>(dataAll(8, 8, 0x46)).toBe(true);
    expect<u32>(commandAt(ADMIN_GET_LOG_PAGE, BROADCAST, 3, 4, 0, 0)).toBe(INVALID_FIELD);
    expect<u32>(commandAt(ADMIN_GET_LOG_PAGE, BROADCAST, 3 | (0xffff << 16), 0xffff, 0, 0)).toBe(
      INVALID_FIELD,
    );
  });

  test('PRP2 with an offset where a page is meant', () => {
    const at = sqe(ADMIN_GET_LOG_PAGE);
    store<u32>(at, 3 | (2047 << 16), SQE_CDW10);
    store<u64>(at, DATA + 0x1004, SQE_PRP2);
    submit();
    expect<u32>(reap()).toBe(STATUS_PRP_OFFSET_INVALID | STATUS_DNR);
  });
});

describe('wrong requests', () => {
  beforeEach(start);

  test('pages of one namespace are not offered', () => {
    for (let i = 0; i < PAGES.length; i++) {
      expect<u32>(log(PAGES[i], 4, 0, 1)).toBe(INVALID_FIELD);
      expect<u32>(log(PAGES[i], 4, 0, 256)).toBe(INVALID_FIELD);
      expect<u32>(log(PAGES[i], 4, 0, 257)).toBe(INVALID_NAMESPACE);
      expect<u32>(log(PAGES[i], 4, 0, 0xfffffffe)).toBe(INVALID_NAMESPACE);
      expect<u32>(log(PAGES[i], 4, 0, 0)).toBe(0);
    }
  });

  test('parameters that these pages do not have', () => {
    expect<u32>(command(ADMIN_GET_LOG_PAGE, 0, 2 | (1 << 8))).toBe(INVALID_FIELD, 'LSP');
    expect<u32>(command(ADMIN_GET_LOG_PAGE, 0, 2 | (1 << 14))).toBe(INVALID_FIELD, 'LSP');
    expect<u32>(command(ADMIN_GET_LOG_PAGE, 0, 2, 1 << 16)).toBe(INVALID_FIELD, 'LSI');
    expect<u32>(command(ADMIN_GET_LOG_PAGE, 0, 2, 0, 1)).toBe(INVALID_FIELD, 'UUID index');
    expect<u32>(command(ADMIN_GET_LOG_PAGE, 0, 2, 0, 1 << 7)).toBe(INVALID_FIELD, 'reserved');
    expect<u32>(command(ADMIN_GET_LOG_PAGE, 0, 2, 0, 1 << 23)).toBe(INVALID_FIELD, 'index offset');
    expect<u32>(command(ADMIN_GET_LOG_PAGE, 0, 5, 0, 2 << 24)).toBe(INVALID_FIELD, 'another command set');
    expect<u32>(command(ADMIN_GET_LOG_PAGE, 0, 2 | (1 << 15))).toBe(0, 'RAE is fine');
  });
});
