// --socket: everything that can be written, and everything that is refused.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { listenFailure, parseSocket } from '../../../host/config/socket-spec.ts';
import { refused } from './refused.ts';

test('a path alone, absolute or relative', () => {
  assert.deepEqual(parseSocket('/run/a.sock'), {
    path: '/run/a.sock',
    namespaces: undefined,
    cntlid: undefined,
    protocol: 'vfio-user',
    shadowDoorbells: undefined,
  });
  assert.equal(parseSocket('a.sock', '/srv').path, '/srv/a.sock');
  assert.equal(parseSocket('../a,,b.sock', '/srv/x').path, '/srv/a,b.sock');
});

test('with namespaces and a controller identifier', () => {
  const socket = parseSocket('/run/a.sock,namespaces=3+1+2,cntlid=65519');
  assert.deepEqual(socket, {
    path: '/run/a.sock',
    namespaces: [1, 2, 3],
    cntlid: 65519,
    protocol: 'vfio-user',
    shadowDoorbells: undefined,
  });
  assert.ok(Object.isFrozen(socket) && Object.isFrozen(socket.namespaces));
});

test('with a protocol', () => {
  assert.equal(parseSocket('/run/a.sock,protocol=vhost-user-nvme').protocol, 'vhost-user-nvme');
  refused('OPTION_INVALID', /protocol=nvme-tcp is not possible.*vfio-user or vhost-user-nvme/, () =>
    parseSocket('/run/a.sock,protocol=nvme-tcp'),
  );
});

test('with or without shadow doorbells, or as the command line says', () => {
  assert.equal(parseSocket('/run/a.sock').shadowDoorbells, undefined);
  assert.equal(parseSocket('/run/a.sock,shadow-doorbells=off').shadowDoorbells, false);
  assert.equal(parseSocket('/run/a.sock,shadow-doorbells=on').shadowDoorbells, true);
  refused('OPTION_INVALID', /write shadow-doorbells=on or shadow-doorbells=off/, () =>
    parseSocket('/run/a.sock,shadow-doorbells=maybe'),
  );
  refused('OPTION_UNKNOWN', /\(write shadow-doorbells=\)/, () => parseSocket('/run/a.sock,dbcs=off'));
});

test('a path has at most 107 bytes, not characters', () => {
  const longest = `/${'a'.repeat(106)}`;
  assert.equal(parseSocket(longest).path, longest);
  refused('SOCKET_PATH', /is 108 bytes long.*at most 107: use a shorter one/, () =>
    parseSocket(`${longest}a`),
  );
  refused('SOCKET_PATH', /is 109 bytes long/, () => parseSocket(`/${'é'.repeat(54)}`));
  refused('SOCKET_PATH', /at most 107/, () => parseSocket('a'.repeat(100), '/srv/directory'));
});

test('what is no path', () => {
  refused('SOCKET_PATH', /\(empty\) has no path/, () => parseSocket(''));
  refused('SOCKET_PATH', /has no path/, () => parseSocket(',cntlid=1'));
  refused('SOCKET_PATH', /names a directory.*\/run\/nvme.sock/, () => parseSocket('/run/'));
  refused('SOCKET_PATH', /zero byte/, () => parseSocket('/run/a\0b'));
});

test('fields that are not possible', () => {
  const cases: readonly [string, RegExp][] = [
    ['namespaces=', /NSIDs joined by \+/],
    ['namespaces=1,2', /does not know '2'/],
    ['namespaces=1;2', /NSIDs joined by \+/],
    ['namespaces=1+1', /names 1 twice/],
    ['namespaces=0', /from 1 to 256/],
    ['namespaces=257', /from 1 to 256/],
    ['cntlid=0', /from 1 to 65519/],
    ['cntlid=65520', /from 1 to 65519/],
    ['serial=X', /belongs to the whole subsystem: use --serial/],
    ['nsid=1', /write namespaces=/],
    ['namespace=1', /write namespaces=/],
    ['cntldi=1', /did you mean cntlid/],
  ];
  for (const [field, words] of cases) {
    const code = /know|subsystem|write names|did you/.test(words.source)
      ? 'OPTION_UNKNOWN'
      : 'OPTION_INVALID';
    refused(code, words, () => parseSocket(`/run/a.sock,${field}`));
  }
});

test('a socket that cannot be bound', () => {
  const cases: readonly [string, string | undefined, RegExp][] = [
    ['EADDRINUSE', 'SOCKET_BUSY', /listens on \/run\/x\/a.sock already: end that process/],
    ['ENOENT', 'SOCKET_PATH', /\/run\/x is not a directory: create it/],
    ['EACCES', 'SOCKET_PATH', /change its permissions/],
    ['EMFILE', undefined, /^$/],
  ];
  for (const [errno, code, words] of cases) {
    const failure = listenFailure('/run/x/a.sock', errno);
    assert.equal(failure?.code, code);
    assert.match(failure?.message ?? '', words);
  }
  const file = listenFailure(import.meta.filename, 'EADDRINUSE');
  assert.equal(file?.code, 'SOCKET_PATH');
  assert.match(file.message, /is there and no socket: use another path/);
  const folder = listenFailure(import.meta.dirname, 'EADDRINUSE');
  assert.equal(folder?.code, 'SOCKET_PATH');
  assert.match(folder.message, /is a directory: name a socket in it, such as .*\/nvme\.sock$/);
});
