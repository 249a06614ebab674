/**
 * PCI configuration space: what a VMM and a guest read, what their writes change, and what they cannot
 * change.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  BAR0_BYTES,
  ConfigSpace,
  CONFIG_SPACE_BYTES,
  MSIX_PBA_OFFSET,
  MSIX_TABLE_OFFSET,
  VECTORS_MAX,
} from '../../../host/pci/config-space.ts';

const COMMAND = 0x04;
const STATUS = 0x06;

function create(options = { vectors: 65 }): ConfigSpace {
  return new ConfigSpace(new Uint8Array(CONFIG_SPACE_BYTES), options);
}

function u16(config: ConfigSpace, offset: number): number {
  return Buffer.from(config.read(offset, 2)).readUInt16LE(0);
}

function u32(config: ConfigSpace, offset: number): number {
  return Buffer.from(config.read(offset, 4)).readUInt32LE(0);
}

function word(value: number): Uint8Array {
  return Uint8Array.of(value & 0xff, value >>> 8);
}

function dword(value: number): Uint8Array {
  return Uint8Array.of(value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24);
}

/** Offset of a capability, found as a driver does. */
function capability(config: ConfigSpace, id: number): number {
  for (let at = config.read(0x34, 1)[0]; at !== undefined && at !== 0; at = config.read(at + 1, 1)[0]) {
    assert.equal(at % 4, 0);
    assert.ok(at >= 0x40);
    if (config.read(at, 1)[0] === id) return at;
  }
  assert.fail(`no capability ${id}`);
}

const PM = 0x01;
const PCIE = 0x10;
const MSIX = 0x11;

test('identity: NVMe by its class, an id without quirks, INTA', () => {
  const config = create();
  assert.equal(u32(config, 0x08), 0x01080200);
  assert.equal(u32(config, 0x00), 0x10f01af4);
  assert.equal(u32(config, 0x2c), 0x10f01af4);
  assert.equal(u32(config, 0x3c), 0x00000100);
  assert.equal(config.read(0x0e, 1)[0], 0);
});

test('the identity can be chosen', () => {
  const config = new ConfigSpace(new Uint8Array(CONFIG_SPACE_BYTES), {
    vectors: 2,
    vendorId: 0x1234,
    deviceId: 0x5678,
    subsystemVendorId: 0x9abc,
    subsystemId: 0xdef0,
    revision: 7,
  });
  assert.equal(u32(config, 0x00), 0x56781234);
  assert.equal(u32(config, 0x2c), 0xdef09abc);
  assert.equal(config.read(0x08, 1)[0], 7);
  config.reset();
  assert.equal(u32(config, 0x00), 0x56781234);
});

test('the capability list: power management, MSI-X, PCI Express, and an end', () => {
  const config = create();
  assert.equal(u16(config, STATUS) & 0x10, 0x10);
  const ids: number[] = [];
  for (let at = config.read(0x34, 1)[0] ?? 0; at !== 0; at = config.read(at + 1, 1)[0] ?? 0) {
    ids.push(config.read(at, 1)[0] ?? 0);
  }
  assert.deepEqual(ids, [PM, MSIX, PCIE]);
  assert.equal(u32(config, 0x100), 0, 'no extended capabilities');
});

test('MSI-X: one vector more than queues, structures inside BAR0', () => {
  for (const vectors of [1, 2, 65, VECTORS_MAX]) {
    const config = create({ vectors });
    const at = capability(config, MSIX);
    assert.equal((u16(config, at + 2) & 0x7ff) + 1, vectors);
    assert.equal(u32(config, at + 4), MSIX_TABLE_OFFSET);
    assert.equal(u32(config, at + 8), MSIX_PBA_OFFSET);
  }
  assert.ok(MSIX_TABLE_OFFSET + 16 * VECTORS_MAX <= MSIX_PBA_OFFSET);
  assert.ok(MSIX_PBA_OFFSET + VECTORS_MAX / 8 <= BAR0_BYTES);
  for (const vectors of [0, -1, 1.5, VECTORS_MAX + 1]) assert.throws(() => create({ vectors }), RangeError);
});

