// Namespaces that change while the controller runs: what is accepted, what the guest sees, and how it learns of it.

import { NAMESPACE_BASE, NAMESPACE_BYTES, NAMESPACE_MAILBOX_BASE } from '../../assembly/abi/memory-map.ts';
import {
  BLOCK_OK,
  NAMESPACE_FLAG_ACTIVE,
  NAMESPACE_FLAG_ALLOCATED,
  NAMESPACE_FLAG_READ_ONLY,
  NAMESPACE_FLAG_VOLATILE_CACHE,
  NAMESPACE_INVALID,
  NAMESPACE_OK,
} from '../../assembly/abi/records.ts';
import { namespaceUpdate } from '../../assembly/controller/namespace-update.ts';
import { registerWrite } from '../../assembly/controller/registers.ts';
import { IDNS_NSATTR, IDNS_NSZE } from '../../assembly/spec/nvme-identify.ts';
import {
  ADMIN_ASYNC_EVENT_REQUEST,
  ADMIN_GET_FEATURES,
  ADMIN_GET_LOG_PAGE,
  ADMIN_IDENTIFY,
  ADMIN_SET_FEATURES,
  NVM_COPY,
  NVM_READ,
  NVM_WRITE,
  REG_CC,
  SQE_CDW10,
  STATUS_DNR,
  STATUS_INVALID_FIELD,
  STATUS_LBA_OUT_OF_RANGE,
  STATUS_NAMESPACE_WRITE_PROTECTED,
} from '../../assembly/spec/nvme.ts';
import { Request } from '../../assembly/wire/request.ts';
import { answer, entry, io, ISSUED, run, start } from './support/io.ts';
import {
  NO_COMPLETION,
  boot,
  command,
  data32,
  data64,
  data8,
  dataAll,
  enable,
  namespaceFill,
  reap,
  result,
  sqe,
  submit,
  submitOnly,
  work,
} from './support/machine.ts';

/** Notice, Namespace Attribute Changed, log page 04h. */
const EVENT_CHANGED: u32 = 0x040002;
const RAE: u32 = 1 << 15;
const ACTIVE: u32 = NAMESPACE_FLAG_ACTIVE;

/** Updates a namespace with a record like those of `boot`; flags 0: there is none. */
function update(nsid: u32, flags: u32, blocks: u64, lbaShift: u32 = 9): u32 {
  const record = <usize>NAMESPACE_BASE + (nsid - 1) * NAMESPACE_BYTES;
  memory.copy(<usize>NAMESPACE_MAILBOX_BASE + 256, record, NAMESPACE_BYTES);
  memory.fill(record, 0, NAMESPACE_BYTES);
  if (flags != 0) namespaceFill(nsid, flags, lbaShift, blocks, 0);
  memory.copy(NAMESPACE_MAILBOX_BASE, record, NAMESPACE_BYTES);
  memory.copy(record, <usize>NAMESPACE_MAILBOX_BASE + 256, NAMESPACE_BYTES);
  return namespaceUpdate(nsid);
}

function request(): u32 {
  sqe(ADMIN_ASYNC_EVENT_REQUEST);
  submit();
  return reap();
}

function readChanged(flags: u32 = 0): u32 {
  return command(ADMIN_GET_LOG_PAGE, 0, 4 | flags | (0x3ff << 16));
}

