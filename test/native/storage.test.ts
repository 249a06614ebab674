// Storage: every operation on files, buffered and with O_DIRECT, and on RAM disks, against a model; ranges, read-only
// and full storage, holes.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { constants as system, tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { SEGMENTS_PER_SLOT } from '../../assembly/abi/memory-map.ts';
import {
  BLOCK_OK,
  BLOCK_OUT_OF_RANGE,
  BLOCK_READ_ONLY,
  OPERATION_DEALLOCATE,
  OPERATION_FLUSH,
  OPERATION_READ,
  OPERATION_WRITE,
  OPERATION_WRITE_ZEROES,
  REQUEST_FLAG_DEALLOCATE,
  REQUEST_FLAG_FUA,
} from '../../assembly/abi/records.ts';
import { native, type NativeStorage } from '../../host/native.ts';
import { fdCount, Guest, MIB, PAGE, pattern, Rig, withCode, type TestRequest } from './rig.ts';

const { ENOSPC, EIO, EBADF } = system.errno;
type FileStorage = Extract<NativeStorage, { kind: 'file' }>;

// On the checkout's file system: that of /tmp may know neither O_DIRECT nor holes.
const directory = mkdtempSync(fileURLToPath(new URL('../../../storage-test-', import.meta.url)));
after(() => rmSync(directory, { recursive: true }));

const DISK_BYTES = 8 * MIB;
const GUEST_BYTES = 8 * MIB;

/** A file of the disk's size, and how to attach it. */
function file(name: string, flags = 0, options: Partial<FileStorage> = {}): FileStorage {
  const fd = openSync(
    path.join(directory, name),
    constants.O_RDWR | constants.O_CREAT | constants.O_TRUNC | flags,
  );
  ftruncateSync(fd, (options.offset ?? 0) + (options.length ?? DISK_BYTES));
  const standard = {
    direct: false,
    memoryAlignment: 1,
    readOnly: false,
    mayBlock: false,
    zeroRange: true,
    punchHole: true,
  };
  return { kind: 'file', fd, offset: 0, length: DISK_BYTES, ...standard, ...options };
}

/** A rig with 8 MiB of guest memory and the storage as namespace 1. */
function attach(storage: NativeStorage): {
  rig: Rig;
  guest: Guest;
  at: (offset: number) => bigint;
  end: () => void;
} {
  const guest = new Guest(GUEST_BYTES);
  const rig = new Rig();
  const { ioBase } = rig.region(guest.fd, GUEST_BYTES);
  rig.controller.namespaceAttach(1, storage);
  const end = (): void => {
    rig.close();
    guest.close();
    if (storage.kind === 'file') closeSync(storage.fd);
    else if (storage.kind === 'ram') storage.disk.close();
  };
  return { rig, guest, at: (offset) => ioBase + BigInt(offset), end };
}

const direct = { direct: true, memoryAlignment: 512 };
const storages: Record<string, () => NativeStorage> = {
  'buffered file': () => file('buffered'),
  'file with O_DIRECT': () => file('direct', constants.O_DIRECT, direct),
  'file without fallocate': () => file('plain', 0, { zeroRange: false, punchHole: false }),
  'file with O_DIRECT, without fallocate': () =>
    file('direct-plain', constants.O_DIRECT, { ...direct, zeroRange: false, punchHole: false }),
  'file whose submission may block': () => file('async', 0, { mayBlock: true }),
  'slice of a file': () => file('slice', 0, { offset: 3 * MIB }),
  'RAM disk': () => ({
    kind: 'ram',
    disk: native.ramDisk(DISK_BYTES),
    offset: 0,
    length: DISK_BYTES,
    readOnly: false,
  }),
  'slice of a RAM disk': () => ({
    kind: 'ram',
    disk: native.ramDisk(DISK_BYTES + 12345),
    offset: 777,
    length: DISK_BYTES,
    readOnly: false,
  }),
};

/** A small generator, so that a failure can be run again. */
function generator(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return Math.floor((state / 2 ** 32) * bound);
  };
}

/** Splits `length` bytes into segments of dwords at random places of guest memory that do not overlap. */
function scatter(length: number, at: (offset: number) => bigint, random: (bound: number) => number) {
  const segments: [bigint, number][] = [];
  const offsets: number[] = [];
  let position = random(64) * 4;
  for (let left = length; left > 0;) {
    const last = segments.length === SEGMENTS_PER_SLOT - 1;
    const part = last ? left : Math.min(left, (1 + random(4096)) * 4);
    segments.push([at(position), part]);
    offsets.push(position);
    position += part + random(32) * 4;
    left -= part;
  }
  return { segments, offsets };
}

