/** Commands that are not offered: an error reply, descriptors closed, and the session goes on. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EOPNOTSUPP, Fixture, message, NO_REPLY, u32 } from './harness.ts';

test('unknown, unused and optional commands are EOPNOTSUPP', () => {
  const fixture = Fixture.established();
  const getRegionIoFds = 6;
  const dmaRead = 11;
  const dmaWrite = 12;
  const dirtyPages = 14;
  const deviceFeature = 16;
  const migration = [17, 18];
  const commands = [
    0,
    getRegionIoFds,
    dmaRead,
    dmaWrite,
    dirtyPages,
    deviceFeature,
    ...migration,
    19,
    0xffff,
  ];
  commands.forEach((command, index) => {
    fixture.refuses(message(1, command, Buffer.alloc(40, 0xff)), EOPNOTSUPP, [30 + index]);
    fixture.refuses(message(1, command), EOPNOTSUPP);
  });
});

test('posted, they are not answered', () => {
  const fixture = Fixture.established();
  fixture.handle(message(1, 999, undefined, NO_REPLY), [30]);
  assert.deepEqual(fixture.replies(), []);
  fixture.nothingLeaks();
});

test('a client that sends nothing else does not fill the log', () => {
  const fixture = Fixture.established();
  for (let count = 0; count < 1000; count++) fixture.handle(message(1, 999));
  assert.equal(fixture.replies().length, 1000);
  assert.ok(fixture.logLines.length < 20);
  fixture.handle(message(2, 4, u32(16, 0, 0, 0)));
  assert.equal(fixture.replies().length, 1);
});
