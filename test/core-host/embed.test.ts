// The embedding example runs on the very same Wasm in two engines' embeddings: Node's and Deno's.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { test } from 'node:test';
import { findCheckout } from '../../host/demo/checkout.ts';

const root = findCheckout();
const example = path.join(root, 'build/dist/examples/embed-core.js');
const OUTPUT = 'Hello from the guest; statuses 0 0 0 0\n';

function run(program: string, ...options: string[]): string {
  const environment = { ...process.env, DENO_NO_UPDATE_CHECK: '1', NO_COLOR: '1' };
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

test('in Deno', () => {
  assert.equal(run(path.join(root, 'node_modules/.bin/deno'), 'run', '--allow-read'), OUTPUT);
});
