/** ADMIN_COMMAND and IO_COMMAND: whole commands with their data. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EINVAL, u32, u64 } from '../../fixture.ts';
import { entry, message, reply } from '../harness.ts';
import { ENOTSUP, ExtendedFixture } from './harness.ts';

const [ADMIN, IO] = [0x405, 0x406];
const [IDENTIFY, SET_FEATURES, READ, WRITE, AER] = [0x06, 0x09, 0x02, 0x01, 0x0c];

function command(opcode: number, bytes: number, data: Uint8Array = Buffer.alloc(0), reserved = 0): Buffer {
  return Buffer.concat([entry(opcode, 0x1234, 1, 0), u32(bytes, reserved), data]);
}

/** The reply's payload: result, completion queue entry, data. */
function completion(status: number, dw0: number, data: Uint8Array = Buffer.alloc(0)): Buffer {
  const cqe = Buffer.alloc(16);
  cqe.writeUInt32LE(dw0, 0);
  cqe.writeUInt16LE(0x1234, 12);
  cqe.writeUInt16LE(status << 1, 14);
  return Buffer.concat([u64(0n), cqe, data]);
}

test('data come back with the completion', () => {
  const fixture = ExtendedFixture.agreed();
  const data = Buffer.alloc(4096, 0x5a);
  fixture.device.completions.set(IDENTIFY * 256, { status: 0, result: 0, data });
  fixture.accepts(ADMIN, command(IDENTIFY, 4096), [], ['passthrough admin 6 - 4096'], completion(0, 0, data));
  fixture.accepts(IO, command(READ, 65536), [], ['passthrough nvm 2 - 65536'], completion(0, 0));
  fixture.close();
});

test('data go along with a command that transfers to the controller', () => {
  const fixture = ExtendedFixture.agreed();
  fixture.device.completions.set(SET_FEATURES * 256, { status: 0x4002, result: 7, data: Buffer.alloc(0) });
  fixture.accepts(
    ADMIN,
    command(SET_FEATURES, 2, Buffer.of(1, 2)),
    [],
    ['passthrough admin 9 0102 2'],
    completion(0x4002, 7),
  );
  const calls = [`passthrough nvm 1 ${'77'.repeat(65536)} 65536`];
  fixture.accepts(IO, command(WRITE, 65536, Buffer.alloc(65536, 0x77)), [], calls, completion(0, 0));
  fixture.close();
});

test('the reply waits for the command', () => {
  const fixture = ExtendedFixture.agreed();
  fixture.device.late.add('passthrough');
  fixture.handle(message(IO, command(0, 0)));
  assert.ok(!fixture.session.ready);
  fixture.device.complete();
  assert.deepEqual(fixture.replies(), [reply(IO, completion(0, 0))]);
  assert.equal(fixture.resumed, 1);
});

test('more data than a command carries, or others than it says', () => {
  const fixture = ExtendedFixture.agreed();
  for (const request of [ADMIN, IO]) {
    const most = request === ADMIN ? 4096 : 65536;
    fixture.refuses(request, command(0x02, most + 1), EINVAL);
    fixture.refuses(request, command(0x02, 0xffffffff), EINVAL);
    fixture.refuses(request, command(0x01, 8, Buffer.alloc(7)), EINVAL);
    fixture.refuses(request, command(0x01, 8, Buffer.alloc(9)), EINVAL);
    fixture.refuses(request, command(0x01, 8), EINVAL);
    fixture.refuses(request, command(0x02, 8, Buffer.alloc(8)), EINVAL);
    fixture.refuses(request, command(0x02, 8, Buffer.alloc(0), 1), EINVAL);
    fixture.refusesOtherShapes(request, command(0x02, 8), [0]);
  }
  fixture.refuses(ADMIN, command(SET_FEATURES, 4097, Buffer.alloc(4097)), EINVAL);
});

test('a request for events would keep all others waiting', () => {
  const fixture = ExtendedFixture.agreed();
  fixture.refuses(ADMIN, command(AER, 0), ENOTSUP);
  fixture.accepts(IO, command(AER, 0), [], ['passthrough nvm 12 - 0'], completion(0, 0));
});
