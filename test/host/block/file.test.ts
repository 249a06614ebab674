// The file backend: the contract, and what is of files alone: sizes, kinds, direct I/O, locks, full disks.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import * as abi from '../../../assembly/abi/records.ts';
import type { Backend, FileSpec } from '../../../host/block/backend.ts';
import { openFile } from '../../../host/block/file.ts';
import { UsageError, type UsageCode } from '../../../host/config/usage-error.ts';
import { buildPath } from '../../../host/demo/checkout.ts';
import { contract } from './contract.ts';
import { Machine } from './machine.ts';

const MIB = 1024 * 1024;
const CHILD = path.join(import.meta.dirname, 'child.js');

// On the checkout's file system: /tmp may be tmpfs, which has neither direct I/O nor zero ranges.
fs.mkdirSync(buildPath('tmp'), { recursive: true });
const directory = fs.mkdtempSync(buildPath('tmp', 'block-'));
after(() => fs.rmSync(directory, { recursive: true }));

let counter = 0;
const fresh = (): string => path.join(directory, `disk-${counter++}.img`);

function open(file: string, options: Partial<FileSpec> = {}): Backend {
  const defaults = {
    size: undefined,
    offset: undefined,
    blockSize: 512,
    readOnly: false,
    overlap: false,
  } as const;
  return openFile({ scheme: 'file', path: file, direct: 'auto', ...defaults, ...options });
}

/** Asserts that opening is refused with this code, and that the message has these words in it. */
function refused(code: UsageCode, words: RegExp, file: string, options: Partial<FileSpec> = {}): void {
  assert.throws(
    () => open(file, options).close(),
    (error) => {
      assert.ok(error instanceof UsageError, String(error));
      assert.equal(error.code, code);
      assert.match(error.message, words);
      return true;
    },
  );
}

for (const direct of ['auto', 'off'] as const) {
  contract(`file, direct=${direct}`, ({ size, blockSize, readOnly }) => {
    const file = fresh();
    if (readOnly) fs.writeFileSync(file, Buffer.alloc(size, 0x5a));
    const backend = open(file, { size, blockSize, readOnly, direct });
    return {
      backend,
      allocatedBytes: () => fs.statSync(file).blocks * 512,
      dispose: () => fs.rmSync(file),
    };
  });
}

contract('slice of a file', ({ size, blockSize, readOnly }) => {
  const file = fresh();
  const neighbour = Buffer.alloc(size, 0xa5);
  fs.writeFileSync(file, Buffer.concat([neighbour, Buffer.alloc(size), neighbour]));
  return {
    backend: open(file, { offset: size, size, blockSize, readOnly }),
    allocatedBytes: () => fs.statSync(file).blocks * 512,
    dispose: () => {
      const bytes = fs.readFileSync(file);
      assert.ok(bytes.subarray(0, size).equals(neighbour), 'what is before the slice is as it was');
      assert.ok(bytes.subarray(2 * size).equals(neighbour), 'what is behind the slice is as it was');
      fs.rmSync(file);
    },
  };
});

describe('size', () => {
  test('a new file is sparse and private, and keeps its size', () => {
    const file = fresh();
    open(file, { size: 64 * MIB }).close();
    const stats = fs.statSync(file);
    assert.equal(stats.size, 64 * MIB);
    assert.ok(stats.blocks * 512 < MIB);
    assert.equal(stats.mode & 0o077, 0);
    const again = open(file);
    assert.equal(again.geometry.blocks, BigInt((64 * MIB) / 512));
    again.close();
    open(file, { size: 64 * MIB }).close();
    refused('FILE_SIZE', /has 64M, not 1M: leave size= out .* truncate -s 1048576/, file, { size: MIB });
  });

  test('an empty file gets the size that is asked for, and needs one', () => {
    const file = fresh();
    fs.writeFileSync(file, '');
    refused('FILE_SIZE', /is empty: add size=/, file);
    open(file, { size: MIB }).close();
    assert.equal(fs.statSync(file).size, MIB);
  });

  test('sizes that are not whole blocks are refused with the nearest that are', () => {
    const file = fresh();
    fs.writeFileSync(file, Buffer.alloc(4096 + 512));
    refused('FILE_SIZE', /4608 bytes.*truncate -s 4K or truncate -s 8K.*block-size=512/, file, {
      blockSize: 4096,
    });
    open(file).close();
    fs.truncateSync(file, 700);
    refused('FILE_SIZE', /700 bytes.*truncate -s 512 or truncate -s 1K$/, file);
  });

  test('opening changes no block of an old file', () => {
    const file = fresh();
    const bytes = Buffer.alloc(10 * 4096, 7);
    fs.writeFileSync(file, bytes);
    const before = fs.statSync(file).blocks;
    open(file).close();
    assert.equal(fs.statSync(file).blocks, before);
    assert.deepEqual(fs.readFileSync(file), bytes);
  });
});

