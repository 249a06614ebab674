// BAR0 as a VMM accesses it: registers of any width, doorbells, and the place of the MSI-X structures.

import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { after, test } from 'node:test';
import * as nvme from '../../../assembly/spec/nvme.ts';
import { buildPath } from '../../../host/demo/checkout.ts';
import { BAR0_BYTES, MSIX_TABLE_OFFSET } from '../../../host/pci/config-space.ts';
import { ControllerRig, nothing, TestReactor } from './rig.ts';

fs.mkdirSync(buildPath('tmp'), { recursive: true });
const directory = fs.mkdtempSync(buildPath('tmp', 'bar0-'));
const reactor = new TestReactor();
const rig = new ControllerRig({ directory, reactor });
const { controller } = rig;
after(() => {
  reactor.close();
  rig.close();
  fs.rmSync(directory, { recursive: true });
});

function write(offset: number, ...bytes: number[]): void {
  controller.regionWrite('bar0', offset, Uint8Array.from(bytes), nothing);
}

test('every width at every offset reads the same bytes', () => {
  const all = controller.regionRead('bar0', 0, 128);
  for (const width of [1, 2, 4, 8, 16]) {
    for (let offset = 0; offset + width <= all.length; offset++) {
      assert.deepEqual(controller.regionRead('bar0', offset, width), all.slice(offset, offset + width));
    }
  }
  assert.equal(Buffer.from(all).readUInt32LE(nvme.REG_VS), nvme.VS_2_0);
});

test('doorbells and what lies behind them read as zeros, to the last byte', () => {
  const bytes = controller.regionRead('bar0', nvme.REG_DOORBELLS - 4, BAR0_BYTES - nvme.REG_DOORBELLS + 4);
  assert.ok(bytes.every((byte) => byte === 0));
});

test('eight bytes are two registers, the low one first; parts of a register change nothing', () => {
  write(nvme.REG_ASQ, 0, 0x10, 0x20, 0x30, 0x04, 0, 0, 0);
  assert.equal(rig.register(nvme.REG_ASQ), 0x30201000);
  assert.equal(rig.register(nvme.REG_ASQ + 4), 4);
  write(nvme.REG_ASQ, 0xff);
  write(nvme.REG_ASQ, 0xff, 0xff);
  write(nvme.REG_ASQ + 2, 0xff, 0xff, 0xff, 0xff);
  assert.equal(rig.register(nvme.REG_ASQ), 0x30201000);
  write(nvme.REG_ASQ, 0, 0x40, 0, 0, 0xff, 0xff);
  assert.equal(rig.register(nvme.REG_ASQ), 0x4000, 'the whole dword counts');
  assert.equal(rig.register(nvme.REG_ASQ + 4), 4, 'its half does not');
});

test('a doorbell is a whole dword between the registers and the MSI-X table', () => {
  const before = controller.statistics.doorbells;
  write(nvme.REG_DOORBELLS, 1, 0, 0, 0);
  write(nvme.REG_DOORBELLS + 1, 1, 0, 0, 0);
  write(nvme.REG_DOORBELLS, 1, 0);
  write(MSIX_TABLE_OFFSET - 4, 1, 0, 0, 0);
  write(MSIX_TABLE_OFFSET, 1, 0, 0, 0);
  write(BAR0_BYTES - 4, 1, 0, 0, 0);
  assert.equal(controller.statistics.doorbells - before, 2);
});
