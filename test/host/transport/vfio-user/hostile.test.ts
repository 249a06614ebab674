/**
 * VMMs and guests that mean harm, against a target as its users run it. Whatever they do, the target lives, gives
 * back what they took, and their neighbour (another controller of the process) does verified I/O and never notices.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { connect as connectStream } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import * as nvme from '../../../../assembly/spec/nvme.ts';
import * as spec from '../../../../assembly/spec/vfio-user.ts';
import { native } from '../../../../host/native.ts';
import { Random } from '../../../support/random.ts';
import { GUEST_BYTES, RemoteGuest } from '../../../support/remote-guest.ts';
import { TargetProcess } from '../../../support/target-process.ts';
import { VfioUserClient, VfioUserClosed, VfioUserError } from '../../../support/vfio-user-client.ts';
import { EINVAL, message, NO_REPLY, u32, u64, versionPayload } from './harness.ts';

const DATA_AT = 0x10000;
const READ_AT = 0x20000;
const BLOCKS = 16;
/** Verified commands after each attack. */
const ROUNDS = 5;
/** Byte of config space whose top bit is Initiate Function Level Reset. */
const FLR_AT = 0x69;

const folder = fs.mkdtempSync(path.join(tmpdir(), 'doorbell-hostile-'));
const socketOf = (name: string): string => path.join(folder, `${name}.sock`);
let target: TargetProcess;
let neighbour: RemoteGuest;
let random: Random;

/** What the target holds open and mapped. */
function holdings(): { fds: number; maps: number; kilobytes: number } {
  const of = (name: string): string => fs.readFileSync(`/proc/${target.pid}/${name}`, 'utf8');
  const kilobytes = Number(/^VmRSS:\s+(\d+)/m.exec(of('status'))?.[1]);
  return {
    fds: fs.readdirSync(`/proc/${target.pid}/fd`).length,
    maps: of('maps')
      .split('\n')
      .filter((line) => line.includes('memfd:')).length,
    kilobytes,
  };
}

/** Writes and reads back through the neighbour. */
function neighbourVerify(rounds = ROUNDS): void {
  const data = Buffer.alloc(BLOCKS * 512);
  for (let round = 0; round < rounds; round++) {
    random.fill(data);
    const rest = { nsid: 2, cdw10: random.below(1000), cdw12: BLOCKS - 1 };
    neighbour.writeMemory(DATA_AT, data);
    const write = { opcode: nvme.NVM_WRITE, prp1: DATA_AT, prp2: DATA_AT + 4096, ...rest };
    assert.equal(neighbour.command(1, write), 0);
    const read = { opcode: nvme.NVM_READ, prp1: READ_AT, prp2: READ_AT + 4096, ...rest };
    assert.equal(neighbour.command(1, read), 0);
    assert.ok(neighbour.readMemory(READ_AT, data.length).equals(data), 'the neighbour reads what it wrote');
  }
}

function errnoOf(attempt: () => void): number {
  try {
    attempt();
    return 0;
  } catch (error) {
    if (error instanceof VfioUserError) return error.errno;
    throw error;
  }
}

/** 30 reads and writes that nobody waits for. */
function ioStart(guest: RemoteGuest): void {
  for (let index = 0; index < 30; index++) {
    const opcode = index % 2 === 0 ? nvme.NVM_READ : nvme.NVM_WRITE;
    guest.push(1, { opcode, nsid: 1, prp1: DATA_AT, prp2: READ_AT, cdw10: index * 16, cdw12: 15 });
  }
  guest.ring(1);
}

before(async () => {
  target = await TargetProcess.start(
    ...['--socket', `${socketOf('bad')},namespaces=1`, '--socket', `${socketOf('good')},namespaces=2`],
    ...['--namespace', `file:${path.join(folder, 'disk.img')},size=16M`, '--namespace', 'ram:16M'],
  );
  neighbour = RemoteGuest.up(socketOf('good'));
});

afterEach(() => {
  assert.ok(target.alive, `the target lives; it said:\n${target.errors}`);
  random = new Random(7);
  neighbourVerify();
});

after(async () => {
  neighbour.close();
  const sums = await target.drain();
  assert.ok(sums.requests > 0);
  fs.rmSync(folder, { recursive: true, force: true });
});

