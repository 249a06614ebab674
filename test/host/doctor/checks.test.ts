// The judgement of `doorbell doctor`, on machines that lack one thing each.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { examine, type Finding, type Machine } from '../../../host/doctor/index.ts';

const SOUND: Machine = {
  platform: 'linux',
  architecture: 'x64',
  node: '24.1.0',
  kernel: '6.12.3-arch1',
  availableMemory: 2 ** 33,
  read: (file) => {
    if (file === '/proc/self/limits')
      return 'Limit  Soft  Hard  Units\nMax open files   1024   524288   files';
    return file === '/proc/sys/vm/max_map_count' ? '65530' : '0';
  },
  run: () => 'QEMU emulator version 10.1.0 (Debian)',
  mayOpen: () => true,
  uringError: () => undefined,
  memfdError: () => undefined,
  directFault: () => undefined,
};

function findings(machine: Partial<Machine>, controllers = 1): readonly Finding[] {
  return examine({ ...SOUND, ...machine }, { controllers, windows: 64, files: ['/disk.img'] });
}

/** What is not well, as `verdict name`. */
function faults(machine: Partial<Machine>, controllers = 1): string[] {
  return findings(machine, controllers)
    .filter(({ verdict }) => verdict !== 'ok')
    .map(({ verdict, name }) => `${verdict} ${name}`);
}

test('a sound machine', () => {
  assert.deepEqual(faults({}), []);
});

test('each thing that can be wrong', () => {
  assert.deepEqual(faults({ platform: 'darwin' }), ['missing platform']);
  assert.deepEqual(faults({ node: '20.18.0' }), ['missing Node.js']);
  assert.deepEqual(faults({ node: '20.19.0' }), ['slow Node.js']);
  assert.deepEqual(faults({ kernel: '5.10.0-32-amd64' }), ['missing kernel']);
  assert.deepEqual(faults({ kernel: '5.15.0' }), ['slow kernel']);
  assert.deepEqual(faults({ uringError: () => 'EPERM' }), ['missing io_uring']);
  assert.deepEqual(faults({ memfdError: () => 'ENOSYS' }), ['missing memfd']);
  assert.deepEqual(faults({ run: () => undefined }), ['slow QEMU']);
  assert.deepEqual(faults({ run: () => 'QEMU emulator version 7.2.19' }), ['slow QEMU']);
  assert.deepEqual(faults({ mayOpen: () => false }), ['slow KVM']);
  assert.deepEqual(faults({ directFault: () => 'it lies on tmpfs' }), ['slow O_DIRECT on /disk.img']);
  assert.deepEqual(faults({ read: () => undefined }), ['slow vm.max_map_count', 'slow open files']);
});

test('limits are measured by the number of controllers', () => {
  assert.deepEqual(faults({}, 300), []);
  assert.deepEqual(faults({}, 400), ['missing vm.max_map_count']);
  const cure = findings({}, 400).find(({ verdict }) => verdict === 'missing')?.cure;
  assert.match(cure ?? '', /^sysctl -w vm\.max_map_count=131072,/);
});

test('why io_uring is denied decides over the cure', () => {
  const cureOf = (setting: string): string | undefined =>
    findings({
      uringError: () => 'EPERM',
      read: (file) => (file.endsWith('io_uring_disabled') ? setting : SOUND.read(file)),
    }).find(({ name }) => name === 'io_uring')?.cure;
  assert.match(cureOf('2') ?? '', /sysctl -w kernel\.io_uring_disabled=0/);
  assert.match(cureOf('0') ?? '', /seccomp/);
});

test('every fault has a cure', () => {
  const all = findings({ platform: 'x', node: '1.0', kernel: '1.0', run: () => undefined });
  for (const { verdict, cure } of all) assert.equal(cure === undefined, verdict === 'ok');
});
