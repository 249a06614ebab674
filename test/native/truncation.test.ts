// A peer that truncates its memory: the process lives, the controller's count tells, and other controllers are fine.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, ftruncateSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import {
  BLOCK_MEMORY_FAULT,
  BLOCK_OK,
  OPERATION_COPY_IN,
  OPERATION_COPY_OUT,
  OPERATION_READ,
  OPERATION_WRITE,
} from '../../assembly/abi/records.ts';
import { native } from '../../host/native.ts';
import { Guest, MIB, PAGE, Rig } from './rig.ts';

/** Guest memory in a plain file: it knows no seals. */
function plainFile(name: string): { fd: number; remove: () => void } {
  const file = path.join(tmpdir(), `doorbell-${name}-${process.pid}`);
  writeFileSync(file, Buffer.alloc(2 * MIB, 6));
  const fd = openSync(file, 'r+');
  return {
    fd,
    remove: () => {
      closeSync(fd);
      rmSync(file);
    },
  };
}

test('loads, stores, atomics and copies in a window over a truncated file survive', () => {
  const { fd, remove } = plainFile('window');
  const rig = new Rig();
  const other = new Rig();
  rig.region(fd, 2 * MIB);
  rig.controller.windowFill(0, 0);
  const window = rig.window(0);
  assert.equal(window[MIB], 6);
  ftruncateSync(fd, PAGE);
  assert.equal(window[PAGE - 1], 6);
  assert.equal(rig.controller.busFaults, 0);
  assert.equal(window[MIB], 0);
  assert.equal(rig.controller.busFaults, 1);
  window[MIB + PAGE] = 1;
  assert.equal(window[MIB + PAGE], 1);
  Atomics.store(window, MIB + 2 * PAGE, 2);
  assert.equal(rig.controller.busFaults, 3);
  window.copyWithin(MIB + 8 * PAGE, MIB + 3 * PAGE, MIB + 8 * PAGE);
  assert.ok(rig.controller.busFaults >= 4);
  assert.equal(other.controller.busFaults, 0);
  rig.close();
  other.close();
  remove();
});

test('requests whose segments were truncated fail alone', () => {
  const { fd, remove } = plainFile('io');
  const rig = new Rig();
  const { ioBase } = rig.region(fd, 2 * MIB);
  const disk = native.ramDisk(MIB);
  const file = new Guest(MIB);
  rig.controller.namespaceAttach(1, { kind: 'ram', disk, offset: 0, length: MIB, readOnly: false });
  rig.controller.namespaceAttach(2, {
    kind: 'file',
    fd: file.fd,
    offset: 0,
    length: MIB,
    direct: false,
    memoryAlignment: 1,
    readOnly: false,
    zeroRange: true,
    punchHole: true,
  });
  ftruncateSync(fd, PAGE);
  let page = 10;
  const run = (operation: number, nsid: number, address: bigint): number =>
    rig.runOne({ operation, nsid, data: rig.dataAddress(0), segments: [[address, 4096]] });
  const fresh = (): bigint => ioBase + BigInt(PAGE * page++);
  for (const operation of [OPERATION_READ, OPERATION_WRITE, OPERATION_COPY_IN, OPERATION_COPY_OUT]) {
    assert.equal(run(operation, 1, fresh()), BLOCK_MEMORY_FAULT);
    assert.equal(run(operation, 1, ioBase), BLOCK_OK);
  }
  assert.equal(rig.controller.busFaults, 4);
  // A request that bounces is copied by the addon.
  const memfd = native.memfdCreate('bounced', MIB);
  const bounced = { offset: 0, length: MIB, direct: true, memoryAlignment: 4096, readOnly: false } as const;
  rig.controller.namespaceAttach(3, {
    kind: 'file',
    fd: memfd,
    zeroRange: false,
    punchHole: false,
    ...bounced,
  });
  assert.equal(run(OPERATION_READ, 3, fresh() + 4n), BLOCK_MEMORY_FAULT);
  page += 1;
  assert.equal(run(OPERATION_WRITE, 3, fresh() + 4n), BLOCK_MEMORY_FAULT);
  page += 1;
  // The kernel meets the hole itself and says so.
  const { EFAULT } = constants.errno;
  assert.equal(run(OPERATION_READ, 2, fresh()), -EFAULT);
  assert.equal(run(OPERATION_WRITE, 2, fresh()), -EFAULT);
  assert.equal(run(OPERATION_READ, 2, ioBase), BLOCK_OK);
  rig.close();
  disk.close();
  file.close();
  native.fdClose(memfd);
  remove();
});

