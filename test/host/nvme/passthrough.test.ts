// Commands whose data travel with them: what they do, and that none of them can move more bytes than were said.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CNS_CONTROLLER } from '../../../assembly/spec/nvme-identify.ts';
import { LID_SMART } from '../../../assembly/spec/nvme-logs.ts';
import * as nvme from '../../../assembly/spec/nvme.ts';
import { BOUNCE_BYTES } from '../../../host/nvme/bounce.ts';
import { DRAIN_MICROSECONDS } from '../../../host/nvme/drains.ts';
import type { CommandCompletion, CommandSet } from '../../../host/transport/device.ts';
import { fdCount } from '../../native/rig.ts';
import { Fixture } from './fixture.ts';
import { DATA_AT, HANGING, RAM, type ControllerRig } from './rig.ts';

const fixture = new Fixture('passthrough');

const INVALID_FIELD = nvme.STATUS_INVALID_FIELD | nvme.STATUS_DNR;
const BLOCK = 512;

interface Entry {
  opcode: number;
  nsid?: number;
  cdw10?: number;
  cdw11?: number;
  cdw12?: number;
}

/** An entry whose PSDT, MPTR and data pointer are nonsense. */
function entryOf({ opcode, nsid = 0, cdw10 = 0, cdw11 = 0, cdw12 = 0 }: Entry): Uint8Array {
  const bytes = new Uint8Array(nvme.SQE_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint8(nvme.SQE_OPCODE, opcode);
  view.setUint8(nvme.SQE_FLAGS, 0xc0);
  view.setUint32(nvme.SQE_NSID, nsid, true);
  bytes.fill(0xee, nvme.SQE_MPTR, nvme.SQE_CDW10);
  view.setUint32(nvme.SQE_CDW10, cdw10, true);
  view.setUint32(nvme.SQE_CDW11, cdw11, true);
  view.setUint32(nvme.SQE_CDW12, cdw12, true);
  return bytes;
}

function begin(
  one: ControllerRig,
  set: CommandSet,
  entry: Entry,
  data: Uint8Array | undefined,
  dataBytes: number,
): { answer: CommandCompletion | undefined; count: number } {
  const state: { answer: CommandCompletion | undefined; count: number } = { answer: undefined, count: 0 };
  one.controller.passthrough(set, entryOf(entry), data, dataBytes, (completion) => {
    state.answer = completion;
    state.count++;
  });
  return state;
}

function run(
  one: ControllerRig,
  set: CommandSet,
  entry: Entry,
  data?: Uint8Array,
  dataBytes = data?.length ?? 0,
): CommandCompletion {
  const state = begin(one, set, entry, data, dataBytes);
  one.until(() => state.answer !== undefined, 'the answer');
  assert.equal(state.count, 1);
  return state.answer as CommandCompletion;
}

const blocks = (opcode: number, lba: number, count: number, nsid = RAM): Entry => ({
  ...{ opcode, nsid, cdw10: lba, cdw12: count - 1 },
});

function pattern(bytes: number, seed: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, index) => (index * 7 + (index >>> 9) + seed) & 0xff);
}

/** A guest with its queues, a controller without any, and one that is not even a bus master. */
const SITUATIONS: readonly [string, (one: ControllerRig) => void][] = [
  ['a guest that runs', (one) => void one.up()],
  ['no guest at all', () => undefined],
  ['a controller that has stopped', (one) => stop(one.up())],
];

function stop(one: ControllerRig): void {
  let drained: boolean | undefined;
  one.controller.quiesce((result) => (drained = result));
  one.until(() => drained !== undefined, 'the stop');
  assert.equal(drained, true);
}

for (const [name, prepare] of SITUATIONS) {
  test(`with ${name}: writes and reads of all sizes`, () => {
    const one = fixture.rig();
    prepare(one);
    for (const count of [1, 8, 9, 16, 17, 128]) {
      const data = pattern(count * BLOCK, count);
      assert.equal(run(one, 'nvm', blocks(nvme.NVM_WRITE, 3, count), data).status, 0);
      const { status, data: read } = run(
        one,
        'nvm',
        blocks(nvme.NVM_READ, 3, count),
        undefined,
        count * BLOCK,
      );
      assert.equal(status, 0);
      assert.ok(Buffer.from(read).equals(data), `${count} blocks`);
    }
    assert.equal(run(one, 'nvm', { opcode: nvme.NVM_FLUSH, nsid: RAM }).status, 0);
    assert.equal(run(one, 'nvm', blocks(nvme.NVM_WRITE_ZEROES, 3, 128)).status, 0);
    const zeros = run(one, 'nvm', blocks(nvme.NVM_READ, 0, 8), undefined, 8 * BLOCK).data;
    assert.ok(zeros.every((byte) => byte === 0));
  });
}

