/**
 * Everything that QEMU 11.1 sends from connecting to the end of a reboot, in its order, as recorded: no
 * message of it may be refused, and each reply is what QEMU's client insists on.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConfigSpace, CONFIG_SPACE_BYTES } from '../../../../host/pci/config-space.ts';
import { Fixture, message, NO_REPLY, QEMU_CAPABILITIES, u32, u64, versionPayload } from './harness.ts';

const RAM = 0x40000000n;

/** Sends requests with ids as QEMU counts them, and checks that every one of them succeeds. */
class Qemu {
  readonly fixture = new Fixture();
  readonly #config = new ConfigSpace(new Uint8Array(CONFIG_SPACE_BYTES), { vectors: 65 });
  #id = 0;
  #fd = 100;

  /** The payload of the reply; `eventfds` are handed over with the request. */
  ask(command: number, payload: Buffer, descriptors = 0): Buffer {
    const fds = Array.from({ length: descriptors }, () => this.#fd++);
    this.fixture.device.config = Buffer.from(this.#config.read(0, CONFIG_SPACE_BYTES));
    const id = (this.#id += 1);
    assert.equal(this.fixture.handle(message(id, command, payload), fds), undefined);
    const [hex, ...more] = this.fixture.replies();
    assert.deepEqual(more, []);
    const bytes = Buffer.from(hex ?? '', 'hex');
    assert.equal(bytes.readUInt16LE(0), id);
    assert.equal(bytes.readUInt16LE(2), command);
    assert.equal(bytes.readUInt32LE(4), bytes.length);
    assert.equal(bytes.readUInt32LE(8), 1, `command ${command} succeeds`);
    return bytes.subarray(16);
  }

  post(command: number, payload: Buffer): void {
    assert.equal(this.fixture.handle(message((this.#id += 1), command, payload, NO_REPLY)), undefined);
    assert.deepEqual(this.fixture.replies(), []);
  }

  map(address: bigint, size: bigint, offset: bigint, flags: number, descriptors: number): void {
    const reply = this.ask(2, Buffer.concat([u32(32, flags), u64(offset, address, size)]), descriptors);
    assert.equal(reply.length, 0);
  }

  unmap(address: bigint, size: bigint): void {
    const request = Buffer.concat([u32(24, 0), u64(address, size)]);
    assert.deepEqual(this.ask(3, request), request);
  }

  irqs(flags: number, index: number, start: number, count: number, descriptors = 0): void {
    assert.equal(this.ask(8, u32(20, flags, index, start, count), descriptors).length, 0);
  }

  configRead(offset: number, count: number): Buffer {
    const request = Buffer.concat([u64(BigInt(offset)), u32(7, count)]);
    const reply = this.ask(9, request);
    assert.deepEqual(reply.subarray(0, 16), request);
    return reply.subarray(16);
  }

  configWrite(offset: number, data: Buffer): void {
    this.#config.write(offset, data);
    const request = Buffer.concat([u64(BigInt(offset)), u32(7, data.length)]);
    assert.deepEqual(this.ask(10, Buffer.concat([request, data])), request);
  }

  reset(): void {
    this.irqs(0x21, 0, 0, 0);
    const command = this.configRead(4, 2);
    this.configWrite(4, command.fill(0));
    this.configRead(0x44, 2);
    assert.equal(this.ask(13, Buffer.alloc(0)).length, 0);
    this.irqs(0x24, 0, 0, 1, 1);
    for (let bar = 0x10; bar <= 0x24; bar += 4) this.configWrite(bar, u32(0));
  }
}

function connect(): Qemu {
  const qemu = new Qemu();
  const version = qemu.ask(1, versionPayload(QEMU_CAPABILITIES));
  assert.ok(version.length <= 214);
  qemu.map(0n, RAM, 0n, 3, 1);
  qemu.map(0xfffc0000n, 0x40000n, 0n, 1, 0);
  return qemu;
}

test('the device is found and described', () => {
  const qemu = connect();
  const device = qemu.ask(4, u32(16, 0, 0, 0));
  assert.equal(device.readUInt32LE(4) & 2, 2, 'PCI');
  assert.ok(device.readUInt32LE(8) >= 8 && device.readUInt32LE(12) >= 3);
  for (const index of [0, 1, 2, 3, 4, 5, 7]) {
    const region = qemu.ask(5, Buffer.concat([u32(32, 0, index, 0), u64(0n, 0n)]));
    assert.equal(region.readUInt32LE(0), 32, 'one query is enough');
    assert.equal(region.readBigUInt64LE(16), index === 0 ? 0x4000n : index === 7 ? 4096n : 0n);
  }
  assert.equal(qemu.ask(7, u32(16, 0, 3, 0)).readUInt32LE(12), 1, 'error recovery');
  qemu.irqs(0x24, 3, 0, 1, 1);
  const config = qemu.configRead(0, 4096);
  assert.equal(config.readUInt32LE(8) >>> 8, 0x010802);
  assert.deepEqual(qemu.configRead(0x30, 4), u32(0));
  qemu.configWrite(0x30, u32(0xfffff800));
  assert.deepEqual(qemu.configRead(0x30, 4), u32(0), 'no expansion ROM');
  qemu.configWrite(0x30, u32(0));
  assert.equal(qemu.configRead(0x10, 4).readUInt32LE(0) & 0xf, 4, 'a 64-bit memory BAR');
});

test('MSI-X is where the capability says, with as many vectors as the interrupt type', () => {
  const qemu = connect();
  const config = qemu.configRead(0, 4096);
  let at = config.readUInt8(0x34);
  while (config.readUInt8(at) !== 0x11) at = config.readUInt8(at + 1);
  assert.equal((qemu.configRead(at + 2, 2).readUInt16LE(0) & 0x7ff) + 1, 65);
  assert.equal(qemu.configRead(at + 4, 4).readUInt32LE(0), 0x2000);
  assert.equal(qemu.configRead(at + 8, 4).readUInt32LE(0), 0x3000);
  assert.equal(qemu.ask(7, u32(16, 0, 2, 0)).readUInt32LE(12), 65);
  assert.equal(qemu.configRead(0x3d, 1).readUInt8(0), 1, 'INTA');
  qemu.irqs(0x24, 0, 0, 1, 1);
  qemu.reset();
});

test('at run time: posted writes, MSI-X on and off, memory in other pieces, two resets', () => {
  const qemu = connect();
  qemu.reset();
  const { fixture } = qemu;
  fixture.calls();
  const write = (offset: number, value: number): Buffer =>
    Buffer.concat([u64(BigInt(offset)), u32(0, 4, value)]);
  qemu.post(10, write(0x14, 0x00460001));
  qemu.post(10, write(0x1000, 1));
  assert.deepEqual(fixture.calls(), ['write bar0 20 01004600', 'write bar0 4096 01000000']);

  qemu.irqs(0x21, 0, 0, 0);
  qemu.irqs(0x24, 2, 0, 1, 0);
  for (let vector = 0; vector < 3; vector++) qemu.irqs(0x24, 2, vector, 1, 1);
  qemu.irqs(0x21, 2, 0, 0);
  qemu.irqs(0x24, 0, 0, 1, 1);
  qemu.irqs(0x11, 0, 0, 1);
  assert.equal(fixture.calls().at(-1), 'unmask');

  qemu.unmap(0n, RAM);
  qemu.map(0n, 0xc3000n, 0n, 3, 1);
  qemu.map(0xc3000n, 0x25000n, 0xc3000n, 1, 1);
  qemu.map(0xe8000n, 0x8000n, 0xe8000n, 3, 1);
  qemu.map(0xf0000n, 0x10000n, 0xf0000n, 1, 1);
  qemu.map(0x100000n, RAM - 0x100000n, 0x100000n, 3, 1);
  assert.equal(fixture.device.regions.size, 6);

  qemu.reset();
  qemu.reset();
  fixture.session.close(() => undefined);
  fixture.nothingLeaks();
});