describe('slices', () => {
  const disk = (bytes: number): string => {
    const file = fresh();
    fs.writeFileSync(file, '');
    fs.truncateSync(file, bytes);
    return file;
  };

  test('a slice ends where size= says, else with the last whole block', () => {
    const file = disk(10 * MIB + 700);
    const part = open(file, { offset: MIB, size: 2 * MIB });
    assert.equal(part.geometry.blocks, BigInt((2 * MIB) / 512));
    assert.match(part.label, /,offset=1M,size=2M$/);
    assert.match(part.identity ?? '', /,offset=1M$/);
    const rest = open(file, { offset: 3 * MIB });
    assert.equal(rest.storage.length, 7 * MIB + 512);
    part.close();
    rest.close();
    assert.equal(fs.statSync(file).size, 10 * MIB + 700, 'a slice changes no size');
  });

  test('what does not fit is refused with what would', () => {
    const file = disk(10 * MIB);
    refused('FILE_SIZE', /offset=10M is at or behind the end .* has 10M/, file, { offset: 10 * MIB });
    refused('FILE_SIZE', /at most size=2M, not 3M/, file, { offset: 8 * MIB, size: 3 * MIB });
    refused('SIZE_INVALID', /offset=4608 .* write offset=4K or offset=8K/, file, {
      offset: 4608,
      blockSize: 4096,
    });
    refused('SIZE_INVALID', /size=4608 .* write size=4K or size=8K/, file, {
      offset: 0,
      size: 4608,
      blockSize: 4096,
    });
    refused('FILE_SIZE', /or add offset=0 to use its first 1M alone/, file, { size: MIB });
    refused('FILE_MISSING', /create it first, with truncate/, fresh(), { offset: 0, size: MIB });
  });

  test('slices side by side are open together, overlapping ones are refused', () => {
    const file = disk(10 * MIB);
    const left = open(file, { offset: 0, size: 4 * MIB });
    const right = open(file, { offset: 4 * MIB, size: 4 * MIB });
    const overlap = /bytes 3M to 5M of .* overlap another namespace.*share=on to both/;
    refused('FILE_BUSY', overlap, file, { offset: 3 * MIB, size: 2 * MIB });
    refused('FILE_BUSY', /overlap/, file, { offset: 3 * MIB, size: 2 * MIB, overlap: true });
    refused('FILE_BUSY', /overlap/, file, { offset: 3 * MIB, size: 2 * MIB, readOnly: true });
    refused('FILE_BUSY', /in use by another namespace/, file);
    left.close();
    right.close();
    open(file).close();
  });

  test('overlapping slices are open together where both say so, and readers always', () => {
    const file = disk(10 * MIB);
    const one = open(file, { offset: 0, size: 4 * MIB, overlap: true });
    const two = open(file, { offset: 2 * MIB, overlap: true });
    refused('FILE_BUSY', /overlap/, file, { offset: 0, size: MIB });
    one.close();
    two.close();
    const readers = [0, MIB].map((offset) => open(file, { offset, readOnly: true }));
    for (const reader of readers) reader.close();
  });

  test('guests of two slices do not see each other’s data', () => {
    const file = disk(2 * MIB);
    const left = open(file, { offset: 0, size: MIB });
    const right = open(file, { offset: MIB });
    const machines = [new Machine(left), new Machine(right)] as const;
    for (const [index, machine] of machines.entries()) {
      assert.equal(machine.write(0, Buffer.alloc(4096, index + 1)), 'BLOCK_OK');
    }
    for (const [index, machine] of machines.entries()) {
      assert.ok(machine.read(0, 4096).every((byte) => byte === index + 1));
      machine.close();
    }
    left.close();
    right.close();
  });
});

