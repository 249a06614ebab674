// Reads and compiles the two Wasm modules, once in a process each, and instantiates them on a memory of the caller's.
// Nothing else in the target touches the WebAssembly API, but core.ts and driver.ts through this file.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** A compiled module and the SHA-256 of its file: what a state image carries as its build hash. */
export interface LoadedModule {
  readonly module: WebAssembly.Module;
  readonly buildHash: Uint8Array;
}

/** The Wasm on disk is missing or is not what this target was built for. The message says what to do. */
export class ModuleError extends Error {
  readonly code = 'DOORBELL_MODULE';
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ModuleError';
  }
}

/** Another build of a module, with what it imports besides memory and abort: an instrumented one, in tests. */
export interface ModuleBuild {
  module: WebAssembly.Module;
  imports: Record<string, (...values: number[]) => unknown>;
}

/** Exports of a module, all functions of u32. */
export type Exports<Names extends string> = Readonly<Record<Names, (...values: number[]) => number>>;

const loaded = new Map<string, LoadedModule>();

/**
 * The module `build/core/<name>.wasm`, compiled at its first use.
 * Throws ModuleError when the file is not there or is no valid module.
 */
export function loadModule(name: string): LoadedModule {
  const known = loaded.get(name);
  if (known) return known;
  const url = new URL(`../../../core/${name}.wasm`, import.meta.url);
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(url);
  } catch (cause) {
    throw new ModuleError(`cannot read ${url.pathname}: run "npm run build"`, { cause });
  }
  const entry = compile(url.pathname, bytes);
  loaded.set(name, entry);
  return entry;
}

function compile(path: string, bytes: Uint8Array): LoadedModule {
  try {
    const module = new WebAssembly.Module(bytes);
    return { module, buildHash: new Uint8Array(createHash('sha256').update(bytes).digest()) };
  } catch (cause) {
    throw new ModuleError(`${path} is not a valid WebAssembly module: run "npm run build" again`, { cause });
  }
}

/**
 * An instance of a module on `memory`, whose exports are checked by name, so that a stale build is refused here and
 * not by a TypeError in the middle of I/O. An assertion that fails inside traps like any other bug.
 */
export function instantiate<Names extends string>(
  name: string,
  memory: WebAssembly.Memory,
  names: readonly Names[],
  build?: ModuleBuild,
): Exports<Names> {
  const module = build?.module ?? loadModule(name).module;
  const present = new Set(WebAssembly.Module.exports(module).map((entry) => entry.name));
  const missing = names.filter((wanted) => !present.has(wanted));
  if (missing.length > 0) {
    throw new ModuleError(`${name}.wasm lacks ${missing.join(', ')}: run "npm run build" again`);
  }
  const abort = (_message = 0, _file = 0, line = 0, column = 0): never => {
    throw new WebAssembly.RuntimeError(`assertion failed in ${name}.wasm at line ${line}, column ${column}`);
  };
  const instance = new WebAssembly.Instance(module, { env: { ...build?.imports, memory, abort } });
  return instance.exports as Exports<Names>;
}
