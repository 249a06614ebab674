// A build of the core that dies between any two of its stores to memory, as a process that is killed: an import that is
// called before each store throws. What the store before it left is what the next process finds. (Filling and copying
// of memory count as one store.)

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { findCheckout } from '../../host/demo/checkout.ts';
import type { ModuleBuild } from '../../host/core/load.ts';

/** Thrown in place of a store. */
export class Crash extends Error {}

export class CrashingCore {
  /** What a MockGuest is to be made with. */
  readonly build: ModuleBuild;
  /** Stores until the next crash; 0: none. */
  countdown = 0;
  /** Stores that were done while a crash was due or not. */
  stores = 0;

  constructor() {
    const same = (_id: number, value: number): number => value;
    const address = (_id: number, _bytes: number, _offset: number, at: number): number => at;
    const store = (id: number, bytes: number, offset: number, at: number): number => {
      this.stores++;
      if (this.countdown > 0 && --this.countdown === 0) throw new Crash(`before store ${id}`);
      return address(id, bytes, offset, at);
    };
    const values = ['i32', 'i64', 'f32', 'f64'].flatMap((type) => [`load_val_${type}`, `store_val_${type}`]);
    const imports = Object.fromEntries(values.map((name) => [name, same]));
    this.build = { module: instrumented(), imports: { ...imports, load_ptr: address, store_ptr: store } };
  }
}

let module: WebAssembly.Module | undefined;

/** The core, with a call before each load and store; made by Binaryen, which compiled it in the first place. */
function instrumented(): WebAssembly.Module {
  if (module) return module;
  const root = findCheckout();
  const folder = mkdtempSync(path.join(tmpdir(), 'doorbell-'));
  const output = path.join(folder, 'instrumented.wasm');
  const features = ['--enable-threads', '--enable-simd', '--enable-bulk-memory'];
  const files = [path.join(root, 'build/core/doorbell-core.wasm'), '-o', output];
  const program = path.join(root, 'node_modules/.bin/wasm-opt');
  const { status, stderr } = spawnSync(program, [...features, '--instrument-memory', ...files], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`wasm-opt failed: ${stderr}`);
  module = new WebAssembly.Module(readFileSync(output));
  rmSync(folder, { recursive: true });
  return module;
}