describe('what is no disk', () => {
  test('a file that is not there', () => {
    refused('FILE_MISSING', /does not exist: add size=/, fresh());
    refused('FILE_MISSING', /read-only namespace needs a file/, fresh(), { readOnly: true, size: MIB });
    refused('FILE_MISSING', /no-such is not a directory/, path.join(directory, 'no-such', 'a.img'), {
      size: MIB,
    });
  });

  test('directories, devices, pipes and sockets', () => {
    refused('FILE_KIND', /a directory: name a file in it/, directory);
    refused('FILE_KIND', /a character device/, '/dev/null');
    const pipe = fresh();
    assert.equal(spawnSync('mkfifo', [pipe]).status, 0);
    refused('FILE_KIND', /a pipe/, pipe);
    refused('FILE_KIND', /a pipe/, pipe, { readOnly: true });
    refused('FILE_KIND', /a directory/, directory, { scheme: 'block' });
    const file = fresh();
    fs.writeFileSync(file, Buffer.alloc(4096));
    refused('FILE_KIND', /a regular file, not a block device: write file:/, file, { scheme: 'block' });
    refused('FILE_MISSING', /lsblk lists them/, fresh(), { scheme: 'block', size: MIB });
  });

  test('a refusal leaves no descriptor behind', () => {
    const count = (): number => fs.readdirSync('/proc/self/fd').length;
    const file = fresh();
    fs.writeFileSync(file, 'x');
    const before = count();
    refused('FILE_SIZE', /whole blocks/, file);
    refused('FILE_MISSING', /./, fresh());
    open(fresh(), { size: MIB }).close();
    assert.equal(count(), before);
  });

  test('a file without permission', { skip: process.getuid?.() === 0 && 'root has every permission' }, () => {
    const file = fresh();
    fs.writeFileSync(file, Buffer.alloc(MIB), { mode: 0o400 });
    refused('FILE_PERMISSION', /readonly=on/, file);
    open(file, { readOnly: true }).close();
  });
});

describe('direct I/O', () => {
  test('off is buffered without a notice', () => {
    const backend = open(fresh(), { size: MIB, direct: 'off' });
    assert.ok(backend.storage.kind === 'file' && !backend.storage.direct);
    assert.equal(backend.storage.memoryAlignment, 1);
    assert.deepEqual(backend.notices, []);
    backend.close();
  });

  test('auto is direct or says why not', () => {
    const backend = open(fresh(), { size: MIB, blockSize: 4096 });
    assert.ok(backend.storage.kind === 'file');
    const { direct, memoryAlignment } = backend.storage;
    assert.equal(backend.notices.length, direct ? 0 : 1);
    if (direct) assert.ok(memoryAlignment >= 1 && (memoryAlignment & (memoryAlignment - 1)) === 0);
    backend.close();
  });

  const shm = '/dev/shm';
  const tmpfs = fs.existsSync(shm) && fs.statfsSync(shm).type === 0x01021994;
  test('on tmpfs auto is buffered with a notice, on is refused', { skip: !tmpfs && 'no tmpfs here' }, () => {
    const file = path.join(shm, `doorbell-${process.pid}.img`);
    try {
      const backend = open(file, { size: MIB });
      assert.ok(backend.storage.kind === 'file' && !backend.storage.direct);
      assert.match(backend.notices.join(), /no direct I\/O .* tmpfs/);
      backend.close();
      refused('DIRECT_UNAVAILABLE', /tmpfs.*direct=auto/, file, { direct: 'on' });
    } finally {
      fs.rmSync(file, { force: true });
    }
  });
});