test('interrupts for descriptors that are no eventfd are refused; full ones block nobody', () => {
  const guest = RemoteGuest.up(socketOf('bad'));
  execFileSync('mkfifo', [path.join(folder, 'pipe')]);
  const pipe = fs.openSync(path.join(folder, 'pipe'), 'r+');
  const wrong = [
    fs.openSync('/dev/null', 'r'),
    fs.openSync(folder, 'r'),
    fs.openSync('/dev/full', 'r+'),
    pipe,
  ];
  for (const fd of wrong) {
    assert.equal(
      errnoOf(() => guest.client.setEventfds(spec.IRQ_INDEX_MSIX, 1, [fd])),
      EINVAL,
    );
    assert.equal(
      errnoOf(() => guest.client.setEventfds(spec.IRQ_INDEX_INTX, 0, [fd])),
      EINVAL,
    );
    fs.closeSync(fd);
  }
  const full = native.eventfdCreate();
  fs.writeSync(full, u64(0xffff_ffff_ffff_fffen));
  guest.client.setEventfds(spec.IRQ_INDEX_MSIX, 1, [full]);
  // F_SETFL, O_RDWR: whoever writes to it waits from now on.
  const script = 'open(my $file, "<&=", 3) or die; fcntl($file, 4, 2) or die';
  execFileSync('perl', ['-e', script], { stdio: ['ignore', 'inherit', 'inherit', full] });
  assert.equal(guest.command(1, { opcode: nvme.NVM_FLUSH, nsid: 1 }), 0);
  guest.client.setIrqs(spec.SET_IRQS_DATA_NONE | spec.SET_IRQS_ACTION_TRIGGER, spec.IRQ_INDEX_MSIX, 0, 65);
  native.fdClose(full);
  guest.close();
});

test('every byte of config space and BAR0 takes any write of any size', () => {
  const guest = RemoteGuest.up(socketOf('bad'));
  for (let at = 0; at < 0x120; at++) {
    for (const value of [0xff, 0, 0xaa]) {
      guest.client.regionWrite(spec.REGION_INDEX_CONFIG, at, Buffer.from([value]), true);
    }
  }
  const dice = new Random(1);
  for (let count = 0; count < 1000; count++) {
    const bytes = Buffer.alloc(dice.pick([1, 2, 3, 4, 5, 7, 8, 12, 64, 4096]));
    dice.fill(bytes);
    const at = dice.oneIn(2) ? dice.below(0x80) : dice.below(0x4000 - bytes.length);
    guest.client.regionWrite(spec.REGION_INDEX_BAR0, at, bytes, true);
  }
  assert.equal(guest.client.regionRead(spec.REGION_INDEX_BAR0, 0, 0x4000).length, 0x4000);
  guest.client.reset();
  assert.equal(guest.status, 0);
  guest.close();
});

test('resets of every kind under I/O, as fast as they can be said', () => {
  const guest = new RemoteGuest(socketOf('bad'));
  for (let round = 0; round < 16; round++) {
    guest.enable();
    guest.queuePairCreate();
    ioStart(guest);
    if (round % 4 === 0) guest.client.reset();
    else if (round % 4 === 1) guest.disable();
    else {
      const posted = round % 4 === 2;
      for (let count = 0; count < (posted ? 50 : 1); count++) {
        guest.client.regionWrite(spec.REGION_INDEX_CONFIG, FLR_AT, Buffer.from([0x80]), posted);
      }
    }
  }
  guest.enable();
  guest.queuePairCreate();
  assert.equal(guest.command(1, { opcode: nvme.NVM_FLUSH, nsid: 1 }), 0);
  guest.close();
});

test('memory that is truncated under queues and I/O fails its controller, and a reset with new memory heals it', () => {
  const file = path.join(folder, 'memory');
  fs.writeFileSync(file, '');
  fs.truncateSync(file, GUEST_BYTES);
  const fd = fs.openSync(file, 'r+');
  const guest = RemoteGuest.up(socketOf('bad'), fd);
  ioStart(guest);
  fs.ftruncateSync(fd, 0);
  ioStart(guest);
  const deadline = performance.now() + 5000;
  while ((guest.status & nvme.CSTS_CFS) === 0) {
    assert.ok(performance.now() < deadline, 'CSTS.CFS');
    guest.ring(1);
  }
  guest.close();
  const next = RemoteGuest.up(socketOf('bad'));
  assert.equal(next.command(1, { opcode: nvme.NVM_FLUSH, nsid: 1 }), 0);
  next.close();
});

