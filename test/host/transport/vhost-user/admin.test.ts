/** NVME_ADMIN: which fields count, what goes to the controller, and the replies byte by byte. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { entry, Fixture, message, reply } from './harness.ts';

const IDENTIFY = 6;

/** A reply of 16 bytes. */
function cqe(cid: number, status: number, dw0 = 0): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt32LE(dw0, 0);
  bytes.writeUInt16LE(cid, 12);
  bytes.writeUInt16LE(status << 1, 14);
  return bytes;
}

/** A reply of 4,112 bytes: data from 64 on. */
function withData(cid: number, status: number, data: Buffer = Buffer.alloc(0)): Buffer {
  const bytes = Buffer.alloc(4112);
  cqe(cid, status).copy(bytes);
  data.copy(bytes, 64, 0, 4048);
  return bytes;
}

function structure(value: number): Buffer {
  return Buffer.alloc(4096, value);
}

test('Identify Namespace: opcode, NSID and CDW10 count, the rest of the entry is rubbish', () => {
  const fixture = new Fixture();
  fixture.device.completions.set(IDENTIFY * 256, { status: 0, result: 0, data: structure(0x33) });
  assert.equal(fixture.handle(message(80, entry(IDENTIFY, 7, 5, 0, 0xa5a5a5a5, 0xa5))), undefined);
  assert.deepEqual(fixture.calls(), ['command 0600070005']);
  assert.deepEqual(fixture.replies(), [reply(80, withData(7, 0, structure(0x33)))]);
});

test('Identify Controller: NN is the last active namespace', () => {
  const fixture = new Fixture();
  const list = structure(0);
  list.writeUInt32LE(3, 0);
  list.writeUInt32LE(9, 4);
  fixture.device.completions.set(IDENTIFY * 256 + 2, { status: 0, result: 0, data: list });
  fixture.device.completions.set(IDENTIFY * 256 + 1, { status: 0, result: 0, data: structure(0x44) });
  assert.equal(fixture.handle(message(80, entry(IDENTIFY, 0, 0x1000, 1, 0x55af, 0x11))), undefined);
  const expected = structure(0x44);
  expected.writeUInt32LE(9, 516);
  assert.deepEqual(fixture.replies(), [reply(80, withData(0, 0, expected))]);
});

test('any other CNS is Invalid Field, in a reply of the same size', () => {
  const fixture = new Fixture();
  for (const cdw10 of [2, 3, 5, 6, 0x1c, 0x100, 0x10001, 0xffffffff]) {
    assert.equal(fixture.handle(message(80, entry(IDENTIFY, 3, 0, cdw10))), undefined);
    assert.deepEqual(fixture.replies(), [reply(80, withData(3, 0x4002))]);
    assert.deepEqual(fixture.calls(), []);
  }
});

test('Identify that fails has zeros for data', () => {
  const fixture = new Fixture();
  fixture.device.completions.set(IDENTIFY * 256, { status: 0x400b, result: 0, data: new Uint8Array(0) });
  fixture.handle(message(80, entry(IDENTIFY, 4, 99, 0)));
  assert.deepEqual(fixture.replies(), [reply(80, withData(4, 0x400b))]);
});

test('other commands pass as they are, DW0 and status come back', () => {
  const fixture = new Fixture();
  fixture.device.completions.set(10 * 256 + 7, { status: 0, result: 0x1e001e, data: new Uint8Array(0) });
  fixture.handle(message(80, entry(10, 2, 0, 7)));
  assert.deepEqual(fixture.calls(), [
    `command ${entry(10, 2, 0, 7)
      .toString('hex')
      .replace(/(00)+$/, '')}`,
  ]);
  assert.deepEqual(fixture.replies(), [reply(80, cqe(2, 0, 0x1e001e))]);
});

test('Set Features, Number of Queues, is a question, whatever it asks for', () => {
  const fixture = Fixture.started();
  fixture.device.completions.set(10 * 256 + 7, { status: 0, result: 0x1e001e, data: new Uint8Array(0) });
  fixture.handle(message(80, entry(9, 4, 0, 7, 0x10001)));
  assert.deepEqual(fixture.replies(), [reply(80, cqe(4, 0, 0x1e001e))]);
});

test('queue commands before the start are Command Sequence Error', () => {
  const fixture = new Fixture();
  for (const opcode of [0, 1, 4, 5, 0x7c]) {
    fixture.handle(message(80, entry(opcode, 9, 0, 0x70001, 1)));
    assert.deepEqual(fixture.replies(), [reply(80, cqe(9, 0x400c))]);
    assert.deepEqual(fixture.calls(), []);
  }
});

test('a completion queue gets the vector of its own number', () => {
  const fixture = Fixture.started();
  fixture.handle(message(80, entry(5, 1, 0, 0x00ff0002, 0x00030003)));
  const sent = entry(5, 1, 0, 0x00ff0002, 0x00020003);
  assert.deepEqual(fixture.calls(), [`command ${sent.toString('hex').replace(/(00)+$/, '')}`]);
});

test('a queue that is created anew is deleted first, and so is who completes to it', () => {
  const fixture = Fixture.started();
  const opcodes = (): string[] => fixture.calls().map((call) => call.slice(8, 10) + call.slice(88, 90));
  fixture.handle(message(80, entry(5, 1, 0, 0x70001, 3)));
  fixture.handle(message(80, entry(1, 2, 0, 0x70001, 0x10001)));
  fixture.handle(message(80, entry(1, 3, 0, 0x70002, 0x10001)));
  assert.deepEqual(opcodes(), ['0501', '0101', '0102']);
  fixture.handle(message(80, entry(1, 4, 0, 0x70002, 0x10001)));
  assert.deepEqual(opcodes(), ['0002', '0102']);
  fixture.handle(message(80, entry(5, 5, 0, 0x70001, 3)));
  assert.deepEqual(opcodes(), ['0001', '0002', '0401', '0501']);
  fixture.handle(message(80, entry(1, 6, 0, 0x70001, 0x10001)));
  fixture.handle(message(80, entry(0, 7, 0, 1)));
  fixture.handle(message(80, entry(4, 8, 0, 1)));
  opcodes();
  fixture.handle(message(80, entry(5, 9, 0, 0x70001, 3)));
  assert.deepEqual(opcodes(), ['0501'], 'what was deleted is not deleted again');
});

test('a reply waits for its command, and what follows waits for the reply', () => {
  const fixture = Fixture.started();
  fixture.device.late.add('command');
  fixture.handle(message(80, entry(0, 1, 0, 1)));
  assert.ok(!fixture.session.ready);
  assert.deepEqual(fixture.replies(), []);
  fixture.device.complete();
  assert.ok(fixture.session.ready);
  assert.equal(fixture.resumed, 1);
  assert.deepEqual(fixture.replies(), [reply(80, cqe(1, 0))]);
});

test('NEED_REPLY brings no second answer', () => {
  const fixture = new Fixture();
  fixture.handle(message(80, entry(9, 2, 0, 7), 9));
  assert.deepEqual(fixture.replies(), [reply(80, cqe(2, 0))]);
});

test('a payload of another size, or a descriptor, ends the session: the front end would wait for ever', () => {
  for (const bytes of [0, 16, 63, 65, 128]) {
    new Fixture().ends(message(80, Buffer.alloc(bytes)), 'VHOST_USER_SIZE', [30]);
  }
  new Fixture().ends(message(80, entry(IDENTIFY, 0, 0, 1)), 'VHOST_USER_FDS', [30]);
});