for (const [name, make] of Object.entries(storages)) {
  test(`${name}: random operations agree with a model`, () => {
    const { rig, guest, at, end } = attach(make());
    const random = generator(42);
    const model = Buffer.alloc(DISK_BYTES);
    // Deallocated blocks need not be zeros where nothing is punched.
    const punches = !name.includes('without');
    for (let round = 0; round < 250; round++) {
      const blocks = 1 + (random(8) === 0 ? random(2048) : random(64));
      const offset = random(DISK_BYTES / 512 - blocks) * 512;
      const length = blocks * 512;
      const flags = random(2) * REQUEST_FLAG_FUA;
      const operation = 1 + random(5);
      if (operation === OPERATION_READ || operation === OPERATION_WRITE) {
        const { segments, offsets } = scatter(length, at, random);
        const pieces = (): Uint8Array[] =>
          segments.map(([, part], i) => guest.bytes.subarray(offsets[i], (offsets[i] as number) + part));
        if (operation === OPERATION_WRITE) {
          const data = pattern(length, round);
          let position = 0;
          for (const piece of pieces()) {
            piece.set(data.subarray(position, position + piece.length));
            position += piece.length;
          }
          data.copy(model, offset);
        }
        assert.equal(rig.runOne({ operation, flags, offset, segments }), BLOCK_OK);
        if (operation === OPERATION_READ) {
          const found = Buffer.concat(pieces().map((piece) => Buffer.from(piece)));
          assert.ok(found.equals(model.subarray(offset, offset + length)), `round ${round}`);
        }
      } else if (operation === OPERATION_WRITE_ZEROES) {
        const free = random(2) * REQUEST_FLAG_DEALLOCATE;
        assert.equal(rig.runOne({ operation, flags: flags | free, offset, length }), BLOCK_OK);
        model.fill(0, offset, offset + length);
      } else if (operation === OPERATION_DEALLOCATE) {
        const segments = [
          [offset, 512],
          [offset, 0],
          [offset, length],
        ] as const;
        assert.equal(rig.runOne({ operation, segments, length: 0 }), BLOCK_OK);
        if (punches) model.fill(0, offset, offset + length);
      } else {
        assert.equal(rig.runOne({ operation: OPERATION_FLUSH }), BLOCK_OK);
      }
    }
    assert.equal(rig.controller.busFaults, 0);
    end();
  });

  test(`${name}: what is outside the namespace, or would change a read-only one`, () => {
    const storage = make();
    const { rig, at, end } = attach(storage);
    const segments = [[at(0), 512]] as const;
    const beyond: TestRequest[] = [
      { operation: OPERATION_READ, offset: DISK_BYTES, segments },
      { operation: OPERATION_READ, offset: DISK_BYTES - 511, segments },
      { operation: OPERATION_WRITE, offset: 0xffff_ffff_ffff_fe00n, segments },
      { operation: OPERATION_WRITE, offset: 0xffff_ffff_ffff_ffffn, segments },
      { operation: OPERATION_WRITE_ZEROES, offset: 512, length: DISK_BYTES },
      { operation: OPERATION_WRITE_ZEROES, offset: 0, length: 0xffff_ffff_ffff_ffffn },
      { operation: OPERATION_DEALLOCATE, segments: [[DISK_BYTES, 512]], length: 0 },
      {
        operation: OPERATION_DEALLOCATE,
        segments: [
          [0, 512],
          [0xffff_ffff_ffff_fe00n, 1024],
        ],
        length: 0,
      },
    ];
    assert.deepEqual(
      rig.run(...beyond),
      beyond.map(() => BLOCK_OUT_OF_RANGE),
    );
    assert.equal(rig.runOne({ operation: OPERATION_READ, offset: DISK_BYTES - 512, segments }), BLOCK_OK);
    assert.throws(() => rig.controller.namespaceAttach(1, storage), withCode('EEXIST'));
    assert.throws(() => rig.controller.namespaceAttach(0, storage), withCode('EINVAL'));
    assert.throws(() => rig.controller.namespaceAttach(257, storage), withCode('EINVAL'));

    rig.controller.namespaceDetach(1);
    assert.equal(rig.runOne({ operation: OPERATION_READ, segments }), BLOCK_OUT_OF_RANGE);
    rig.controller.namespaceAttach(1, { ...storage, readOnly: true });
    const results = rig.run(
      { operation: OPERATION_READ, segments },
      { operation: OPERATION_FLUSH },
      { operation: OPERATION_WRITE, segments },
      { operation: OPERATION_WRITE_ZEROES, length: 512 },
      { operation: OPERATION_DEALLOCATE, segments: [[0, 512]], length: 0 },
    );
    assert.deepEqual(results, [BLOCK_OK, BLOCK_OK, BLOCK_READ_ONLY, BLOCK_READ_ONLY, BLOCK_READ_ONLY]);
    end();
  });
}