describe('namespace_update', () => {
  beforeEach(() => boot(ACTIVE, ACTIVE));

  test('refuses what core_init would refuse', () => {
    expect<u32>(update(1, ACTIVE, 0)).toBe(NAMESPACE_INVALID, 'empty');
    expect<u32>(update(1, ACTIVE, 8, 10)).toBe(NAMESPACE_INVALID, 'block size');
    expect<u32>(update(1, ACTIVE | (1 << 6), 8)).toBe(NAMESPACE_INVALID, 'flags');
    expect<u32>(update(1, NAMESPACE_FLAG_READ_ONLY, 8)).toBe(
      NAMESPACE_INVALID,
      'neither active nor allocated',
    );
    expect<u32>(namespaceUpdate(0)).toBe(NAMESPACE_INVALID);
    expect<u32>(namespaceUpdate(257)).toBe(NAMESPACE_INVALID);
    expect<u32>(namespaceUpdate(0xffffffff)).toBe(NAMESPACE_INVALID);
    expect<u32>(readChanged()).toBe(0);
    expect<bool>(dataAll(0, 4096, 0)).toBe(true, 'nothing has changed');
  });

  test('attaches, resizes, protects and detaches', () => {
    expect<u32>(update(2, ACTIVE, 100)).toBe(NAMESPACE_OK);
    expect<u32>(command(ADMIN_IDENTIFY, 0, 2)).toBe(0);
    expect<u64>(data64(0)).toBe(0x0000000200000001);
    expect<u32>(update(2, ACTIVE | NAMESPACE_FLAG_READ_ONLY, 200)).toBe(NAMESPACE_OK);
    expect<u32>(command(ADMIN_IDENTIFY, 2, 0)).toBe(0);
    expect<u64>(data64(IDNS_NSZE)).toBe(200);
    expect<u32>(data8(IDNS_NSATTR)).toBe(1);
    expect<u32>(update(2, NAMESPACE_FLAG_ALLOCATED, 200)).toBe(NAMESPACE_OK);
    expect<u32>(command(ADMIN_IDENTIFY, 1, 2)).toBe(0);
    expect<u64>(data64(0)).toBe(3);
    expect<u32>(update(2, 0, 0)).toBe(NAMESPACE_OK);
    expect<u32>(readChanged()).toBe(0);
    expect<u64>(data64(0)).toBe(2, 'once in the list, however often');
  });

  test('the write cache comes and goes with its namespace; TLER begins anew', () => {
    const invalid: u32 = STATUS_INVALID_FIELD | STATUS_DNR;
    expect<u32>(command(ADMIN_GET_FEATURES, 0, 6)).toBe(invalid);
    expect<u32>(update(1, ACTIVE | NAMESPACE_FLAG_VOLATILE_CACHE, 2048)).toBe(NAMESPACE_OK);
    expect<u32>(command(ADMIN_GET_FEATURES, 0, 6)).toBe(0);
    expect<u32>(command(ADMIN_SET_FEATURES, 1, 5, 77)).toBe(0);
    expect<u32>(update(1, 0, 0)).toBe(NAMESPACE_OK);
    expect<u32>(command(ADMIN_GET_FEATURES, 0, 6)).toBe(invalid);
    expect<u32>(update(1, ACTIVE, 2048)).toBe(NAMESPACE_OK);
    expect<u32>(command(ADMIN_GET_FEATURES, 1, 5)).toBe(0);
    expect<u32>(result()).toBe(0);
  });
});

