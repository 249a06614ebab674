// Configuration files: what they become, and how each mistake is told with its line, its key and its cure.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import {
  CONFIG_SCHEMA,
  ConfigDocument,
  documentOf,
  optionsOfDocument,
  type Value,
} from '../../../host/config/file/index.ts';
import { NAMESPACE_HEADS, NAMESPACE_SCHEMAS, CONTROLLER_SCHEMA } from '../../../host/config/file/schema.ts';
import { NAMESPACE_KEYS } from '../../../host/config/namespace-spec.ts';
import { parseServeOptions, type ServeOptions } from '../../../host/config/options.ts';
import { SOCKET_KEYS } from '../../../host/config/socket-spec.ts';
import type { UsageCode } from '../../../host/config/usage-error.ts';
import { findCheckout } from '../../../host/demo/checkout.ts';
import { refused } from './refused.ts';

const FILE = '/etc/doorbell/target.json';

function optionsOf(text: string): ServeOptions {
  return optionsOfDocument(new ConfigDocument(text, FILE));
}

const MINIMUM =
  '{"subsystems": [{"namespaces": [{"backend": "ram", "size": "1M"}], "controllers": [{"socket": "a"}]}]}';

test('a file says what a command line says', () => {
  const text = `{
    // comments are allowed, and trailing commas
    "log-level": "debug", "windows": 3, "spin-us": 0, "json": true,
    "subsystems": [{
      "nqn": "nqn.2026-01.com.example:one", "serial": "S", "model": "M", "shadow-doorbells": false,
      "namespaces": [
        {"backend": "file", "path": "a.img", "size": "1G", "block-size": 4096, "direct": "off", "nsid": 3},
        {"backend": "ram", "size": 4096, "readonly": true, "uuid": "6ba7b810-9dad-41d1-80b4-00c04fd430c8"},
      ],
      "controllers": [
        {"socket": "a.sock", "namespaces": [3, 1], "cntlid": 7, "shadow-doorbells": true},
        {"socket": "/run/b.sock", "protocol": "vhost-user-nvme", "namespaces": [1]},
      ],
    }],
  }`;
  const line = parseServeOptions({
    ...{ logLevel: 'debug', windows: '3', spinUs: '0', json: true, shadowDoorbells: 'off' },
    ...{ subsystemNqn: 'nqn.2026-01.com.example:one', serial: 'S', model: 'M' },
    namespace: [
      'file:/etc/doorbell/a.img,size=1G,block-size=4096,direct=off,nsid=3',
      'ram:4096,readonly=on,uuid=6ba7b810-9dad-41d1-80b4-00c04fd430c8',
    ],
    socket: [
      '/etc/doorbell/a.sock,namespaces=3+1,cntlid=7,shadow-doorbells=on',
      '/run/b.sock,protocol=vhost-user-nvme,namespaces=1',
    ],
  });
  assert.deepEqual(optionsOf(text), line);
});

test('a command line becomes a file that says the same', () => {
  const args = {
    socket: ['/run/a.sock,namespaces=1+2,cntlid=9', '/run/b.sock,shadow-doorbells=off,namespaces=1'],
    namespace: ['file:/a,,b.img,block-size=4K,share=yes,direct=no', 'ram:1M,nsid=2'],
    ...{ spinUs: '7', logLevel: 'warn', control: '/run/c.sock', metrics: '9464', shadowDoorbells: 'off' },
  };
  assert.deepEqual(optionsOfDocument(documentOf(args)), parseServeOptions(args));
});

test('what stands on the command line beside a file wins', () => {
  const options = optionsOfDocument(new ConfigDocument(MINIMUM.replace('{', '{"windows": 9, '), FILE), {
    logLevel: 'trace',
    spinUs: '3',
  });
  assert.deepEqual([options.logLevel, options.spinMicroseconds, options.windows], ['trace', 3, 9]);
});