test('a transfer of many parts, larger than one bounce buffer', () => {
  for (const storage of [file('large', constants.O_DIRECT, direct), file('large-buffered')]) {
    const { rig, guest, at, end } = attach(storage);
    const length = 3 * MIB;
    const data = pattern(length, 5);
    guest.bytes.set(data, 4);
    const segments = Array.from(
      { length: 256 },
      (_, i) => [at(4 + (i * length) / 256), length / 256] as const,
    );
    assert.equal(rig.runOne({ operation: OPERATION_WRITE, offset: MIB, segments }), BLOCK_OK);
    guest.bytes.fill(0);
    assert.equal(
      rig.runOne({ operation: OPERATION_READ, offset: MIB, segments: [[at(8), length]] }),
      BLOCK_OK,
    );
    assert.ok(Buffer.from(guest.bytes.slice(8, 8 + length)).equals(data));
    assert.equal(guest.bytes[7], 0);
    assert.equal(guest.bytes[8 + length], 0);
    end();
  }
});

test('a slice touches nothing outside itself', () => {
  const storage = file('bounds', 0, { offset: MIB, length: MIB });
  ftruncateSync(storage.fd, 3 * MIB);
  writeSync(storage.fd, Buffer.alloc(3 * MIB, 0xaa), 0, 3 * MIB, 0);
  const { rig, guest, at, end } = attach(storage);
  guest.bytes.fill(0xbb);
  assert.equal(rig.runOne({ operation: OPERATION_WRITE, segments: [[at(0), MIB]] }), BLOCK_OK);
  assert.equal(rig.runOne({ operation: OPERATION_WRITE_ZEROES, length: MIB }), BLOCK_OK);
  const content = Buffer.alloc(3 * MIB);
  readSync(storage.fd, content, 0, content.length, 0);
  const expected = Buffer.alloc(3 * MIB, 0xaa).fill(0, MIB, 2 * MIB);
  assert.ok(content.equals(expected));
  end();
});

test('deallocate and write zeroes make holes in the file, where they are asked to', () => {
  const storage = file('holes');
  const { rig, guest, at, end } = attach(storage);
  const blocks = (): number => {
    rig.runOne({ operation: OPERATION_FLUSH });
    return fstatSync(storage.fd).blocks;
  };
  // The file system's own records of the holes count too.
  const assertFreed = (bytes: number): void => {
    const freed = (full - blocks()) * 512;
    assert.ok(Math.abs(freed - bytes) <= 16 * PAGE, `${freed} bytes freed, not ${bytes}`);
  };
  guest.bytes.fill(1);
  assert.equal(rig.runOne({ operation: OPERATION_WRITE, segments: [[at(0), DISK_BYTES]] }), BLOCK_OK);
  const full = blocks();
  assert.ok(full >= DISK_BYTES / 512);
  const ranges = [
    [0, MIB],
    [2 * MIB, MIB],
  ] as const;
  assert.equal(rig.runOne({ operation: OPERATION_DEALLOCATE, segments: ranges, length: 0 }), BLOCK_OK);
  assertFreed(2 * MIB);
  // Zeros that may stay allocated do, freed ones do not.
  assert.equal(rig.runOne({ operation: OPERATION_WRITE_ZEROES, offset: 4 * MIB, length: MIB }), BLOCK_OK);
  assertFreed(2 * MIB);
  const flags = REQUEST_FLAG_DEALLOCATE | REQUEST_FLAG_FUA;
  assert.equal(
    rig.runOne({ operation: OPERATION_WRITE_ZEROES, flags, offset: 6 * MIB, length: MIB }),
    BLOCK_OK,
  );
  assertFreed(3 * MIB);
  assert.equal(fstatSync(storage.fd).size, DISK_BYTES);
  end();
});

