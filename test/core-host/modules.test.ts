// The first and second law, seen from the binaries: an instance keeps nothing outside its memory, runs nothing by
// itself and can reach nothing.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { wasmSections } from '../support/wasm-sections.ts';

/**
 * Globals that may be mutable: the compiler's own, which never change after instantiation because nothing is
 * allocated. None is left once the optimiser has run.
 */
const MUTABLE_GLOBALS_ALLOWED = 0;

for (const name of ['doorbell-core', 'doorbell-driver']) {
  describe(`${name}.wasm`, () => {
    const bytes = readFileSync(new URL(`../../../core/${name}.wasm`, import.meta.url));
    const module = new WebAssembly.Module(bytes);
    const sections = wasmSections(bytes);

    test('has no state outside its memory', () => {
      const mutable = sections.globals.filter((global) => global.mutable);
      assert.equal(mutable.length, MUTABLE_GLOBALS_ALLOWED);
    });

    test('runs nothing when it is instantiated', () => {
      assert.equal(sections.hasStart, false);
    });

    test('imports its memory and abort, nothing else', () => {
      const imports = WebAssembly.Module.imports(module).map((entry) => `${entry.module}.${entry.name}`);
      assert.deepEqual(
        imports.filter((entry) => entry !== 'env.abort'),
        ['env.memory'],
      );
    });

    test('exports functions only', () => {
      const kinds = new Set(WebAssembly.Module.exports(module).map((entry) => entry.kind));
      assert.deepEqual([...kinds], ['function']);
    });
  });
}
