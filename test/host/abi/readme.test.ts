// assembly/abi/README.md is what an embedder programs against, so its numbers must be the constants: every table row
// that begins with a constant's name and a number is compared, and no constant may be missing.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import * as memoryMap from '../../../assembly/abi/memory-map.ts';
import * as records from '../../../assembly/abi/records.ts';
import * as version from '../../../assembly/abi/version.ts';

// The tests run from build/dist; the documents stay in the checkout, which is the working directory.
const root = process.cwd();
const readme = readFileSync(join(root, 'assembly/abi/README.md'), 'utf8');

const constants = new Map<string, number>(Object.entries({ ...memoryMap, ...records, ...version }));

/** Cells of every table row, in order. */
function* tableRows(text: string): Generator<string[]> {
  for (const line of text.split('\n')) {
    if (!line.startsWith('|')) continue;
    yield line
      .slice(1, line.lastIndexOf('|'))
      .split('|')
      .map((cell) => cell.trim());
  }
}

/** Rows `| `NAME` | number | ... |` as [name, number, third cell]. */
function documentedConstants(): [string, number, string][] {
  const found: [string, number, string][] = [];
  for (const [first = '', second = '', third = ''] of tableRows(readme)) {
    const name = /^`([A-Z][A-Z0-9_]*)`$/.exec(first)?.[1];
    if (name !== undefined && /^(0x[0-9a-f]+|\d+)$/.test(second)) found.push([name, Number(second), third]);
  }
  return found;
}

test('every documented number is the constant', () => {
  for (const [name, value] of documentedConstants()) {
    assert.ok(constants.has(name), `README.md documents ${name}, which does not exist`);
    assert.equal(value, constants.get(name), `README.md says ${name} = ${value}`);
  }
});

test('every constant is documented, once', () => {
  const names = documentedConstants().map(([name]) => name);
  assert.deepEqual(
    [...constants.keys()].filter((name) => !names.includes(name)),
    [],
    'constants without a row',
  );
  assert.deepEqual(
    names.filter((name, index) => names.indexOf(name) !== index),
    [],
    'constants with two rows',
  );
});

test('the memory map gives each area its size, and areas follow one another', () => {
  const areas = documentedConstants().filter(
    ([name]) => name.endsWith('_BASE') && constants.has(name.replace(/_BASE$/, '_SIZE')),
  );
  const ordered = [...constants.keys()].filter(
    (name) => name.endsWith('_BASE') && constants.has(name.replace(/_BASE$/, '_SIZE')),
  );
  assert.deepEqual(areas.map(([name]) => name).sort(), ordered.sort());
  let end = memoryMap.HEADER_BASE;
  for (const [name, base, size] of areas) {
    assert.equal(Number(size), constants.get(name.replace(/_BASE$/, '_SIZE')), `size of ${name}`);
    assert.equal(base, end, `${name} does not follow the area before it`);
    end = base + Number(size);
  }
  assert.equal(end, memoryMap.IMAGE_END);
});

test('the exports are those of assembly/index.ts', () => {
  const documented: string[] = [];
  let inExports = false;
  for (const cells of tableRows(readme)) {
    if (cells[0] === 'export') inExports = true;
    else if (cells[0] === 'name') inExports = false;
    const name = /^`([a-z_]+)`$/.exec(cells[0] ?? '')?.[1];
    if (inExports && name !== undefined) documented.push(name);
  }
  const source = readFileSync(join(root, 'assembly/index.ts'), 'utf8');
  const exported = [...source.matchAll(/^ {2}\w+ as ([a-z_]+),$/gm)].map((match) => match[1] ?? '');
  assert.deepEqual(documented.sort(), exported.sort());
});