test('fallocate that the file turns out not to know: zeros are written, deallocate is silent', () => {
  // A character device takes writes and no fallocate.
  const fd = openSync('/dev/null', 'r+');
  const { rig, end } = attach({ ...file('unused'), fd });
  const results = rig.run(
    { operation: OPERATION_DEALLOCATE, segments: [[0, 4096]], length: 0 },
    { operation: OPERATION_WRITE_ZEROES, length: 3 * MIB },
  );
  assert.deepEqual(results, [BLOCK_OK, BLOCK_OK]);
  end();
});

test('a storage that is full, fails, ended or is not open for this: the errno comes through', () => {
  const full = openSync('/dev/full', 'r+');
  const { rig, at, end } = attach({ ...file('full'), fd: full, zeroRange: false });
  const segments = [[at(0), 4096]] as const;
  assert.equal(rig.runOne({ operation: OPERATION_WRITE, segments }), -ENOSPC);
  assert.equal(rig.runOne({ operation: OPERATION_WRITE_ZEROES, length: 4096 }), -ENOSPC);
  end();

  const short = attach(file('short'));
  const storage = file('short-file');
  ftruncateSync(storage.fd, 6 * 1024);
  short.rig.controller.namespaceAttach(2, storage);
  short.guest.bytes.fill(9);
  const across = { operation: OPERATION_READ, nsid: 2, segments: [[short.at(0), 8192]] } as const;
  assert.equal(short.rig.runOne(across), -EIO);
  assert.equal(short.guest.bytes[6143], 0, 'what was there arrived');
  assert.equal(short.guest.bytes[6144], 9);
  const readOnly = openSync(path.join(directory, 'short-file'), 'r');
  short.rig.controller.namespaceAttach(3, { ...storage, fd: readOnly });
  assert.equal(
    short.rig.runOne({ operation: OPERATION_WRITE, nsid: 3, segments: [[short.at(0), 512]] }),
    -EBADF,
  );
  const closed = native.memfdCreate('x', MIB);
  native.fdClose(closed);
  short.rig.controller.namespaceAttach(4, { ...storage, fd: closed });
  assert.equal(short.rig.runOne({ operation: OPERATION_FLUSH, nsid: 4 }), -EBADF);
  closeSync(readOnly);
  closeSync(storage.fd);
  short.end();
});

test('a full file system is ENOSPC, and what was there stays readable', (context) => {
  const mount = path.join(directory, 'tiny');
  try {
    execFileSync('mkdir', [mount]);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'none', mount], { stdio: 'ignore' });
  } catch {
    context.skip('cannot mount a tmpfs');
    return;
  }
  try {
    const storage = file('tiny/disk');
    const { rig, guest, at, end } = attach(storage);
    guest.bytes.fill(3);
    const write = (offset: number): number =>
      rig.runOne({ operation: OPERATION_WRITE, offset, segments: [[at(0), 512 * 1024]] });
    assert.equal(write(0), BLOCK_OK);
    assert.equal(write(MIB), BLOCK_OK);
    assert.equal(write(2 * MIB), -ENOSPC);
    // Part of it found room: the rest does not.
    assert.equal(
      rig.runOne({ operation: OPERATION_DEALLOCATE, segments: [[MIB, 256 * 1024]], length: 0 }),
      BLOCK_OK,
    );
    assert.equal(write(2 * MIB), -ENOSPC);
    guest.bytes.fill(0);
    assert.equal(rig.runOne({ operation: OPERATION_READ, segments: [[at(0), 4096]] }), BLOCK_OK);
    assert.equal(guest.bytes[4095], 3);
    end();
  } finally {
    execFileSync('umount', [mount]);
  }
});

