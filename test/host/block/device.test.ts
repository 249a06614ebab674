// Block devices as backends: the contract over loop devices, and what is of devices alone.

import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import type { Backend, FileSpec } from '../../../host/block/backend.ts';
import { openBackend } from '../../../host/block/open.ts';
import { UsageError, type UsageCode } from '../../../host/config/usage-error.ts';
import { buildPath } from '../../../host/demo/checkout.ts';
import { native } from '../../../host/native.ts';
import { attachLoop, loopRefusal, type LoopDevice, type LoopOptions } from '../../support/loop-device.ts';
import { contract } from './contract.ts';

const MIB = 1024 * 1024;

fs.mkdirSync(buildPath('tmp'), { recursive: true });
const directory = fs.mkdtempSync(buildPath('tmp', 'device-'));
after(() => fs.rmSync(directory, { recursive: true }));

let counter = 0;

/** A sparse file of this size. */
function fresh(bytes: number): string {
  const file = path.join(directory, `disk-${counter++}.img`);
  fs.writeFileSync(file, '');
  fs.truncateSync(file, bytes);
  return file;
}

function open(device: string, options: Partial<FileSpec> = {}): Backend {
  const defaults = { size: undefined, offset: undefined, blockSize: undefined, overlap: false } as const;
  return openBackend({
    scheme: 'block',
    path: device,
    readOnly: false,
    direct: 'auto',
    ...defaults,
    ...options,
  });
}

function refused(code: UsageCode, words: RegExp, device: string, options: Partial<FileSpec> = {}): void {
  const before = fs.readdirSync('/proc/self/fd').length;
  assert.throws(
    () => open(device, options).close(),
    (error) => {
      assert.ok(error instanceof UsageError, String(error));
      assert.equal(error.code, code);
      assert.match(error.message, words);
      return true;
    },
  );
  assert.equal(fs.readdirSync('/proc/self/fd').length, before, 'no descriptor stays open');
}

/** Runs `body` on a loop device over a sparse file. */
function withLoop(bytes: number, options: LoopOptions, body: (loop: LoopDevice, file: string) => void): void {
  const file = fresh(bytes);
  const loop = attachLoop(file, options);
  try {
    body(loop, file);
  } finally {
    loop.detach();
    fs.rmSync(file);
  }
}

const refusal = loopRefusal(fresh(MIB));

if (refusal !== undefined) {
  test('block devices', { skip: refusal }, () => undefined);
} else {
  contracts();
  describe('geometry', geometry);
  describe('slices', slices);
  describe('refusals', refusals);
}

function contracts(): void {
  for (const [sectorSize, blockSizes] of [
    [512, [512, 4096]],
    [4096, [4096]],
  ] as const) {
    for (const direct of ['on', 'off'] as const) {
      contract(
        `block device with sectors of ${sectorSize}, direct=${direct}`,
        ({ size, blockSize, readOnly }) => {
          const file = fresh(size);
          const loop = attachLoop(file, { sectorSize, readOnly });
          return {
            backend: open(loop.path, { size, blockSize, readOnly, direct }),
            allocatedBytes: () => fs.statSync(file).blocks * 512,
            dispose: () => {
              loop.detach();
              fs.rmSync(file);
            },
          };
        },
        blockSizes,
      );
    }
  }
  contract('slice of a block device', ({ size, blockSize, readOnly }) => {
    const file = fresh(0);
    const neighbour = Buffer.alloc(size, 0xa5);
    fs.writeFileSync(file, Buffer.concat([neighbour, Buffer.alloc(size), neighbour]));
    const loop = attachLoop(file);
    return {
      backend: open(loop.path, { offset: size, size, blockSize, readOnly }),
      dispose: () => {
        const bytes = fs.readFileSync(loop.path);
        assert.ok(bytes.subarray(0, size).equals(neighbour), 'what is before the slice is as it was');
        assert.ok(bytes.subarray(2 * size).equals(neighbour), 'what is behind the slice is as it was');
        loop.detach();
        fs.rmSync(file);
      },
    };
  });
}

