/** The numbers in docs/protocol/vhost-user-nvme-legacy.md are the constants, but for the standard's requests all. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import * as spec from '../../../../assembly/spec/vhost-user.ts';

const document = readFileSync(path.join(process.cwd(), 'docs/protocol/vhost-user-nvme-legacy.md'), 'utf8');
const rows = [...document.matchAll(/^\| `([A-Z0-9_]+)` +\| (0x[0-9a-f]+|\d+) +\|/gm)].map(
  ([, name = '', value]) => [name, Number(value)] as const,
);
const constants = new Map<string, number>(Object.entries(spec));

test('every documented number is the constant', () => {
  assert.ok(rows.length > 30);
  for (const [name, value] of rows) assert.equal(value, constants.get(name), name);
});

test('every constant is documented once, but requests that are refused', () => {
  const names = rows.map(([name]) => name);
  assert.equal(new Set(names).size, names.length);
  const missing = [...constants.keys()].filter((name) => !names.includes(name) && name !== 'U64_BYTES');
  assert.ok(
    missing.every((name) => name.startsWith('REQUEST_') && !name.startsWith('REQUEST_NVME')),
    missing.join(' '),
  );
});
