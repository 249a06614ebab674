/** The numbers in docs/protocol/vhost-user-nvme.md are the constants, and all of them are there, once. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import * as spec from '../../../../../assembly/spec/vhost-user-nvme.ts';

const document = readFileSync(path.join(process.cwd(), 'docs/protocol/vhost-user-nvme.md'), 'utf8');
const rows = [...document.matchAll(/^\| `([A-Z0-9_]+)` +\| (0x[0-9a-f]+|\d+) +\|/gm)].map(
  ([, name = '', value]) => [name, Number(value)] as const,
);
const constants = new Map<string, number>(Object.entries(spec));

test('every documented number is the constant', () => {
  assert.ok(rows.length > 80);
  for (const [name, value] of rows) assert.equal(value, constants.get(name), name);
});

test('every constant is documented once', () => {
  const names = rows.map(([name]) => name);
  assert.deepEqual(names.toSorted(), [...constants.keys()].toSorted());
});

test('every private request and the layout that it names have a place', () => {
  for (const name of constants.keys()) {
    if (!name.startsWith('REQUEST_') || (constants.get(name) ?? 0) < spec.REQUEST_GET_CONTROLLER) continue;
    const heading = new RegExp(`^### .*\\b${name.slice('REQUEST_'.length)}\\b`, 'm');
    assert.match(document, heading, name);
  }
  for (const [, name = ''] of document.matchAll(/`([A-Z][A-Z0-9_]+)`/g)) assert.ok(constants.has(name), name);
});
