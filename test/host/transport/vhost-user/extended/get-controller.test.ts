/** GET_CONTROLLER: what the controller is. */
import { test } from 'node:test';
import { u16, u32, u64 } from '../../fixture.ts';
import { ExtendedFixture } from './harness.ts';

test('registers, limits, sizes and identity', () => {
  const fixture = ExtendedFixture.agreed();
  const { config } = fixture.device;
  config.writeUInt16LE(0x1af4, 0);
  config.writeUInt16LE(0x10f0, 2);
  config.writeUInt32LE(0x01080203, 8);
  config.writeUInt16LE(0x1234, 0x2c);
  config.writeUInt16LE(0x5678, 0x2e);
  fixture.accepts(
    0x400,
    Buffer.alloc(0),
    [],
    ['read bar0 8 4', 'read config 0 256'],
    Buffer.concat([
      u64(0n, 0x0800_0020_0f01_03ffn),
      Buffer.of(8, 9, 10, 11),
      u32(64, 65, 4096),
      u64(0x3000n),
      u16(0x1af4),
      u16(0x10f0),
      u16(0x1234),
      u16(0x5678),
      u32(0x01080203, 65536),
    ]),
  );
  fixture.close();
});

test('other shapes', () => {
  ExtendedFixture.agreed().refusesOtherShapes(0x400, Buffer.alloc(0), [0]);
});
