// @ts-check
/**
 * The entry of every npm script. It brings the checkout up to date (packages, TypeScript, Wasm, addon), doing only
 * what is out of date, and then runs the wanted command. It is plain JavaScript without dependencies, because it is
 * what installs them; a fresh clone needs no other command before it.
 *
 * What a step was made from is kept as a hash in build/.stamps, so that it runs again only when its inputs
 * changed. Progress goes to standard error: standard output belongs to the command.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import process from 'node:process';

const ROOT = import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname);
const NODE_MINIMUM = [20, 19];
const PROGRAM = path.join(ROOT, 'build', 'dist', 'host', 'cli', 'main.js');
const STAMPS = path.join(ROOT, 'build', '.stamps');

/** Milliseconds of waiting for another build after which the wait is announced. */
const LOCK_NOTICE_MS = 500;

/** What a person must change before anything can work; printed as one line, without a stack. */
class SetupError extends Error {}

/**
 * @typedef {object} Step One thing to be made.
 * @property {string} name
 * @property {() => string[]} inputs Files, relative to the root, whose contents decide whether the step is due.
 * @property {() => string[]} outputs Files that must exist, else the step is due.
 * @property {() => Promise<Result>} run
 * @property {string} cure What to do when it fails; one sentence.
 */
/** @typedef {{ status: number, output: string }} Result */

/** Commands that are a compiled program with arguments; each gets what follows it on the command line. */
const PROGRAMS = {
  doorbell: ['host/cli/main.js'],
  demo: ['host/cli/main.js', 'demo'],
  check: ['test/support/run-tests.js', 'check'],
  test: ['test/support/run-tests.js', 'test'],
  ci: ['test/support/run-tests.js', 'test'],
  e2e: ['test/support/run-tests.js', 'e2e'],
  'qemu:build': ['host/demo/qemu-build.js'],
  bench: ['test/bench/main.js'],
  fuzz: ['test/fuzz/main.js'],
  sim: ['test/sim/main.js'],
};

/** Commands whose last line is the count of tests, also when the build already fails. */
const COUNTING = new Set(['check', 'test', 'ci', 'e2e']);

// ---- Small tools ---------------------------------------------------------------------------------------------

/** @param {string} line */
function say(line) {
  process.stderr.write(`doorbell: ${line}\n`);
}

/** @param {string} text */
function words(text) {
  return text.split(' ');
}

/** @param {...string} segments */
function inRoot(...segments) {
  return path.join(ROOT, ...segments);
}

/**
 * Runs a program to its end; its standard output and error come back as one text.
 * @param {string} file
 * @param {string[]} args
 * @returns {Promise<Result>}
 */
function capture(file, args) {
  return new Promise((resolve) => {
    const child = spawn(file, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    child.stdout.on('data', (/** @type {Buffer} */ chunk) => (output += chunk.toString()));
    child.stderr.on('data', (/** @type {Buffer} */ chunk) => (output += chunk.toString()));
    child.on('error', (error) => resolve({ status: 127, output: `${file}: ${error.message}\n` }));
    child.on('close', (status) => resolve({ status: status ?? 1, output }));
  });
}

/** @param {string[]} args */
function captureNode(...args) {
  return capture(process.execPath, args);
}

/**
 * The files below a folder that a pattern matches, sorted, relative to the root.
 * @param {string} folder
 * @param {RegExp} pattern
 * @returns {string[]}
 */
function filesBelow(folder, pattern) {
  if (!fs.existsSync(inRoot(folder))) return [];
  const names = /** @type {string[]} */ (fs.readdirSync(inRoot(folder), { recursive: true }));
  return names
    .map((name) => path.join(folder, name))
    .filter((file) => pattern.test(file))
    .sort();
}

/** @param {string[]} files */
function hashOf(files) {
  const hash = createHash('sha256');
  for (const file of files) {
    const contents = fs.existsSync(inRoot(file)) ? fs.readFileSync(inRoot(file)) : Buffer.from('absent');
    hash.update(`${file}\0${contents.length}\0`).update(contents);
  }
  return hash.digest('hex');
}

// ---- Lock ----------------------------------------------------------------------------------------------------

/**
 * Runs `work` as the only one in this checkout. The lock is a listening socket in Linux's abstract namespace: the
 * kernel takes it back however the process ends, so there is no stale lock, and waiting is a connection that closes.
 * @template T
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
async function withLock(work) {
  const inode = fs.statSync(ROOT, { bigint: true });
  const name = `\0doorbell-build-${inode.dev}-${inode.ino}`;
  const notice = setTimeout(() => say('waiting for another build in this checkout'), LOCK_NOTICE_MS);
  let server = await listen(name);
  while (server === undefined) {
    await closedByHolder(name);
    server = await listen(name);
  }
  clearTimeout(notice);
  /** @type {Set<net.Socket>} */
  const waiting = new Set();
  server.on('connection', (socket) => {
    waiting.add(socket);
    socket.on('error', () => {}).on('close', () => waiting.delete(socket));
  });
  try {
    return await work();
  } finally {
    server.close();
    for (const socket of waiting) socket.destroy();
  }
}

