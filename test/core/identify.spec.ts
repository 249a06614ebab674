// Identify: each structure byte by byte where it says something, and the status of each wrong request.

import { CONFIG_BASE } from '../../assembly/abi/memory-map.ts';
import {
  CONFIG_FLAGS,
  CONFIG_FLAG_MULTI_CONTROLLER,
  NAMESPACE_FLAG_ACTIVE,
  NAMESPACE_FLAG_ALLOCATED,
  NAMESPACE_FLAG_DEALLOCATE,
  NAMESPACE_FLAG_READ_ONLY,
  NAMESPACE_FLAG_SHARED,
  NAMESPACE_FLAG_VOLATILE_CACHE,
} from '../../assembly/abi/records.ts';
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
  IDCTRL_IEEE,
  IDCTRL_KAS,
  IDCTRL_LPA,
  IDCTRL_MAXCMD,
  IDCTRL_MDTS,
  IDCTRL_MN,
  IDCTRL_NN,
  IDCTRL_OACS,
  IDCTRL_OAES,
  IDCTRL_OCFS,
  IDCTRL_ONCS,
  IDCTRL_SGLS,
  IDCTRL_SN,
  IDCTRL_SQES,
  IDCTRL_SSVID,
  IDCTRL_SUBNQN,
  IDCTRL_VER,
  IDCTRL_VID,
  IDCTRL_VWC,
  IDCTRL_WCTEMP,
  IDIND_NMIC,
  IDIND_NSATTR,
  IDIND_NSTAT,
  IDNS_DLFEAT,
  IDNS_EUI64,
  IDNS_FLBAS,
  IDNS_LBAF0,
  IDNS_NCAP,
  IDNS_NGUID,
  IDNS_MCL,
  IDNS_MSRC,
  IDNS_MSSRL,
  IDNS_NLBAF,
  IDNS_NMIC,
  IDNS_NOWS,
  IDNS_NPDA,
  IDNS_NPDG,
  IDNS_NPWA,
  IDNS_NPWG,
  IDNS_NSATTR,
  IDNS_NSFEAT,
  IDNS_NSZE,
  IDNS_NUSE,
  IDNS_NVMCAP,
} from '../../assembly/spec/nvme-identify.ts';
import {
  ADMIN_IDENTIFY,
  SQE_CDW10,
  SQE_FLAGS,
  SQE_PRP1,
  SQE_PRP2,
  STATUS_DNR,
  STATUS_INVALID_FIELD,
  STATUS_INVALID_NAMESPACE,
} from '../../assembly/spec/nvme.ts';
import {
  ADMIN_ENTRIES,
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
  namespaceFill,
  powerOn,
  reap,
  sqe,
  submit,
} from './support/machine.ts';

const INVALID_FIELD: u32 = STATUS_INVALID_FIELD | STATUS_DNR;
const INVALID_NAMESPACE: u32 = STATUS_INVALID_NAMESPACE | STATUS_DNR;
const BROADCAST: u32 = 0xffffffff;
const FLAGS_1: u32 = NAMESPACE_FLAG_ACTIVE | NAMESPACE_FLAG_DEALLOCATE;
const FLAGS_3: u32 = NAMESPACE_FLAG_ACTIVE | NAMESPACE_FLAG_SHARED | NAMESPACE_FLAG_READ_ONLY;

function identify(cns: u32, nsid: u32, cdw11: u32 = 0, cdw14: u32 = 0): u32 {
  return command(ADMIN_IDENTIFY, nsid, cns, cdw11, cdw14);
}