test('a RAM disk holds what was written and gives back what was freed', () => {
  const disk = native.ramDisk(64 * MIB);
  assert.equal(disk.bytes, 64 * MIB);
  assert.equal(disk.residentBytes(), 0);
  const { rig, guest, at, end } = attach({ kind: 'ram', disk, offset: 0, length: 64 * MIB, readOnly: false });
  guest.bytes.fill(1);
  assert.equal(rig.runOne({ operation: OPERATION_WRITE, offset: 32 * MIB, segments: [[at(0), 4 * MIB]] }), 0);
  assert.equal(disk.residentBytes(), 4 * MIB);
  assert.equal(
    rig.runOne({ operation: OPERATION_DEALLOCATE, segments: [[32 * MIB + 512, MIB]], length: 0 }),
    BLOCK_OK,
  );
  assert.equal(disk.residentBytes(), 3 * MIB + PAGE);
  assert.equal(
    rig.runOne({ operation: OPERATION_WRITE_ZEROES, offset: 34 * MIB, length: 2 * MIB }),
    BLOCK_OK,
  );
  assert.equal(disk.residentBytes(), MIB + PAGE);
  // Another controller sees the same bytes, and keeps them when the disk's object is closed.
  const other = attach({ kind: 'ram', disk, offset: 33 * MIB, length: MIB, readOnly: true });
  disk.close();
  assert.equal(
    other.rig.runOne({ operation: OPERATION_READ, segments: [[other.at(0), 2 * PAGE]] }),
    BLOCK_OK,
  );
  assert.equal(other.guest.bytes[511], 0);
  assert.equal(other.guest.bytes[512], 1);
  other.end();
  end();
  assert.throws(() => native.ramDisk(0), withCode('EINVAL'));
  assert.throws(() => native.ramDisk(2 ** 52), withCode('ENOMEM'));
});

test('storage arguments are checked', () => {
  const rig = new Rig();
  const disk = native.ramDisk(MIB);
  const bad = (storage: object, message: RegExp): void =>
    assert.throws(() => rig.controller.namespaceAttach(1, storage as NativeStorage), { message });
  const ram = { kind: 'ram', disk, offset: 0, length: MIB, readOnly: false };
  bad({ ...ram, kind: 'tape' }, /storage\.kind/);
  bad({ ...ram, disk: rig.controller }, /storage\.disk/);
  bad({ ...ram, offset: 1 }, /storage\.offset/);
  bad({ ...ram, length: -1 }, /storage\.length/);
  bad({ ...ram, kind: 'file', fd: 0 }, /memoryAlignment/);
  disk.close();
  rig.close();
});

test('a lock keeps two writers apart, and lets readers share', () => {
  const name = path.join(tmpdir(), `doorbell-lock-${process.pid}`);
  const before = fdCount();
  const one = openSync(name, 'w+');
  const two = openSync(name, 'r+');
  assert.equal(native.fileLock(one, true), true);
  assert.equal(native.fileLock(one, true), true);
  assert.equal(native.fileLock(two, true), false);
  assert.equal(native.fileLock(two, false), false);
  assert.equal(native.fileLock(one, false), true);
  assert.equal(native.fileLock(two, false), true);
  assert.equal(native.fileLock(two, true), false);
  closeSync(one);
  assert.equal(native.fileLock(two, true), true);
  closeSync(two);
  rmSync(name);
  assert.throws(() => native.fileLock(9999, true), withCode('EBADF'));
  assert.equal(fdCount(), before);
});

test('what a file is and can', () => {
  const storage = file('info');
  const info = native.fdInfo(storage.fd);
  const status = fstatSync(storage.fd);
  assert.equal(info.device, status.dev);
  assert.equal(info.inode, status.ino);
  assert.equal(info.size, DISK_BYTES);
  assert.equal(info.isFile, true);
  assert.equal(info.writable, true);
  assert.equal(info.seals, -1);
  native.fallocate(storage.fd, 'punch-hole', 0, MIB);
  native.fallocate(storage.fd, 'zero-range', 0, MIB);
  assert.throws(() => native.fallocate(storage.fd, 'punch-hole', 0, 0), withCode('EINVAL'));
  assert.throws(() => native.fallocate(storage.fd, 'shred' as never, 0, 0), {
    name: 'TypeError',
    message: /mode/,
  });
  const alignment = native.directAlignment(storage.fd);
  if (alignment !== undefined && alignment.memory !== 0) {
    assert.equal(Math.log2(alignment.memory) % 1, 0);
    assert.equal(Math.log2(alignment.offset) % 1, 0);
  }
  closeSync(storage.fd);
  const device = openSync('/dev/null', 'r');
  assert.deepEqual(
    { ...native.fdInfo(device), inode: 0, device: 0, blockSize: 0 },
    {
      device: 0,
      inode: 0,
      size: 0,
      isFile: false,
      writable: false,
      seals: -1,
      blockSize: 0,
    },
  );
  closeSync(device);
  assert.throws(() => native.fdInfo(9999), withCode('EBADF'));
  assert.throws(() => native.fdClose(9999), withCode('EBADF'));
});