test('a fault in memory that is no guest region stays what it was: the end of the process', () => {
  const program = `
    import { ftruncateSync } from 'node:fs';
    import { native } from '${new URL('../../host/native.js', import.meta.url).href}';
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
    const bytes = new Uint8Array(memory.buffer);
    const fd = native.memfdCreate('foreign', 65536);
    native.mapInto(bytes, 0, fd, 0, 65536);
    ftruncateSync(fd, 0);
    process.stdout.write('touching');
    process.stdout.write(String(bytes[100]));
  `;
  const child = spawnSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' });
  assert.equal(child.stdout, 'touching');
  assert.equal(child.signal, 'SIGBUS');
});

test('a process that exits with requests in flight exits cleanly', () => {
  const program = `
    import { native } from '${new URL('../../host/native.js', import.meta.url).href}';
    import { Guest, MIB, Rig } from '${new URL('./rig.js', import.meta.url).href}';
    const rig = new Rig();
    const guest = new Guest(8 * MIB);
    const { ioBase } = rig.region(guest.fd, 8 * MIB);
    const disk = native.memfdCreate('disk', 8 * MIB);
    const options = { direct: true, memoryAlignment: 4096, readOnly: false, zeroRange: false, punchHole: true };
    rig.controller.namespaceAttach(1, { kind: 'file', fd: disk, offset: 0, length: 8 * MIB, ...options });
    const write = { operation: ${OPERATION_WRITE}, segments: [[ioBase + 4n, 4 * MIB]] };
    rig.submit(...Array.from({ length: 200 }, () => write));
    rig.ring.enter(0);
    process.stdout.write(String(rig.controller.inFlight > 0));
    process.exit(0);
  `;
  const child = spawnSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' });
  assert.equal(child.stderr, '');
  assert.equal(child.stdout, 'true');
  assert.equal(child.status, 0);
});

test('huge pages: regions, windows and truncation', (context) => {
  const free = Number(/HugePages_Free:\s+(\d+)/.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1]);
  if (free < 4) {
    context.skip('no huge pages: as root, echo 4 > /proc/sys/vm/nr_hugepages');
    return;
  }
  const fd = native.memfdCreate('huge', 8 * MIB, true);
  const rig = new Rig();
  const { ioBase } = rig.region(fd, 8 * MIB, { gpa: 2 * MIB });
  rig.controller.windowFill(0, 1);
  rig.controller.windowFill(1, 2);
  rig.window(0)[5] = 55;
  assert.equal(
    rig.runOne({ operation: OPERATION_COPY_IN, data: rig.dataAddress(0), segments: [[ioBase, 64]] }),
    BLOCK_OK,
  );
  assert.equal(rig.dataBuffer(0)[5], 55);
  const ticket = rig.controller.regionRemove(BigInt(2 * MIB), BigInt(8 * MIB));
  assert.ok(rig.controller.regionDrained(ticket));
  assert.equal(rig.window(0)[5], 0);

  // Parts of one huge page, as a PC's first MiB has them: shown whole. Parts of several: holes.
  rig.region(fd, 160 * PAGE, { gpa: 0 });
  rig.region(fd, MIB, { gpa: MIB, offset: MIB });
  rig.region(fd, 4 * PAGE, { gpa: 4 * MIB, offset: 8 * PAGE });
  rig.controller.windowFill(0, 0);
  rig.controller.windowFill(1, 2);
  assert.equal(rig.window(0)[5], 55);
  rig.window(0)[MIB] = 56;
  assert.equal(
    rig.runOne({
      operation: OPERATION_COPY_IN,
      data: rig.dataAddress(0),
      segments: [[ioAddress(rig, fd), 64]],
    }),
    BLOCK_OK,
  );
  assert.equal(rig.dataBuffer(0)[0], 56);
  rig.controller.regionRemove(BigInt(MIB), BigInt(MIB));
  assert.equal(rig.window(0)[MIB], 0);
  assert.equal(rig.controller.busFaults, 0);
  rig.close();
  native.fdClose(fd);
});

/** I/O address of byte 1 MiB of the file: a second view of the same mapping. */
function ioAddress(rig: Rig, fd: number): bigint {
  return rig.region(fd, PAGE, { gpa: 64 * MIB, offset: MIB }).ioBase;
}