const MISTAKES: readonly [UsageCode, RegExp, string][] = [
  ['CONFIG_SYNTAX', /target\.json:2:4: a comma belongs between/, '{"a": 1\n   "b": 2}'],
  ['CONFIG_SYNTAX', /:1:1: the file is empty/, ''],
  [
    'CONFIG_INVALID',
    /:1:2: .*'subsystem' is not known here \(did you mean subsystems\?\)/,
    '{"subsystem": []}',
  ],
  ['CONFIG_INVALID', /:1:2: subsystems: \[\] is not possible: give at least one/, '{"subsystems": []}'],
  ['CONFIG_INVALID', /:3:1: windows is given twice/, '{\n"windows": 4,\n"windows": 3, "subsystems": [{}]}'],
  [
    'CONFIG_INVALID',
    /there is no backend "fil" \(did you mean file\?\): write "file"/,
    '{"subsystems": [{"namespaces": [{"backend": "fil"}]}]}',
  ],
  [
    'CONFIG_INVALID',
    /namespaces\[0\]: size is missing: add "size": "10G"/,
    '{"subsystems": [{"namespaces": [{"backend": "ram"}]}]}',
  ],
  [
    'CONFIG_INVALID',
    /namespaces\[0\]\.backend: backend is missing: add "backend": "file"/,
    '{"subsystems": [{"namespaces": [{}]}]}',
  ],
  [
    'CONFIG_INVALID',
    /:2:1: .*readonly: "yes" is not possible: write true or false/,
    '{"subsystems": [{"namespaces": [{"backend": "ram", "size": 512,\n"readonly": "yes"}]}]}',
  ],
  [
    'CONFIG_INVALID',
    /cntlid: 70000 is not possible: write a whole number from 1 to 65519/,
    '{"subsystems": [{"controllers": [{"socket": "a", "cntlid": 70000}]}]}',
  ],
  [
    'CONFIG_INVALID',
    /"vfiouser" .*did you mean vfio-user/,
    '{"subsystems": [{"controllers": [{"socket": "a", "protocol": "vfiouser"}]}]}',
  ],
  [
    'CONFIG_INVALID',
    /subsystems\[0\]: there are no controllers: add one, or add "control"/,
    '{"subsystems": [{"namespaces": []}]}',
  ],
  [
    'SIZE_INVALID',
    /:1:33: .*ram:1000 is not a whole number of blocks/,
    '{"subsystems": [{"namespaces": [{"backend": "ram", "size": 1000}]}]}',
  ],
  [
    'ID_INVALID',
    /:2:1: .*\.uuid: uuid=zz is not a UUID/,
    '{"subsystems": [{"namespaces": [{"backend": "ram", "size": 512,\n"uuid": "zz"}]}]}',
  ],
  [
    'NAMESPACE_UNKNOWN',
    /:1:17: subsystems\[0\]: socket \S+ names namespace 2/,
    MINIMUM.replace('"a"', '"a", "namespaces": [2]'),
  ],
  ['SOCKET_CONFLICT', /is given twice/, MINIMUM.replace('}]}]}', '}, {"socket": "a"}]}]}')],
];

test('each mistake is told with its place and its cure', () => {
  for (const [code, words, text] of MISTAKES) refused(code, words, () => optionsOf(text));
  optionsOf(MINIMUM);
});

test('a file that is not there', () => {
  refused('CONFIG_FILE', /no\.json cannot be read \(ENOENT\): write it/, () =>
    ConfigDocument.read('/no.json'),
  );
});

test('changes leave the rest of the text as it was written', () => {
  const text =
    '{\n  "subsystems": [ // ours\n    { "controllers": [{ "socket": "a" }], "namespaces": [] }\n  ]\n}\n';
  const document = new ConfigDocument(text, FILE);
  const second: Value = { socket: 'b' };
  document.set(['subsystems', 0, 'controllers', 1], second);
  document.set(['subsystems', 0, 'controllers', 0], undefined);
  assert.match(document.text, /\/\/ ours/);
  assert.deepEqual(JSON.stringify(document.value.subsystems[0]?.controllers), JSON.stringify([second]));
});

test('the schema knows the keys of the command line', () => {
  for (const schema of NAMESPACE_SCHEMAS) {
    const backend = schema.properties['backend']?.const ?? '';
    const keys = [...(NAMESPACE_KEYS[backend] ?? []), 'backend', NAMESPACE_HEADS[backend] ?? ''];
    assert.deepEqual(Object.keys(schema.properties).toSorted(), keys.toSorted());
  }
  assert.deepEqual(
    NAMESPACE_SCHEMAS.map(({ properties }) => properties['backend']?.const).toSorted(),
    Object.keys(NAMESPACE_KEYS).toSorted(),
  );
  assert.deepEqual(
    Object.keys(CONTROLLER_SCHEMA.properties).toSorted(),
    ['socket', ...SOCKET_KEYS].toSorted(),
  );
});

test('docs/config.schema.json is the schema', () => {
  const published = readFileSync(path.join(findCheckout(), 'docs/config.schema.json'), 'utf8');
  assert.deepEqual(JSON.parse(published), JSON.parse(JSON.stringify(CONFIG_SCHEMA)));
});
