/**
 * QEMU's command line and version.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  isVersionSufficient,
  parseQemuVersion,
  qemuArguments,
  vfioUserOptions,
} from '../../../host/demo/qemu.ts';

const GIB = 1024 ** 3;

test('guest memory is a shared memfd of the size of the machine', () => {
  assert.deepEqual(vfioUserOptions({ socketPaths: ['/run/a.sock', '/run/b c.sock'], memoryBytes: 6 * GIB }), [
    ...['-m', '6G', '-object', 'memory-backend-memfd,id=mem,size=6G,share=on'],
    ...['-machine', 'q35,memory-backend=mem'],
    ...['-device', '{"driver":"vfio-user-pci","socket":{"type":"unix","path":"/run/a.sock"}}'],
    ...['-device', '{"driver":"vfio-user-pci","socket":{"type":"unix","path":"/run/b c.sock"}}'],
  ]);
  assert.deepEqual(vfioUserOptions({ socketPaths: [], memoryBytes: 256 * 1024 ** 2 }).slice(0, 2), [
    '-m',
    '256M',
  ]);
});

test('memory that QEMU would round is refused', () => {
  for (const memoryBytes of [0, -1, 1.5, GIB + 1, Number.NaN, Infinity]) {
    assert.throws(() => vfioUserOptions({ socketPaths: [], memoryBytes }), RangeError);
  }
});

test('a guest has what it is given and nothing else', () => {
  const args = qemuArguments({
    socketPaths: [],
    memoryBytes: GIB,
    cpus: 2,
    kernel: '/k',
    initramfs: '/i',
    append: 'console=ttyS0 quiet',
    serial: ['stdio', 'null'],
    extra: ['-S'],
  });
  assert.deepEqual(args, [
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-accel', 'tcg', '-smp', '2'],
    ...[
      '-m',
      '1G',
      '-object',
      'memory-backend-memfd,id=mem,size=1G,share=on',
      '-machine',
      'q35,memory-backend=mem',
    ],
    ...[
      '-kernel',
      '/k',
      '-initrd',
      '/i',
      '-append',
      'console=ttyS0 quiet',
      '-serial',
      'stdio',
      '-serial',
      'null',
      '-S',
    ],
  ]);
});

test('QEMU is new enough from 10.1 on', () => {
  assert.equal(parseQemuVersion('QEMU emulator version 11.1.3 (Debian 1:11.1.3+ds-1~bpo13+1)\n'), '11.1.3');
  assert.equal(parseQemuVersion('command not found'), undefined);
  const sufficient = ['10.1', '10.1.0', '10.2.1', '11.0', '11.1.3'];
  const tooOld = ['7.2.22', '9.9', '10.0.13', '10.0'];
  assert.deepEqual([...sufficient, ...tooOld].filter(isVersionSufficient), sufficient);
});

test('controllers to boot from come in their order', () => {
  const options = vfioUserOptions({ socketPaths: ['/a', '/b'], memoryBytes: GIB, bootable: true });
  const order = options
    .filter((option) => option.startsWith('{'))
    .map((option) => (JSON.parse(option) as { bootindex?: number }).bootindex);
  assert.deepEqual(order, [0, 1]);
});

test('a firmware of its own is two flash devices, of which neither file changes', () => {
  const firmware = { code: '/a,b/code', variables: '/vars' };
  const args = qemuArguments({ socketPaths: [], memoryBytes: GIB, firmware });
  assert.deepEqual(
    args.filter((_, index) => args[index - 1] === '-drive'),
    [
      'if=pflash,unit=0,format=raw,file=/a,,b/code,readonly=on',
      'if=pflash,unit=1,format=raw,file=/vars,snapshot=on',
    ],
  );
});
