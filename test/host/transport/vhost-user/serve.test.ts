/**
 * A target as its users run it, with one namespace through both protocols: what one guest writes the other reads; and
 * when the 2019 device's guest is idle, the target wakes up at most a hundred times a second.
 */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import path from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { NVM_READ } from '../../../../assembly/spec/nvme.ts';
import { buildPath } from '../../../../host/demo/checkout.ts';
import { AT, Guest2019 } from '../../../support/guest-2019.ts';
import { RemoteGuest } from '../../../support/remote-guest.ts';
import { TargetProcess } from '../../../support/target-process.ts';

mkdirSync(buildPath('tmp'), { recursive: true });
const directory = mkdtempSync(buildPath('tmp', 'both-'));

after(() => {
  rmSync(directory, { recursive: true });
});

test('both protocols in one process, the same namespace through both', async (context) => {
  const [old, modern] = [path.join(directory, 'old'), path.join(directory, 'new')];
  const target = await TargetProcess.start(
    ...['--socket', `${old},protocol=vhost-user-nvme`, '--socket', `${modern},protocol=vfio-user`],
    ...['--namespace', 'ram:16M,share=on'],
  );
  context.after(() => target.kill());
  const guest = new Guest2019(old);
  guest.device.realize();
  assert.equal(guest.device.cap & 0xffffn, 255n, 'rings of 256 entries');
  assert.equal(guest.device.namespaceCount, 1);
  guest.enable();
  guest.driver.setFeatures(7, 0x10001);
  assert.deepEqual(guest.admin(), { status: 0, dw0: 0x1e001e });
  guest.pairCreate(1, 1);
  guest.bytes(AT.data, 4096).fill(0x5c);
  assert.equal(guest.io('write'), 0);
  guest.shadowDoorbells();
  assert.equal(guest.io('read'), 0);

  const other = RemoteGuest.up(modern);
  assert.equal(other.command(1, { opcode: NVM_READ, nsid: 1, prp1: 0x10000, cdw12: 7 }), 0);
  assert.ok(other.readMemory(0x10000, 4096).every((byte) => byte === 0x5c));
  other.close();

  await sleep(500);
  const { sleeps } = await target.statistics();
  await sleep(1000);
  const idle = (await target.statistics()).sleeps - sleeps;
  assert.ok(idle <= 110, `${idle} wake-ups in a second`);
  assert.equal(guest.io('read'), 0, 'and it is still there');
  guest.disable();
  guest.device.send(82, Buffer.alloc(0));
  guest.device.receive(82);
  await sleep(100);
  const stopped = (await target.statistics()).sleeps;
  await sleep(500);
  const after = (await target.statistics()).sleeps - stopped;
  assert.ok(after <= 3, `${after} wake-ups of a target whose guest is off`);
  guest.close();
  await target.drain();
});