/**
 * @param {string} name
 * @returns {Promise<net.Server | undefined>} undefined when somebody else holds it
 */
function listen(name) {
  return new Promise((resolve, reject) => {
    const server = net.createServer();
    server.on('error', (/** @type {NodeJS.ErrnoException} */ error) =>
      error.code === 'EADDRINUSE' ? resolve(undefined) : reject(error),
    );
    server.listen(name, () => resolve(server));
  });
}

/**
 * @param {string} name
 * @returns {Promise<void>}
 */
function closedByHolder(name) {
  return new Promise((resolve) => {
    const socket = net.connect(name);
    socket.on('error', () => {}).on('close', () => resolve());
    socket.resume();
  });
}

// ---- Steps ---------------------------------------------------------------------------------------------------

/** Each step depends on the versions of the tools, which the lock file names. */
const TOOLS = ['bootstrap.mjs', 'package-lock.json'];

/** @type {Step} */
const typescript = {
  name: 'TypeScript',
  inputs: () => [...TOOLS, 'tsconfig.json', ...typescriptSources()],
  outputs: compiledNames,
  run: async () => {
    const result = await captureNode(
      ...words('node_modules/typescript/bin/tsc -p tsconfig.json --pretty false'),
    );
    removeOrphans();
    if (fs.existsSync(PROGRAM)) fs.chmodSync(PROGRAM, 0o755);
    return result;
  },
  cure: 'Mend the type errors above.',
};

function typescriptSources() {
  return ['host', 'test', 'examples', 'assembly/spec', 'assembly/abi'].flatMap((folder) =>
    filesBelow(folder, /\.ts$/).filter((file) => !file.startsWith('test/core/')),
  );
}

function compiledNames() {
  const sources = typescriptSources().filter((file) => !file.endsWith('.d.ts'));
  return sources.map((file) => path.join('build/dist', file.replace(/\.ts$/, '.js')));
}

/** Removes what was compiled from sources that are gone: a test that was deleted must not run. */
function removeOrphans() {
  const wanted = new Set(compiledNames());
  for (const file of filesBelow('build/dist', /\.js(\.map)?$/)) {
    if (!wanted.has(file.replace(/\.map$/, ''))) fs.rmSync(inRoot(file));
  }
}

/** For every module: raw memory that the caller gives, no runtime, nothing imported but the memory and abort. */
const ASC = words('--runtime stub --importMemory --noExportMemory --initialMemory 1 --maximumMemory 65536');
const ASC_THREADS = words('--sharedMemory --enable threads,simd');
const ASC_RELEASE = words('--optimizeLevel 3 --shrinkLevel 0 --converge');
const ASC_DEBUG = words('--debug --sourceMap');

/** asc inlines little and has no option for more, and a command passes through two dozen small functions. */
const INLINE = words('-O3 --always-inline-max-function-size 300 --flexible-inline-max-function-size 600');
const INLINE_ONE_CALLER = words('--one-caller-inline-max-function-size 2000');
const FEATURES = words('threads simd bulk-memory mutable-globals sign-ext nontrapping-float-to-int');

/** The Wasm modules in build/core: name, entry and flags. */
const MODULES = [
  {
    name: 'doorbell-core',
    entry: 'assembly/index.ts',
    flags: [...ASC_THREADS, ...ASC_RELEASE],
    inlined: true,
  },
  { name: 'doorbell-core-debug', entry: 'assembly/index.ts', flags: [...ASC_THREADS, ...ASC_DEBUG] },
  // For tools that know neither atomics nor SIMD.
  {
    name: 'doorbell-core-plain',
    entry: 'assembly/index.ts',
    flags: [...words('--disable simd'), ...ASC_RELEASE],
  },
  {
    name: 'doorbell-driver',
    entry: 'assembly/driver/index.ts',
    flags: [...ASC_THREADS, ...ASC_RELEASE, ...words('--memoryBase 32768')],
    inlined: true,
  },
];

/**
 * @param {{ name: string, entry: string, flags: string[], inlined?: boolean }} module
 * @returns {Promise<Result>}
 */