function geometry(): void {
  test('size, blocks and direct I/O are those of the device', () => {
    withLoop(3 * MIB, { sectorSize: 4096 }, ({ path: device }) => {
      const backend = open(device);
      assert.equal(backend.geometry.blockSize, 4096, 'the device’s, since none was chosen');
      assert.equal(backend.geometry.blocks, 768n);
      assert.equal(backend.geometry.deallocate, true);
      assert.equal(backend.label, `block:${device}`);
      assert.ok(backend.storage.kind === 'file' && backend.storage.direct);
      assert.deepEqual(backend.notices, []);
      backend.close();
      const file = open(device, { scheme: 'file' });
      assert.equal(file.label, `block:${device}`, 'file: opens devices too');
      file.close();
    });
    withLoop(3 * MIB, {}, ({ path: device }) => {
      const backend = open(device);
      assert.equal(backend.geometry.blockSize, 512);
      backend.close();
    });
  });

  test('identifiers follow the name that was written, not the device that it leads to', () => {
    withLoop(MIB, {}, ({ path: device }) => {
      const link = path.join(directory, 'by-id');
      fs.symlinkSync(device, link);
      const backend = open(link);
      assert.equal(backend.identity, `block:${link}`);
      backend.close();
      fs.rmSync(link);
    });
  });

  test('what the ioctls say; a file is no device', () => {
    withLoop(3 * MIB, { sectorSize: 4096, readOnly: true }, ({ path: device }) => {
      const fd = fs.openSync(device, 'r');
      const { bytes, logicalBlock, readOnly } = native.blockDevice(fd);
      assert.deepEqual(
        { bytes, logicalBlock, readOnly },
        { bytes: 3 * MIB, logicalBlock: 4096, readOnly: true },
      );
      fs.closeSync(fd);
    });
    const fd = fs.openSync(fresh(MIB), 'r');
    assert.throws(() => native.blockDevice(fd), { code: 'ENOTTY' });
    fs.closeSync(fd);
  });
}

function slices(): void {
  test('slices share a device; overlapping ones and the whole are refused', () => {
    withLoop(4 * MIB, {}, ({ path: device }) => {
      const left = open(device, { offset: 0, size: MIB });
      const right = open(device, { offset: MIB });
      assert.equal(right.geometry.blocks, BigInt((3 * MIB) / 512));
      assert.equal(right.identity, `block:${device},offset=1M`);
      refused('FILE_BUSY', /bytes 512K to 1536K of .* overlap/, device, { offset: MIB / 2, size: MIB });
      refused('FILE_BUSY', /in use by another namespace/, device);
      left.close();
      right.close();
      const whole = open(device);
      refused('FILE_BUSY', /in use on this machine/, device, { offset: 0, size: MIB });
      refused('FILE_BUSY', /open for writing elsewhere/, device, { readOnly: true });
      whole.close();
    });
  });
}

function refusals(): void {
  test('a read-only device wants readonly=on', () => {
    withLoop(MIB, { readOnly: true }, ({ path: device }) => {
      refused('FILE_PERMISSION', /read-only.*add readonly=on/, device);
      const backend = open(device, { readOnly: true });
      assert.equal(backend.geometry.readOnly, true);
      assert.equal(backend.geometry.deallocate, false);
      backend.close();
    });
  });

  test('blocks smaller than the device’s, and sizes that are not its own', () => {
    withLoop(3 * MIB, { sectorSize: 4096 }, ({ path: device }) => {
      refused('FILE_SIZE', /has blocks of 4096 bytes: use block-size=4096/, device, { blockSize: 512 });
      refused('FILE_SIZE', /has 3M, not 1M: leave size= out.*offset=0 to use its first 1M/, device, {
        size: MIB,
      });
    });
    withLoop(MIB + 512, {}, ({ path: device }) => {
      refused('FILE_SIZE', /add offset=0,size=1M, or use block-size=512/, device, { blockSize: 4096 });
    });
  });

  test('what is mounted is refused for writing, and read with a notice', (context) => {
    withLoop(8 * MIB, {}, ({ path: device }) => {
      // What a mount does to the device, without one.
      const claim = fs.openSync(device, fs.constants.O_RDONLY | fs.constants.O_EXCL);
      refused('FILE_BUSY', /in use on this machine.*lsblk.*readonly=on/, device);
      refused('FILE_BUSY', /in use on this machine/, device, { offset: 0, size: MIB });
      const reader = open(device, { readOnly: true });
      assert.match(reader.notices.join(), /in use on this machine/);
      reader.close();
      fs.closeSync(claim);
      context.diagnostic(device);
    });
  });

  test('a device that is not there', () => {
    refused('FILE_MISSING', /lsblk lists them/, '/dev/no-such-disk');
  });
}
