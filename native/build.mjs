/**
 * Builds the addon: `node native/build.mjs` compiles each .cc of this folder whose object is out of date and links
 * build/native/doorbell.node. Needs g++ or clang++ (or what CXX names), and liburing 2.3 or later: the system's, else
 * the one that host/demo/toolchain.ts unpacks. Progress goes to standard error; exit status 1 with one line on failure.
 */

import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';

const SOURCE = import.meta.dirname;
const ROOT = path.dirname(SOURCE);
const OUTPUT = path.join(ROOT, 'build', 'native');
const OBJECTS = path.join(OUTPUT, 'objects');
const ADDON = path.join(OUTPUT, 'doorbell.node');

class BuildError extends Error {}

/** The compiler's command: CXX, else the first that runs. */
function findCompiler() {
  const candidates = process.env.CXX ? [process.env.CXX] : ['g++', 'clang++', 'c++'];
  for (const candidate of candidates) {
    const { status } = spawnSync(candidate, ['--version'], { stdio: 'ignore' });
    if (status === 0) return candidate;
  }
  throw new BuildError(
    process.env.CXX
      ? `the C++ compiler that CXX names, '${process.env.CXX}', does not run: set CXX to one that does, or unset it`
      : 'no C++ compiler found: install one (Debian and Ubuntu: apt-get install g++), or name it in CXX',
  );
}

/** Flags for the compiler and the linker that find liburing; a static library is preferred. */
function findLiburing(compiler) {
  const header = '/usr/include/liburing.h';
  // The youngest function that the addon calls tells whether the system's liburing is young enough.
  if (fs.existsSync(header) && fs.readFileSync(header, 'utf8').includes('io_uring_submit_and_get_events')) {
    const answer = spawnSync(compiler, ['-print-file-name=liburing.a'], { encoding: 'utf8' });
    const archive = (answer.stdout ?? '').trim();
    return { compile: [], link: [path.isAbsolute(archive) ? archive : '-luring'] };
  }
  const toolchain = path.join(ROOT, 'build', 'dist', 'host', 'demo', 'toolchain.js');
  if (!fs.existsSync(toolchain)) {
    throw new BuildError(
      'liburing 2.3 or later is missing: install liburing-dev, or run npx tsc first and build again',
    );
  }
  const answer = spawnSync(process.execPath, [toolchain], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (answer.status !== 0) throw new BuildError('liburing 2.3 or later is missing: install liburing-dev');
  const { include, libdir } = JSON.parse(answer.stdout);
  const archive = libdir === undefined ? '-luring' : path.join(libdir, 'liburing.a');
  return { compile: [`-isystem${include}`], link: [archive] };
}

/**
 * The ABI's constants as C++, read from the portable files themselves, so that no number is typed twice. Those files
 * hold nothing but `export const NAME = expression;`, and their expressions mean the same in both languages.
 */
function abiHeader() {
  const seen = new Set();
  const lines = [];
  const take = (file) => {
    if (seen.has(file)) return;
    seen.add(file);
    const text = fs.readFileSync(file, 'utf8');
    for (const [, target] of text.matchAll(/^import .*from '(\.[^']*)';/gm)) {
      take(path.resolve(path.dirname(file), target));
    }
    lines.push('', `// ${path.relative(ROOT, file)}`);
    for (const [, name, expression] of text.matchAll(/^export const (\w+)\s*=\s*([^;]+);/gm)) {
      lines.push(`inline constexpr std::uint32_t ${name} = static_cast<std::uint32_t>(${expression});`);
    }
  };
  const folder = path.join(ROOT, 'assembly', 'abi');
  for (const name of fs.readdirSync(folder).sort()) {
    if (name.endsWith('.ts')) take(path.join(folder, name));
  }
  return [
    '// Made by native/build.mjs from assembly/abi.',
    '#pragma once',
    '#include <cstdint>',
    'namespace doorbell::abi {',
    ...lines,
    '} // namespace doorbell::abi',
    '',
  ].join('\n');
}