test('BAR0 is a 64-bit memory BAR of its size, the others do not exist', () => {
  const config = create();
  assert.equal(u32(config, 0x10), 0x4);
  config.write(0x10, dword(0xffffffff));
  config.write(0x14, dword(0xffffffff));
  assert.equal(u32(config, 0x10), (~(BAR0_BYTES - 1) | 0x4) >>> 0);
  assert.equal(u32(config, 0x14), 0xffffffff);
  config.write(0x10, dword(0xfebd0004));
  config.write(0x14, dword(1));
  assert.equal(u32(config, 0x10), 0xfebd0004);
  for (const bar of [0x18, 0x1c, 0x20, 0x24, 0x28, 0x30]) {
    config.write(bar, dword(0xffffffff));
    assert.equal(u32(config, bar), 0);
  }
});

test('COMMAND: only what the function has can be set, and each change is told', () => {
  const config = create();
  assert.deepEqual(config.write(COMMAND, word(0xffff)), ['bus-mastering', 'memory-space', 'intx-disable']);
  assert.equal(u16(config, COMMAND), 0x0546);
  assert.equal(config.busMaster && config.memorySpace && config.intxDisabled, true);
  assert.deepEqual(config.write(COMMAND, word(0x0546)), []);
  assert.deepEqual(config.write(COMMAND + 1, Uint8Array.of(0x01)), ['intx-disable']);
  assert.deepEqual(config.write(COMMAND, word(0x0002)), ['bus-mastering']);
  assert.equal(config.busMaster, false);
  assert.equal(config.memorySpace, true);
});

test('STATUS: pending interrupts show, the rest cannot be written', () => {
  const config = create();
  config.setInterruptStatus(true);
  assert.equal(u16(config, STATUS), 0x18);
  config.write(STATUS, word(0xffff));
  assert.equal(u16(config, STATUS), 0x18);
  config.write(COMMAND, dword(0xffff0400));
  assert.equal(u16(config, STATUS), 0x18, 'INTx Disable does not clear it');
  config.setInterruptStatus(false);
  assert.equal(u16(config, STATUS), 0x10);
});

test('error bits of STATUS and Device Status are cleared by writing 1', () => {
  const bytes = new Uint8Array(CONFIG_SPACE_BYTES);
  const config = new ConfigSpace(bytes, { vectors: 1 });
  const deviceStatus = capability(config, PCIE) + 0x0a;
  bytes[STATUS + 1] = 0xf9;
  bytes[deviceStatus] = 0x2f;
  config.write(STATUS, word(0x8100));
  assert.equal(u16(config, STATUS), 0x7810);
  config.write(deviceStatus, word(0x0001));
  assert.equal(u16(config, deviceStatus), 0x002e);
});

test('MSI-X control: enable and function mask', () => {
  const config = create();
  const control = capability(config, MSIX) + 2;
  assert.deepEqual(config.write(control, word(0xffff)), ['msix']);
  assert.equal(config.msixEnabled && config.msixMasked, true);
  assert.equal(u16(config, control), 0xc040, 'the table size stays');
  assert.deepEqual(config.write(control, word(0x8000)), ['msix']);
  assert.equal(config.msixMasked, false);
  assert.deepEqual(config.write(control, word(0x8000)), []);
  assert.deepEqual(config.write(control, word(0)), ['msix']);
  config.write(control + 2, dword(0xffffffff));
  assert.equal(u32(config, control + 2), MSIX_TABLE_OFFSET);
});

test('a function-level reset is asked for by one bit, which is never seen', () => {
  const config = create();
  const control = capability(config, PCIE) + 8;
  assert.ok((u32(config, control - 4) & (1 << 28)) !== 0, 'the capability says so');
  assert.deepEqual(config.write(control, word(0xa810)), ['function-level-reset']);
  assert.equal(u16(config, control) & 0x8000, 0);
  assert.deepEqual(config.write(control + 1, Uint8Array.of(0x80)), ['function-level-reset']);
  assert.deepEqual(config.write(control, Uint8Array.of(0xff)), []);
  assert.deepEqual(config.write(control, word(0x7fff)), []);
  assert.equal(u16(config, control), 0x78ff);
});

