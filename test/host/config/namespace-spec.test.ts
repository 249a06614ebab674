// --namespace: everything that can be written, and everything that is refused.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { numberNamespaces, parseNamespace } from '../../../host/config/namespace-spec.ts';
import { refused } from './refused.ts';

test('a file with nothing but its path', () => {
  assert.deepEqual(parseNamespace('file:disk.img'), {
    nsid: undefined,
    backend: {
      scheme: 'file',
      path: 'disk.img',
      size: undefined,
      offset: undefined,
      blockSize: undefined,
      readOnly: false,
      direct: 'auto',
      overlap: false,
    },
    share: false,
    nguid: undefined,
    eui64: undefined,
    uuid: undefined,
  });
});

test('a file with everything', () => {
  const parsed = parseNamespace(
    'file:/srv/disk.img,size=10G,block-size=4096,readonly=on,direct=off,share=on,nsid=7,' +
      'nguid=00112233445566778899aabbccddeeff,eui64=52-54-00-12-34-56-78-9a,uuid=6BA7B810-9dad-41d1-80b4-00c04fd430c8',
  );
  assert.equal(parsed.nsid, 7);
  assert.equal(parsed.share, true);
  assert.deepEqual(parsed.backend, {
    scheme: 'file',
    path: '/srv/disk.img',
    size: 10 * 1024 ** 3,
    offset: undefined,
    blockSize: 4096,
    readOnly: true,
    direct: 'off',
    // Two namespaces of one whole file are two paths to it, whatever share= says.
    overlap: false,
  });
  const hex = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString('hex');
  assert.equal(hex(parsed.nguid), '00112233445566778899aabbccddeeff');
  assert.equal(hex(parsed.eui64), '525400123456789a');
  assert.equal(hex(parsed.uuid), '6ba7b8109dad41d180b400c04fd430c8');
  assert.ok(Object.isFrozen(parsed) && Object.isFrozen(parsed.backend));
});

test('memory', () => {
  const { backend } = parseNamespace('ram:1G,block-size=4K');
  assert.deepEqual(backend, { scheme: 'ram', size: 1024 ** 3, blockSize: 4096, readOnly: false });
});

test('a device, and slices', () => {
  const { backend } = parseNamespace('block:/dev/disk/by-id/x,offset=0,size=10G,share=on');
  assert.deepEqual(backend, {
    scheme: 'block',
    path: '/dev/disk/by-id/x',
    size: 10 * 1024 ** 3,
    offset: 0,
    blockSize: undefined,
    readOnly: false,
    direct: 'auto',
    overlap: true,
  });
  for (const [text, offset] of [
    ['0', 0],
    ['0G', 0],
    ['1M', 1024 ** 2],
  ] as const) {
    const slice = parseNamespace(`file:a.img,offset=${text}`).backend;
    assert.ok(slice.scheme === 'file' && slice.offset === offset && !slice.overlap);
  }
  refused('SIZE_INVALID', /offset '-1' is not a size/, () => parseNamespace('file:a,offset=-1'));
  refused('SIZE_INVALID', /offset=700 .* write offset=512 or offset=1K/, () =>
    parseNamespace('file:a,offset=700'),
  );
  refused('SIZE_INVALID', /size is 0/, () => parseNamespace('file:a,offset=0,size=0'));
  refused('OPTION_INVALID', /block: has no path: write block:/, () => parseNamespace('block:'));
  refused('OPTION_UNKNOWN', /offset/, () => parseNamespace('ram:1G,offset=0'));
  refused('OPTION_UNKNOWN', /write offset=/, () => parseNamespace('file:a,start=0'));
});

test('nothing', () => {
  assert.deepEqual(parseNamespace('null:1T,block-size=4096').backend, {
    scheme: 'null',
    size: 1024 ** 4,
    blockSize: 4096,
    readOnly: false,
    reads: 'zeros',
  });
  const { backend } = parseNamespace('null:1T,reads=nothing');
  assert.ok(backend.scheme === 'null' && backend.reads === 'nothing');
  refused('OPTION_INVALID', /reads=on is not possible: write reads=zeros/, () =>
    parseNamespace('null:1T,reads=on'),
  );
  refused('SIZE_INVALID', /null:700 is not .* null:512 or null:1K/, () => parseNamespace('null:700'));
  refused('BACKEND_UNKNOWN', /no backend 'host_device' \(it is called block here\)/, () =>
    parseNamespace('host_device:/dev/sdb'),
  );
});

test('commas and equals signs in a path', () => {
  const paths: readonly [string, string][] = [
    ['file:a,,b.img', 'a,b.img'],
    ['file:a,,,,b.img,size=1M', 'a,,b.img'],
    ['file:,,', ','],
    ['file:a=b.img', 'a=b.img'],
    ['file:c:d.img', 'c:d.img'],
  ];
  for (const [text, path] of paths) {
    const { backend } = parseNamespace(text);
    assert.equal(backend.scheme === 'file' && backend.path, path, text);
  }
});