function writeIfChanged(file, text) {
  if (fs.existsSync(file) && fs.readFileSync(file, 'utf8') === text) return;
  fs.writeFileSync(file, text);
}

function modified(file) {
  return fs.existsSync(file) ? fs.statSync(file).mtimeMs : -1;
}

/** Whether an object is older than anything that the compiler read for it (its .d file names it all). */
function isStale(object, dependencies) {
  const made = modified(object);
  if (made < 0 || !fs.existsSync(dependencies)) return true;
  const text = fs.readFileSync(dependencies, 'utf8').replaceAll('\\\n', ' ');
  const files = text
    .slice(text.indexOf(':') + 1)
    .split(/\s+/)
    .filter(Boolean);
  return files.some((file) => modified(file) < 0 || modified(file) > made);
}

function run(command, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit'] });
    child.on('error', reject);
    child.on('close', (status) =>
      status === 0 ? resolve() : reject(new BuildError(`${path.basename(args.at(-1))}: compiler failed`)),
    );
  });
}

async function build() {
  const require = createRequire(import.meta.url);
  const compiler = findCompiler();
  const liburing = findLiburing(compiler);
  fs.mkdirSync(OBJECTS, { recursive: true });
  writeIfChanged(path.join(OUTPUT, 'abi.h'), abiHeader());

  const flags = [
    '-std=c++20',
    '-O2',
    '-g',
    '-Wall',
    '-Wextra',
    '-Werror',
    '-fPIC',
    '-fvisibility=hidden',
    '-D_GNU_SOURCE',
    '-DNAPI_VERSION=8',
    '-DNODE_ADDON_API_CPP_EXCEPTIONS',
    // A call that returns into a thread that is being ended must not abort the process.
    '-DNODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS',
    `-I${OUTPUT}`,
    `-isystem${require('node-api-headers').include_dir}`,
    `-isystem${path.dirname(require.resolve('node-addon-api/package.json'))}`,
    ...liburing.compile,
  ];
  const command = path.join(OUTPUT, 'command.txt');
  const text = [compiler, ...flags, ...liburing.link].join('\n');
  const all = !fs.existsSync(command) || fs.readFileSync(command, 'utf8') !== text;

  const sources = fs.readdirSync(SOURCE).filter((name) => name.endsWith('.cc'));
  const objects = sources.map((name) => path.join(OBJECTS, name.replace(/\.cc$/, '.o')));
  const waiting = sources
    .map((name, index) => ({ source: path.join(SOURCE, name), object: objects[index] }))
    .filter(({ object }) => all || isStale(object, `${object}.d`));
  const compile = async () => {
    for (let job = waiting.shift(); job !== undefined; job = waiting.shift()) {
      const { source, object } = job;
      process.stderr.write(`doorbell: compiling ${path.relative(ROOT, source)}\n`);
      await run(compiler, [...flags, '-MMD', '-MF', `${object}.d`, '-c', '-o', object, source]);
    }
  };
  await Promise.all(Array.from({ length: os.availableParallelism() }, compile));

  const newest = Math.max(...objects.map(modified));
  if (all || modified(ADDON) < newest) {
    process.stderr.write('doorbell: linking build/native/doorbell.node\n');
    // nodelete: the SIGBUS handler must outlive the worker whose exit closes the library.
    const link = ['-shared', '-Wl,-z,nodelete', '-Wl,-z,relro,-z,now', ...objects, ...liburing.link];
    const fresh = `${ADDON}.new`;
    await run(compiler, [...link, '-o', fresh]);
    // A process that has the old one mapped keeps it.
    fs.renameSync(fresh, ADDON);
    fs.writeFileSync(command, text);
  }
}

try {
  await build();
} catch (error) {
  if (!(error instanceof BuildError)) throw error;
  process.stderr.write(`doorbell: ${error.message}\n`);
  process.exitCode = 1;
}