describe('Identify Controller (01h)', () => {
  beforeEach(() => boot(FLAGS_1, FLAGS_3));

  test('identity comes from the configuration', () => {
    expect<u32>(identify(CNS_CONTROLLER, 0)).toBe(0);
    expect<u32>(data16(IDCTRL_VID)).toBe(0x1234);
    expect<u32>(data16(IDCTRL_SSVID)).toBe(0x5678);
    expect<bool>(dataAll(IDCTRL_SN, 20, 0x53)).toBe(true);
    expect<bool>(dataAll(IDCTRL_MN, 40, 0x4d)).toBe(true);
    expect<bool>(dataAll(IDCTRL_FR, 8, 0x46)).toBe(true);
    expect<u32>(data32(IDCTRL_IEEE) & 0xffffff).toBe(0x030201);
    expect<u32>(data16(IDCTRL_CNTLID)).toBe(3);
    expect<bool>(dataAll(IDCTRL_SUBNQN, 40, 0x6e)).toBe(true);
    expect<bool>(dataAll(IDCTRL_SUBNQN + 40, 216, 0)).toBe(true);
  });

  test('what is advertised is what is there', () => {
    expect<u32>(identify(CNS_CONTROLLER, 0)).toBe(0);
    expect<u32>(data8(IDCTRL_CMIC)).toBe(0);
    expect<u32>(data8(IDCTRL_MDTS)).toBe(8);
    expect<u32>(data32(IDCTRL_VER)).toBe(0x00020000);
    expect<u32>(data32(IDCTRL_OAES)).toBe(1 << 8);
    expect<u32>(data8(IDCTRL_CNTRLTYPE)).toBe(1);
    expect<u32>(data16(IDCTRL_OACS)).toBe(1 << 8);
    expect<u32>(data8(IDCTRL_ACL)).toBe(3);
    expect<u32>(data8(IDCTRL_AERL)).toBe(3);
    expect<u32>(data8(IDCTRL_FRMW)).toBe(3);
    expect<u32>(data8(IDCTRL_LPA)).toBe(0x26);
    expect<u32>(data8(IDCTRL_ELPE)).toBe(63);
    expect<u32>(data16(IDCTRL_WCTEMP)).toBe(343);
    expect<u32>(data16(IDCTRL_CCTEMP)).toBe(373);
    expect<u32>(data16(IDCTRL_KAS)).toBe(10);
    expect<u32>(data8(IDCTRL_SQES)).toBe(0x66);
    expect<u32>(data8(IDCTRL_CQES)).toBe(0x44);
    expect<u32>(data16(IDCTRL_MAXCMD)).toBe(48, '64 slots less the reserve of 16');
    expect<u32>(data32(IDCTRL_NN)).toBe(256);
    expect<u32>(data16(IDCTRL_ONCS)).toBe(0x1df);
    expect<u32>(data16(IDCTRL_OCFS)).toBe(1);
    expect<u32>(data8(IDCTRL_VWC)).toBe(6, 'no cache, Flush takes the broadcast NSID');
    expect<u32>(data32(IDCTRL_SGLS)).toBe(0);
    expect<bool>(dataAll(2048, 2048, 0)).toBe(true);
  });

  test('options of the configuration show', () => {
    configFill();
    namespaceFill(1, NAMESPACE_FLAG_ACTIVE | NAMESPACE_FLAG_VOLATILE_CACHE, 9, 8, 0);
    store<u32>(CONFIG_BASE, CONFIG_FLAG_MULTI_CONTROLLER, CONFIG_FLAGS);
    powerOn();
    enable();
    expect<u32>(identify(CNS_CONTROLLER, 0)).toBe(0);
    expect<u32>(data8(IDCTRL_CMIC)).toBe(2);
    expect<u32>(data16(IDCTRL_OACS)).toBe(0);
    expect<u32>(data8(IDCTRL_VWC)).toBe(7);
  });
});

