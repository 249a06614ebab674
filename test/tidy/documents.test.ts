/**
 * What the documents promise: links lead somewhere, command lines work, the arrows are those of lint.
 */
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { assertNone, exists, root, sources, type Source } from './sources.ts';

const documents = sources(/\.md$/);

/** What GitHub makes of a heading, as far as our headings need it. */
function anchors(text: string): Set<string> {
  const headings = [...text.matchAll(/^#+ +(.*)$/gm)].map(([, heading = '']) => heading);
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

function brokenLinks({ file, text }: Source): string[] {
  return [...text.matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, target = '']) => {
    if (/^[a-z]+:/.test(target)) return [];
    const [name = '', anchor] = target.split('#');
    const linked = name === '' ? file : path.posix.join(path.posix.dirname(file), name);
    if (!exists(linked)) return [`${file}: ${target}: there is no ${linked}`];
    const text = documents.find((document) => document.file === linked)?.text;
    const missing = anchor !== undefined && text !== undefined && !anchors(text).has(anchor);
    return missing ? [`${file}: ${target}: ${linked} has no such heading`] : [];
  });
}

test('every link in a document leads to a file and a heading', () => {
  assertNone(documents.flatMap(brokenLinks), 'Mend the link, or write the file.');
});

test('every document that is named in code or prose exists', () => {
  const known = documents.map((document) => `/${document.file}`);
  const problems = sources(/\.(md|ts|mjs|js|cc|h)$/).flatMap(({ file, text }) =>
    [...text.matchAll(/(?<![\w/.*-])(?:[\w-]+\/)*(?!NNNN)[\w-]+\.md\b/g)]
      .map(([name]) => name)
      .filter((name) => !known.some((document) => document.endsWith(`/${name}`)))
      .map((name) => `${file}: ${name}`),
  );
  assertNone(problems, 'Mend the name, or write the document.');
});

/** Command lines in a document: the lines of its code blocks, continued ones joined, and its `spans`. */
function commandLines(text: string): string[] {
  const [prose = [], fenced = []] = [0, 1].map((odd) =>
    text
      .replaceAll('\\\n', ' ')
      .split(/^```.*$/m)
      .filter((_part, index) => index % 2 === odd)
      .flatMap((part) => part.split('\n')),
  );
  const indented = prose.filter((line) => line.startsWith('    '));
  const spans = prose.flatMap((line) => [...line.matchAll(/`([^`]+)`/g)].map(([, span = '']) => span));
  return [...fenced, ...indented, ...spans].map((line) => line.trim().replace(/^\$ /, ''));
}

test('every npm command in a document is a script', () => {
  const [manifest] = sources(/^package\.json$/);
  const { scripts } = JSON.parse(manifest?.text ?? '') as { scripts: Record<string, string> };
  const problems = documents.flatMap(({ file, text }) =>
    [...text.matchAll(/\bnpm (?:run (?:-s )?([\w-]+(?::[\w-]+)*)|(test)\b)/g)]
      .map(([, run, short]) => run ?? short ?? '')
      .filter((name) => scripts[name] === undefined)
      .map((name) => `${file}: npm run ${name}`),
  );
  assertNone(problems, 'Write the script, or mend the document.');
});

test('every doorbell command line in a document is understood', () => {
  const subcommands = sources(/^host\/cli\/.*\.ts$/).flatMap(({ text }) => {
    const name = /\.command\('([\w-]+)/.exec(text)?.[1];
    return name === undefined ? [] : [{ name, text }];
  });
  assert.ok(subcommands.length > 0, 'no subcommand is declared in host/cli');
  const problems = documents.flatMap(({ file, text }) =>
    commandLines(text).flatMap((line) => {
      const [, name, rest = ''] = /^(?:npx )?doorbell ([a-z][\w-]*)(.*)$/.exec(line) ?? [];
      if (name === undefined || name === 'help') return [];
      const known = subcommands.find((subcommand) => subcommand.name === name);
      if (known === undefined) return [`${file}: ${line}: there is no subcommand ${name}`];
      return [...rest.matchAll(/ (--[\w-]+)/g)]
        .map(([, option = '']) => option)
        .filter((option) => option !== '--help' && !known.text.includes(`'${option}`))
        .map((option) => `${file}: ${line}: ${name} has no option ${option}`);
    }),
  );
  assertNone(problems, 'Write the option, or mend the document.');
});

test('CONTRIBUTING.md lists the arrows of lint', async () => {
  const { ZONES } = (await import(path.join(root, 'test/tidy/import-arrows.mjs'))) as {
    readonly ZONES: readonly { readonly name: string; readonly may: readonly string[] }[];
  };
  const [contributing] = sources(/^CONTRIBUTING\.md$/);
  const rows = ZONES.map(({ name, may }) => `| ${name} | ${may.join(', ') || 'nothing'} |`);
  const listed = (contributing?.text ?? '').split('\n').map((line) => line.replace(/ +/g, ' ').trim());
  const problems = rows.filter((row) => !listed.includes(row));
  assertNone(problems, 'Put these rows into the table of CONTRIBUTING.md.');
});
