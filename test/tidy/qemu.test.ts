/**
 * native/qemu is a part of QEMU: its licence stands in every file, and its C is in QEMU's style, as far as patterns
 * can tell.
 */
import { test } from 'node:test';
import { assertNone, grep, sources } from './sources.ts';

/** QEMU's own limit; its checkpatch.pl warns above it. */
const LINE_COLUMNS = 80;

const all = sources(/^native\/qemu\//).filter(({ file }) => !/\/(LICENSE|README\.md)$/.test(file));
const code = all.filter(({ file }) => /\.[ch]$/.test(file));

test('every file of native/qemu, and none outside, is under the GPL', () => {
  const marked = /SPDX-Licens[e]-Identifier: GPL-2\.0-or-later/;
  const unmarked = all.filter(({ text }) => !marked.test(text)).map(({ file }) => file);
  assertNone(unmarked, 'Write the SPDX identifier GPL-2.0-or-later into the comment at the top.');
  const others = sources(/\.(ts|mjs|js|cc|h|c)$/).filter(({ file }) => !file.startsWith('native/qemu/'));
  const foreign = grep(others, /SPDX-Licens[e]-Identifier: *GPL/);
  assertNone(
    foreign,
    "Put what is compiled into QEMU into native/qemu, and nothing of it into doorbell's own.",
  );
});

test("the licence's text is there, and the manifest names both licences", () => {
  const [license] = sources(/^native\/qemu\/LICENSE$/);
  const [manifest] = sources(/^package\.json$/);
  const problems = [
    ...(/GNU GENERAL PUBLIC LICENSE\s+Version 2/.test(license?.text ?? '') ? [] : ['native/qemu/LICENSE']),
    ...(/"license": "Apache-2\.0 AND GPL-2\.0-or-later"/.test(manifest?.text ?? '') ? [] : ['package.json']),
  ];
  assertNone(
    problems,
    'Put the text of version 2 of the GPL, and the licences of both parts, into these files.',
  );
});

test('no tabs, trailing spaces or comments with // in C for QEMU', () => {
  assertNone(grep(code, /\t| $|^\s*\/\//), 'QEMU indents with four spaces, and comments with /* */.');
});

test(`no line of C for QEMU is longer than ${LINE_COLUMNS} columns`, () => {
  assertNone(grep(code, new RegExp(`^.{${LINE_COLUMNS + 1}}`)), 'Break these lines.');
});

test('the indentation of a statement is a multiple of four', () => {
  // A line that goes on after an operator, a comma or a bracket is aligned; so are the lines of a comment.
  const problems = code.flatMap(({ file, text }) =>
    text.split('\n').flatMap((line, index, lines) => {
      const indent = /^ */.exec(line)?.[0].length ?? 0;
      const begins = index > 0 && /[;{}]$/.test(lines[index - 1] ?? '');
      return begins && indent % 4 !== 0 && !/^ *\*/.test(line)
        ? [`${file}:${index + 1}: ${line.trim()}`]
        : [];
    }),
  );
  assertNone(problems, 'Indent with four spaces.');
});

test("a C file's first include is qemu/osdep.h", () => {
  const problems = code
    .filter(({ file }) => file.endsWith('.c'))
    .filter(({ text }) => /^#include (.*)$/m.exec(text)?.[1] !== '"qemu/osdep.h"')
    .map(({ file }) => file);
  assertNone(problems, 'It sets what the headers of the C library depend on.');
});
