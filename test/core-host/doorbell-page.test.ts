// A page of doorbells as a front end shares it: in a region of its own above all guest memory, which may go and come
// back; and NVM commands given directly, whose data lie in such a region as well.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as abi from '../../assembly/abi/records.ts';
import * as nvme from '../../assembly/spec/nvme.ts';
import { exercise } from '../support/exerciser.ts';
import { PAGE_OFFSET, PagedGuest } from '../support/paged-guest.ts';
import { Random } from '../support/random.ts';
import { Workload } from '../support/workload.ts';

const MEMORY = 8 << 20;
/** Where a front end's own regions begin: beyond every address of a guest. */
const ABOVE = 2 ** 52;
const PAGE_REGION = { address: ABOVE, bytes: nvme.PAGE_BYTES, offset: PAGE_OFFSET };
/** Guest memory without the page, and the page by its own address. */
const REGIONS = [{ address: 0x10000, bytes: MEMORY - 0x10000 }, PAGE_REGION];
const SEED = 5;
const DATA_OFFSET = 0x4000;
const DATA_BYTES = 8192;

interface Part {
  shadow: boolean;
  windows: number;
  /** The page's region goes, and comes back some steps later. */
  flicker: boolean;
}

function run({ shadow, windows, flicker }: Part): void {
  const guest = PagedGuest.up({
    queues: 2,
    queue: { entries: 8, depth: 12 },
    memory: MEMORY,
    namespaces: [{ blocks: 1024n }],
    copyingWindows: windows,
    spread: true,
    regions: REGIONS,
    pageKnownAs: BigInt(ABOVE),
  });
  if (shadow) guest.shadowDoorbells();
  const random = new Random(SEED);
  const workload = new Workload({ guest, random, pages: 96, blocksMax: 32 });
  const afterStep = (step: number): void => {
    if (!flicker) return;
    if (step % 12 === 3) {
      assert.equal(guest.memory.regionRemove(ABOVE, nvme.PAGE_BYTES), abi.REGION_OK);
    } else if (step % 12 === 9) {
      assert.equal(guest.memory.regionAdd(PAGE_REGION), abi.REGION_OK);
    }
  };
  exercise({ guest, workload, random, queues: [1, 2], commands: 30, afterStep });
  const refused = guest.events.filter((event) => event.type === abi.EVENT_DOORBELL_REFUSED);
  assert.deepEqual(refused, []);
}

describe('a page of doorbells above all guest memory', () => {
  for (const windows of [2, 3, 8]) {
    for (const shadow of [false, true]) {
      test(`${windows} windows${shadow ? ', then shadow doorbells' : ''}`, () => {
        run({ shadow, windows, flicker: false });
      });
    }
  }

  test('goes and comes back', () => {
    run({ shadow: false, windows: 4, flicker: true });
  });

  test('once more after a disable and a reset', () => {
    const guest = PagedGuest.up({ queue: { entries: 8 } });
    guest.shadowDoorbells();
    guest.driver.flush(1);
    guest.succeed(1);
    guest.disable();
    guest.enable();
    guest.queueCreate(1, { entries: 8 });
    guest.driver.flush(1);
    guest.succeed(1);
    guest.core.controllerReset();
    guest.forget();
    guest.enable();
    guest.queueCreate(1, { entries: 8 });
    guest.driver.flush(1);
    guest.succeed(1);
  });
});

describe('an NVM command given directly', () => {
  test('has its data in a region of the caller', () => {
    const data = { address: ABOVE + 0x200000, bytes: DATA_BYTES, offset: DATA_OFFSET };
    const guest = PagedGuest.up({ queues: 0, copyingWindows: 2, regions: [...REGIONS, data] });
    const bytes = guest.memory.at(DATA_OFFSET, DATA_BYTES);
    const stored = guest.disk.namespaces.get(1)?.bytes;
    assert.ok(stored);
    const random = new Random(SEED);
    for (let index = 0; index < DATA_BYTES; index++) bytes[index] = random.below(256);
    const written = bytes.slice();
    direct(guest, nvme.NVM_WRITE, data.address);
    assert.deepEqual(stored.slice(512 * 3, 512 * 3 + DATA_BYTES), written);
    bytes.fill(0);
    direct(guest, nvme.NVM_READ, data.address);
    assert.deepEqual(bytes.slice(), written);
  });
});

/** Moves the data to or from block 3; must succeed. */
function direct(guest: PagedGuest, opcode: number, address: number): void {
  const entry = new DataView(new ArrayBuffer(nvme.SQE_BYTES));
  entry.setUint8(0, opcode);
  entry.setUint32(nvme.SQE_NSID, 1, true);
  entry.setBigUint64(nvme.SQE_PRP1, BigInt(address), true);
  entry.setBigUint64(nvme.SQE_PRP2, BigInt(address) + 4096n, true);
  entry.setUint32(nvme.SQE_CDW10, 3, true);
  entry.setUint32(nvme.SQE_CDW12, DATA_BYTES / 512 - 1, true);
  const token = guest.core.commandSubmit(new Uint8Array(entry.buffer), 'nvm');
  assert.notEqual(token, abi.COMMAND_REFUSED);
  guest.take();
  guest.complete();
  assert.equal(guest.core.commandsTake(), 1);
  const result = guest.core.commandResult(0);
  assert.deepEqual([result.token, result.status, result.data().length], [token, 0, 0]);
}