test('clients that come and go, in the middle of a message and of I/O, leave nothing behind', async () => {
  const come = (count: number): void => {
    for (let index = 0; index < count; index++) {
      if (index % 10 === 0) {
        const guest = RemoteGuest.up(socketOf('bad'));
        ioStart(guest);
        guest.close();
        continue;
      }
      const client = VfioUserClient.connect(socketOf('bad'));
      if (index % 2 === 0) client.version();
      client.sendRaw(message(1, spec.COMMAND_DMA_MAP, Buffer.alloc(32)).subarray(0, 1 + (index % 47)), [0]);
      client.close();
    }
  };
  come(50);
  await sleep(100);
  const begin = holdings();
  come(100);
  await sleep(100);
  const end = holdings();
  assert.ok(end.fds <= begin.fds + 2, `descriptors: ${begin.fds}, then ${end.fds}`);
  assert.ok(end.maps <= begin.maps, `mappings of guest memory: ${begin.maps}, then ${end.maps}`);
  assert.ok(end.kilobytes < begin.kilobytes + 40_000, `kB: ${begin.kilobytes}, then ${end.kilobytes}`);
  const lines = target.messages.filter((line) => line.startsWith('client ')).length;
  assert.ok(lines <= 40, `${lines} lines of the log about clients that come and go`);
});

test('a client that asks and never reads is not served for ever', async () => {
  const stream = connectStream(socketOf('bad'));
  stream.pause();
  stream.on('error', () => undefined);
  const read = Buffer.concat([u64(0n), u32(spec.REGION_INDEX_BAR0, 0x4000)]);
  stream.write(message(1, spec.COMMAND_VERSION, versionPayload(undefined)));
  const begin = holdings();
  const question = message(2, spec.COMMAND_REGION_READ, read);
  for (let count = 0; count < 2000; count++) stream.write(question);
  await sleep(300);
  neighbourVerify();
  assert.ok(holdings().kilobytes < begin.kilobytes + 40_000, '2,000 replies are 32 MB');
  stream.destroy();
});

test('thousands of regions of thousands of files cost the neighbour nothing', () => {
  const guest = new RemoteGuest(socketOf('bad'));
  const files = Array.from({ length: 400 }, (_, index) => native.memfdCreate(`file-${index}`, 4096));
  for (let first = 0; first < 4000; first += 400) {
    const regions = files.map((fd, index) => ({
      gpa: BigInt(GUEST_BYTES + (first + index) * 8192),
      length: 4096n,
      fd,
    }));
    guest.client.mapMemoryPipelined(regions);
    neighbourVerify(1);
  }
  files.forEach((fd) => native.fdClose(fd));
  const begin = performance.now();
  guest.client.unmapMemory(0n, 0n, spec.DMA_UNMAP_FLAG_ALL);
  neighbourVerify(1);
  assert.ok(performance.now() - begin < 1000, 'all of them go at once');
  guest.close();
});

test('messages that make no sense end the session, or get an error', () => {
  const dice = new Random(3);
  for (let round = 0; round < 100; round++) {
    const client = VfioUserClient.connect(socketOf('bad'));
    client.version();
    const payload = Buffer.alloc(dice.below(64));
    dice.fill(payload);
    const bytes = message(1, dice.below(20), payload, dice.pick([0, 0, NO_REPLY, 1, 2, 0x20, dice.next()]));
    if (dice.oneIn(8)) bytes.writeUInt32LE(dice.pick([0, 15, bytes.length - 1, 0x7fff_ffff, 0xffff_ffff]), 4);
    try {
      client.sendRaw(bytes, dice.oneIn(4) ? Array<number>(dice.between(1, 200)).fill(0) : []);
      client.close();
    } catch (error) {
      assert.ok(
        error instanceof VfioUserClosed || (error as { code?: string }).code === 'EPIPE',
        String(error),
      );
    }
  }
});

