// The smallest embedder: a controller, its guest and a RAM disk in one linear memory, with nothing of this project but
// the two modules and the constants of their ABI. Runs wherever WebAssembly has threads and SIMD:
//   node build/dist/examples/embed-core.js
//   deno run --allow-read build/dist/examples/embed-core.js

import { readFileSync } from 'node:fs';
import { DRIVER_COMPLETIONS, REAPED_STATUS } from '../assembly/abi/driver.ts';
import * as map from '../assembly/abi/memory-map.ts';
import * as abi from '../assembly/abi/records.ts';
import * as nvme from '../assembly/spec/nvme.ts';

type Module = (name: string, ...values: number[]) => number;
const memory = new WebAssembly.Memory({ initial: 400, maximum: 400, shared: true });
const bytes = new Uint8Array(memory.buffer);
const view = new DataView(memory.buffer);
const disk = new Uint8Array(1 << 20);
const guest = Math.ceil(map.WINDOW_BASE_MIN / map.WINDOW_BYTES) * map.WINDOW_BYTES;

function load(name: string): Module {
  const module = new WebAssembly.Module(readFileSync(new URL(`../../core/${name}.wasm`, import.meta.url)));
  const { exports } = new WebAssembly.Instance(module, { env: { memory, abort: () => undefined } });
  return (call, ...values) => ((exports as Record<string, typeof Math.max>)[call]?.(...values) ?? 0) >>> 0;
}
const core = load('doorbell-core');
const driver = load('doorbell-driver');
const drive = (call: string, ...values: number[]): number => driver(call, map.DRIVER_BASE, ...values);
const word = (address: number, value: number): void => view.setUint32(address, value, true);
const u64 = (address: number): number => Number(view.getBigUint64(address, true));

/** One request of the core, done on the disk. Commands without data for the guest come as requests only here. */
function execute(request: number): void {
  let at = u64(request + abi.REQUEST_OFFSET);
  const segments = view.getUint32(request + abi.REQUEST_SEGMENTS, true);
  for (let index = 0; index < view.getUint32(request + abi.REQUEST_SEGMENT_COUNT, true); index++) {
    const address = u64(segments + index * map.SEGMENT_BYTES + abi.SEGMENT_ADDRESS);
    const length = u64(segments + index * map.SEGMENT_BYTES + abi.SEGMENT_LENGTH);
    if (view.getUint16(request + abi.REQUEST_OPERATION, true) === abi.OPERATION_READ)
      bytes.set(disk.subarray(at, at + length), address);
    else disk.set(bytes.subarray(address, address + length), at);
    at += length;
  }
}

/** Submits the prepared command, lets the core work until it has completed, and returns its status. */
function run(queue: number): number {
  drive('command_submit', queue);
  core('doorbell_write', nvme.REG_DOORBELLS + 8 * queue, drive('sq_doorbell', queue));
  for (let now = 0; drive('completions_reap', queue, 1) === 0; now++) {
    core('queue_poll', 64, now, 0);
    const count = core('requests_take');
    for (let index = 0; index < count; index++) {
      const request = map.REQUEST_BASE + index * map.REQUEST_BYTES;
      execute(request);
      word(
        map.COMPLETION_BASE + index * map.COMPLETION_BYTES,
        view.getUint32(request + abi.REQUEST_SLOT, true),
      );
      word(map.COMPLETION_BASE + index * map.COMPLETION_BYTES + abi.COMPLETION_RESULT, abi.BLOCK_OK);
    }
    core('completions_post', count);
  }
  core('doorbell_write', nvme.REG_DOORBELLS + 8 * queue + 4, drive('cq_doorbell', queue));
  return view.getUint16(map.DRIVER_BASE + DRIVER_COMPLETIONS + REAPED_STATUS, true);
}

// A controller with one queue pair and one namespace: 2,048 blocks of 512 bytes.
view.setUint16(map.CONFIG_BASE + abi.CONFIG_IO_QUEUE_PAIRS, 1, true);
view.setUint16(map.CONFIG_BASE + abi.CONFIG_QUEUE_ENTRIES, 64, true);
view.setUint16(map.CONFIG_BASE + abi.CONFIG_SLOTS, 64, true);
bytes.fill(0x20, map.CONFIG_BASE + abi.CONFIG_SERIAL, map.CONFIG_BASE + abi.CONFIG_SUBNQN);
bytes.set(
  new TextEncoder().encode('nqn.2014-08.org.nvmexpress:example'),
  map.CONFIG_BASE + abi.CONFIG_SUBNQN,
);
word(map.NAMESPACE_BASE + abi.NAMESPACE_FLAGS, abi.NAMESPACE_FLAG_ACTIVE);
word(map.NAMESPACE_BASE + abi.NAMESPACE_LBA_SHIFT, 9);
word(map.NAMESPACE_BASE + abi.NAMESPACE_BLOCKS, disk.length >>> 9);
if (core('core_init', guest, 2) !== abi.INIT_OK) throw new Error('the core refuses its configuration');

// Guest memory is the two windows: 4 MiB at guest physical address 0.
word(map.REGION_MAILBOX_BASE + abi.REGION_LENGTH, 2 * map.WINDOW_BYTES);
word(map.REGION_MAILBOX_BASE + abi.REGION_IO_BASE, guest);
word(
  map.REGION_MAILBOX_BASE + abi.REGION_FLAGS,
  abi.REGION_FLAG_READABLE | abi.REGION_FLAG_WRITABLE | abi.REGION_FLAG_MAPPED,
);
core('region_add');
core('window_filled', 0, 0);
core('window_filled', 1, 1);

// What a guest's driver does: the admin queue, one I/O queue, a write and a read.
drive('driver_init', guest, 2 * map.WINDOW_BYTES, 0, 0);
for (const queue of [0, 1]) {
  drive('cq_create', queue, 0x1000 + 0x2000 * queue, 0, 16);
  drive('sq_create', queue, queue, 0x2000 + 0x2000 * queue, 0, 16, 15, 0, 0, 0);
}
core('register_write', nvme.REG_AQA, 0x000f000f);
core('register_write', nvme.REG_ACQ, 0x1000);
core('register_write', nvme.REG_ASQ, 0x2000);
core('register_write', nvme.REG_CC, 0x00460001);
while (core('register_read', nvme.REG_CSTS) !== nvme.CSTS_RDY) core('queue_poll', 64, 0, 0);
drive('create_queue_prepare', nvme.ADMIN_CREATE_IO_CQ, 1, 16, 0x3000, 0, 1);
const statuses = [run(0)];
drive('create_queue_prepare', nvme.ADMIN_CREATE_IO_SQ, 1, 16, 0x4000, 0, 0x10001);
statuses.push(run(0));
bytes.set(new TextEncoder().encode('Hello from the guest'), guest + 0x100000);
for (const [opcode, address] of [
  [nvme.NVM_WRITE, 0x100000],
  [nvme.NVM_READ, 0x200000],
] as const) {
  drive('blocks_prepare', opcode, 1, 100, 0, 16, 0);
  drive('data_set', address, 0, 16 << 9);
  statuses.push(run(1));
}
const read = bytes.slice(guest + 0x200000, guest + 0x200014);
console.log(`${new TextDecoder().decode(read)}; statuses ${statuses.join(' ')}`);