async function compileModule({ name, entry, flags, inlined }) {
  const file = `build/core/${name}.wasm`;
  const asc = 'node_modules/assemblyscript/bin/asc.js';
  const compiled = await captureNode(asc, entry, ...ASC, ...flags, '--outFile', file);
  if (compiled.status !== 0 || !inlined) return compiled;
  const features = ['--mvp-features', ...FEATURES.map((feature) => `--enable-${feature}`)];
  const wasmOpt = 'node_modules/binaryen/bin/wasm-opt';
  return captureNode(wasmOpt, file, ...features, ...INLINE, ...INLINE_ONE_CALLER, '-o', file);
}

/** @type {Step} */
const wasm = {
  name: 'Wasm',
  inputs: () => [...TOOLS, ...filesBelow('assembly', /\.ts$/)],
  outputs: () => MODULES.map(({ name }) => `build/core/${name}.wasm`),
  run: async () => {
    const queue = [...MODULES];
    /** @type {Result[]} */
    const results = [];
    const worker = async () => {
      for (let module = queue.shift(); module !== undefined; module = queue.shift()) {
        results.push(await compileModule(module));
      }
    };
    await Promise.all([worker(), worker()]);
    // The modules share their sources, and so their errors: one report is enough.
    return results.find(({ status }) => status !== 0) ?? { status: 0, output: '' };
  },
  cure: 'Mend the compiler errors above.',
};

/** Directly in native: what is in native/qemu is compiled into QEMU, and has QEMU's format. */
const ADDON = /^native\/[^/]+\.(cc|h|mjs)$/;

/** @type {Step} */
const addon = {
  name: 'Addon',
  inputs: () => [...TOOLS, ...filesBelow('native', ADDON), ...filesBelow('assembly/abi', /\.ts$/)],
  outputs: () => ['build/native/doorbell.node'],
  run: async () => {
    const missing = await installCompiler();
    return missing ?? captureNode('native/build.mjs');
  },
  cure: 'Mend what the compiler says above, or install what is missing.',
};

/**
 * Debian's g++ where there is no C++ compiler and we may install one. Undefined when there is nothing (more) to do.
 * @returns {Promise<Result | undefined>}
 */
async function installCompiler() {
  const compilers = process.env['CXX'] ? [process.env['CXX']] : ['g++', 'clang++', 'c++'];
  if (compilers.some((compiler) => isProgram(compiler))) return undefined;
  // Without root the build itself says what to install.
  if (process.env['CXX'] || process.getuid?.() !== 0 || !isProgram('apt-get')) return undefined;
  say('there is no C++ compiler: installing g++ (apt-get)');
  process.env['DEBIAN_FRONTEND'] = 'noninteractive';
  const update = await capture('apt-get', ['update', '--quiet']);
  if (update.status !== 0) return update;
  const install = await capture(
    'apt-get',
    words('install --quiet --yes --no-install-recommends g++ libc6-dev'),
  );
  return install.status === 0 ? undefined : install;
}

/** @param {string} name */
function isProgram(name) {
  const folders = name.includes('/') ? [''] : (process.env['PATH'] ?? '').split(':');
  return folders.some((folder) => fs.existsSync(path.join(folder, name)));
}

/** Whether node_modules holds exactly what package-lock.json says (packages for other platforms aside). */
function packagesCurrent() {
  try {
    const wanted = readLock('package-lock.json');
    const present = readLock('node_modules/.package-lock.json');
    return Object.entries(wanted).every(
      ([name, entry]) =>
        name === '' ||
        (present[name] ? present[name].integrity === entry.integrity : entry.optional === true),
    );
  } catch {
    return false;
  }
}

/**
 * @param {string} file
 * @returns {Record<string, { integrity?: string, optional?: boolean }>}
 */
function readLock(file) {
  return JSON.parse(fs.readFileSync(inRoot(file), 'utf8')).packages;
}

/** No package's install script is needed, so none runs: newer versions of npm do not run them either. */
async function installPackages() {
  const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  const npm = process.env['npm_execpath'] ?? '';
  const result = npm.endsWith('npm-cli.js') ? await captureNode(npm, ...args) : await capture('npm', args);
  if (result.status === 127)
    throw new SetupError('npm is not installed: install the npm that belongs to Node.js');
  return result;
}

/**
 * Runs a step and says so in one line; a failure is shown whole.
 * @param {string} name
 * @param {() => Promise<Result>} run
 * @param {string} cure
 */
async function timed(name, run, cure) {
  const begin = performance.now();
  say(`${name} …`);
  const { status, output } = await run();
  const seconds = ((performance.now() - begin) / 1000).toFixed(1);
  if (status !== 0) {
    process.stderr.write(output.endsWith('\n') ? output : `${output}\n`);
    throw new SetupError(`${name} failed after ${seconds} s. ${cure}`);
  }
  say(`${name}: done in ${seconds} s`);
}

