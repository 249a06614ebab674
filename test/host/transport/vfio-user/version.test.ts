/** VERSION: negotiation, capabilities as hostile JSON, and what comes before or after it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  EINVAL,
  EPROTO,
  errorReply,
  Fixture,
  message,
  NO_REPLY,
  QEMU_CAPABILITIES,
  reply,
  versionPayload,
} from './harness.ts';

const VERSION = 1;

/** The JSON of the only reply sent, without its NUL. */
function capabilitiesOf(fixture: Fixture): unknown {
  const [hex, ...more] = fixture.replies();
  assert.deepEqual(more, []);
  const bytes = Buffer.from(hex ?? '', 'hex');
  assert.equal(bytes.readUInt32LE(4), bytes.length);
  assert.equal(bytes.readUInt32LE(8), 1);
  assert.equal(bytes.readUInt32LE(16), 0, 'version 0.0');
  if (bytes.length === 20) return undefined;
  assert.equal(bytes.at(-1), 0);
  return (JSON.parse(bytes.subarray(20, -1).toString()) as { capabilities: unknown }).capabilities;
}

test("QEMU's request is answered within its length", () => {
  const fixture = new Fixture(4096);
  const request = message(1, VERSION, versionPayload(QEMU_CAPABILITIES));
  assert.equal(fixture.handle(request), undefined);
  assert.ok((fixture.sent[0]?.length ?? 0) / 2 <= request.length);
  assert.deepEqual(capabilitiesOf(fixture), {
    max_msg_fds: 16,
    max_data_xfer_size: 1048576,
    max_dma_maps: 4096,
    write_multiple: true,
  });
  assert.equal(fixture.session.established, true);
});

test('a client without JSON gets none', () => {
  const fixture = new Fixture();
  assert.equal(fixture.handle(message(1, VERSION, versionPayload(undefined))), undefined);
  assert.deepEqual(fixture.replies(), [reply(1, VERSION, Buffer.alloc(4))]);
});

test('the reply never grows beyond the request', () => {
  for (const json of ['', '{}', '{"capabilities":{}}', '{"capabilities":{"write_multiple":true}}      ']) {
    for (let padding = 0; padding < 120; padding++) {
      const fixture = new Fixture();
      const request = message(1, VERSION, versionPayload(json === '' ? json : json + ' '.repeat(padding)));
      assert.equal(fixture.handle(request), undefined, json);
      const bytes = (fixture.sent[0]?.length ?? 0) / 2;
      assert.ok(bytes >= 20 && bytes <= request.length);
      capabilitiesOf(fixture);
    }
  }
});

test('max_dma_maps is the smaller of both sides', () => {
  const fixture = new Fixture(4096);
  const json = `{"capabilities":{"max_dma_maps":100}}${' '.repeat(100)}`;
  fixture.handle(message(1, VERSION, versionPayload(json)));
  const capabilities = capabilitiesOf(fixture) as { max_dma_maps: number; write_multiple: boolean };
  assert.equal(capabilities.max_dma_maps, 100);
  assert.equal(capabilities.write_multiple, false);
});

test('a higher minor version is answered with 0.0', () => {
  const fixture = new Fixture();
  assert.equal(fixture.handle(message(1, VERSION, versionPayload(undefined, 0, 9))), undefined);
  assert.deepEqual(fixture.replies(), [reply(1, VERSION, Buffer.alloc(4))]);
});

test('another major version ends the session, after an answer', () => {
  const fixture = new Fixture();
  const error = fixture.handle(message(1, VERSION, versionPayload(QEMU_CAPABILITIES, 1, 0)));
  assert.equal(error?.code, 'VFIO_USER_VERSION_UNSUPPORTED');
  assert.deepEqual(fixture.replies(), [errorReply(1, VERSION, EPROTO)]);
  assert.equal(fixture.session.established, false);
});