describe('Identify Namespace (00h)', () => {
  beforeEach(() => boot(FLAGS_1, FLAGS_3));

  test('a plain namespace of 512-byte blocks', () => {
    expect<u32>(identify(CNS_NAMESPACE, 1)).toBe(0);
    expect<u64>(data64(IDNS_NSZE)).toBe(2048);
    expect<u64>(data64(IDNS_NCAP)).toBe(2048);
    expect<u64>(data64(IDNS_NUSE)).toBe(2048);
    expect<u32>(data8(IDNS_NSFEAT)).toBe(0);
    expect<u32>(data8(IDNS_NLBAF)).toBe(0);
    expect<u32>(data8(IDNS_FLBAS)).toBe(0);
    expect<u32>(data8(IDNS_NMIC)).toBe(0);
    expect<u32>(data8(IDNS_DLFEAT)).toBe(0x09);
    expect<u64>(data64(IDNS_NVMCAP)).toBe(1048576);
    expect<u32>(data16(IDNS_NPWG)).toBe(0);
    expect<u32>(data8(IDNS_NSATTR)).toBe(0);
    expect<u32>(data16(IDNS_MSSRL)).toBe(2048);
    expect<u32>(data32(IDNS_MCL)).toBe(32768);
    expect<u32>(data8(IDNS_MSRC)).toBe(127);
    expect<bool>(dataAll(IDNS_NGUID, 16, 0x11)).toBe(true);
    expect<bool>(dataAll(IDNS_EUI64, 8, 0x21)).toBe(true);
    expect<u32>(data32(IDNS_LBAF0)).toBe(9 << 16);
    expect<bool>(dataAll(IDNS_LBAF0 + 4, 4096 - IDNS_LBAF0 - 4, 0)).toBe(true);
    expect<bool>(dataAll(4096, 4096, 0xee)).toBe(true, 'nothing beyond the page');
  });

  test('a shared, read-only one of 4,096-byte blocks with preferred sizes', () => {
    expect<u32>(identify(CNS_NAMESPACE, 3)).toBe(0);
    expect<u64>(data64(IDNS_NVMCAP)).toBe(16777216);
    expect<u32>(data8(IDNS_NSFEAT)).toBe(0x10);
    expect<u32>(data8(IDNS_NMIC)).toBe(1);
    expect<u32>(data8(IDNS_DLFEAT)).toBe(0);
    expect<u32>(data8(IDNS_NSATTR)).toBe(1);
    expect<u32>(data32(IDNS_LBAF0)).toBe(12 << 16);
    const sizes: u32[] = [IDNS_NPWG, IDNS_NPWA, IDNS_NPDG, IDNS_NPDA, IDNS_NOWS];
    for (let i = 0; i < sizes.length; i++) expect<u32>(data16(sizes[i])).toBe(7);
  });

  test('an inactive namespace is a page of zeros, an invalid one a status', () => {
    expect<u32>(identify(CNS_NAMESPACE, 2)).toBe(0);
    expect<bool>(dataAll(0, 4096, 0)).toBe(true);
    expect<u32>(identify(CNS_NAMESPACE, 256)).toBe(0);
    expect<u32>(identify(CNS_NAMESPACE, 0)).toBe(INVALID_NAMESPACE);
    expect<u32>(identify(CNS_NAMESPACE, 257)).toBe(INVALID_NAMESPACE);
    expect<u32>(identify(CNS_NAMESPACE, BROADCAST)).toBe(INVALID_NAMESPACE);
    expect<bool>(dataAll(0, 4096, 0xee)).toBe(true, 'no data with an error');
  });
});

describe('Active Namespace ID list (02h)', () => {
  beforeEach(() => boot(FLAGS_1, FLAGS_3));

  test('ascending, above the NSID that is given', () => {
    expect<u32>(identify(CNS_ACTIVE_NAMESPACES, 0)).toBe(0);
    expect<u64>(data64(0)).toBe(0x0000000300000001);
    expect<bool>(dataAll(8, 4088, 0)).toBe(true);
    expect<u32>(identify(CNS_ACTIVE_NAMESPACES, 1)).toBe(0);
    expect<u64>(data64(0)).toBe(3);
    expect<u32>(identify(CNS_ACTIVE_NAMESPACES, 3)).toBe(0);
    expect<u32>(data32(0)).toBe(0);
    expect<u32>(identify(CNS_ACTIVE_NAMESPACES, 256)).toBe(0);
    expect<u32>(identify(CNS_ACTIVE_NAMESPACES, 0xfffffffd)).toBe(0);
    expect<u32>(data32(0)).toBe(0);
  });

  test('FFFFFFFEh and FFFFFFFFh are refused', () => {
    expect<u32>(identify(CNS_ACTIVE_NAMESPACES, 0xfffffffe)).toBe(INVALID_NAMESPACE);
    expect<u32>(identify(CNS_ACTIVE_NAMESPACES, BROADCAST)).toBe(INVALID_NAMESPACE);
  });
});

