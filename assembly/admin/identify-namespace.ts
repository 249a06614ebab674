// The structures that describe one namespace: Identify Namespace of the NVM command set (CNS 00h, NVM 4.1.5.1), its
// identifiers (CNS 03h, Base 5.17.2.3), and what does not depend on a command set (CNS 08h, Base 5.17.2.8). The
// caller has filled the page with zeros and knows that the namespace is there. There is one LBA format: the one in
// use.

import {
  NAMESPACE_EUI64,
  NAMESPACE_FLAG_DEALLOCATE,
  NAMESPACE_FLAG_READ_ONLY,
  NAMESPACE_FLAG_SHARED,
  NAMESPACE_NGUID,
  NAMESPACE_OPTIMAL_BLOCKS,
  NAMESPACE_UUID,
} from '../abi/records.ts';
import {
  CSI_NVM,
  DLFEAT_READS_ZEROS,
  DLFEAT_WRITE_ZEROES_DEALLOCATE,
  IDIND_NMIC,
  IDIND_NSATTR,
  IDIND_NSTAT,
  IDNS_DLFEAT,
  IDNS_EUI64,
  IDNS_LBAF0,
  IDNS_MCL,
  IDNS_MSRC,
  IDNS_MSSRL,
  IDNS_NCAP,
  IDNS_NGUID,
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
  LBAF_LBADS_SHIFT,
  NIDT_CSI,
  NIDT_CSI_BYTES,
  NIDT_EUI64,
  NIDT_EUI64_BYTES,
  NIDT_NGUID,
  NIDT_NGUID_BYTES,
  NIDT_UUID,
  NIDT_UUID_BYTES,
  NMIC_SHARED,
  NSATTR_WRITE_PROTECTED,
  NSDESC_HEADER_BYTES,
  NSDESC_NID,
  NSDESC_NIDL,
  NSDESC_NIDT,
  NSFEAT_OPTPERF,
  NSTAT_READY,
} from '../spec/nvme-identify.ts';
import { Namespace } from '../wire/namespace.ts';
import { COPY_BYTES_MAX, COPY_RANGES_MAX, COPY_RANGE_BYTES_MAX } from '../wire/copy-limits.ts';

/** CNS 00h and 11h. */
export function identifyNamespace(at: usize, nsid: u32): void {
  const namespace = Namespace.at(nsid);
  const record = changetype<usize>(namespace);
  store<u64>(at, namespace.blocks, IDNS_NSZE);
  store<u64>(at, namespace.blocks, IDNS_NCAP);
  // Without thin provisioning (NSFEAT bit 0) utilization may always equal the capacity.
  store<u64>(at, namespace.blocks, IDNS_NUSE);
  store<u8>(at, sharing(namespace), IDNS_NMIC);
  if ((namespace.flags & NAMESPACE_FLAG_DEALLOCATE) != 0) {
    store<u8>(at, DLFEAT_READS_ZEROS | DLFEAT_WRITE_ZEROES_DEALLOCATE, IDNS_DLFEAT);
  }
  store<u64>(at, namespace.blocks << namespace.lbaShift, IDNS_NVMCAP);
  preferredSizes(at, load<u32>(record, NAMESPACE_OPTIMAL_BLOCKS));
  store<u16>(at, <u16>(COPY_RANGE_BYTES_MAX >> namespace.lbaShift), IDNS_MSSRL);
  store<u32>(at, COPY_BYTES_MAX >> namespace.lbaShift, IDNS_MCL);
  store<u8>(at, <u8>(COPY_RANGES_MAX - 1), IDNS_MSRC);
  store<u8>(at, attributes(namespace), IDNS_NSATTR);
  memory.copy(at + IDNS_NGUID, record + NAMESPACE_NGUID, NIDT_NGUID_BYTES);
  memory.copy(at + IDNS_EUI64, record + NAMESPACE_EUI64, NIDT_EUI64_BYTES);
  store<u32>(at, namespace.lbaShift << LBAF_LBADS_SHIFT, IDNS_LBAF0);
}

/** CNS 08h. A namespace is ready as soon as it is attached. */
export function identifyIndependentNamespace(at: usize, nsid: u32): void {
  const namespace = Namespace.at(nsid);
  store<u8>(at, sharing(namespace), IDIND_NMIC);
  store<u8>(at, attributes(namespace), IDIND_NSATTR);
  store<u8>(at, NSTAT_READY, IDIND_NSTAT);
}

/** CNS 03h: the identifiers that the namespace has, and its command set. A descriptor of length 0 ends the list. */
export function identifyDescriptors(at: usize, nsid: u32): void {
  const record = changetype<usize>(Namespace.at(nsid));
  let place = at;
  place = descriptor(place, NIDT_EUI64, NIDT_EUI64_BYTES, record + NAMESPACE_EUI64);
  place = descriptor(place, NIDT_NGUID, NIDT_NGUID_BYTES, record + NAMESPACE_NGUID);
  place = descriptor(place, NIDT_UUID, NIDT_UUID_BYTES, record + NAMESPACE_UUID);
  store<u8>(place, NIDT_CSI, NSDESC_NIDT);
  store<u8>(place, NIDT_CSI_BYTES, NSDESC_NIDL);
  store<u8>(place, CSI_NVM, NSDESC_NID);
}

/** Preferred granularity, alignment and optimal size in blocks, all the same and zero-based; 0: not reported. */
function preferredSizes(at: usize, blocks: u32): void {
  if (blocks == 0) return;
  const zeroBased = <u16>(blocks - 1);
  store<u8>(at, NSFEAT_OPTPERF, IDNS_NSFEAT);
  store<u16>(at, zeroBased, IDNS_NPWG);
  store<u16>(at, zeroBased, IDNS_NPWA);
  store<u16>(at, zeroBased, IDNS_NPDG);
  store<u16>(at, zeroBased, IDNS_NPDA);
  store<u16>(at, zeroBased, IDNS_NOWS);
}

function sharing(namespace: Namespace): u8 {
  return (namespace.flags & NAMESPACE_FLAG_SHARED) != 0 ? <u8>NMIC_SHARED : 0;
}

function attributes(namespace: Namespace): u8 {
  return (namespace.flags & NAMESPACE_FLAG_READ_ONLY) != 0 ? <u8>NSATTR_WRITE_PROTECTED : 0;
}

/** Appends one descriptor and returns the place of the next; an identifier of zeros is absent. */
function descriptor(at: usize, type: u32, bytes: u32, identifier: usize): usize {
  let present: u8 = 0;
  for (let i: u32 = 0; i < bytes; i++) present |= load<u8>(identifier + i);
  if (present == 0) return at;
  store<u8>(at, <u8>type, NSDESC_NIDT);
  store<u8>(at, <u8>bytes, NSDESC_NIDL);
  memory.copy(at + NSDESC_NID, identifier, bytes);
  return at + NSDESC_HEADER_BYTES + bytes;
}
