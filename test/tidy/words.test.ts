/**
 * Words that have no place in the project: signs of unfinished work, names of one machine, and synonyms of terms that
 * the project has fixed (CONTRIBUTING.md lists those).
 */
import { test } from 'node:test';
import { assertNone, grep, sources } from './sources.ts';

/** Letters in brackets keep the patterns from finding themselves. */
const UNFINISHED = /\b(FIX[M]E|TO[D]O|XX[X])\b|not impl[e]mented|(?<!runtime['" :]+)\bst[u]b\b/;
const MACHINE = /(?<![\w.}])\/(home|Users|work|root)\/\w/;
const REGISTRY =
  /registry\.[a-z]|npmj[s]\.|artifactor[y]|\b(10\.\d+|192\.168)\.\d+\.\d+\b|\.(internal|corp)\b/;

/** Each with what the project says instead. */
const SYNONYMS: readonly (readonly [RegExp, string])[] = [
  [
    /slav[e]|(?<!bus[ _-]?)\bmaste[r]\b(?! data parity)/i,
    'client and server, or front end and back end; PCI alone has a bus master',
  ],
  [/\bVM clien[t]\b/i, 'guest'],
  [/(?<!JavaScript |Wasm |WebAssembly |V8 )\bengin[e]\b/i, 'core'],
  [/\bpolle[r]\b/i, 'reactor'],
  [/\bbde[v]s?\b/i, 'backend'],
];

const TEXT = /\.(ts|mjs|js|cc|h|c|md|json|sh|py|txt)$|^\.ci\//;
const texts = sources(TEXT).filter(({ file }) => file !== 'package-lock.json');

test('nothing is left unfinished', () => {
  assertNone(grep(texts, UNFINISHED), 'Finish it, or refuse it clearly and say so in docs/nvme-support.md.');
});

test('nothing names a machine, a user or a package registry', () => {
  const problems = [...grep(texts, MACHINE), ...grep(texts, REGISTRY)];
  assertNone(
    problems,
    'Use a path below the checkout or /tmp, and leave registries to the configuration of npm.',
  );
});

/** The table of terms names the words that are not to be used. */
const prose = texts.filter(({ file }) => file !== 'CONTRIBUTING.md');

for (const [pattern, instead] of SYNONYMS) {
  test(`one word for one thing: ${instead}`, () => {
    assertNone(grep(prose, pattern), `Say: ${instead}.`);
  });
}