describe('Namespace Identification Descriptor list (03h)', () => {
  beforeEach(() => boot(FLAGS_1, FLAGS_3));

  test('EUI64, NGUID, UUID and the command set, then zeros', () => {
    expect<u32>(identify(CNS_NAMESPACE_DESCRIPTORS, 1)).toBe(0);
    expect<u32>(data32(0)).toBe(0x0801);
    expect<bool>(dataAll(4, 8, 0x21)).toBe(true);
    expect<u32>(data32(12)).toBe(0x1002);
    expect<bool>(dataAll(16, 16, 0x11)).toBe(true);
    expect<u32>(data32(32)).toBe(0x1003);
    expect<bool>(dataAll(36, 16, 0x31)).toBe(true);
    expect<u32>(data32(52)).toBe(0x0104);
    expect<bool>(dataAll(56, 4040, 0)).toBe(true);
  });

  test('identifiers that are absent are left out', () => {
    namespaceFill(1, FLAGS_1, 9, 2048, 0);
    memory.fill(0x20010, 0, 24);
    expect<u32>(identify(CNS_NAMESPACE_DESCRIPTORS, 1)).toBe(0);
    expect<u32>(data32(0)).toBe(0x1003);
    expect<u32>(data32(20)).toBe(0x0104);
  });

  test('needs an active namespace', () => {
    expect<u32>(identify(CNS_NAMESPACE_DESCRIPTORS, 2)).toBe(INVALID_FIELD);
    expect<u32>(identify(CNS_NAMESPACE_DESCRIPTORS, 0)).toBe(INVALID_NAMESPACE);
    expect<u32>(identify(CNS_NAMESPACE_DESCRIPTORS, 257)).toBe(INVALID_NAMESPACE);
    expect<u32>(identify(CNS_NAMESPACE_DESCRIPTORS, BROADCAST)).toBe(INVALID_NAMESPACE);
  });
});

describe('I/O command sets (05h, 06h, 08h, 1Ch)', () => {
  beforeEach(() => boot(FLAGS_1, FLAGS_3));

  test('the NVM command set adds nothing but zeros', () => {
    expect<u32>(identify(CNS_CSI_NAMESPACE, 1)).toBe(0);
    expect<bool>(dataAll(0, 4096, 0)).toBe(true);
    expect<u32>(identify(CNS_CSI_NAMESPACE, 2)).toBe(0);
    expect<u32>(identify(CNS_CSI_CONTROLLER, 0)).toBe(0);
    expect<bool>(dataAll(0, 4096, 0)).toBe(true);
  });

  test('other command sets and invalid namespaces are refused', () => {
    expect<u32>(identify(CNS_CSI_NAMESPACE, 1, 2 << 24)).toBe(INVALID_FIELD);
    expect<u32>(identify(CNS_CSI_CONTROLLER, 0, 1 << 24)).toBe(INVALID_FIELD);
    expect<u32>(identify(CNS_CSI_CONTROLLER, 0, 0xff000000)).toBe(INVALID_FIELD);
    expect<u32>(identify(CNS_CSI_NAMESPACE, 0)).toBe(INVALID_NAMESPACE);
    expect<u32>(identify(CNS_CSI_NAMESPACE, 257)).toBe(INVALID_NAMESPACE);
    expect<u32>(identify(CNS_CSI_NAMESPACE, BROADCAST)).toBe(INVALID_NAMESPACE);
  });

  test('independent namespace data: sharing, attributes, ready', () => {
    expect<u32>(identify(CNS_INDEPENDENT_NAMESPACE, 3)).toBe(0);
    expect<u32>(data8(IDIND_NMIC)).toBe(1);
    expect<u32>(data8(IDIND_NSATTR)).toBe(1);
    expect<u32>(data8(IDIND_NSTAT)).toBe(1);
    expect<bool>(dataAll(15, 4081, 0)).toBe(true);
    expect<u32>(identify(CNS_INDEPENDENT_NAMESPACE, 2)).toBe(0);
    expect<bool>(dataAll(0, 4096, 0)).toBe(true);
    expect<u32>(identify(CNS_INDEPENDENT_NAMESPACE, 0)).toBe(INVALID_NAMESPACE);
    expect<u32>(identify(CNS_INDEPENDENT_NAMESPACE, 257)).toBe(INVALID_NAMESPACE);
    expect<u32>(identify(CNS_INDEPENDENT_NAMESPACE, BROADCAST)).toBe(INVALID_NAMESPACE);
  });

  test('one combination of command sets, of this controller only', () => {
    expect<u32>(identify(CNS_COMMAND_SETS | 0xffff0000, 0)).toBe(0);
    expect<u64>(data64(0)).toBe(1);
    expect<bool>(dataAll(8, 4088, 0)).toBe(true);
    expect<u32>(identify(CNS_COMMAND_SETS | (3 << 16), 0)).toBe(0);
    expect<u32>(identify(CNS_COMMAND_SETS | (4 << 16), 0)).toBe(INVALID_FIELD);
  });
});

