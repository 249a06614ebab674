// docs/errors.md and the sources name the same codes.

import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { findCheckout } from '../../../host/demo/checkout.ts';
import { EXIT_FAILURE, EXIT_OK, EXIT_SIGNAL_BASE, EXIT_USAGE } from '../../../host/cli/exit.ts';

const root = findCheckout();
const page = fs.readFileSync(path.join(root, 'docs/errors.md'), 'utf8');
const documented = [...page.matchAll(/^\| `([A-Z_]+)` +\|/gm)].map(([, code = '']) => code);

/** Codes of Node.js that are looked at and never given. */
const FOREIGN = ['MODULE_NOT_FOUND', 'ERR_MODULE_NOT_FOUND'];

/** All strings in host/ that look like a code; those of the demo are names of environment variables and the like. */
function codesInSources(): Map<string, string> {
  const codes = new Map<string, string>();
  for (const name of fs.readdirSync(path.join(root, 'host'), { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.ts') || name.startsWith('demo')) continue;
    const text = fs.readFileSync(path.join(root, 'host', name), 'utf8');
    for (const [, code = ''] of text.matchAll(/'([A-Z]+(?:_[A-Z]+)+)'/g)) codes.set(code, `host/${name}`);
  }
  // The only code of one word; host/demo/setup-error.ts.
  codes.set('SETUP', 'host/demo/setup-error.ts');
  for (const code of FOREIGN) codes.delete(code);
  return codes;
}

test('every code in the sources is in docs/errors.md', () => {
  const missing = [...codesInSources()].filter(([code]) => !documented.includes(code));
  assert.deepEqual(missing, []);
});

test('every code in docs/errors.md is in the sources', () => {
  const codes = codesInSources();
  assert.ok(codes.size > 40);
  assert.deepEqual(
    documented.filter((code) => !codes.has(code)),
    [],
  );
});

test('no code is explained twice, and each table is in order', () => {
  assert.equal(new Set(documented).size, documented.length);
  const sections = page.split(/^## /m).filter((section) => !section.startsWith('Results of storage'));
  for (const table of sections.flatMap((section) => section.split(/\n\n/))) {
    const codes = [...table.matchAll(/^\| `([A-Z_]+)` +\|/gm)].map(([, code = '']) => code);
    assert.deepEqual(codes, codes.toSorted());
  }
});

test('the exit codes are those of the command', () => {
  const exits = [...page.matchAll(/^\| (\d+(?:, \d+)*) +\|/gm)].flatMap(([, text = '']) =>
    text.split(', ').map(Number),
  );
  const signals = [2, 15].map((signal) => EXIT_SIGNAL_BASE + signal);
  assert.deepEqual(exits, [EXIT_OK, EXIT_FAILURE, EXIT_USAGE, ...signals]);
});
