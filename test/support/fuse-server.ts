// A file system of one file that can be told to hang: a FUSE server (fuse(4)) in a process of its own, because whoever
// uses the file waits in the kernel. `FuseFile` of fuse-file.ts starts it.
//
//   fuse-server MOUNTPOINT BYTES     MOUNTPOINT is a regular file, in whose place the file appears; the one who
//                                    started it unmounts it after `end`
//
// Reads `hang`, `resume` and `end` from its input, prints `mounted`, `hanging`, `resumed`.
// While it hangs, it takes requests and answers none of those that move data.

import { spawn, spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { createInterface } from 'node:readline';

const [mountpoint = '', bytes = '0'] = process.argv.slice(2);
const data = Buffer.alloc(Number(bytes));
const device = fs.openSync('/dev/fuse', 'r+');

// Numbers of the protocol: include/uapi/linux/fuse.h.
const GETATTR = 3;
const SETATTR = 4;
const OPEN = 14;
const READ = 15;
const WRITE = 16;
const STATFS = 17;
const RELEASE = 18;
const FSYNC = 20;
const FLUSH = 25;
const INIT = 26;
const NO_REPLY = new Set([2 /* FORGET */, 36 /* INTERRUPT */, 42 /* BATCH_FORGET */]);
const MOVES_DATA = new Set([READ, WRITE, FSYNC]);

const HEADER_BYTES = 40;
const WRITE_BYTES = 128 * 1024;
const MODE = 0o100600;

let hanging = false;
const kept: Buffer[] = [];

function attributes(): Buffer {
  const reply = Buffer.alloc(104);
  reply.writeBigUInt64LE(1n, 16);
  reply.writeBigUInt64LE(BigInt(data.length), 24);
  reply.writeBigUInt64LE(BigInt(data.length / 512), 32);
  reply.writeUInt32LE(MODE, 76);
  reply.writeUInt32LE(1, 80);
  reply.writeUInt32LE(4096, 96);
  return reply;
}

function initialised(): Buffer {
  const reply = Buffer.alloc(64);
  reply.writeUInt32LE(7, 0);
  reply.writeUInt32LE(31, 4);
  // max_background and its threshold: more requests at the same time than any test has.
  reply.writeUInt16LE(1024, 16);
  reply.writeUInt16LE(1024, 18);
  reply.writeUInt32LE(WRITE_BYTES, 20);
  reply.writeUInt32LE(1, 24);
  return reply;
}

/** The payload of the reply, or an errno. */
function serve(opcode: number, body: Buffer): Buffer | number {
  switch (opcode) {
    case INIT:
      return initialised();
    case GETATTR:
    case SETATTR:
      return attributes();
    case OPEN: {
      const reply = Buffer.alloc(16);
      // FOPEN_DIRECT_IO: nothing is answered by the page cache.
      reply.writeUInt32LE(1, 8);
      return reply;
    }
    case STATFS:
      return Buffer.alloc(80);
    case READ: {
      const offset = Number(body.readBigUInt64LE(8));
      return data.subarray(offset, offset + body.readUInt32LE(16));
    }
    case WRITE: {
      const size = body.readUInt32LE(16);
      body.copy(data, Number(body.readBigUInt64LE(8)), 40, 40 + size);
      const reply = Buffer.alloc(8);
      reply.writeUInt32LE(size, 0);
      return reply;
    }
    case RELEASE:
    case FSYNC:
    case FLUSH:
      return Buffer.alloc(0);
    default:
      return 38; // ENOSYS
  }
}

function answer(request: Buffer): void {
  const result = serve(request.readUInt32LE(4), request.subarray(HEADER_BYTES));
  const payload = typeof result === 'number' ? Buffer.alloc(0) : result;
  const header = Buffer.alloc(16);
  header.writeUInt32LE(16 + payload.length, 0);
  header.writeInt32LE(typeof result === 'number' ? -result : 0, 4);
  request.copy(header, 8, 8, 16);
  try {
    fs.writevSync(device, [header, payload]);
  } catch {
    // The request was given up meanwhile.
  }
}

function take(request: Buffer): void {
  const opcode = request.readUInt32LE(4);
  if (NO_REPLY.has(opcode)) return;
  if (hanging && MOVES_DATA.has(opcode)) kept.push(request);
  else answer(request);
}

function next(): void {
  const buffer = Buffer.alloc(WRITE_BYTES + 4096);
  fs.read(device, buffer, 0, buffer.length, null, (error, count) => {
    // ENODEV: unmounted.
    if (error?.code === 'ENODEV') process.exit(0);
    if (error === null) take(buffer.subarray(0, count));
    next();
  });
}

const options = `fd=3,rootmode=${MODE.toString(8)},user_id=0,group_id=0`;
const { status, stderr } = spawnSync(
  'mount',
  ['-i', '-t', 'fuse', '-o', options, 'doorbell-test', mountpoint],
  {
    stdio: ['ignore', 'ignore', 'pipe', device],
  },
);
if (status !== 0) {
  console.log(`refused ${stderr.toString().trim()}`);
  process.exit(0);
}
next();
console.log('mounted');

/** By force: an ordinary exit waits for the read that waits for the next request. */
function end(): never {
  process.kill(process.pid, 'SIGKILL');
  process.exit(0);
}

const input = createInterface({ input: process.stdin });
input.on('close', () => {
  // Whoever started this died. Unmounting asks for attributes, which nobody would answer meanwhile: after the end.
  spawn('sh', ['-c', 'sleep 0.2; umount -l "$1"', 'sh', mountpoint], {
    detached: true,
    stdio: 'ignore',
  }).unref();
  end();
});
input.on('line', (line) => {
  // The end of the connection ends all its requests.
  if (line === 'end') end();
  hanging = line === 'hang';
  if (!hanging) for (const request of kept.splice(0)) answer(request);
  console.log(hanging ? 'hanging' : 'resumed');
});