test('what one command wrote and what a guest reads are the same blocks', () => {
  const one = fixture.rig().up();
  assert.equal(run(one, 'nvm', blocks(nvme.NVM_WRITE, 0, 8), pattern(4096, 5)).status, 0);
  assert.equal(one.io('read', RAM), 0);
  assert.ok(Buffer.from(pattern(4096, 5)).equals(one.guest(DATA_AT, 4096)));
});

test('a length that is not the command’s is refused, and nothing moves', () => {
  const one = fixture.rig().up();
  assert.equal(run(one, 'nvm', blocks(nvme.NVM_WRITE, 0, 2), pattern(1024, 1)).status, 0);
  const write = blocks(nvme.NVM_WRITE, 0, 2);
  for (const bytes of [0, 512, 1023, 1025, 4096]) {
    assert.equal(run(one, 'nvm', write, pattern(bytes, 9)).status, INVALID_FIELD, `write of ${bytes}`);
  }
  assert.equal(run(one, 'nvm', write, undefined, 1024).status, INVALID_FIELD, 'a write without data');
  const read = blocks(nvme.NVM_READ, 0, 2);
  for (const bytes of [0, 512, 1023, 1025, 65536]) {
    const { status, data } = run(one, 'nvm', read, undefined, bytes);
    assert.deepEqual([status, data.length], [INVALID_FIELD, 0], `read of ${bytes}`);
  }
  assert.equal(run(one, 'nvm', read, pattern(1024, 2), 1024).status, INVALID_FIELD, 'a read with data');
  const large = BOUNCE_BYTES / BLOCK + 1;
  const tooMuch = run(one, 'nvm', blocks(nvme.NVM_READ, 0, large), undefined, large * BLOCK);
  assert.equal(tooMuch.status, INVALID_FIELD);
  assert.equal(run(one, 'nvm', blocks(nvme.NVM_WRITE_ZEROES, 0, 2), pattern(4, 1)).status, INVALID_FIELD);
  const after = run(one, 'nvm', read, undefined, 1024).data;
  assert.ok(Buffer.from(after).equals(pattern(1024, 1)));
});

test('Dataset Management brings exactly its ranges', () => {
  const one = fixture.rig({
    change: (setup) => ({
      ...setup,
      namespaces: setup.namespaces.map((namespace) => ({ ...namespace, deallocate: true })),
    }),
  });
  one.up();
  assert.equal(run(one, 'nvm', blocks(nvme.NVM_WRITE, 0, 64), pattern(64 * BLOCK, 3)).status, 0);
  const ranges = Buffer.alloc(2 * nvme.DSM_RANGE_BYTES);
  [8, 32].forEach((first, index) => {
    ranges.writeUInt32LE(8, index * nvme.DSM_RANGE_BYTES + nvme.DSM_RANGE_BLOCKS);
    ranges.writeBigUInt64LE(BigInt(first), index * nvme.DSM_RANGE_BYTES + nvme.DSM_RANGE_LBA);
  });
  const deallocate = { opcode: nvme.NVM_DATASET_MANAGEMENT, nsid: RAM, cdw10: 1, cdw11: nvme.DSM_DEALLOCATE };
  for (const bytes of [0, 16, 31, 48]) {
    const { status } = run(one, 'nvm', deallocate, Buffer.alloc(bytes));
    assert.equal(status, INVALID_FIELD, `${bytes} bytes of ranges`);
  }
  assert.equal(run(one, 'nvm', deallocate, ranges).status, 0);
  const expected = pattern(64 * BLOCK, 3);
  for (const first of [8, 32]) expected.fill(0, first * BLOCK, (first + 8) * BLOCK);
  const { data } = run(one, 'nvm', blocks(nvme.NVM_READ, 0, 64), undefined, 64 * BLOCK);
  assert.ok(Buffer.from(data).equals(expected));
});

test('what the core refuses is told, and reads give nothing', () => {
  const one = fixture.rig();
  const beyond = run(one, 'nvm', blocks(nvme.NVM_READ, 1 << 20, 1), undefined, BLOCK);
  assert.deepEqual([beyond.status & 0x7ff, beyond.data.length], [nvme.STATUS_LBA_OUT_OF_RANGE, 0]);
  for (const nsid of [0, 3, 256, 257, 0xffffffff]) {
    const { status } = run(one, 'nvm', blocks(nvme.NVM_READ, 0, 1, nsid), undefined, BLOCK);
    assert.notEqual(status & 0x7ff, 0, `namespace ${nsid}`);
  }
  assert.equal(run(one, 'nvm', { opcode: 0x77, nsid: RAM }).status & 0x7ff, nvme.STATUS_INVALID_OPCODE);
  const event = run(one, 'admin', { opcode: nvme.ADMIN_ASYNC_EVENT_REQUEST });
  assert.equal(event.status & 0x7ff, nvme.STATUS_INVALID_OPCODE);
});

