// Storage that does not answer: its own requests wait, nobody else's do; what can be canceled is, and the ring closes.

import assert from 'node:assert/strict';
import { closeSync, fstatSync, ftruncateSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import path from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { COMPLETION_BASE, COMPLETION_BYTES } from '../../assembly/abi/memory-map.ts';
import {
  BLOCK_OK,
  COMPLETION_RESULT,
  COMPLETION_SLOT,
  OPERATION_COMPARE,
  OPERATION_COPY,
  OPERATION_FLUSH,
  OPERATION_READ,
  OPERATION_VERIFY,
  OPERATION_WRITE,
  OPERATION_WRITE_ZEROES,
} from '../../assembly/abi/records.ts';
import { native, type NativeStorage } from '../../host/native.ts';
import { FuseFile } from '../support/fuse-file.ts';
import { Guest, MIB, Rig, withCode, type TestRequest } from './rig.ts';

const DISK_BYTES = 8 * MIB;
const GUEST_BYTES = 8 * MIB;
const HUNG = 1;
const SOUND = 2;
/** Requests that the ring gives the kernel at most, of one storage. */
const KERNEL_MAX = 256;
/** Compare, Verify and Copy read for themselves. */
const READS_AND_WRITES = [
  OPERATION_READ,
  OPERATION_WRITE,
  OPERATION_VERIFY,
  OPERATION_COMPARE,
  OPERATION_COPY,
] as const;
const ECANCELED = -125;
const EINTR = -4;

const directory = mkdtempSync(fileURLToPath(new URL('../../../hang-test-', import.meta.url)));
let hanging: FuseFile | string;
before(async () => {
  hanging = await FuseFile.mount(path.join(directory, 'fuse'), DISK_BYTES);
});
after(async () => {
  if (typeof hanging !== 'string') await hanging.end();
  rmSync(directory, { recursive: true });
});

function storageOf(fd: number, mayBlock: boolean): NativeStorage {
  const plain = { direct: false, memoryAlignment: 1, readOnly: false, punchHole: false };
  return { kind: 'file', fd, offset: 0, length: DISK_BYTES, ...plain, mayBlock, zeroRange: true };
}

class Scene {
  readonly guest = new Guest(GUEST_BYTES);
  readonly rig = new Rig();
  readonly base: bigint;
  readonly #fds: number[] = [];

  constructor(readonly fuse: FuseFile) {
    this.base = this.rig.region(this.guest.fd, GUEST_BYTES).ioBase;
    for (const [nsid, name] of [
      [HUNG, 'fuse'],
      [SOUND, 'sound'],
    ] as const) {
      const fd = openSync(path.join(directory, name), nsid === HUNG ? 'r+' : 'w+');
      if (nsid === SOUND) ftruncateSync(fd, DISK_BYTES);
      // FUSE asks for the size no earlier than somebody wants to know it.
      assert.equal(fstatSync(fd).size, DISK_BYTES);
      this.rig.controller.namespaceAttach(nsid, storageOf(fd, nsid === HUNG));
      this.#fds.push(fd);
    }
  }

  /** A request of 4 KiB whose place on disk and in memory is that of its slot; Copy copies the blocks to themselves. */
  request(nsid: number, operation: number, slot: number): TestRequest {
    const offset = (slot * 4096) % DISK_BYTES;
    if (operation === OPERATION_COPY) return { nsid, operation, slot, offset, segments: [[offset, 4096]] };
    return { nsid, operation, slot, offset, segments: [[this.base + BigInt(offset), 4096]] };
  }

  /** Results by slot of what ends until `done` says that it is enough. */
  collect(done: (results: Map<number, number>) => boolean, microseconds = 10e6): Map<number, number> {
    const { controller, ring, view } = this.rig;
    const results = new Map<number, number>();
    const deadline = native.now() + microseconds;
    for (;;) {
      const count = controller.completionsTake();
      for (let i = 0; i < count; i++) {
        const record = COMPLETION_BASE + i * COMPLETION_BYTES;
        const slot = view.getUint32(record + COMPLETION_SLOT, true);
        assert.ok(!results.has(slot), `slot ${slot} completed once`);
        results.set(slot, view.getInt32(record + COMPLETION_RESULT, true));
      }
      if (done(results)) return results;
      assert.ok(native.now() < deadline, `${results.size} requests ended in time`);
      ring.enter(50_000);
    }
  }

  close(): void {
    this.rig.close();
    this.leave();
  }

  /** What can be closed though requests are under way. */
  leave(): void {
    this.guest.close();
    this.#fds.forEach((fd) => closeSync(fd));
  }
}

/** Runs the body on a scene whose first namespace hangs; it answers again at the end. */
function hangTest(name: string, body: (scene: Scene, context: TestContext) => Promise<void> | void): void {
  test(name, async (context) => {
    if (typeof hanging === 'string') {
      context.skip(hanging);
      return;
    }
    const scene = new Scene(hanging);
    await hanging.hang();
    try {
      await body(scene, context);
    } finally {
      await hanging.resume();
    }
    scene.close();
  });
}

hangTest('other namespaces are served while one hangs, and it goes on when it can', async (scene) => {
  const { rig, fuse } = scene;
  // Flushes first: the kernel has only so many threads for those, of all files together.
  const many = Array.from({ length: KERNEL_MAX + 40 }, (_, slot) =>
    slot < 100
      ? { nsid: HUNG, operation: OPERATION_FLUSH, slot }
      : scene.request(HUNG, READS_AND_WRITES[slot % READS_AND_WRITES.length] ?? OPERATION_READ, slot),
  );
  rig.submit(...many);
  rig.ring.enter(0);
  for (let round = 0; round < 5; round++) {
    const started = native.now();
    // All kinds: those that the kernel does at once, and those for which it wants a thread.
    rig.submit(
      scene.request(SOUND, OPERATION_WRITE, 1000),
      scene.request(SOUND, OPERATION_READ, 1001),
      { nsid: SOUND, operation: OPERATION_FLUSH, slot: 1002 },
      { nsid: SOUND, operation: OPERATION_WRITE_ZEROES, slot: 1003, length: 65536 },
    );
    const results = scene.collect((ended) => ended.size === 4);
    assert.deepEqual([...results.keys()].sort(), [1000, 1001, 1002, 1003]);
    assert.ok([...results.values()].every((result) => result === BLOCK_OK));
    const limit = round === 0 ? 3e6 : 0.5e6;
    assert.ok(native.now() - started < limit, `round ${round} took ${native.now() - started} us`);
  }
  await fuse.resume();
  const results = scene.collect((ended) => ended.size === many.length, 60e6);
  assert.ok([...results.values()].every((result) => result === BLOCK_OK));
});

hangTest('a ring whose storage hangs sleeps', (scene) => {
  scene.rig.submit(scene.request(HUNG, OPERATION_READ, 0));
  const fd = native.eventfdCreate();
  scene.rig.ring.watch(fd, 1);
  for (const wait of [50_000, 400_000, 700_000]) {
    const started = native.now();
    scene.rig.ring.enter(wait);
    const waited = native.now() - started;
    assert.ok(waited < wait + 300_000, `${waited} us of ${wait}`);
  }
  const used = process.cpuUsage();
  scene.rig.ring.enter(1_000_000);
  const { user, system } = process.cpuUsage(used);
  assert.ok(user + system < 100_000, `${user + system} us of processor time in a second of waiting`);
  native.eventfdSignal(fd);
  assert.equal(scene.rig.ring.enter(-1), 1);
  scene.rig.ring.unwatch(1);
  native.fdClose(fd);
});

hangTest('cancel ends what nobody has begun, and leaves other requests alone', async (scene) => {
  const { rig, fuse } = scene;
  const count = KERNEL_MAX + 100;
  rig.submit(...Array.from({ length: count }, (_, slot) => scene.request(HUNG, OPERATION_READ, slot)));
  // Long enough for some to be begun.
  rig.ring.enter(200_000);
  rig.ring.cancel(rig.controller, count - 1);
  assert.deepEqual([...scene.collect((ended) => ended.size > 0)], [[count - 1, ECANCELED]]);
  rig.ring.cancel(rig.controller, 1023);
  const other = rig.controller.inFlight;
  assert.equal(other, count - 1);
  rig.ring.cancel(rig.controller);
  const canceled = scene.collect((ended) => ended.size >= 99);
  assert.ok([...canceled.values()].every((result) => result === ECANCELED || result === EINTR));
  await fuse.resume();
  const rest = scene.collect((ended) => ended.size + canceled.size === count - 1, 60e6);
  for (const slot of rest.keys()) assert.ok(!canceled.has(slot));
  assert.equal(rig.runOne(scene.request(HUNG, OPERATION_READ, 0)), BLOCK_OK);
});

hangTest('cancel ends a Copy and a Verify of many pieces at the piece that hangs', async (scene) => {
  const { rig, fuse } = scene;
  const half = DISK_BYTES / 2;
  rig.submit(
    { nsid: HUNG, operation: OPERATION_COPY, offset: half, length: half, segments: [[0, half]] },
    { nsid: HUNG, operation: OPERATION_VERIFY, offset: 0, length: DISK_BYTES },
  );
  rig.ring.enter(200_000);
  rig.ring.cancel(rig.controller);
  await fuse.resume();
  const results = scene.collect((ended) => ended.size === 2);
  assert.ok([...results.values()].every((result) => result === ECANCELED || result === EINTR));
});

test('the ring closes within its time, and what hangs is left to the kernel', async (context) => {
  if (typeof hanging === 'string') {
    context.skip(hanging);
    return;
  }
  const scene = new Scene(hanging);
  const { rig } = scene;
  await hanging.hang();
  try {
    rig.submit(...Array.from({ length: 400 }, (_, slot) => scene.request(HUNG, OPERATION_READ, slot)));
    rig.ring.enter(1_000_000);
    const started = native.now();
    assert.throws(() => rig.ring.close(), withCode('ETIMEDOUT'));
    const took = native.now() - started;
    assert.ok(took > 2e6 && took < 4.5e6, `${took} us`);
    // What was not begun has its completion, and what hangs keeps guest and controller.
    assert.ok(rig.controller.completionsTake() >= 400 - KERNEL_MAX);
    assert.throws(() => rig.controller.close(), withCode('EBUSY'));
  } finally {
    await hanging.resume();
    scene.leave();
  }
});
