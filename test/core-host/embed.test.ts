// The embedding example runs on the very same Wasm in two engines' embeddings: Node's and Deno's.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { buildPath, findCheckout } from '../../host/demo/checkout.ts';

const root = findCheckout();
const example = path.join(root, 'build/dist/examples/embed-core.js');
const OUTPUT = 'Hello from the guest; statuses 0 0 0 0\n';

function run(program: string, ...options: string[]): string {
  const cache = buildPath('deno');
  const environment = { ...process.env, DENO_DIR: cache, DENO_NO_UPDATE_CHECK: '1', NO_COLOR: '1' };
  const { status, stdout, stderr } = spawnSync(program, [...options, example], {
    encoding: 'utf8',
    env: environment,
  });
  assert.equal(status, 0, stderr);
  return stdout;
}

test('in Node', () => {
  assert.equal(run(process.execPath), OUTPUT);
});

/** Deno's program for this platform; the package that chooses among platforms would want all of them. */
const deno = path.join(root, 'node_modules/@deno/linux-x64-glibc/deno');

test('in Deno', { skip: !existsSync(deno) && 'there is no Deno for this platform' }, () => {
  assert.equal(run(deno, 'run', '--allow-read'), OUTPUT);
});
