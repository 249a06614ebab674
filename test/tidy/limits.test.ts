/**
 * Sizes: lines, functions and files stay short enough to be read, and each file says first what it is.
 */
import { test } from 'node:test';
import ts from 'typescript';
import { assertNone, sources, type Source } from './sources.ts';

const LINE_COLUMNS = 120;
const FUNCTION_LINES = 70;
const FILE_LINES = 500;

/** QEMU keeps a device in one file. */
const DEVICE_FILE_LINES = 1500;
const DEVICE = /^native\/qemu\//;

/** Words that an opening comment needs at least to say anything. */
const OPENING_WORDS = 5;

const CODE = /\.(ts|mjs|js|cc|h|c)$/;
const SCRIPT = /\.(ts|mjs|js)$/;
const CPLUSPLUS = /\.(cc|h|c)$/;

test(`no line of code is longer than ${LINE_COLUMNS} columns`, () => {
  const problems = sources(CODE).flatMap(({ file, text }) =>
    text
      .split('\n')
      .map((line, index) => ({ columns: line.length, place: `${file}:${index + 1}` }))
      .filter(({ columns }) => columns > LINE_COLUMNS)
      .map(({ columns, place }) => `${place}: ${columns} columns`),
  );
  assertNone(problems, 'Break these lines; Prettier does all but comments and strings (npm run format).');
});

test(`no file of code is longer than ${FILE_LINES} lines`, () => {
  const problems = sources(CODE)
    .map(({ file, text }) => ({ file, lines: text.split('\n').length - 1 }))
    .filter(({ file, lines }) => lines > (DEVICE.test(file) ? DEVICE_FILE_LINES : FILE_LINES))
    .map(({ file, lines }) => `${file}: ${lines} lines`);
  assertNone(problems, 'Ask which second noun is in the file, and give it one of its own.');
});

test(`no function is longer than ${FUNCTION_LINES} lines`, () => {
  const problems = [
    ...sources(SCRIPT).flatMap(scriptFunctions),
    ...sources(CPLUSPLUS).flatMap(cplusplusFunctions),
  ]
    .filter(({ lines }) => lines > FUNCTION_LINES)
    .map(({ place, lines }) => `${place}: ${lines} lines`);
  assertNone(problems, 'Give a part of the function a name of its own.');
});

test('every file of code begins by saying what it is', () => {
  const problems = sources(CODE)
    .filter(({ text }) => openingComment(text).split(/\s+/).filter(Boolean).length < OPENING_WORDS)
    .map(({ file }) => file);
  assertNone(problems, 'Begin the file with a comment: a sentence or a paragraph on what is in it.');
});

interface Measured {
  readonly place: string;
  readonly lines: number;
}

function scriptFunctions({ file, text }: Source): Measured[] {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.ES2022, true);
  const found: Measured[] = [];
  const lineOf = (position: number): number => source.getLineAndCharacterOfPosition(position).line + 1;
  /** Returns how many lines below the node belong to tests, which count for themselves. */
  const visit = (node: ts.Node): number => {
    let testLines = 0;
    ts.forEachChild(node, (child) => {
      testLines += visit(child);
    });
    if (!ts.isFunctionLike(node) || !('body' in node) || node.body === undefined) return testLines;
    const first = lineOf(node.getStart(source));
    const lines = lineOf(node.getEnd()) - first + 1;
    found.push({ place: `${file}:${first}`, lines: lines - testLines });
    return isTest(node) ? lines : testLines;
  };
  visit(source);
  return found;
}

/** A function that is handed to node:test or as-pect: what groups tests is a heading, each test stands for itself. */
function isTest(node: ts.Node): boolean {
  return (
    ts.isCallExpression(node.parent) &&
    ts.isIdentifier(node.parent.expression) &&
    ['describe', 'suite', 'test', 'it'].includes(node.parent.expression.text)
  );
}

/** Relies on clang-format: a function's head is the last line in the first column before its closing brace there. */
function cplusplusFunctions({ file, text }: Source): Measured[] {
  const lines = text.split('\n');
  return lines.flatMap((line, end) => {
    if (line !== '}') return [];
    const head = lines.findLastIndex((other, at) => at < end && /^[A-Za-z].*[^:;]$/.test(other));
    return [{ place: `${file}:${head + 1}`, lines: end - head + 1 }];
  });
}

/** The text of the comment at the top of a file, without directives to tools. */
function openingComment(text: string): string {
  const lines = text.split('\n').filter((line) => !/^(#!|\/\/ @ts-check|\/\* eslint)/.test(line));
  const first = lines[0] ?? '';
  const isLine = first.startsWith('//');
  if (!isLine && !first.startsWith('/*')) return '';
  const end = lines.findIndex((line) => (isLine ? !line.startsWith('//') : line.includes('*/')));
  return lines
    .slice(0, end + 1)
    .join(' ')
    .replace(/[/*]+/g, ' ');
}
