/**
 * A target as its users run it, with a front end of the extended dialect: I/O by page and kick, sleep while the guest
 * is idle, an ordered restart that the guest does not notice, and the state of a target that died, which is refused.
 */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import path from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { NVM_READ, NVM_WRITE } from '../../../../../assembly/spec/nvme.ts';
import { STATE_RESUMED, STATE_UNCLEAN } from '../../../../../assembly/spec/vhost-user-nvme.ts';
import { buildPath } from '../../../../../host/demo/checkout.ts';
import { TargetProcess } from '../../../../support/target-process.ts';
import { FrontEnd } from '../../../../support/vhost-user-front-end.ts';

mkdirSync(buildPath('tmp'), { recursive: true });
const directory = mkdtempSync(buildPath('tmp', 'extended-'));

after(() => {
  rmSync(directory, { recursive: true });
});

test('one guest through three targets', async (context) => {
  const socket = path.join(directory, 's');
  const options = [
    ...['--socket', `${socket},protocol=vhost-user-nvme`],
    ...['--namespace', `file:${path.join(directory, 'disk')},size=16M`],
  ];
  const first = await TargetProcess.start(...options);
  context.after(() => first.kill());
  const guest = new FrontEnd();
  context.after(() => {
    guest.close();
  });
  assert.equal(guest.attach(socket), undefined);
  guest.enable();
  guest.data = Buffer.alloc(512, 0x5c);
  guest.io(NVM_WRITE);
  assert.equal(guest.completed(1), 0);
  await sleep(200);
  const { sleeps } = await first.statistics();
  await sleep(1000);
  const woken = (await first.statistics()).sleeps - sleeps;
  assert.ok(woken <= 3, `${woken} wake-ups in a second of an idle guest`);

  await first.drain();
  guest.detached();
  guest.data = Buffer.alloc(512);
  guest.io(NVM_READ);
  const second = await TargetProcess.start(...options);
  context.after(() => second.kill());
  assert.equal(guest.attach(socket), STATE_RESUMED);
  assert.equal(guest.completed(1), 0, 'what was submitted without a target');
  assert.ok(guest.data.every((byte) => byte === 0x5c));
  for (let round = 0; round < 40; round++) {
    guest.io(NVM_READ);
    assert.equal(guest.completed(1), 0);
  }

  await second.kill();
  guest.detached();
  const third = await TargetProcess.start(...options);
  context.after(() => third.kill());
  assert.equal(guest.attach(socket), STATE_UNCLEAN);
  guest.enable();
  guest.io(NVM_READ);
  assert.equal(guest.completed(1), 0);
  assert.ok(guest.data.every((byte) => byte === 0x5c));
  await third.drain();
});
