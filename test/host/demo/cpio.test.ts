/**
 * The initramfs archive: its bytes, and that a reader finds in it what was put in.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { writeCpio, type CpioEntry } from '../../../host/demo/cpio.ts';

interface Member {
  readonly name: string;
  readonly mode: number;
  readonly data: string;
  readonly device: readonly [number, number];
}

/** Reads a newc archive by the format's description, trailer included. */
function readCpio(archive: Buffer): Member[] {
  const members: Member[] = [];
  for (let at = 0; at < archive.length;) {
    assert.equal(archive.toString('latin1', at, at + 6), '070701');
    const field = (index: number): number =>
      Number.parseInt(archive.toString('latin1', at + 6 + index * 8, at + 14 + index * 8), 16);
    const nameStart = at + 110;
    const dataStart = align(nameStart + field(11));
    members.push({
      name: archive.toString('utf8', nameStart, nameStart + field(11) - 1),
      mode: field(1),
      data: archive.toString('latin1', dataStart, dataStart + field(6)),
      device: [field(9), field(10)],
    });
    at = align(dataStart + field(6));
  }
  return members;
}

function align(offset: number): number {
  return Math.ceil(offset / 4) * 4;
}

const ENTRIES: CpioEntry[] = [
  { kind: 'directory', path: 'dev' },
  { kind: 'device', path: 'dev/console', major: 5, minor: 1 },
  { kind: 'file', path: 'init', mode: 0o755, data: Buffer.from('#!/bin/sh\n') },
  { kind: 'file', path: 'empty', mode: 0o644, data: Buffer.alloc(0) },
  { kind: 'symlink', path: 'lib64', target: 'usr/lib' },
];

test('a member is header, name and data, each padded to 4 bytes', () => {
  const archive = writeCpio([{ kind: 'file', path: 'init', mode: 0o755, data: Buffer.from('hello') }]);
  const header =
    '070701' + // magic
    '00000001' + // inode
    '000081ed' + // regular file, rwxr-xr-x
    '00000000' + // uid
    '00000000' + // gid
    '00000001' + // links
    '00000000' + // mtime
    '00000005' + // size
    '00000000' + // device of the archive
    '00000000' +
    '00000000' + // device number
    '00000000' +
    '00000005' + // bytes of the name
    '00000000'; // checksum
  assert.equal(archive.toString('latin1', 0, 124), `${header}init\0\0hello\0\0\0`);
  assert.equal(archive.length % 4, 0);
});

test('a reader finds every kind of member, and the trailer last', () => {
  assert.deepEqual(readCpio(writeCpio(ENTRIES)), [
    { name: 'dev', mode: 0o040755, data: '', device: [0, 0] },
    { name: 'dev/console', mode: 0o020600, data: '', device: [5, 1] },
    { name: 'init', mode: 0o100755, data: '#!/bin/sh\n', device: [0, 0] },
    { name: 'empty', mode: 0o100644, data: '', device: [0, 0] },
    { name: 'lib64', mode: 0o120777, data: 'usr/lib', device: [0, 0] },
    { name: 'TRAILER!!!', mode: 0, data: '', device: [0, 0] },
  ]);
});

test('cpio lists the archive', (context) => {
  const listing = spawnSync('cpio', ['--list', '--quiet'], { input: writeCpio(ENTRIES), encoding: 'utf8' });
  if (listing.error !== undefined) {
    context.skip('cpio is not installed');
    return;
  }
  assert.equal(listing.stdout, 'dev\ndev/console\ninit\nempty\nlib64\n');
});
