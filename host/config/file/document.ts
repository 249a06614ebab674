// A configuration as text, with the place of each value: what is wrong is told with its line, and what changes while a
// target runs is changed in the text, so that comments and layout of its author stay.

import { readFileSync } from 'node:fs';
import path from 'node:path';
import {
  applyEdits,
  findNodeAtLocation,
  getNodeValue,
  modify,
  parseTree,
  printParseErrorCode,
  type JSONPath,
  type Node,
  type ParseError,
} from 'jsonc-parser';
import { UsageError, type UsageCode } from '../usage-error.ts';
import { faultsOf, formatPath, type Path } from './faults.ts';

export type Value = string | number | boolean | readonly Value[] | { readonly [key: string]: Value };

/** Keys and values of an object of the file. */
export type Entry = Readonly<Record<string, Value>>;

export interface SubsystemEntry {
  readonly nqn?: string;
  readonly serial?: string;
  readonly model?: string;
  readonly 'shadow-doorbells'?: boolean;
  readonly namespaces?: readonly Entry[];
  readonly controllers?: readonly Entry[];
}

/** The file, as the schema has it. */
export interface ConfigValue {
  readonly 'log-level'?: string;
  readonly json?: boolean;
  readonly 'spin-us'?: number;
  readonly windows?: number;
  readonly control?: string;
  readonly metrics?: string;
  readonly subsystems: readonly SubsystemEntry[];
}

const SYNTAX: Readonly<Record<string, string>> = {
  InvalidSymbol: 'this is no word of JSON: texts stand in double quotes, switches are true or false',
  InvalidNumberFormat: 'this is no number: a size with a unit stands in quotes, such as "10G"',
  PropertyNameExpected: 'a key in double quotes belongs here',
  ValueExpected: 'a value belongs here',
  ColonExpected: 'a colon belongs between key and value',
  CommaExpected: 'a comma belongs between two values',
  CloseBraceExpected: 'a } is missing',
  CloseBracketExpected: 'a ] is missing',
  EndOfFileExpected: 'the configuration ended before this: remove what follows',
  UnexpectedEndOfComment: 'a comment does not end: write */',
  UnexpectedEndOfString: 'a text does not end on its line: write the closing "',
  InvalidEscapeCharacter: 'there is no such escape: write a backslash twice',
};

const FORMATTING = { tabSize: 2, insertSpaces: true, eol: '\n' };

export class ConfigDocument {
  /** Absolute; undefined: never written. */
  readonly path: string | undefined;
  /** Relative paths in it begin here. */
  readonly directory: string;
  #text: string;
  #tree: Node;

  /** Throws UsageError CONFIG_SYNTAX or CONFIG_INVALID. */
  constructor(text: string, file: string | undefined, directory: string = process.cwd()) {
    this.path = file;
    this.directory = file === undefined ? directory : path.dirname(file);
    this.#text = text;
    this.#tree = this.#parse();
    this.#check();
  }

  /** Throws UsageError CONFIG_FILE as well. */
  static read(file: string): ConfigDocument {
    const absolute = path.resolve(file);
    let text: string;
    try {
      text = readFileSync(absolute, 'utf8');
    } catch (cause) {
      const code = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
      const cure =
        code === 'ENOENT' ? 'write it, or name another one' : 'name a file that this user may read';
      throw new UsageError('CONFIG_FILE', `--config ${file} cannot be read (${code}): ${cure}`, { cause });
    }
    return new ConfigDocument(text, absolute);
  }

  get text(): string {
    return this.#text;
  }

