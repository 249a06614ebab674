// The loop over a reactor in virtual time: it spins while there is work and for the budget after it, arms before it
// sleeps, sleeps no longer than somebody allows, and gives each controller its turn.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ReactorLoop, type Driven } from '../../../host/reactor/loop.ts';
import type { Reactor } from '../../../host/reactor/reactor.ts';
import type { Watch } from '../../../host/transport/reactor-port.ts';
import { Random } from '../../support/random.ts';

/** A reactor whose time passes only in its turns: a microsecond each, or as long as it sleeps. */
class VirtualReactor implements Reactor {
  time = 1_000_000;
  /** How long each sleep was to be at most; -1 without an end. */
  readonly sleeps: number[] = [];
  readonly #due: { at: number; handler: () => void }[] = [];

  /** The kernel has news after so many microseconds. */
  after(microseconds: number, handler: () => void): void {
    this.#due.push({ at: this.time + microseconds, handler });
    this.#due.sort((a, b) => a.at - b.at);
  }

  turn(waitMicroseconds: number): number {
    this.time += 1;
    if (waitMicroseconds !== 0) {
      this.sleeps.push(waitMicroseconds);
      const news = this.#due[0]?.at ?? Infinity;
      const end = waitMicroseconds < 0 ? Infinity : this.time + waitMicroseconds;
      assert.ok(Math.min(news, end) < Infinity, 'asleep for ever');
      this.time = Math.max(this.time, Math.min(news, end));
    }
    let called = 0;
    for (let next = this.#due[0]; next !== undefined && next.at <= this.time; next = this.#due[0]) {
      this.#due.shift();
      next.handler();
      called++;
    }
    return called;
  }

  now(): number {
    return this.time;
  }
  submit(): void {
    assert.fail('nothing is submitted here');
  }
  watch(): Watch {
    return { cancel: () => undefined };
  }
  watchWritable(): Watch {
    return { cancel: () => undefined };
  }
  close(): void {
    this.#due.length = 0;
  }
}

/** Work that a guest leaves without a word, as with shadow doorbells; it rings only if the controller is armed. */
class Guest implements Driven {
  waiting = 0;
  done = 0;
  armed = false;
  /** Times that `poll` found nothing. */
  idlePolls = 0;
  /** Time at which it wants to be polled. */
  wakeAt = Infinity;
  polledAt: number[] = [];
  /** Work that arrives while the controller is being armed. */
  arriving = 0;

  /** Most things done in a poll. */
  constructor(readonly budget = 4) {}

  poll(now: number): number {
    this.armed = false;
    this.polledAt.push(now);
    if (now >= this.wakeAt) this.wakeAt = Infinity;
    const count = Math.min(this.budget, this.waiting);
    this.waiting -= count;
    this.done += count;
    if (count === 0) this.idlePolls++;
    return count;
  }
  complete(): number {
    return 0;
  }
  arm(): boolean {
    this.waiting += this.arriving;
    this.arriving = 0;
    this.armed = this.waiting === 0;
    return this.armed;
  }
  deadline(now: number): number {
    return this.wakeAt - now;
  }
}

function loopOf(
  spinMicroseconds: number,
  ...guests: Driven[]
): { loop: ReactorLoop; reactor: VirtualReactor } {
  const reactor = new VirtualReactor();
  const loop = new ReactorLoop(reactor, { spinMicroseconds });
  for (const guest of guests) loop.add(guest);
  return { loop, reactor };
}

test('spins for the budget after the last work, then sleeps without an end', () => {
  const guest = new Guest();
  guest.waiting = 1;
  const { loop, reactor } = loopOf(50, guest);
  reactor.after(10_000, () => loop.stop());
  loop.run();
  assert.equal(guest.done, 1);
  assert.ok(guest.idlePolls >= 48 && guest.idlePolls <= 52, `${guest.idlePolls} idle polls`);
  assert.deepEqual(reactor.sleeps, [-1]);
  assert.equal(loop.statistics.sleeps, 1);
});

test('work that comes while the doorbells are armed is done before the loop sleeps', () => {
  const [guest, other] = [new Guest(), new Guest()];
  guest.arriving = 1;
  const { loop, reactor } = loopOf(0, guest, other);
  reactor.after(1000, () => {
    assert.equal(guest.done, 1);
    assert.ok(guest.armed && other.armed, 'whoever was armed first is armed again');
    loop.stop();
  });
  loop.run();
  assert.deepEqual(reactor.sleeps, [-1]);
});

test('the first deadline ends a sleep, and its controller is polled then', () => {
  const [guest, other] = [new Guest(), new Guest()];
  const { loop, reactor } = loopOf(0, guest, other);
  const wakeAt = reactor.time + 3000;
  guest.wakeAt = wakeAt + 5000;
  other.wakeAt = wakeAt;
  reactor.after(20_000, () => loop.stop());
  loop.run();
  assert.equal(
    other.polledAt.find((time) => time >= wakeAt),
    other.polledAt.find((time) => time > wakeAt - 1),
  );
  assert.ok((other.polledAt.find((time) => time >= wakeAt) ?? 0) - wakeAt < 10, 'in time');
  assert.equal(guest.wakeAt, Infinity);
  assert.equal(reactor.sleeps.length, 3);
  assert.equal(reactor.sleeps.at(-1), -1);
});

test('a controller that always has work does not starve its neighbour or the kernel', () => {
  const [greedy, modest] = [new Guest(), new Guest()];
  greedy.waiting = Infinity;
  const { loop, reactor } = loopOf(50, greedy, modest);
  reactor.after(100, () => (modest.waiting = 8));
  reactor.after(200, () => loop.stop());
  loop.run();
  assert.equal(modest.done, 8);
  assert.deepEqual(reactor.sleeps, []);
});

test('whatever comes when, nothing is left undone while the loop sleeps', () => {
  for (let seed = 1; seed <= 50; seed++) {
    const random = new Random(seed);
    const guests = [new Guest(1), new Guest(3), new Guest(100)];
    const { loop, reactor } = loopOf(random.below(60), ...guests);
    let given = 0;
    for (let arrival = 0; arrival < 40; arrival++) {
      const guest = guests[random.below(3)] as Guest;
      const count = 1 + random.below(6);
      given += count;
      reactor.after(random.below(5000), () => {
        if (random.below(4) === 0) guest.arriving += count;
        else guest.waiting += count;
      });
    }
    reactor.after(10_000, () => {
      for (const guest of guests) assert.equal(guest.waiting + guest.arriving, 0, `seed ${seed}`);
      loop.stop();
    });
    loop.run();
    assert.equal(
      guests.reduce((sum, guest) => sum + guest.done, 0),
      given,
      `seed ${seed}`,
    );
  }
});