test('a payload too short for a version ends the session', () => {
  for (const length of [0, 1, 3]) {
    const fixture = new Fixture();
    assert.equal(fixture.handle(message(1, VERSION, Buffer.alloc(length)), [40])?.fatal, true);
    fixture.nothingLeaks();
  }
});

test('capabilities that are not the JSON of the protocol end the session', () => {
  const bad = [
    '{',
    'null',
    '[]',
    '7',
    '"capabilities"',
    '{"capabilities":[]}',
    '{"capabilities":7}',
    '{"capabilities":{"max_msg_fds":"8"}}',
    '{"capabilities":{"max_msg_fds":-1}}',
    '{"capabilities":{"max_msg_fds":1.5}}',
    '{"capabilities":{"max_data_xfer_size":1e400}}',
    '{"capabilities":{"max_dma_maps":null}}',
    '{"capabilities":{"pgsizes":{}}}',
    '{"capabilities":{"write_multiple":1}}',
    '{"capabilities":{}}\0{}',
    `${'['.repeat(2000)}${']'.repeat(2000)}`,
    `{"capabilities":{}}${' '.repeat(5000)}`,
  ];
  for (const json of bad) {
    const fixture = new Fixture();
    const error = fixture.handle(message(1, VERSION, versionPayload(json)), [40]);
    assert.equal(error?.code, 'VFIO_USER_VERSION_MALFORMED', json.slice(0, 60));
    assert.deepEqual(fixture.replies(), [errorReply(1, VERSION, EPROTO)]);
    assert.equal(fixture.session.established, false);
    fixture.nothingLeaks();
  }
});

test('JSON without its NUL, and bytes that are not UTF-8, end the session', () => {
  const withoutNul = versionPayload(QEMU_CAPABILITIES).subarray(0, -1);
  const notText = Buffer.concat([
    Buffer.alloc(4),
    Buffer.from('{"a":"'),
    Buffer.of(0xff, 0xfe),
    Buffer.from('"}\0'),
  ]);
  for (const payload of [withoutNul, notText]) {
    const fixture = new Fixture();
    assert.equal(fixture.handle(message(1, VERSION, payload))?.code, 'VFIO_USER_VERSION_MALFORMED');
  }
});

test('unknown capabilities are ignored, whatever they are called', () => {
  const fixture = new Fixture();
  const json =
    '{"capabilities":{"twin_socket":{"supported":true},"__proto__":{"max_msg_fds":"x"},"constructor":1},"x":[]}';
  assert.equal(fixture.handle(message(1, VERSION, versionPayload(json))), undefined);
  assert.equal(fixture.session.established, true);
});

test('a second VERSION is refused and the session goes on', () => {
  const fixture = Fixture.established();
  fixture.refuses(message(2, VERSION, versionPayload(QEMU_CAPABILITIES)), EINVAL, [40]);
});

test('anything else before VERSION is refused and ends the session', () => {
  for (const command of [0, 2, 3, 4, 5, 7, 8, 9, 10, 13, 15, 99]) {
    const fixture = new Fixture();
    const error = fixture.handle(message(3, command, Buffer.alloc(64)), [40, 41]);
    assert.equal(error?.code, 'VFIO_USER_VERSION_MISSING');
    assert.deepEqual(fixture.replies(), [errorReply(3, command, EPROTO)]);
    assert.deepEqual(fixture.calls(), []);
    fixture.nothingLeaks();
  }
});

test('before VERSION, a posted command is not answered either', () => {
  const fixture = new Fixture();
  assert.equal(fixture.handle(message(3, 10, Buffer.alloc(20), NO_REPLY))?.fatal, true);
  assert.deepEqual(fixture.replies(), []);
});

test('a client that leaves before VERSION does not disturb the device', () => {
  const fixture = new Fixture();
  let done = 0;
  fixture.session.close(() => (done += 1));
  assert.equal(done, 1);
  assert.deepEqual(fixture.calls(), []);
});