/** @param {Step} step */
async function runStep(step) {
  const stamp = path.join(STAMPS, step.name.toLowerCase());
  const inputs = hashOf(step.inputs());
  const made = fs.existsSync(stamp) && fs.readFileSync(stamp, 'utf8') === inputs;
  if (made && step.outputs().every((file) => fs.existsSync(inRoot(file)))) return;
  fs.rmSync(stamp, { force: true });
  await timed(step.name, step.run, step.cure);
  fs.mkdirSync(STAMPS, { recursive: true });
  fs.writeFileSync(stamp, inputs);
}

async function providePackages() {
  if (!packagesCurrent()) {
    const cure = 'Check the network and the npm registry that is configured, then run the command again.';
    await timed('npm packages (a minute or so the first time)', installPackages, cure);
  }
  linkProgram();
}

/** Makes `npx doorbell` work whenever it was first tried: npm links packages' programs, not those of the checkout. */
function linkProgram() {
  const link = inRoot('node_modules/.bin/doorbell');
  const target = path.relative(path.dirname(link), PROGRAM);
  const present = fs.lstatSync(link, { throwIfNoEntry: false });
  if (present?.isSymbolicLink() && fs.readlinkSync(link) === target) return;
  fs.rmSync(link, { force: true });
  fs.symlinkSync(target, link);
}

/** Brings everything up to date. */
async function buildAll() {
  await withLock(async () => {
    await providePackages();
    // The addon may need liburing, which the compiled target knows how to get.
    const node = runStep(typescript).then(() => runStep(addon));
    const results = await Promise.allSettled([runStep(wasm), node]);
    const reasons = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
    for (const reason of reasons.slice(1)) say(reason.message);
    if (reasons.length > 0) throw reasons[0];
  });
}

// ---- Commands ------------------------------------------------------------------------------------------------

function checkMachine() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const [needMajor = 0, needMinor = 0] = NODE_MINIMUM;
  if (major < needMajor || (major === needMajor && minor < needMinor)) {
    throw new SetupError(
      `this is Node.js ${process.versions.node}: install ${NODE_MINIMUM.join('.')} or newer (24 is recommended)`,
    );
  }
  if (process.platform !== 'linux') {
    throw new SetupError(
      `doorbell runs on Linux (eventfd, io_uring, memory mapping), and this is ${process.platform}`,
    );
  }
}

/** Writes every file in the project's format. It needs no build, so that it works on what does not compile. */
async function formatAll() {
  await withLock(providePackages);
  process.chdir(ROOT);
  const prettier = await replaceBy(
    words('node_modules/prettier/bin/prettier.cjs --write --log-level=warn .'),
  );
  const natives = filesBelow('native', ADDON).filter((file) => !file.endsWith('.mjs'));
  const clang = await replaceBy(['node_modules/clang-format/index.js', '-i', ...natives]);
  return prettier === 0 ? clang : prettier;
}

/**
 * Runs a Node program in place of this one: same streams, same signals, same exit status.
 * @param {string[]} args
 * @returns {Promise<number>}
 */
function replaceBy(args) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { stdio: 'inherit' });
    // A terminal sends SIGINT to both; the child decides what it means.
    process.on('SIGINT', () => {});
    process.on('SIGTERM', () => child.kill('SIGTERM'));
    child.on('error', reject);
    child.on('close', (status, signal) =>
      resolve(signal === null ? (status ?? 1) : 128 + signalNumber(signal)),
    );
  });
}

/** @param {NodeJS.Signals} signal */
function signalNumber(signal) {
  return { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGKILL: 9, SIGTERM: 15 }[/** @type {string} */ (signal)] ?? 6;
}

/** @param {string[]} argv */
async function main([command = 'build', ...rest]) {
  const program = Object.entries(PROGRAMS).find(([name]) => name === command)?.[1];
  if (program === undefined && !['build', 'format'].includes(command)) {
    say(`unknown command ${command}: use build, format, ${Object.keys(PROGRAMS).join(', ')}`);
    return 2;
  }
  // npm scripts end with -- so that options reach the command without a second one.
  const args = rest[0] === '--' ? rest.slice(1) : rest;
  if (command === 'ci') process.env['DOORBELL_REQUIRE_ALL'] = '1';
  try {
    checkMachine();
    if (command === 'format') return await formatAll();
    await buildAll();
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    say(error.message);
    if (COUNTING.has(command)) process.stdout.write('0 passed, 1 failed\n');
    return 1;
  }
  if (program === undefined) return 0;
  const [file = '', ...fixed] = program;
  return replaceBy([inRoot('build/dist', file), ...fixed, ...args]);
}

process.exitCode = await main(process.argv.slice(2));
