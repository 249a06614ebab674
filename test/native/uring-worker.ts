// The worker of uring.test.ts: blocks in enter, tells how often it was woken, and ends in the middle of I/O with
// everything still open.

import { parentPort, workerData } from 'node:worker_threads';
import { OPERATION_WRITE } from '../../assembly/abi/records.ts';
import { native } from '../../host/native.ts';
import { Guest, MIB, Rig } from './rig.ts';

const { fd } = workerData as { fd: number };
const rig = new Rig();
const guest = new Guest(MIB);
const { ioBase } = rig.region(guest.fd, MIB);
guest.close();
rig.controller.windowFill(0, 0);
const storage = native.memfdCreate('storage', 64 * MIB);
rig.controller.namespaceAttach(1, {
  kind: 'file',
  fd: storage,
  offset: 0,
  length: 64 * MIB,
  direct: false,
  memoryAlignment: 1,
  readOnly: false,
  zeroRange: false,
  punchHole: false,
});
rig.ring.watch(fd, 1);

let count = 0;
const rounds = 20;
while (count < rounds) {
  if (rig.ring.enter(-1) === 0) continue;
  native.eventfdRead(fd);
  count += 1;
  parentPort?.postMessage(count);
}
rig.ring.enter(-1);
rig.submit(
  ...Array.from({ length: 32 }, (_, slot) => ({
    operation: OPERATION_WRITE,
    offset: slot * MIB,
    segments: [[ioBase, MIB]] as const,
  })),
);
rig.ring.enter(0);
// A descriptor belongs to the process, not to the worker.
native.fdClose(storage);