describe('allocated namespaces and controllers (10h to 13h)', () => {
  beforeEach(() => {
    boot(FLAGS_1, FLAGS_3);
    configFill();
    namespaceFill(1, FLAGS_1, 9, 2048, 0);
    namespaceFill(2, NAMESPACE_FLAG_ALLOCATED, 9, 64, 0);
    powerOn();
    enable();
  });

  test('the list and the data show what is not attached', () => {
    expect<u32>(identify(CNS_ALLOCATED_NAMESPACES, 0)).toBe(0);
    expect<u64>(data64(0)).toBe(0x0000000200000001);
    expect<bool>(dataAll(8, 4088, 0)).toBe(true);
    expect<u32>(identify(CNS_ALLOCATED_NAMESPACES, 1)).toBe(0);
    expect<u64>(data64(0)).toBe(2);
    expect<u32>(identify(CNS_ACTIVE_NAMESPACES, 0)).toBe(0);
    expect<u64>(data64(0)).toBe(1);
    expect<u32>(identify(CNS_ALLOCATED_NAMESPACE, 2)).toBe(0);
    expect<u64>(data64(IDNS_NSZE)).toBe(64);
    expect<u32>(identify(CNS_NAMESPACE, 2)).toBe(0);
    expect<bool>(dataAll(0, 4096, 0)).toBe(true, 'not attached');
    expect<u32>(identify(CNS_ALLOCATED_NAMESPACE, 3)).toBe(0);
    expect<bool>(dataAll(0, 4096, 0)).toBe(true, 'not allocated');
  });

  test('wrong NSIDs', () => {
    expect<u32>(identify(CNS_ALLOCATED_NAMESPACES, 0xfffffffe)).toBe(INVALID_NAMESPACE);
    expect<u32>(identify(CNS_ALLOCATED_NAMESPACES, BROADCAST)).toBe(INVALID_NAMESPACE);
    expect<u32>(identify(CNS_ALLOCATED_NAMESPACE, 0)).toBe(INVALID_NAMESPACE);
    expect<u32>(identify(CNS_ALLOCATED_NAMESPACE, 257)).toBe(INVALID_NAMESPACE);
    expect<u32>(identify(CNS_ALLOCATED_NAMESPACE, BROADCAST)).toBe(INVALID_NAMESPACE);
    expect<u32>(identify(CNS_NAMESPACE_CONTROLLERS, 0)).toBe(INVALID_NAMESPACE);
    expect<u32>(identify(CNS_NAMESPACE_CONTROLLERS, 257)).toBe(INVALID_NAMESPACE);
    expect<u32>(identify(CNS_NAMESPACE_CONTROLLERS, BROADCAST)).toBe(INVALID_FIELD);
  });

  test('this controller, from its identifier on downwards', () => {
    for (let first: u32 = 0; first <= 3; first++) {
      expect<u32>(identify(CNS_CONTROLLERS | (first << 16), 0)).toBe(0);
      expect<u32>(data32(0)).toBe(1 | (3 << 16));
      expect<bool>(dataAll(4, 4092, 0)).toBe(true);
      expect<u32>(identify(CNS_NAMESPACE_CONTROLLERS | (first << 16), 1)).toBe(0);
      expect<u32>(data32(0)).toBe(1 | (3 << 16));
    }
    expect<u32>(identify(CNS_CONTROLLERS | (4 << 16), 0)).toBe(0);
    expect<bool>(dataAll(0, 4096, 0)).toBe(true);
    expect<u32>(identify(CNS_NAMESPACE_CONTROLLERS, 2)).toBe(0);
    expect<bool>(dataAll(0, 4096, 0)).toBe(true, 'allocated, not attached');
  });
});

