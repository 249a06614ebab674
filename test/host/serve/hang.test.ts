// A target of whose namespaces one hangs: the other one, admin commands, resets and the end of the target do not.

import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import * as nvme from '../../../assembly/spec/nvme.ts';
import { buildPath } from '../../../host/demo/checkout.ts';
import { FuseFile } from '../../support/fuse-file.ts';
import { RemoteGuest } from '../../support/remote-guest.ts';
import { TargetProcess } from '../../support/target-process.ts';

fs.mkdirSync(buildPath('tmp'), { recursive: true });
const directory = fs.mkdtempSync(buildPath('tmp', 'hang-'));
const socket = path.join(directory, 'nvme.sock');
let fuse: FuseFile | string;
before(async () => {
  fuse = await FuseFile.mount(path.join(directory, 'fuse'), 1 << 20);
});
after(async () => {
  if (typeof fuse !== 'string') await fuse.end();
  fs.rmSync(directory, { recursive: true });
});

const HUNG = 1;
const SOUND = 2;
/** A free page of the guest's memory. */
const DATA_AT = 0x8000;
const read = (nsid: number): { opcode: number; nsid: number; prp1: number } => ({
  opcode: nvme.NVM_READ,
  nsid,
  prp1: DATA_AT,
});

/** Asserts that the work takes less than so many milliseconds. */
function within(milliseconds: number, what: string, work: () => void): void {
  const started = performance.now();
  work();
  const took = Math.round(performance.now() - started);
  assert.ok(took < milliseconds, `${what} took ${took} ms`);
}

test('one namespace hangs, all else works, and the target ends', async (context) => {
  if (typeof fuse === 'string') {
    context.skip(fuse);
    return;
  }
  // What hangs when this test fails would keep the target, and that this process.
  context.after(async () => (typeof fuse === 'string' ? undefined : fuse.end()));
  const target = await TargetProcess.start(
    ...['--socket', socket, '--namespace', `file:${path.join(directory, 'fuse')}`, '--namespace', 'ram:1M'],
  );
  assert.ok(target.messages.some((line) => /cannot free blocks/.test(line)));
  const guest = RemoteGuest.up(socket);
  assert.equal(guest.command(1, read(HUNG)), 0);
  await fuse.hang();

  for (let count = 0; count < 8; count++) guest.push(1, read(HUNG));
  guest.ring(1);
  await pause(100);
  within(2000, 'a read of the other namespace', () => assert.equal(guest.command(1, read(SOUND)), 0));
  within(2000, 'Identify', () => {
    const identify = { opcode: nvme.ADMIN_IDENTIFY, prp1: DATA_AT, cdw10: 1 };
    assert.equal(guest.command(0, identify), 0);
  });
  within(2000, 'Abort', () => {
    // Queue 1, some command that hangs or not: it is answered either way.
    assert.equal(guest.command(0, { opcode: nvme.ADMIN_ABORT, cdw10: 1 | (5 << 16) }), 0);
  });
  within(5000, 'a reset of the device', () => {
    guest.client.reset();
  });

  // Whoever comes next is served, though the I/O of the one who left goes on.
  guest.close();
  const next = RemoteGuest.up(socket);
  assert.equal(next.command(1, read(SOUND)), 0);
  next.push(1, read(HUNG));
  next.ring(1);
  // The kernel keeps the process until the storage answers; the target itself has ended long before.
  const drained = target.drain();
  const deadline = performance.now() + 10_000;
  while (!target.messages.some((line) => /it is left to the kernel/.test(line))) {
    assert.ok(performance.now() < deadline, 'the target ends within 10 s');
    await pause(100);
  }
  assert.equal(fs.existsSync(socket), false);
  await fuse.end();
  await drained;
});
