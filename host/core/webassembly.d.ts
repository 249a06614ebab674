// The part of the WebAssembly JavaScript API that this project uses: Node's own typings leave it to the DOM's.

declare namespace WebAssembly {
  interface MemoryDescriptor {
    /** Pages of 64 KiB. */
    initial: number;
    maximum?: number;
    shared?: boolean;
  }
  class Memory {
    constructor(descriptor: MemoryDescriptor);
    readonly buffer: ArrayBuffer | SharedArrayBuffer;
  }
  interface ModuleExportDescriptor {
    kind: 'function' | 'table' | 'memory' | 'global';
    name: string;
  }
  interface ModuleImportDescriptor extends ModuleExportDescriptor {
    module: string;
  }
  class Module {
    constructor(bytes: Uint8Array);
    static exports(module: Module): ModuleExportDescriptor[];
    static imports(module: Module): ModuleImportDescriptor[];
    private readonly brand;
  }
  type Imports = Record<string, Record<string, Memory | ((...values: number[]) => unknown)>>;
  class Instance {
    constructor(module: Module, imports?: Imports);
    readonly exports: unknown;
  }
  class RuntimeError extends Error {}
}