test('a SPEC that does not say where the data is', () => {
  refused('BACKEND_UNKNOWN', /disk.img does not say .* such as file:disk.img/, () =>
    parseNamespace('disk.img'),
  );
  refused('BACKEND_UNKNOWN', /\(empty\)/, () => parseNamespace(''));
  refused('BACKEND_UNKNOWN', /no backend 'flie' \(did you mean file\?\)/, () =>
    parseNamespace('flie:disk.img'),
  );
  refused('BACKEND_UNKNOWN', /write file:PATH, block:PATH, ram:SIZE or null:SIZE/, () =>
    parseNamespace('qcow2:disk.img'),
  );
  refused('OPTION_INVALID', /has no path/, () => parseNamespace('file:'));
  refused('OPTION_INVALID', /has no path/, () => parseNamespace('file:,size=1G'));
  refused('SIZE_INVALID', /ram: size \(empty\)/, () => parseNamespace('ram:'));
});

test('options that do not exist are refused with the ones that do', () => {
  const cases: readonly [string, RegExp][] = [
    ['szie=1G', /'szie' \(did you mean size\?\); it knows size, offset, direct, block-size, readonly/],
    ['blocksize=512', /\(write block-size=512 or block-size=4096\)/],
    ['ro', /\(write readonly=on\)/],
    ['Size=1G', /did you mean size/],
    ['colour=red', /does not know 'colour'; it knows/],
    ['', /an empty field.*comma in a path is written ,,/],
    ['b.img', /comma in a path/],
  ];
  for (const [field, words] of cases) {
    refused('OPTION_UNKNOWN', words, () => parseNamespace(`file:a.img,${field}`));
  }
  refused('OPTION_UNKNOWN', /the size comes first: ram:1G/, () => parseNamespace('ram:1G,size=1G'));
  refused('OPTION_UNKNOWN', /direct/, () => parseNamespace('ram:1G,direct=on'));
});

test('values that are not possible', () => {
  const cases: readonly [string, RegExp][] = [
    ['size', /size needs a value/],
    ['size=1G,size=2G', /size is given twice/],
    ['block-size=1024', /block-size=512 or block-size=4096/],
    ['readonly=maybe', /readonly=on or readonly=off/],
    ['direct=perhaps', /direct=on, direct=off or direct=auto/],
    ['share=', /share=on or share=off/],
    ['nsid=0', /whole number from 1 to 256/],
    ['nsid=257', /whole number from 1 to 256/],
    ['nsid=1.5', /whole number from 1 to 256/],
    ['nsid=', /\(empty\)/],
  ];
  for (const [field, words] of cases) {
    refused('OPTION_INVALID', words, () => parseNamespace(`file:a.img,${field}`));
  }
});

test('identifiers that are not possible', () => {
  const cases: readonly [string, RegExp][] = [
    ['nguid=1234', /32 hexadecimal digits \(16 bytes\)/],
    ['eui64=zz54001234567890', /16 hexadecimal digits/],
    ['eui64=0000000000000000', /means "none"/],
    ['uuid=1234', /is not a UUID/],
    ['uuid=6ba7b8109dad41d180b400c04fd430c8', /is not a UUID/],
  ];
  for (const [field, words] of cases)
    refused('ID_INVALID', words, () => parseNamespace(`file:a.img,${field}`));
});

test('sizes that are not whole blocks name the nearest that are', () => {
  refused('SIZE_INVALID', /write size=4K or size=8K/, () =>
    parseNamespace('file:a,size=5000,block-size=4096'),
  );
  refused('SIZE_INVALID', /write ram:512$/, () => parseNamespace('ram:100'));
});

test('NSIDs: chosen ones stay, others get the lowest free ones', () => {
  const numbers = (...texts: string[]): (number | string)[][] =>
    numberNamespaces(texts.map(parseNamespace)).map(({ nsid, backend }) => [nsid, backend.size ?? 0]);
  assert.deepEqual(numbers('ram:1K', 'ram:2K,nsid=1', 'ram:3K,nsid=4', 'ram:4K', 'ram:5K'), [
    [1, 2048],
    [2, 1024],
    [3, 4096],
    [4, 3072],
    [5, 5120],
  ]);
  refused('NAMESPACE_CONFLICT', /two namespaces have nsid=3/, () =>
    numbers('ram:1K,nsid=3', 'ram:1K,nsid=3'),
  );
  const many = Array.from({ length: 257 }, () => 'ram:1K');
  refused('NAMESPACE_CONFLICT', /at most 256/, () => numbers(...many));
  assert.equal(numbers(...many.slice(1)).length, 256);
});
