// The second law: the whole controller is its state image. In the middle of I/O the image is saved and loaded into a
// fresh instance, as when the process dies and another takes over; every command still completes exactly once, and
// the data is right. What the old process had taken and not completed is lost with it.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { WINDOW_BASE_MIN } from '../../assembly/abi/memory-map.ts';
import * as abi from '../../assembly/abi/records.ts';
import { Core } from '../../host/core/core.ts';
import { exercise } from '../support/exerciser.ts';
import { MockGuest, type MockGuestOptions } from '../support/mock-guest.ts';
import { PagedGuest } from '../support/paged-guest.ts';
import { Random } from '../support/random.ts';
import { Workload } from '../support/workload.ts';

const COMMANDS = 24;
const SEED = 11;

/** The scripted workload; `restartAt` says before which steps the target dies. Returns the number of steps. */
function script(
  options: MockGuestOptions,
  shadow: boolean,
  restartAt: (step: number) => boolean,
  Guest: typeof MockGuest = MockGuest,
): number {
  const guest = Guest.up({
    queues: 2,
    queue: { entries: 8, depth: 12 },
    memory: 8 << 20,
    namespaces: [{ blocks: 1024n }],
    ...options,
  });
  if (shadow) guest.shadowDoorbells();
  const random = new Random(SEED);
  const workload = new Workload({ guest, random, pages: 96, blocksMax: 32 });
  return exercise({
    guest,
    workload,
    random,
    queues: [1, 2],
    commands: COMMANDS,
    afterStep: (step) => {
      if (restartAt(step)) guest.restart();
    },
  });
}

describe('a restart from the state image', () => {
  test('at each single step of a workload', () => {
    const steps = script({}, false, () => false);
    for (let at = 0; at < steps; at++) script({}, false, (step) => step === at);
  });

  test('again and again in one workload', () => {
    script({}, false, (step) => step % 4 === 0);
  });

  test('again and again, with shadow doorbells', () => {
    script({}, true, (step) => step % 4 === 0);
  });

  test('again and again, with two windows', () => {
    script({ copyingWindows: 2, spread: true }, false, (step) => step % 6 === 0);
  });

  test('again and again, with doorbells in a page', () => {
    const often = (step: number): boolean => step % 4 === 0;
    script({}, false, often, PagedGuest);
    script({}, true, often, PagedGuest);
  });

  test('again and again, with doorbells in a page and two windows', () => {
    const options = { copyingWindows: 2, spread: true };
    script(options, false, (step) => step % 6 === 0, PagedGuest);
    script(options, true, (step) => step % 6 === 0, PagedGuest);
  });

  test('Asynchronous Event Requests and refused doorbells survive', () => {
    const guest = MockGuest.up();
    guest.driver.asyncEventRequest().submit(0);
    guest.ring(0);
    guest.poll();
    guest.restart();
    guest.doorbellWrite(0x1008, 0xfff);
    const done = guest.run();
    assert.equal(done.length, 1);
    assert.equal(done[0]?.result, 0x10100);
  });

  test('features, registers and a full completion queue survive', () => {
    const guest = MockGuest.up({ queue: { entries: 4, depth: 8 } });
    guest.driver.setFeatures(0x08, 0x0203);
    guest.succeed();
    const registers = Array.from({ length: 28 }, (_, index) => guest.registerRead(index * 4));
    for (let index = 0; index < 3; index++) guest.driver.flush(1).submit(1);
    guest.ring(1);
    guest.poll();
    guest.complete();
    guest.restart();
    assert.deepEqual(
      registers,
      Array.from({ length: 28 }, (_, index) => guest.registerRead(index * 4)),
    );
    assert.equal(guest.run().length, 3);
    guest.driver.getFeatures(0x08);
    assert.equal(guest.succeed().result, 0x0203);
  });

  test('a controller that waits for the requests of a lost process is disabled all the same', () => {
    const guest = MockGuest.up();
    guest.driver.flush(1).submit(1);
    guest.ring(1);
    guest.poll();
    guest.registerWrite(0x14, guest.registerRead(0x14) & ~1);
    guest.restart();
    guest.statusWait(1, 0);
  });
});

describe('images that cannot be loaded', () => {
  test('of another size, another magic number, another version', () => {
    const guest = MockGuest.up();
    const image = guest.core.imageSave();
    const core = new Core({ windowCount: 2 });
    assert.throws(() => {
      core.imageLoad(image.subarray(1));
    }, RangeError);
    for (const offset of [0x10000, 0x10008]) {
      const other = image.slice();
      other[offset] = (other[offset] ?? 0) ^ 1;
      assert.throws(() => {
        core.imageLoad(other);
      }, RangeError);
    }
    assert.equal(image.length, WINDOW_BASE_MIN);
  });

  test('a core with nothing in it does not resume', () => {
    assert.equal(new Core({ windowCount: 2 }).resume(), abi.INIT_IMAGE_FOREIGN);
  });
});
