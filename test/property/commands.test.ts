// Properties of the NVM commands: for any command, any PRPs and any lists in guest memory, what leaves the core is what
// the naive reference works out. A counterexample is printed with the seed that finds it again.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { MDTS } from '../../assembly/abi/memory-map.ts';
import * as nvme from '../../assembly/spec/nvme.ts';
import { MockGuest } from '../support/mock-guest.ts';
import { Reference, type ReferenceCommand, type ReferenceRegion } from './reference.ts';

const PAGE = 4096n;
const BLOCKS = 8192n;
const MIB = 1n << 20n;

/** Memory of the kinds that a VMM makes: two neighbours, one read-only, one not shared, a hole. */
const REGIONS: ReferenceRegion[] = [
  { address: 0n, bytes: 8n * MIB, writable: true, mapped: true },
  { address: 8n * MIB, bytes: 2n * MIB + 3n * PAGE, writable: true, mapped: true },
  { address: 11n * MIB, bytes: MIB, writable: false, mapped: true },
  { address: 12n * MIB, bytes: MIB, writable: true, mapped: false },
  { address: 14n * MIB, bytes: 2n * MIB, writable: true, mapped: true },
];

/** Lists lie here, and data never: a read may not change the list that it is described by. */
const LISTS = 4n * MIB;
const LIST_PAGES = 3n;

const guest = MockGuest.up({
  regions: REGIONS.map(({ address, bytes, writable, mapped }) => ({
    address: Number(address),
    bytes: Number(bytes),
    writable,
    mapped,
  })),
});
const reference = new Reference(
  REGIONS,
  { nsid: 1, blocks: BLOCKS, lbaShift: 9 },
  PAGE << BigInt(MDTS),
  (address) => guest.memory.view(Number(address), 8).getBigUint64(0, true),
);

/** Where a test puts data: mostly good memory, sometimes each kind that is not. */
const page = fc.oneof(
  { weight: 40, arbitrary: fc.bigInt({ min: 1280n, max: 2047n }) },
  { weight: 10, arbitrary: fc.constantFrom(2046n, 2047n, 2048n, 2049n) },
  { weight: 2, arbitrary: fc.bigInt({ min: 2560n, max: 4095n }) },
  { weight: 1, arbitrary: fc.constantFrom(0xfffffffffffffn, 0x100000n, 4095n, 4096n) },
);
const offset = fc.oneof(
  { weight: 6, arbitrary: fc.constant(0n) },
  { weight: 6, arbitrary: fc.bigInt({ min: 0n, max: 1023n }).map((dword) => dword * 4n) },
  { weight: 1, arbitrary: fc.bigInt({ min: 0n, max: 4095n }) },
);
const dataAddress = fc.tuple(page, offset).map(([number, at]) => number * PAGE + at);
const pageAddress = fc.oneof(
  { weight: 30, arbitrary: page.map((number) => number * PAGE) },
  { weight: 1, arbitrary: dataAddress },
);
const listAddress = fc.oneof(
  {
    weight: 20,
    arbitrary: fc.bigInt({ min: 0n, max: LIST_PAGES * 512n - 1n }).map((entry) => LISTS + entry * 8n),
  },
  { weight: 6, arbitrary: fc.bigInt({ min: 506n, max: 511n }).map((entry) => LISTS + entry * 8n) },
  { weight: 1, arbitrary: dataAddress },
);
const command: fc.Arbitrary<ReferenceCommand> = fc.record({
  opcode: fc.constantFrom(
    ...[nvme.NVM_READ, nvme.NVM_WRITE, nvme.NVM_WRITE, nvme.NVM_COMPARE],
    ...[nvme.NVM_WRITE_ZEROES, nvme.NVM_VERIFY],
  ),
  nsid: fc.oneof(
    { weight: 30, arbitrary: fc.constant(1) },
    { weight: 1, arbitrary: fc.constantFrom(0, 2, 0xffffffff) },
  ),
  prp1: dataAddress,
  prp2: fc.oneof(pageAddress, listAddress, listAddress),
  lba: fc.oneof(
    { weight: 20, arbitrary: fc.bigInt({ min: 0n, max: BLOCKS }) },
    { weight: 1, arbitrary: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }) },
    { weight: 1, arbitrary: fc.bigInt({ min: 1n, max: 64n }).map((back) => (1n << 64n) - back) },
  ),
  blocks: fc.oneof(
    { weight: 10, arbitrary: fc.integer({ min: 1, max: 64 }) },
    { weight: 3, arbitrary: fc.integer({ min: 1, max: 2049 }) },
    { weight: 1, arbitrary: fc.integer({ min: 1, max: 65536 }) },
  ),
});
/** A list page is a run of neighbours, here and there interrupted, with a pointer to a list at its end. */
const listPage = fc.record({
  start: page,
  jumps: fc.array(fc.tuple(fc.nat({ max: 511 }), pageAddress), { maxLength: 12 }),
  pointer: fc.oneof(
    { weight: 8, arbitrary: fc.bigInt({ min: 0n, max: LIST_PAGES - 1n }).map((each) => LISTS + each * PAGE) },
    { weight: 1, arbitrary: pageAddress },
  ),
});