test('admin commands: Identify needs room, a log page too, and nothing beyond 4 KiB', () => {
  const one = fixture.rig().up();
  const identify = { opcode: nvme.ADMIN_IDENTIFY, cdw10: CNS_CONTROLLER };
  const { status, data } = run(one, 'admin', identify, undefined, 4096);
  assert.equal(status, 0);
  assert.equal(Buffer.from(data).toString('latin1', 4, 24), 'RIG'.padEnd(20));
  for (const bytes of [0, 512, 4095, 4097, 65536]) {
    const answer = run(one, 'admin', identify, undefined, bytes);
    assert.deepEqual([answer.status, answer.data.length], [INVALID_FIELD, 0], `${bytes} bytes`);
  }
  const log = { opcode: nvme.ADMIN_GET_LOG_PAGE, nsid: 0xffffffff, cdw10: LID_SMART | (127 << 16) };
  assert.equal(run(one, 'admin', log, undefined, 511).status, INVALID_FIELD);
  assert.equal(run(one, 'admin', log, undefined, 512).data.length, 512);
  assert.equal(run(one, 'admin', { ...log, cdw11: 1 }, undefined, 4096).status, INVALID_FIELD);
  assert.equal(run(one, 'admin', { opcode: nvme.ADMIN_GET_FEATURES, cdw10: 7 }).result, 0x003f003f);
});

test('commands wait for one another', () => {
  const one = fixture.rig().up();
  const states = [1, 2, 3].map((seed) =>
    begin(one, 'nvm', blocks(nvme.NVM_WRITE, seed, 1), pattern(BLOCK, seed), BLOCK),
  );
  one.until(() => states.every(({ count }) => count === 1), 'three answers');
  const { data } = run(one, 'nvm', blocks(nvme.NVM_READ, 1, 3), undefined, 3 * BLOCK);
  assert.ok(Buffer.from(data).equals(Buffer.concat([1, 2, 3].map((seed) => pattern(BLOCK, seed)))));
});

test('one that hangs is given up after 3 s, and late I/O meets no other command', () => {
  const one = fixture.rig().up();
  const hanging = begin(one, 'nvm', blocks(nvme.NVM_READ, 0, 8, HANGING), undefined, 4096);
  const next = begin(one, 'nvm', blocks(nvme.NVM_WRITE, 0, 8), pattern(4096, 4), 4096);
  one.until(() => one.native.inFlight === 1, 'the request');
  assert.equal(hanging.count + next.count, 0);
  fixture.reactor.ahead += DRAIN_MICROSECONDS;
  one.until(() => next.count === 1, 'the next');
  assert.equal(hanging.answer?.status, nvme.STATUS_ABORT_REQUESTED);
  assert.equal(next.answer?.status, nvme.STATUS_ABORT_REQUESTED, 'it waited as long');
  assert.equal(run(one, 'nvm', blocks(nvme.NVM_WRITE, 0, 8), pattern(4096, 6)).status, 0);
  one.unhang();
  one.until(() => one.native.inFlight === 0, 'the late completion');
  const { data } = run(one, 'nvm', blocks(nvme.NVM_READ, 0, 8), undefined, 4096);
  assert.ok(Buffer.from(data).equals(pattern(4096, 6)));
  assert.deepEqual([hanging.count, next.count], [1, 1]);
});

test('a reset answers what is under way', () => {
  const one = fixture.rig().up();
  const hanging = begin(one, 'nvm', blocks(nvme.NVM_READ, 0, 8, HANGING), undefined, 4096);
  one.until(() => one.native.inFlight === 1, 'the request');
  let isReset = false;
  one.controller.reset(() => (isReset = true));
  assert.equal(hanging.answer?.status, nvme.STATUS_ABORT_REQUESTED);
  one.unhang();
  one.until(() => isReset, 'the reset');
  assert.equal(run(one, 'nvm', blocks(nvme.NVM_WRITE, 0, 8), pattern(4096, 6)).status, 0);
  assert.equal(hanging.count, 1);
});

test('the memory is gone with the client', () => {
  const one = fixture.rig();
  const before = fdCount();
  assert.equal(run(one, 'nvm', blocks(nvme.NVM_WRITE, 0, 1), pattern(BLOCK, 1)).status, 0);
  assert.ok(fdCount() > before);
  let hasLeft = false;
  one.controller.disconnect(() => (hasLeft = true));
  one.until(() => hasLeft, 'the end');
  assert.equal(fdCount(), before);
  assert.equal(run(one, 'nvm', blocks(nvme.NVM_READ, 0, 1), undefined, BLOCK).status, 0);
  one.controller.disconnect(() => undefined);
  assert.equal(fdCount(), before);
});