describe('locks', () => {
  test('within a process', () => {
    const file = fresh();
    const writer = open(file, { size: MIB });
    refused('FILE_BUSY', /in use by another namespace or process.*share=on/, file);
    refused('FILE_BUSY', /open for writing elsewhere/, file, { readOnly: true });
    writer.close();
    const reader = open(file, { readOnly: true });
    const other = open(file, { readOnly: true });
    refused('FILE_BUSY', /in use/, file);
    other.close();
    reader.close();
    open(file).close();
  });

  test('between processes, and gone with a process that is killed', async () => {
    const file = fresh();
    fs.writeFileSync(file, Buffer.alloc(MIB));
    const holder = spawn(process.execPath, [CHILD, 'hold', file, 'rw'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const [said] = (await once(holder.stdout, 'data')) as [Buffer];
    assert.equal(said.toString(), 'held\n');
    refused('FILE_BUSY', /fuser/, file);
    refused('FILE_BUSY', /elsewhere/, file, { readOnly: true });
    holder.kill('SIGKILL');
    await once(holder, 'close');
    const reader = open(file, { readOnly: true });
    for (const [access, answer] of [
      ['rw', 'FILE_BUSY\n'],
      ['ro', 'held\n'],
    ] as const) {
      const child = spawnSync(process.execPath, [CHILD, 'hold', file, access], { input: '' });
      assert.equal(child.stdout.toString(), answer);
    }
    reader.close();
  });
});

test('a file that became shorter behind our back is a failure of the medium, not of the guest', () => {
  const file = fresh();
  const backend = open(file, { size: MIB });
  const machine = new Machine(backend);
  fs.truncateSync(file, MIB / 2);
  const read = { operation: abi.OPERATION_READ, length: 4096, segments: [[0, 4096]] } as const;
  assert.deepEqual(machine.run({ ...read, offset: 0 }, { ...read, offset: MIB - 4096 }), [
    'BLOCK_OK',
    'BLOCK_MEDIUM_ERROR',
  ]);
  machine.close();
  backend.close();
});

describe('no space', () => {
  test('a full file system: the writes that do not fit fail, the others keep their data', (context) => {
    const mount = path.join(directory, 'small');
    fs.mkdirSync(mount);
    // The mount is seen by the child alone and ends with it.
    const script =
      'mount -t tmpfs -o size=1M small "$1" && truncate -s 4M "$1/d" && exec "$2" "$3" fill "$1/d"';
    const child = spawnSync('unshare', ['-rm', 'sh', '-c', script, 'sh', mount, process.execPath, CHILD]);
    if (child.status !== 0) {
      context.skip(`no mounts of one's own here: ${child.stderr.toString().trim()}`);
      return;
    }
    const outcome = JSON.parse(child.stdout.toString()) as {
      results: string[];
      first: boolean;
      again: string;
    };
    assert.deepEqual(outcome, { results: ['BLOCK_OK', 'BLOCK_NO_SPACE'], first: true, again: 'BLOCK_OK' });
  });

  test('a limit on file sizes is no space either', () => {
    const file = fresh();
    fs.writeFileSync(file, '');
    fs.truncateSync(file, 12 * MIB);
    // Units of 512 bytes in POSIX shells: 9 MiB, enough for the memory of a guest.
    const script = 'ulimit -f 18432 && exec "$1" "$2" fill "$3"';
    const child = spawnSync('sh', ['-c', script, 'sh', process.execPath, CHILD, file]);
    assert.equal(child.status, 0, child.stderr.toString());
    const outcome = JSON.parse(child.stdout.toString()) as {
      results: string[];
      first: boolean;
      again: string;
    };
    assert.deepEqual(outcome, { results: ['BLOCK_OK', 'BLOCK_NO_SPACE'], first: true, again: 'BLOCK_OK' });
  });
});