  get value(): ConfigValue {
    return getNodeValue(this.#tree) as ConfigValue;
  }

  /**
   * Sets, or by undefined removes, the value at `at`. An index behind the last inserts. To be called with what the
   * schema allows.
   */
  set(at: Path, value: Value | undefined): void {
    const last = at.at(-1);
    const parent = findNodeAtLocation(this.#tree, at.slice(0, -1));
    const isArrayInsertion = typeof last === 'number' && last >= (parent?.children?.length ?? 0);
    const edits = modify(this.#text, at as JSONPath, value, {
      formattingOptions: FORMATTING,
      isArrayInsertion,
    });
    this.#text = applyEdits(this.#text, edits);
    this.#tree = this.#parse();
  }

  /**
   * Runs `body`, which parses the value at `at`. What is wrong is thrown again with its place: that of the key that the
   * message names, else of the value.
   */
  at<T>(at: Path, body: () => T): T {
    try {
      return body();
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      // Options of the command line are keys here.
      const message = error.message.replace(/--(?=[a-z])/g, '');
      const node = findNodeAtLocation(this.#tree, at as JSONPath);
      const keys = node?.type === 'object' ? (node.children ?? []) : [];
      const named = keys
        .map((property) => String(property.children?.[0]?.value))
        .find((key) => new RegExp(`(^|[ :])${key}[= ]`).test(message));
      throw this.#fault(error.code, named === undefined ? at : [...at, named], message);
    }
  }

  #parse(): Node {
    const errors: ParseError[] = [];
    const tree = parseTree(this.#text, errors, { allowTrailingComma: true });
    const [first] = errors;
    if (first !== undefined && this.#text.trim() !== '') {
      const name = printParseErrorCode(first.error);
      throw new UsageError('CONFIG_SYNTAX', `${this.#place(first.offset)}: ${SYNTAX[name] ?? name}`);
    }
    if (tree === undefined) {
      throw new UsageError(
        'CONFIG_SYNTAX',
        `${this.#place(0)}: the file is empty: begin with { "subsystems": [] }`,
      );
    }
    return tree;
  }

  #check(): void {
    this.#checkKeys(this.#tree);
    // A key that is missing may be there with a slip of the pen, which is told first.
    const faults = faultsOf(this.value, 'file')
      .map((fault) => ({ ...fault, offset: this.#nodeAt(fault.path).offset }))
      .sort((a, b) => Number(a.isMissing) - Number(b.isMissing) || a.offset - b.offset);
    const [first, ...others] = faults;
    if (first === undefined) return;
    const more = others.length === 0 ? '' : ` (and ${others.length} more)`;
    throw this.#fault('CONFIG_INVALID', first.path, `${first.message}${more}`);
  }

  /** JSON leaves open which of two values of one key holds. */
  #checkKeys(node: Node): void {
    const seen = new Set<unknown>();
    for (const child of node.children ?? []) {
      const key = child.type === 'property' ? child.children?.[0] : undefined;
      if (key !== undefined && seen.has(key.value)) {
        throw new UsageError(
          'CONFIG_INVALID',
          `${this.#place(key.offset)}: ${String(key.value)} is given twice: leave one of them`,
        );
      }
      if (key !== undefined) seen.add(key.value);
      this.#checkKeys(child);
    }
  }

  #fault(code: UsageCode, at: Path, message: string): UsageError {
    const where = at.length === 0 ? '' : `${formatPath(at)}: `;
    return new UsageError(code, `${this.#place(this.#nodeAt(at).offset)}: ${where}${message}`);
  }

  /** The value there, or the nearest that holds the place; of a key, the key. */
  #nodeAt(at: Path): Node {
    for (let length = at.length; length > 0; length--) {
      const node = findNodeAtLocation(this.#tree, at.slice(0, length));
      if (node === undefined) continue;
      return node.parent?.type === 'property' ? (node.parent.children?.[0] ?? node) : node;
    }
    return this.#tree;
  }

  /** `doorbell.json:12:5`, counted from 1. */
  #place(offset: number): string {
    const before = this.#text.slice(0, offset).split('\n');
    const name = this.path === undefined ? 'configuration' : path.relative(process.cwd(), this.path);
    return `${name}:${before.length}:${(before.at(-1) ?? '').length + 1}`;
  }
}
