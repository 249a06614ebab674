/**
 * The portable files: compiled by the AssemblyScript compiler for the core and by TypeScript's for the target, so that
 * a number stands once. That works for constants only, and only for expressions that mean the same to both.
 */
import path from 'node:path';
import { test } from 'node:test';
import ts from 'typescript';
import { assertNone, root, sources, type Source } from './sources.ts';

test('assembly/spec and assembly/abi hold nothing but constants', () => {
  const problems = sources(/^assembly\/(spec|abi)\/.*\.ts$/).flatMap(foreignStatements);
  assertNone(
    problems,
    'Keep to `export const NAME = expression;` over numbers and other constants, and imports.',
  );
});

test('every portable constant has the same value as number and as unsigned integer', async () => {
  const files = sources(/^assembly\/(spec|abi)\/.*\.ts$/).map(({ file }) => file);
  const problems: string[] = [];
  for (const file of files) {
    const compiled = path.join(root, 'build/dist', file.replace(/\.ts$/, '.js'));
    const constants = (await import(compiled)) as Readonly<Record<string, unknown>>;
    for (const [name, value] of Object.entries(constants)) {
      const portable = typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
      if (!portable) problems.push(`${file}: ${name} is ${String(value)}`);
    }
  }
  assertNone(
    problems,
    'A sum that overflows, `1 << 31` or a division with a remainder differ: write another expression.',
  );
});

test('every portable constant is written NAME_IN_CAPITALS', () => {
  const problems = sources(/^assembly\/(spec|abi)\/.*\.ts$/).flatMap((source) =>
    [...source.text.matchAll(/^export const (\w+)/gm)]
      .filter(([, name = '']) => !/^[A-Z][A-Z0-9_]*$/.test(name))
      .map(([, name = '']) => `${source.file}: ${name}`),
  );
  assertNone(problems, 'Rename these constants.');
});

function foreignStatements({ file, text }: Source): string[] {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.ES2022, true);
  return source.statements
    .filter((statement) => !isPortable(statement))
    .map((statement) => {
      const { line } = source.getLineAndCharacterOfPosition(statement.getStart(source));
      return `${file}:${line + 1}: ${statement.getText(source).split('\n')[0] ?? ''}`;
    });
}

function isPortable(statement: ts.Statement): boolean {
  if (ts.isImportDeclaration(statement) || ts.isExportDeclaration(statement)) return true;
  if (!ts.isVariableStatement(statement)) return false;
  const { declarationList } = statement;
  return (
    (declarationList.flags & ts.NodeFlags.Const) !== 0 &&
    declarationList.declarations.every(
      ({ initializer, type }) => type === undefined && initializer !== undefined && isConstant(initializer),
    )
  );
}

function isConstant(expression: ts.Expression): boolean {
  if (ts.isNumericLiteral(expression) || ts.isIdentifier(expression)) return true;
  if (ts.isParenthesizedExpression(expression)) return isConstant(expression.expression);
  if (ts.isPrefixUnaryExpression(expression)) return isConstant(expression.operand);
  return (
    ts.isBinaryExpression(expression) &&
    // The division must have no remainder: the test of the values sees one.
    /^([-+*/|&^%]|<<|>>>?)$/.test(expression.operatorToken.getText()) &&
    isConstant(expression.left) &&
    isConstant(expression.right)
  );
}
