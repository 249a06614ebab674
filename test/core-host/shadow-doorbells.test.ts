// Doorbell Buffer Config (Base 5.11): which doorbells a guest is spared, which it still rings, and what happens to
// values that make no sense.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as abi from '../../assembly/abi/records.ts';
import * as nvme from '../../assembly/spec/nvme.ts';
import { doorbellOffset } from '../../host/core/driver.ts';
import { MockGuest } from '../support/mock-guest.ts';

/** Linear view of the tail of queue 1 in a page of shadow doorbells. */
const TAIL = 2 * nvme.DOORBELL_BYTES;
const ENTRIES = 16;

function setUp(): { guest: MockGuest; shadow: number; eventIndex: number } {
  const guest = MockGuest.up({ queue: { entries: ENTRIES } });
  const shadow = guest.allocate(4096);
  const eventIndex = guest.allocate(4096);
  guest.driver.doorbellBuffers(shadow, eventIndex);
  guest.succeed();
  guest.driver.doorbellBuffersUse(shadow, eventIndex);
  return { guest, shadow, eventIndex };
}

function arm(guest: MockGuest): boolean {
  return guest.memory.call((core) => core.queueArm());
}

describe('shadow doorbells', () => {
  test('a guest whose queues are polled rings at most twice a lap', () => {
    const { guest } = setUp();
    const commands = 40 * ENTRIES;
    const before = guest.driver.doorbellsRung;
    for (let index = 0; index < commands; index++) {
      guest.driver.flush(1);
      guest.succeed(1);
    }
    const laps = commands / ENTRIES;
    const rung = guest.driver.doorbellsRung - before;
    assert.ok(rung <= 2 * 2 * laps, `${rung} doorbells for ${commands} commands`);
  });

  test('after arming, the next command rings', () => {
    const { guest } = setUp();
    guest.driver.flush(1);
    guest.succeed(1);
    assert.equal(arm(guest), false);
    guest.driver.flush(1).submit(1);
    assert.equal(guest.ring(1), true);
    assert.equal(guest.run().length, 1);
  });

  test('arming sees a command that came without a doorbell', () => {
    const { guest } = setUp();
    guest.driver.flush(1);
    guest.succeed(1);
    guest.driver.flush(1).submit(1);
    assert.equal(guest.ring(1), false);
    assert.equal(arm(guest), true);
    assert.equal(guest.run().length, 1);
  });

  test('EventIdx says the tail that was seen', () => {
    const { guest, eventIndex } = setUp();
    for (let index = 0; index < 5; index++) {
      guest.driver.flush(1);
      guest.succeed(1);
    }
    arm(guest);
    assert.equal(guest.memory.view(eventIndex + TAIL, 4).getUint32(0, true), 5);
  });

  test('a tail beyond the ring is refused once, and ignored until it changes', () => {
    const { guest, shadow } = setUp();
    guest.events.length = 0;
    guest.memory.view(shadow + TAIL, 4).setUint32(0, ENTRIES, true);
    for (let polls = 0; polls < 5; polls++) guest.poll();
    const refused = guest.events.filter((event) => event.type === abi.EVENT_DOORBELL_REFUSED);
    assert.equal(refused.length, 1);
    assert.equal(refused[0]?.value, BigInt(ENTRIES));
    assert.equal(guest.pending.length, 0);
    guest.driver.flush(1);
    guest.succeed(1);
  });

  test('an MMIO write is a kick: an old value does not take back what memory says', () => {
    const { guest } = setUp();
    guest.driver.flush(1).submit(1);
    guest.driver.flush(1).submit(1);
    guest.ring(1);
    guest.doorbellWrite(doorbellOffset(1, 'submission'), 1);
    guest.poll();
    guest.doorbellWrite(doorbellOffset(1, 'submission'), 0);
    assert.equal(guest.run().length, 2);
    assert.equal(guest.driver.strangers, 0);
  });

  test('what the page held before the guest wrote to it is not replayed', () => {
    const guest = MockGuest.up({ queue: { entries: ENTRIES } });
    const [shadow, eventIndex] = [guest.allocate(4096), guest.allocate(4096)];
    guest.memory.view(shadow + TAIL, 4).setUint32(0, 3, true);
    guest.driver.doorbellBuffers(shadow, eventIndex);
    guest.succeed();
    for (let polls = 0; polls < 5; polls++) guest.poll();
    assert.equal(guest.driver.reap(1), 0, 'entries that the guest never submitted were executed');
    guest.driver.doorbellBuffersUse(shadow, eventIndex);
    guest.driver.flush(1);
    guest.succeed(1);
  });

  test('a reset forgets them', () => {
    const { guest, shadow } = setUp();
    guest.disable();
    guest.enable();
    guest.queueCreate(1, { entries: ENTRIES });
    guest.memory.view(shadow + TAIL, 4).setUint32(0, 7, true);
    for (let polls = 0; polls < 5; polls++) guest.poll();
    assert.equal(guest.driver.reap(1), 0);
    guest.driver.flush(1).submit(1);
    assert.equal(guest.ring(1), true);
    assert.equal(guest.run().length, 1);
  });

  test('the admin queue rings always', () => {
    const { guest } = setUp();
    guest.driver.getFeatures(7).submit(0);
    assert.equal(guest.ring(0), true);
    assert.equal(guest.run().length, 1);
  });

  test('a controller that does not offer them refuses the command', () => {
    const guest = MockGuest.up({ controller: { shadowDoorbells: false } });
    guest.driver.doorbellBuffers(guest.allocate(4096), guest.allocate(4096));
    assert.equal(guest.command().status, nvme.STATUS_INVALID_OPCODE);
  });

  test('a queue in use that is full of completions asks for the head', () => {
    const { guest } = setUp();
    // Some commands first, so that EventIdx is where a guest that is polled leaves it.
    for (let index = 0; index < 3; index++) {
      guest.driver.flush(1);
      guest.succeed(1);
    }
    for (let index = 0; index < ENTRIES - 1; index++) guest.driver.flush(1).submit(1);
    guest.ring(1);
    for (let polls = 0; polls < 6; polls++) {
      guest.poll();
      guest.complete();
    }
    assert.equal(guest.driver.reap(1, 4), 4);
    guest.driver.flush(1).submit(1);
    guest.ring(1);
    for (let polls = 0; polls < 6; polls++) guest.poll();
    assert.equal(guest.pending.length, 0, 'a command was fetched without room for its completion');
    assert.equal(arm(guest), false);
    const head = guest.driver.completionDoorbell(1);
    assert.notEqual(head, undefined, 'the target sleeps, so the guest has to ring');
    guest.doorbellWrite(doorbellOffset(1, 'completion'), head as number);
    assert.equal(guest.run().length, ENTRIES - 4);
  });
});
