// Regions of guest memory: each refusal, one mapping a file, removal with and without requests in flight.

import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { native } from '../../host/native.ts';
import { fdCount, Guest, MIB, PAGE, Rig, withCode } from './rig.ts';

function mappings(inode: number): number {
  return readFileSync('/proc/self/maps', 'utf8')
    .split('\n')
    .filter((line) => Number(line.split(/\s+/)[4]) === inode).length;
}

test('a region that cannot be is refused, and nothing of it stays', () => {
  const guest = new Guest(2 * MIB);
  const rig = new Rig();
  const before = fdCount();
  const region = { gpa: 0n, length: BigInt(PAGE), offset: 0n, fd: guest.fd, readable: true, writable: true };
  const refuse = (change: Partial<typeof region>, code: string): void => {
    assert.throws(() => rig.controller.regionAdd({ ...region, ...change }), withCode(code), code);
  };
  refuse({ length: 0n }, 'EINVAL');
  refuse({ gpa: 1n }, 'EINVAL');
  refuse({ length: 4095n }, 'EINVAL');
  refuse({ offset: 512n }, 'EINVAL');
  refuse({ gpa: 0xffff_ffff_ffff_f000n, length: 8192n }, 'EINVAL');
  refuse({ offset: 0xffff_ffff_ffff_f000n }, 'EINVAL');
  refuse({ length: 0xffff_ffff_ffff_f000n, offset: 0x2000n }, 'EINVAL');
  refuse({ offset: BigInt(2 * MIB) }, 'ENXIO');
  refuse({ length: BigInt(2 * MIB + PAGE) }, 'ENXIO');
  refuse({ length: 0x7fff_ffff_ffff_f000n }, 'ENXIO');

  const readOnly = openSync(`/proc/self/fd/${guest.fd}`, 'r');
  refuse({ fd: readOnly }, 'EACCES');
  closeSync(readOnly);
  const device = openSync('/dev/zero', 'r+');
  refuse({ fd: device }, 'ENODEV');
  closeSync(device);
  refuse({ fd: 9999 }, 'EBADF');
  assert.equal(fdCount(), before);

  rig.region(guest.fd, 4 * PAGE, { gpa: 8 * PAGE });
  const overlap = (gpa: number, length: number): void =>
    refuse({ gpa: BigInt(gpa), length: BigInt(length) }, 'EEXIST');
  overlap(8 * PAGE, PAGE);
  overlap(11 * PAGE, PAGE);
  overlap(7 * PAGE, 2 * PAGE);
  overlap(0, MIB);
  rig.region(guest.fd, PAGE, { gpa: 7 * PAGE });
  rig.region(guest.fd, PAGE, { gpa: 12 * PAGE });
  rig.region(guest.fd, PAGE, { gpa: 0xffff_ffff_ffff_f000n });
  overlap(7 * PAGE, 6 * PAGE);
  guest.close();
  rig.close();
});

test('one peer cannot take all addresses with files that are huge and empty', () => {
  const rig = new Rig();
  const files = [3 << 20, 1 << 20, 1].map((mebibytes) => native.memfdCreate('sparse', mebibytes * MIB));
  const add = (index: number): void => {
    const fd = files[index];
    const rest = { length: BigInt(PAGE), offset: 0n, readable: true, writable: true };
    rig.controller.regionAdd({ gpa: BigInt(index * PAGE), fd, ...rest });
  };
  add(0);
  add(1);
  assert.throws(() => add(2), withCode('ENOMEM'));
  rig.controller.regionRemove(BigInt(PAGE), BigInt(PAGE));
  add(2);
  files.forEach((fd) => native.fdClose(fd));
  rig.close();
});