interface ListPage {
  start: bigint;
  jumps: [number, bigint][];
  pointer: bigint;
}

function listsWrite(pages: readonly ListPage[]): void {
  pages.forEach(({ start, jumps, pointer }, number) => {
    const view = guest.memory.view(Number(LISTS) + number * Number(PAGE), Number(PAGE));
    for (let entry = 0; entry < 512; entry++) {
      view.setBigUint64(entry * 8, (1280n + ((start + BigInt(entry)) % 700n)) * PAGE, true);
    }
    for (const [entry, address] of jumps) view.setBigUint64(entry * 8, address, true);
    view.setBigUint64(511 * 8, pointer, true);
  });
}

function submit({ opcode, nsid, prp1, prp2, lba, blocks }: ReferenceCommand): void {
  const { sqe } = guest.driver.clear();
  sqe.setUint8(nvme.SQE_OPCODE, opcode);
  sqe.setUint32(nvme.SQE_NSID, nsid, true);
  sqe.setBigUint64(nvme.SQE_PRP1, prp1, true);
  sqe.setBigUint64(nvme.SQE_PRP2, prp2, true);
  sqe.setBigUint64(nvme.SQE_CDW10, lba, true);
  sqe.setUint32(nvme.SQE_CDW12, blocks - 1, true);
  assert.ok(guest.driver.submit(1) !== undefined);
  guest.ring(1);
  for (let polls = 0; polls < 6 && guest.poll() > 0; polls++);
}

/** What the core gave, in the reference's words: a request, or the status of the completion. */
function observe():
  { status: number } | { operation: number; offset: bigint; length: bigint; segments: unknown[] } {
  const [request] = guest.pending;
  if (!request) {
    const done = guest.reap(1);
    assert.equal(done.length, 1);
    return { status: done[0]?.status ?? -1 };
  }
  const { base } = guest.memory;
  const segments = request.segments.map(({ address, length }) => ({
    address: BigInt(address - base),
    length: BigInt(length),
  }));
  const { operation, offset: start, length } = request;
  // The data itself is of no interest here, and would overwrite queues.
  guest.post([{ request, result: 0 }]);
  guest.poll();
  assert.deepEqual(
    guest.reap(1).map((each) => each.status),
    [0],
  );
  return { operation, offset: BigInt(start), length: BigInt(length), segments };
}

describe('Read, Write, Compare, Write Zeroes and Verify with any PRPs', () => {
  test('become what the reference says', () => {
    const listPages = fc.array(listPage, { minLength: Number(LIST_PAGES), maxLength: Number(LIST_PAGES) });
    fc.assert(
      fc.property(fc.array(command, { minLength: 1, maxLength: 4 }), listPages, (commands, lists) => {
        listsWrite(lists);
        for (const each of commands) {
          const wanted = reference.outcome(each);
          submit(each);
          const seen = observe();
          if ('request' in wanted) assert.deepEqual(seen, wanted.request);
          else assert.ok('status' in seen && wanted.faults.has(seen.status), JSON.stringify(seen, printable));
          guest.events.length = 0;
          guest.interrupts.length = 0;
        }
      }),
      { numRuns: 2000 },
    );
  });
});

function printable(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString(16) : value;
}
