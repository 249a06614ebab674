/**
 * A session of the real 2019 device, as it was recorded (vectors/session.txt): its messages, byte by byte, to a real
 * controller, whose answers have the recorded headers; and our stand-in of the device sends the same.
 */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { after, test } from 'node:test';
import { buildPath } from '../../../../host/demo/checkout.ts';
import { createLog } from '../../../../host/log/log.ts';
import { native } from '../../../../host/native.ts';
import { VHOST_USER_FRAMING } from '../../../../host/transport/vhost-user/framing.ts';
import { VhostUserServer } from '../../../../host/transport/vhost-user/server.ts';
import { fdCount } from '../../../native/rig.ts';
import { Guest2019 } from '../../../support/guest-2019.ts';
import { ControllerRig, TestReactor } from '../../nvme/rig.ts';

const GUEST_BYTES = 256 << 20;
const BAR_BYTES = 2 << 20;
const WAIT_US = 5_000_000;

interface Line {
  isReply: boolean;
  header: Buffer;
  fds: number;
  payload: Buffer;
  status: number | undefined;
}

const vectors = readFileSync(
  path.join(process.cwd(), 'test/host/transport/vhost-user/vectors/session.txt'),
  'utf8',
);
const lines = vectors
  .split('\n')
  .filter((line) => /^[<>]/.test(line))
  .map((line): Line => {
    const [direction = '', header = '', third = '', payload = ''] = line.split(' ');
    const bytes = Buffer.from(header, 'hex');
    const whole = Buffer.alloc(bytes.readUInt32LE(8));
    if (direction === '>' && payload !== '-') Buffer.from(payload, 'hex').copy(whole);
    const status = /^status=([0-9a-f]{4})$/.exec(third)?.[1];
    return {
      isReply: direction === '<',
      header: bytes,
      fds: direction === '>' ? Number(third) : 0,
      payload: whole,
      status: status === undefined ? undefined : Number.parseInt(status, 16),
    };
  });

mkdirSync(buildPath('tmp'), { recursive: true });
const directory = mkdtempSync(buildPath('tmp', 'recording-'));
const reactor = new TestReactor();

after(() => {
  reactor.close();
  rmSync(directory, { recursive: true });
});

function withServer(run: (socketPath: string, rig: ControllerRig, logLines: string[]) => void): void {
  const before = fdCount();
  const rig = new ControllerRig({ directory, reactor });
  const logLines: string[] = [];
  const log = createLog({ level: 'debug', json: false, write: (line) => logLines.push(line) });
  const socketPath = path.join(directory, 's');
  const server = new VhostUserServer({ path: socketPath, device: rig.controller, reactor, log });
  run(socketPath, rig, logLines);
  let closed = false;
  server.close(() => (closed = true));
  rig.until(() => closed, 'the server comes to rest');
  rig.close();
  assert.equal(fdCount(), before, 'no descriptor is left open');
}

/** Abort, and Get Features with a select field: the device has no use for the answer, whatever it is. */
function isIgnored(request: Line | undefined): boolean {
  return request?.payload[0] === 8 || (request?.payload[0] === 10 && request.payload[41] === 1);
}

test('the recorded session is served, message by message', () => {
  withServer((socketPath, rig, logLines) => {
    const socket = native.messageSocket(native.connect(socketPath), VHOST_USER_FRAMING);
    const memory = native.memfdCreate('recorded-guest', GUEST_BYTES);
    const bar = native.memfdCreate('recorded-bar', BAR_BYTES);
    const eventfd = native.eventfdCreate();
    const descriptors = new Map([
      [5, memory],
      [81, eventfd],
      [85, bar],
    ]);
    let request: Line | undefined;
    for (const line of lines) {
      if (!line.isReply) {
        request = line;
        const fd = descriptors.get(line.header.readUInt32LE(0));
        socket.send(Buffer.concat([line.header, line.payload]), fd === undefined ? [] : [fd]);
        assert.equal(fd === undefined ? 0 : 1, line.fds);
        continue;
      }
      const deadline = native.now() + WAIT_US;
      let reply = socket.receive();
      for (; reply === undefined; reply = socket.receive()) {
        rig.turn();
        assert.ok(native.now() < deadline, 'a reply within 5 s');
      }
      assert.ok(reply !== null, 'the server goes on');
      assert.deepEqual(reply.bytes.subarray(0, 12), line.header);
      if (line.status !== undefined && !isIgnored(request)) {
        assert.equal(reply.bytes.readUInt16LE(12 + 14) & 0x0ffe, line.status);
      }
    }
    for (let turn = 0; turn < 10; turn++) rig.turn();
    assert.equal(socket.receive(), undefined, 'no answer that was not recorded');
    assert.deepEqual(
      logLines.filter((line) => line.includes('refused')),
      [],
    );
    socket.close();
    for (const fd of [memory, bar, eventfd]) native.fdClose(fd);
  });
});

test('the stand-in of the device sends what the device sent', () => {
  withServer((socketPath, rig) => {
    const guest = new Guest2019(socketPath, { wait: () => rig.turn() });
    guest.device.realize();
    // The controller of this test has a second namespace, and the device asks for it.
    guest.device.sent.splice(3, 1);
    guest.enable().pairCreate(1);
    guest.disable();
    guest.enable().pairCreate(1);
    guest.driver.setFeatures(7, 0x10001);
    guest.admin();
    guest.disable();
    guest.enable().pairCreate(1, 3);
    guest.disable();
    guest.enable().pairCreate(1, 3);
    guest.shadowDoorbells();
    guest.disable();
    guest.enable();
    const recorded = lines
      .filter(({ isReply }) => !isReply)
      .map(({ header, fds }) => [header.readUInt32LE(0), header.readUInt32LE(8), fds]);
    const { sent } = guest.device;
    assert.deepEqual(sent, recorded.slice(0, sent.length));
    guest.close();
  });
});
