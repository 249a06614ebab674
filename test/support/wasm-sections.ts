// Reads the sections of a Wasm binary that say what an instance keeps outside its memory: globals and a start
// function (WebAssembly Core Specification 2.0, section 5.5).

const MAGIC_BYTES = 8;
const SECTION_GLOBAL = 6;
const SECTION_START = 8;
const OPCODE_END = 0x0b;

export interface WasmSections {
  /** Globals that the module defines, in order. */
  globals: { mutable: boolean }[];
  hasStart: boolean;
}

class Reader {
  readonly #bytes: Uint8Array;
  at: number;

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes;
    this.at = at;
  }

  get atEnd(): boolean {
    return this.at >= this.#bytes.length;
  }

  byte(): number {
    return this.#bytes[this.at++] ?? 0;
  }

  /** LEB128, 7 bits a byte. */
  unsigned(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  }
}

export function wasmSections(bytes: Uint8Array): WasmSections {
  const reader = new Reader(bytes, MAGIC_BYTES);
  const sections: WasmSections = { globals: [], hasStart: false };
  while (!reader.atEnd) {
    const id = reader.byte();
    const size = reader.unsigned();
    const end = reader.at + size;
    if (id === SECTION_START) sections.hasStart = true;
    if (id === SECTION_GLOBAL) sections.globals = globals(reader);
    reader.at = end;
  }
  return sections;
}

/** Type, mutability, and an initial value that is one constant instruction. */
function globals(reader: Reader): { mutable: boolean }[] {
  return Array.from({ length: reader.unsigned() }, () => {
    reader.byte();
    const mutable = reader.byte() === 1;
    reader.byte();
    while (reader.byte() >= 0x80);
    if (reader.byte() !== OPCODE_END) throw new Error('an initial value that is not one i32 or i64 constant');
    return { mutable };
  });
}
