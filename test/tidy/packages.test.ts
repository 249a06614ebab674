/**
 * Dependencies: exact versions, and a lock file that any registry can serve.
 */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { assertNone, sources } from './sources.ts';

interface Manifest {
  readonly bin: Readonly<Record<string, string>>;
  readonly scripts: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
}

const manifest = readJson('package.json') as Manifest;
const lock = readJson('package-lock.json') as {
  readonly packages: Readonly<
    Record<string, { readonly resolved?: string; readonly integrity?: string; readonly inBundle?: true }>
  >;
};

function readJson(file: string): unknown {
  const [source] = sources(new RegExp(`^${file.replace('.', '\\.')}$`));
  assert.ok(source, `${file} is missing`);
  return JSON.parse(source.text);
}

test('every version in package.json is exact', () => {
  const problems = Object.entries({ ...manifest.dependencies, ...manifest.devDependencies })
    .filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))
    .map(([name, version]) => `${name}: ${version}`);
  assertNone(problems, 'Write the exact version (npm install --save-exact).');
});

test('package-lock.json records no download addresses', () => {
  const problems = Object.entries(lock.packages)
    .filter(([, { resolved }]) => resolved !== undefined)
    .map(([name, { resolved }]) => `${name}: ${resolved ?? ''}`);
  assertNone(problems, 'Write it again: npm install --package-lock-only --omit-lockfile-registry-resolved.');
});

test('package-lock.json has a checksum for every package', () => {
  const problems = Object.entries(lock.packages)
    // A package that comes inside another one is covered by that one's.
    .filter(([name, { integrity, inBundle }]) => name !== '' && !inBundle && integrity === undefined)
    .map(([name]) => name);
  assertNone(problems, 'Take these packages from a registry, not from a folder or an address.');
});

test('every npm script works in a fresh clone', () => {
  const problems = Object.entries(manifest.scripts)
    .filter(([name, script]) => script !== `node bootstrap.mjs ${name} --`)
    .map(([name, script]) => `${name}: ${script}`);
  assertNone(problems, 'Enter through bootstrap.mjs, which installs and builds what is missing.');
});
