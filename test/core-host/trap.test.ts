// The fourth law: a core that trapped is never called again. The guest sees a failed controller, nobody sees a crash.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  REQUEST_BASE,
  SLOT_COUNT,
  SUBMISSION_QUEUE_BASE,
  SUBMISSION_QUEUE_SIZE,
} from '../../assembly/abi/memory-map.ts';
import { DEADLINE_NONE } from '../../assembly/abi/records.ts';
import * as nvme from '../../assembly/spec/nvme.ts';
import { Core } from '../../host/core/core.ts';
import { MockGuest } from '../support/mock-guest.ts';

/** A guest whose core trapped: its queues' records were overwritten, as a bug would do it. */
function trapped(): MockGuest {
  const guest = MockGuest.up();
  const { core } = guest;
  core.bytes.fill(0xff, SUBMISSION_QUEUE_BASE, SUBMISSION_QUEUE_BASE + SUBMISSION_QUEUE_SIZE);
  for (let polls = 0; polls < 100 && !core.failure; polls++) {
    core.doorbellWrite(nvme.REG_DOORBELLS, polls % 32);
    core.queuePoll(64, polls);
    core.controllerReset();
  }
  return guest;
}

test('a trap ends a core: register reads say CSTS.CFS, all else does nothing', () => {
  const { core } = trapped();
  assert.ok(core.failure instanceof WebAssembly.RuntimeError);
  assert.equal(core.registerRead(nvme.REG_CSTS) & nvme.CSTS_CFS, nvme.CSTS_CFS);
  assert.equal(core.registerRead(nvme.REG_VS), nvme.VS_2_0);
  core.registerWrite(nvme.REG_CC, 0);
  core.doorbellWrite(nvme.REG_DOORBELLS, 1);
  core.completionsPost(1);
  assert.equal(core.queuePoll(64, 0), 0);
  assert.equal(core.queueArm(), false);
  assert.equal(core.requestsTake(), 0);
  assert.equal(core.interruptsTake(), 0);
  assert.equal(core.eventsTake(), 0);
  assert.equal(core.windowsTake(), 0);
  assert.equal(core.requestsOutstanding(), 0);
  assert.equal(core.deadlineNext(), DEADLINE_NONE);
  assert.equal(core.interruptPending(), false);
});

test('a core that names more records than a ring holds is as good as trapped', () => {
  const { core } = MockGuest.up();
  // Whatever it is that counts in the image: the ring is full of nothing that could be a record.
  core.bytes.fill(0xff, SUBMISSION_QUEUE_BASE + SUBMISSION_QUEUE_SIZE, REQUEST_BASE);
  const counts = [core.windowsTake(), core.requestsTake(), core.interruptsTake(), core.eventsTake()];
  assert.ok(
    counts.every((count) => count <= SLOT_COUNT),
    counts.join(' '),
  );
  assert.match(core.failure?.message ?? '', /records in a ring of/);
  assert.equal(core.registerRead(nvme.REG_CSTS) & nvme.CSTS_CFS, nvme.CSTS_CFS);
});

test('the state image of a core that trapped can still be saved', () => {
  const { core } = trapped();
  const other = new Core({ windowCount: core.windowCount });
  other.imageLoad(core.imageSave());
});
