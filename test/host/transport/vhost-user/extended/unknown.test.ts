/** Numbers that the dialect does not have, and headers that cannot be. */
import { test } from 'node:test';
import { u32 } from '../../fixture.ts';
import { message } from '../harness.ts';
import { ENOTSUP, ExtendedFixture } from './harness.ts';

test('requests of the standard that are not offered, and numbers that nobody has, are refused', () => {
  const fixture = ExtendedFixture.agreed();
  let fd = 30;
  for (const request of [0, 4, 6, 7, 8, 9, 10, 12, 13, 14, 18, 19, 20, 22, 23, 25, 26, 35, 39, 44, 0x3ff]) {
    fixture.refuses(request, Buffer.alloc(8), ENOTSUP, [fd++, fd++]);
  }
  fixture.close();
});

test('so are those of the legacy dialect', () => {
  const fixture = ExtendedFixture.agreed();
  for (const request of [80, 81, 82, 83, 84, 85])
    fixture.refuses(request, Buffer.alloc(64), ENOTSUP, [request]);
  fixture.close();
});

test('those that have an answer of their own end the session', () => {
  for (const request of [11, 17, 24])
    ExtendedFixture.agreed().ends(message(request), 'VHOST_USER_REQUEST', [30]);
});

test('private requests that nobody knows are answered, whether or not that was asked for', () => {
  const fixture = ExtendedFixture.agreed();
  for (const request of [0x40f, 0x47f, 0x480, 0x481, 0x10000, 0x80000000, 0xffffffff]) {
    fixture.refuses(request, Buffer.alloc(16), ENOTSUP, [request & 0xffff]);
  }
  fixture.close();
});

test('headers that contradict themselves or the message end the session', () => {
  for (const bytes of [
    Buffer.alloc(11),
    u32(0x400, 1, 8),
    u32(0x400, 1, 0xffffffff),
    Buffer.concat([u32(0x400, 1, 0), Buffer.alloc(1)]),
    message(0x405, Buffer.alloc(65609)),
  ]) {
    ExtendedFixture.agreed().ends(bytes, 'VHOST_USER_HEADER', [30, 31]);
  }
  for (const flags of [0, 2, 3, 4, 5, 0xd, 0x11, 0x80000001, 0xffffffff]) {
    ExtendedFixture.agreed().ends(message(0x400, Buffer.alloc(0), flags), 'VHOST_USER_HEADER', [30]);
  }
});