/** PRPs that are nothing: nobody's memory, BAR0, an end of memory, themselves, the queues. */
const PRPS = [
  0n,
  0x1000n,
  0x3000n,
  0x4000n,
  0x4008n,
  0x10000n,
  0x10ff8n,
  0xfebf_0000n,
  0xffff_ffff_ffff_f000n,
];
const OPCODES = [nvme.NVM_READ, nvme.NVM_WRITE, nvme.NVM_FLUSH, nvme.NVM_DATASET_MANAGEMENT, 0x7c, 0x7f];

test('a guest whose entries, lists and data are noise', () => {
  const dice = new Random(5);
  for (let round = 0; round < 20; round++) {
    const guest = RemoteGuest.up(socketOf('bad'));
    const list = Buffer.alloc(4096);
    for (let at = 0; at < list.length; at += 8) {
      list.writeBigUInt64LE(dice.oneIn(3) ? 0x10000n : dice.pick(PRPS), at);
    }
    guest.writeMemory(DATA_AT, list);
    for (const qid of [1, 0]) {
      for (let count = 0; count < 25; count++) {
        const entry = Buffer.alloc(nvme.SQE_BYTES);
        if (dice.oneIn(2)) dice.fill(entry);
        entry[0] = dice.oneIn(2) ? dice.pick(OPCODES) : dice.below(256);
        entry[1] = dice.oneIn(4) ? dice.below(256) : 0;
        entry.writeUInt32LE(dice.pick([0, 1, 2, 0xffff_ffff]), 4);
        entry.writeBigUInt64LE(dice.pick(PRPS), 24);
        entry.writeBigUInt64LE(dice.pick(PRPS), 32);
        entry.writeUInt32LE(dice.pick([0, 1, 8, 0x7ff, 0xffff_ffff]), 48);
        guest.pushRaw(qid, entry);
      }
      guest.ring(qid);
    }
    neighbourVerify(1);
    guest.close();
  }
});

test('shadow doorbells over queues, queues over each other', () => {
  const guest = RemoteGuest.up(socketOf('bad'));
  for (const [shadow, events] of [
    [0x3000, 0x4000],
    [0x1000, 0x2000],
    [0x4000, 0x3000],
  ]) {
    guest.command(0, { opcode: nvme.ADMIN_DOORBELL_BUFFER_CONFIG, prp1: shadow ?? 0, prp2: events ?? 0 });
    for (let count = 0; count < 3; count++) ioStart(guest);
    guest.client.reset();
    guest.enable();
    guest.queuePairCreate();
  }
  const one = (1 << 16) | nvme.CREATE_QUEUE_PC;
  for (let qid = 2; qid < 20; qid++) {
    const cdw10 = (31 << 16) | qid;
    const cdw11 = (qid << 16) | 3;
    guest.command(0, { opcode: nvme.ADMIN_CREATE_IO_CQ, prp1: 0x3000, cdw10, cdw11 });
    guest.command(0, { opcode: nvme.ADMIN_CREATE_IO_SQ, prp1: 0x4000, cdw10, cdw11: one });
  }
  for (let count = 0; count < 20; count++) ioStart(guest);
  neighbourVerify();
  guest.close();
});

test('without a free descriptor clients are turned away, and the target goes on', async () => {
  const limit = (count: number | string): void => {
    execFileSync('prlimit', [`--pid=${target.pid}`, `--nofile=${count}:`]);
  };
  await sleep(100);
  const usual = /Max open files\s+(\d+)/.exec(fs.readFileSync(`/proc/${target.pid}/limits`, 'utf8'))?.[1];
  const open = new Set(fs.readdirSync(`/proc/${target.pid}/fd`));
  let free = 0;
  while (open.has(String(free))) free++;
  limit(free);
  try {
    const refused = VfioUserClient.connect(socketOf('bad'));
    const isEnd = (error: unknown): boolean =>
      error instanceof VfioUserClosed || (error as { code?: string }).code === 'EPIPE';
    assert.throws(() => refused.version(), isEnd);
    refused.close();
    neighbourVerify();
    await sleep(200);
    assert.ok(target.messages.some((line) => line.startsWith('cannot accept a client')));
  } finally {
    limit(usual ?? '1024');
  }
  RemoteGuest.up(socketOf('bad')).close();
});