describe('everything else', () => {
  beforeEach(() => boot(FLAGS_1, FLAGS_3));

  test('each other CNS is Invalid Field', () => {
    for (let cns: u32 = 0; cns < 256; cns++) {
      const known = cns <= 3 || cns == 5 || cns == 6 || cns == 8 || cns == 0x1c;
      if (!known && (cns < 0x10 || cns > 0x13))
        expect<u32>(identify(cns | 0xffff0000, 1)).toBe(INVALID_FIELD);
    }
  });

  test('reserved bits, UUID index, SGLs and fused commands are Invalid Field', () => {
    expect<u32>(identify(CNS_CONTROLLER | (1 << 8), 0)).toBe(INVALID_FIELD);
    expect<u32>(identify(CNS_CONTROLLER | (1 << 15), 0)).toBe(INVALID_FIELD);
    expect<u32>(identify(CNS_CONTROLLER, 0, 1 << 16)).toBe(INVALID_FIELD);
    expect<u32>(identify(CNS_CONTROLLER, 0, 1 << 23)).toBe(INVALID_FIELD);
    expect<u32>(identify(CNS_CONTROLLER, 0, 0, 1)).toBe(INVALID_FIELD);
    expect<u32>(commandAt(ADMIN_IDENTIFY, 0, CNS_CONTROLLER, 0, 1, 0)).toBe(INVALID_FIELD, 'CDW12');
    expect<u32>(commandAt(ADMIN_IDENTIFY, 0, CNS_CONTROLLER, 0, 1 << 32, 0)).toBe(INVALID_FIELD, 'CDW13');
    expect<u32>(identify(CNS_CONTROLLER, 0, 0, 1 << 31)).toBe(INVALID_FIELD, 'CDW14');
    const flags: u8[] = [1, 2, 4, 0x20, 0x40, 0x80];
    for (let i = 0; i < flags.length; i++) {
      const at = sqe(ADMIN_IDENTIFY);
      store<u32>(at, CNS_CONTROLLER, SQE_CDW10);
      store<u8>(at, flags[i], SQE_FLAGS);
      submit();
      expect<u32>(reap()).toBe(INVALID_FIELD);
    }
  });

  test('a buffer that crosses a page goes through PRP2', () => {
    const at = sqe(ADMIN_IDENTIFY);
    store<u32>(at, CNS_CONTROLLER, SQE_CDW10);
    store<u64>(at, 0x10f00, SQE_PRP1);
    store<u64>(at, 0x20000, SQE_PRP2);
    submit();
    expect<u32>(reap()).toBe(0);
    expect<u32>(data16(0xf00 + IDCTRL_VID)).toBe(0x1234);
    expect<u32>(data32(0x10000 + IDCTRL_NN - 0x100)).toBe(256);
  });

  test('many more commands than the queue has entries', () => {
    for (let i: u32 = 0; i < 5 * ADMIN_ENTRIES; i++) expect<u32>(identify(CNS_CONTROLLER, 0)).toBe(0);
  });
});