describe('Changed Namespace List (04h) and its event', () => {
  beforeEach(() => boot(ACTIVE, ACTIVE));

  test('the event comes where it was asked for, once until the list was read', () => {
    expect<u32>(request()).toBe(NO_COMPLETION);
    expect<u32>(update(3, ACTIVE, 8, 12)).toBe(NAMESPACE_OK);
    expect<u32>(reap()).toBe(NO_COMPLETION, 'not configured');
    expect<u32>(readChanged()).toBe(0);
    expect<u32>(command(ADMIN_SET_FEATURES, 0, 11, 1 << 8)).toBe(0);
    expect<u32>(reap()).toBe(NO_COMPLETION, 'it was read');
    expect<u32>(update(3, ACTIVE, 9, 12)).toBe(NAMESPACE_OK);
    expect<u32>(reap()).toBe(0);
    expect<u32>(result()).toBe(EVENT_CHANGED);
    expect<u32>(update(3, ACTIVE, 10, 12)).toBe(NAMESPACE_OK);
    expect<u32>(update(1, ACTIVE, 4096)).toBe(NAMESPACE_OK);
    expect<u32>(request()).toBe(NO_COMPLETION, 'masked');
    expect<u32>(readChanged(RAE)).toBe(0);
    expect<u64>(data64(0)).toBe(0x0000000300000001);
    expect<u32>(readChanged()).toBe(0);
    expect<u64>(data64(0)).toBe(0x0000000300000001, 'RAE retains the list');
    expect<bool>(dataAll(8, 4088, 0)).toBe(true);
    expect<u32>(reap()).toBe(NO_COMPLETION, 'reading has told of what changed meanwhile');
    expect<u32>(readChanged()).toBe(0);
    expect<u32>(data32(0)).toBe(0);
    expect<u32>(update(1, ACTIVE, 4097)).toBe(NAMESPACE_OK);
    expect<u32>(reap()).toBe(0, 'news again');
    expect<u32>(result()).toBe(EVENT_CHANGED);
  });

  test('the same record again is no change', () => {
    expect<u32>(command(ADMIN_SET_FEATURES, 0, 11, 1 << 8)).toBe(0);
    expect<u32>(request()).toBe(NO_COMPLETION);
    expect<u32>(update(1, ACTIVE, 2048)).toBe(NAMESPACE_OK);
    expect<u32>(reap()).toBe(NO_COMPLETION);
    expect<u32>(update(1, ACTIVE, 2049)).toBe(NAMESPACE_OK);
    expect<u32>(reap()).toBe(0);
  });

  test('an event that the guest configures late is not lost', () => {
    expect<u32>(update(1, ACTIVE, 2049)).toBe(NAMESPACE_OK);
    expect<u32>(request()).toBe(NO_COMPLETION);
    expect<u32>(command(ADMIN_SET_FEATURES, 0, 11, 1 << 8)).toBe(0);
    const first = result();
    expect<u32>(reap()).toBe(0);
    expect<u32>(first | result()).toBe(EVENT_CHANGED);
  });

  test('a change while the list is on its way stays in the list, and is told', () => {
    expect<u32>(command(ADMIN_SET_FEATURES, 0, 11, 1 << 8)).toBe(0);
    expect<u32>(request()).toBe(NO_COMPLETION);
    expect<u32>(update(1, ACTIVE, 2049)).toBe(NAMESPACE_OK);
    expect<u32>(reap()).toBe(0);
    expect<u32>(request()).toBe(NO_COMPLETION);
    const at = sqe(ADMIN_GET_LOG_PAGE);
    store<u32>(at, 4 | (0x3ff << 16), SQE_CDW10);
    submitOnly();
    expect<u32>(update(1, ACTIVE, 2050)).toBe(NAMESPACE_OK);
    work();
    expect<u32>(reap()).toBe(0);
    const first = result();
    expect<u32>(reap()).toBe(0);
    expect<u32>(first | result()).toBe(EVENT_CHANGED);
    expect<u32>(readChanged()).toBe(0);
    expect<u64>(data64(0)).toBe(1);
  });

  test('a reset forgets the list', () => {
    expect<u32>(update(1, ACTIVE, 2049)).toBe(NAMESPACE_OK);
    registerWrite(REG_CC, 0);
    enable();
    expect<u32>(readChanged()).toBe(0);
    expect<u32>(data32(0)).toBe(0);
  });
});

describe('commands of a namespace that changes', () => {
  beforeEach(() => {
    start(ACTIVE, ACTIVE);
  });

  test('are judged by the new record', () => {
    expect(io(NVM_READ, 1, 2047, 0)).toBe(ISSUED);
    expect<u32>(update(1, ACTIVE | NAMESPACE_FLAG_READ_ONLY, 100)).toBe(NAMESPACE_OK);
    expect(io(NVM_READ, 1, 2047, 0)).toBe(STATUS_LBA_OUT_OF_RANGE | STATUS_DNR);
    expect(io(NVM_WRITE, 1, 0, 0)).toBe(STATUS_NAMESPACE_WRITE_PROTECTED | STATUS_DNR);
    expect<u32>(update(1, 0, 0)).toBe(NAMESPACE_OK);
    expect(io(NVM_READ, 1, 0, 0)).toBe(STATUS_INVALID_FIELD | STATUS_DNR);
  });

  test('a request that was issued goes on', () => {
    entry(NVM_READ, 1, 0, 0);
    expect(run()).toBe(ISSUED);
    expect<u32>(update(1, 0, 0)).toBe(NAMESPACE_OK);
    expect(answer(BLOCK_OK)).toBe(0);
  });

  test('a Copy ends at the first range that is no more', () => {
    entry(NVM_COPY, 1, 1000, 1);
    expect(run()).toBe(ISSUED);
    memory.fill(Request.at(0).data, 0, 64);
    store<u64>(Request.at(0).data, 8, 32 + 8);
    expect(answer(BLOCK_OK)).toBe(ISSUED);
    expect<u32>(update(1, 0, 0)).toBe(NAMESPACE_OK);
    expect(answer(BLOCK_OK)).toBe(STATUS_LBA_OUT_OF_RANGE | STATUS_DNR);
  });
});