test('a write across registers tells of all of them', () => {
  const config = create();
  const all = new Uint8Array(CONFIG_SPACE_BYTES).fill(0xff);
  const effects = config.write(0, all);
  assert.deepEqual([...effects].sort(), [
    'bus-mastering',
    'function-level-reset',
    'intx-disable',
    'memory-space',
    'msix',
    'power-state',
  ]);
  assert.equal(u32(config, 0x00), 0x10f01af4);
  assert.equal(u32(config, 0x08), 0x01080200);
  assert.equal(config.read(0x34, 1)[0], 0x40);
  assert.ok(config.read(0x100, CONFIG_SPACE_BYTES - 0x100).every((byte) => byte === 0));
});

test('power states: D0 and D3hot only', () => {
  const config = create();
  const control = capability(config, PM) + 4;
  assert.equal(u16(config, control), 0x0008, 'no soft reset');
  assert.deepEqual(config.write(control, word(3)), ['power-state']);
  assert.equal(config.d3hot, true);
  for (const state of [1, 2]) {
    assert.deepEqual(config.write(control, word(state)), []);
    assert.equal(u16(config, control), 0x000b);
  }
  assert.deepEqual(config.write(control, word(0)), ['power-state']);
  assert.equal(config.d3hot, false);
});

test('a reset restores everything that was written', () => {
  const bytes = new Uint8Array(CONFIG_SPACE_BYTES);
  const config = new ConfigSpace(bytes, { vectors: 65 });
  const fresh = bytes.slice();
  config.write(0, new Uint8Array(CONFIG_SPACE_BYTES).fill(0xff));
  config.setInterruptStatus(true);
  assert.notDeepEqual(bytes, fresh);
  config.reset();
  assert.deepEqual(bytes, fresh);
});

test('the bytes are the state: another object over them goes on', () => {
  const shared = new Uint8Array(new SharedArrayBuffer(CONFIG_SPACE_BYTES));
  const first = new ConfigSpace(shared, { vectors: 65 });
  first.write(COMMAND, word(0x0406));
  first.write(capability(first, MSIX) + 2, word(0x8000));
  const saved = shared.slice();
  const second = new ConfigSpace(shared, { vectors: 65 });
  const { busMaster } = second;
  assert.equal(busMaster, false);
  shared.set(saved);
  second.resume();
  assert.deepEqual(shared.slice(), saved);
  assert.equal(second.busMaster && second.msixEnabled && second.intxDisabled, true);
  assert.throws(() => new ConfigSpace(new Uint8Array(256), { vectors: 1 }), RangeError);
});

test('of bytes that somebody made up, what can be written counts', () => {
  const bytes = new Uint8Array(CONFIG_SPACE_BYTES);
  const config = new ConfigSpace(bytes, { vectors: 65 });
  const written = new Uint8Array(CONFIG_SPACE_BYTES);
  new ConfigSpace(written, { vectors: 65 }).write(0, new Uint8Array(CONFIG_SPACE_BYTES).fill(0xff));
  bytes.fill(0xff);
  config.resume();
  assert.equal(u32(config, 0), 0x10f01af4);
  assert.equal(u16(config, capability(config, MSIX) + 2), 0xc000 | 64);
  // Bits that a write clears are bits that can be set.
  const cleared = [STATUS + 1, capability(config, PCIE) + 0x0a];
  const differ = [...bytes.keys()].filter((at) => bytes[at] !== written[at]);
  assert.deepEqual(differ, cleared);
  const powerControl = capability(config, PM) + 4;
  bytes.fill(0xff);
  bytes[powerControl] = 2;
  config.resume();
  assert.equal(u16(config, powerControl) & 3, 0, 'a power state that there is not');
});

test('what is read is a copy', () => {
  const config = create();
  config.read(0, 4).fill(0);
  assert.equal(u32(config, 0), 0x10f01af4);
});