test('argument mistakes name the argument', () => {
  const rig = new Rig();
  const broken = { gpa: 0, length: 4096n, offset: 0n, fd: undefined, readable: true, writable: true };
  assert.throws(() => rig.controller.regionAdd(broken as never), {
    name: 'TypeError',
    message: /region\.gpa/,
  });
  assert.throws(() => rig.ring.submit({} as never, 0), { name: 'TypeError', message: /controller/ });
  assert.throws(() => rig.ring.submit(rig.ring as never, 0), { name: 'TypeError', message: /controller/ });
  assert.throws(() => rig.ring.watch('x' as never, 0), { name: 'TypeError', message: /fd/ });
  assert.throws(() => rig.controller.windowFill(-1, 0), { name: 'RangeError', message: /window/ });
  assert.throws(() => rig.controller.windowFill(4, 0), withCode('EINVAL'));
  assert.throws(() => native.controller(rig.bytes, { windowBase: 0, windowCount: 4 }), withCode('EINVAL'));
  assert.throws(
    () => native.controller(rig.bytes, { windowBase: rig.windowBase, windowCount: 64 }),
    withCode('EINVAL'),
  );
  rig.close();
});

test('a file is mapped once, with one number, and released with its last region', () => {
  const before = fdCount();
  const guest = new Guest(4 * MIB);
  const other = new Guest(MIB);
  const { inode } = native.fdInfo(guest.fd);
  const rig = new Rig();
  const own = mappings(inode);
  const low = rig.region(guest.fd, MIB, { gpa: 0 });
  const copy = openSync(`/proc/self/fd/${guest.fd}`, 'r+');
  const high = rig.controller.regionAdd({
    gpa: 1n << 32n,
    length: BigInt(MIB),
    offset: BigInt(MIB),
    fd: copy,
    readable: true,
    writable: false,
  });
  closeSync(copy);
  assert.equal(mappings(inode), own + 1);
  assert.equal(high.file, low.file);
  assert.equal(high.ioBase - low.ioBase, BigInt(MIB));
  assert.notEqual(rig.region(other.fd, MIB, { gpa: 16 * MIB }).file, low.file);
  const absent = rig.controller.regionAdd({
    gpa: BigInt(32 * MIB),
    length: BigInt(PAGE),
    offset: 0n,
    fd: undefined,
    readable: true,
    writable: true,
  });
  assert.equal(absent.ioBase, 0n);
  assert.throws(() => rig.controller.regionRemove(0n, BigInt(PAGE)), withCode('ENOENT'));
  assert.throws(() => rig.controller.regionRemove(BigInt(PAGE), BigInt(PAGE)), withCode('ENOENT'));
  for (const [gpa, length] of [
    [0n, MIB],
    [1n << 32n, MIB],
    [BigInt(16 * MIB), MIB],
    [BigInt(32 * MIB), PAGE],
  ] as const) {
    assert.ok(rig.controller.regionDrained(rig.controller.regionRemove(gpa, BigInt(length))));
  }
  assert.equal(mappings(inode), own);
  rig.close();
  guest.close();
  other.close();
  assert.equal(fdCount(), before);
});

test('a memfd is sealed against shrinking; a plain file that shrank is refused', () => {
  const guest = new Guest(MIB);
  const rig = new Rig();
  assert.equal(native.fdInfo(guest.fd).seals, 0);
  rig.region(guest.fd, MIB);
  assert.equal(native.fdInfo(guest.fd).seals, 2);
  const file = path.join(tmpdir(), `doorbell-region-${process.pid}`);
  writeFileSync(file, Buffer.alloc(PAGE));
  const fd = openSync(file, 'r+');
  assert.throws(() => rig.region(fd, 2 * PAGE, { gpa: 2 * MIB }), withCode('ENXIO'));
  closeSync(fd);
  rmSync(file);
  rig.close();
  guest.close();
});

test('a file that grew is mapped anew for what the first mapping lacks', () => {
  const file = path.join(tmpdir(), `doorbell-grow-${process.pid}`);
  writeFileSync(file, Buffer.alloc(PAGE, 1));
  const fd = openSync(file, 'r+');
  const rig = new Rig();
  const first = rig.region(fd, PAGE);
  writeFileSync(file, Buffer.alloc(2 * PAGE, 2));
  const second = rig.region(fd, PAGE, { offset: PAGE });
  assert.equal(second.file, first.file);
  rig.controller.windowFill(0, 0);
  assert.equal(rig.window(0)[PAGE], 2);
  closeSync(fd);
  rmSync(file);
  rig.close();
});
