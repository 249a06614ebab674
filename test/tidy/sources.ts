/**
 * The project's own files, as the tidy tests see them: everything in the checkout but what is built or installed.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { findCheckout } from '../../host/demo/checkout.ts';

export const root = findCheckout();

const SKIPPED = new Set(['.git', 'node_modules']);

/** One file: its path relative to the checkout, with slashes, and its text. */
export interface Source {
  readonly file: string;
  readonly text: string;
}

function* walk(folder: string): Generator<string> {
  for (const entry of readdirSync(path.join(root, folder), { withFileTypes: true })) {
    const file = path.posix.join(folder, entry.name);
    if (entry.isDirectory() && !SKIPPED.has(entry.name)) yield* walk(file);
    else if (entry.isFile()) yield file;
  }
}

/** Outputs live in build/, which tracks two files of its own; a disk image is nobody's text. */
function isOwn(file: string): boolean {
  if (file.startsWith('build/')) return file === 'build/README.md' || file === 'build/.gitignore';
  return !file.endsWith('.img');
}

let all: readonly Source[] | undefined;

/** The files whose path `pattern` matches. */
export function sources(pattern: RegExp): readonly Source[] {
  all ??= [...walk('')]
    .filter(isOwn)
    .sort()
    .map((file) => ({ file, text: readFileSync(path.join(root, file), 'utf8') }));
  return all.filter(({ file }) => pattern.test(file));
}

export function exists(file: string): boolean {
  return existsSync(path.join(root, file));
}

/** Passes when there are no problems; else fails with one line for each, and then what to do. */
export function assertNone(problems: readonly string[], cure: string): void {
  if (problems.length > 0) assert.fail(`${problems.join('\n')}\n${cure}`);
}

/** Every line of the files that a pattern matches, as `file:line: text`. */
export function grep(files: readonly Source[], pattern: RegExp): string[] {
  return files.flatMap(({ file, text }) =>
    text
      .split('\n')
      .map((line, index) => ({ line, place: `${file}:${index + 1}` }))
      .filter(({ line }) => pattern.test(line))
      .map(({ line, place }) => `${place}: ${line.trim().slice(0, 120)}`),
  );
}
