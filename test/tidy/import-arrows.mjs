// @ts-check
/**
 * Which folder may import which: the project's architecture as a lint rule.
 *
 * ZONES is the drawing of ARCHITECTURE.md as a table, read from top to bottom: a file belongs to the first zone whose
 * pattern matches its path. Files of one zone import each other freely. Tests and tools are outside of the table.
 */
import path from 'node:path';

/**
 * @typedef {object} Zone
 * @property {string} name
 * @property {RegExp} files Paths relative to the checkout.
 * @property {string[]} may Names of the zones that it imports.
 * @property {boolean} [packages] Whether it imports npm packages.
 * @property {string} cure What to do instead of an import that is not in the table.
 */

const CONSTANTS = ['assembly/spec', 'assembly/abi'];
const TARGET = [...CONSTANTS, 'host/native.ts', 'host/version.ts', 'host/log', 'host/transport ports'];
const DATA = ['assembly/guest', 'assembly/wire', ...CONSTANTS];

/** @type {Zone[]} */
export const ZONES = [
  {
    name: 'assembly/spec',
    files: /^assembly\/spec\//,
    may: [],
    cure: 'it holds the published constants alone: what derives from them belongs into assembly/abi or assembly/wire',
  },
  {
    name: 'assembly/abi',
    files: /^assembly\/abi\//,
    may: ['assembly/spec'],
    cure: 'core and caller both compile it: keep to constants, and put structures into assembly/wire',
  },
  {
    name: 'assembly/wire',
    files: /^assembly\/wire\//,
    may: CONSTANTS,
    cure: 'a structure knows its layout only: pass what it needs as an argument',
  },
  {
    name: 'assembly/guest',
    files: /^assembly\/guest\//,
    may: CONSTANTS,
    cure: 'guest memory knows neither queues nor commands: return spans or a status and let the caller go on',
  },
  {
    name: 'assembly/dptr',
    files: /^assembly\/dptr\//,
    may: DATA,
    cure: 'a walker yields segments and does nothing else: let the command or the dispatcher act on them',
  },
  {
    name: 'assembly/queue',
    files: /^assembly\/queue\//,
    may: DATA,
    cure: 'a queue moves entries and does not know what they mean: let the controller connect the two',
  },
  {
    name: 'assembly/command',
    files: /^assembly\/command\//,
    may: ['assembly/dptr', 'assembly/queue', ...DATA],
    cure: 'a command handler is called by the controller and does not call it: take the state as an argument',
  },
  {
    name: 'assembly/admin',
    files: /^assembly\/admin\//,
    may: ['assembly/dptr', 'assembly/queue', ...DATA],
    cure: 'a command handler is called by the controller and does not call it: take the state as an argument',
  },
  {
    name: 'assembly/controller',
    files: /^assembly\/controller\//,
    may: ['assembly/command', 'assembly/admin', 'assembly/dptr', 'assembly/queue', ...DATA],
    cure: 'the driver is the other side of the queues: share structures through assembly/wire',
  },
  {
    name: 'assembly/driver',
    files: /^assembly\/driver\//,
    may: ['assembly/wire', ...CONSTANTS],
    cure: 'the driver sees of a controller what a guest sees: share structures through assembly/wire',
  },
  {
    name: 'assembly/index.ts',
    files: /^assembly\/[^/]+\.ts$/,
    may: ['assembly/controller', 'assembly/driver'],
    cure: 'it is a list of exports: put the function into assembly/controller and export it from there',
  },
  {
    name: 'host/native.ts',
    files: /^host\/native\.ts$/,
    may: CONSTANTS,
    cure: 'it types the addon and knows nothing of the target',
  },
  {
    name: 'host/version.ts',
    files: /^host\/version\.ts$/,
    may: [],
    cure: 'it reads package.json and knows nothing of the target',
  },
  {
    name: 'host/log',
    files: /^host\/log\//,
    may: [],
    cure: 'everything logs, so the log imports nothing: pass plain values',
  },
  {
    name: 'host/transport ports',
    files: /^host\/transport\/[^/]+\.ts$/,
    may: ['host/native.ts'],
    cure: 'these files say what a front end sees of the rest: declare an interface, and let host/serve connect it',
  },
  {
    name: 'host/transport messages',
    files: /^host\/transport\/[^/]+\/messages(\/|[^/]*\.ts$)/,
    may: ['assembly/spec'],
    cure: 'a codec turns bytes into values: session.ts acts on them',
  },
  {
    name: 'host/transport',
    files: /^host\/transport\//,
    may: ['host/transport messages', 'assembly/spec', 'host/native.ts', 'host/log', 'host/transport ports'],
    cure: 'a front end drives the interface in host/transport/device.ts: let host/serve pass in what implements it',
  },
  {
    name: 'host/pci',
    files: /^host\/pci\//,
    may: CONSTANTS,
    cure: 'configuration space is bytes and rules, without I/O: return what happened and let host/nvme act',
  },
  {
    name: 'host/core',
    files: /^host\/core\//,
    may: CONSTANTS,
    cure: 'it wraps the Wasm and nothing else: host/nvme joins it with memory, backends and front ends',
  },
  {
    name: 'host/memory',
    files: /^host\/memory\//,
    may: [...TARGET, 'host/core'],
    cure: 'it maps what it is given: let host/nvme decide',
  },
  {
    name: 'host/block',
    files: /^host\/block\//,
    may: [...CONSTANTS, 'host/native.ts', 'host/log', 'host/config'],
    cure: 'a backend stores blocks, without controllers or sockets: host/nvme translates, host/serve composes',
  },
  {
    name: 'host/config/file',
    files: /^host\/config\/file\//,
    may: [...CONSTANTS, 'host/log', 'host/block', 'host/config'],
    packages: true,
    cure: 'a configuration file becomes the options of host/config: keep to values',
  },
  {
    name: 'host/config',
    files: /^host\/config\//,
    may: [...CONSTANTS, 'host/log', 'host/block'],
    cure: 'options are parsed before anything runs: keep to values',
  },
  {
    name: 'host/reactor',
    files: /^host\/reactor\//,
    may: TARGET,
    cure: 'a reactor drives whatever implements its interfaces: let host/serve pass it in',
  },
  {
    name: 'host/nvme',
    files: /^host\/nvme\//,
    may: [...TARGET, 'host/block', 'host/config', 'host/core', 'host/memory', 'host/pci', 'host/reactor'],
    cure: 'a controller does not know who drives it: implement host/transport/device.ts; host/serve connects',
  },
  {
    name: 'host/demo',
    files: /^host\/demo\//,
    may: [...CONSTANTS, 'host/config', 'host/log', 'host/native.ts', 'host/serve'],
    cure: 'it shows what any user can do: start a target as host/cli does, and look at it from outside',
  },
  {
    name: 'host/serve',
    files: /^host\/serve\//,
    may: [
      ...TARGET,
      'host/block',
      'host/config',
      'host/core',
      'host/memory',
      'host/nvme',
      'host/pci',
      'host/reactor',
      'host/transport',
    ],
    cure: 'it composes the target for host/cli, which calls it: return what the caller needs',
  },
  {
    name: 'host/control',
    files: /^host\/control\//,
    may: [...TARGET, 'host/config', 'host/config/file', 'host/serve'],
    packages: true,
    cure: 'it looks at a target, and changes it, through host/serve: add a request there',
  },
  {
    name: 'host/doctor',
    files: /^host\/doctor\//,
    may: [...TARGET, 'host/block', 'host/config', 'host/demo'],
    cure: 'it looks at the machine and changes nothing',
  },
  {
    name: 'host/cli',
    files: /^host\/cli\//,
    may: [
      ...TARGET,
      'host/block',
      'host/config',
      'host/config/file',
      'host/control',
      'host/demo',
      'host/doctor',
      'host/serve',
    ],
    packages: true,
    cure: 'a subcommand calls host/serve or host/demo: move what is more than that there',
  },
  {
    name: 'examples',
    files: /^examples\//,
    may: CONSTANTS,
    cure: 'an example shows what a foreign program needs: the Wasm files and the constants of their ABI',
  },
];

/** @param {string} file Path relative to the checkout, with slashes. */
function zoneOf(file) {
  return ZONES.find((zone) => zone.files.test(file));
}

/**
 * What is wrong with an import, in one sentence with its cure; undefined when nothing is.
 * @param {string} file Path of the importing file, relative to the checkout.
 * @param {string} specifier As written.
 * @returns {string | undefined}
 */
export function judgeImport(file, specifier) {
  const zone = zoneOf(file);
  if (zone === undefined) return undefined;
  if (specifier === 'node:module' && zone.name !== 'host/native.ts') {
    return `${zone.name} -> the addon is no arrow: only host/native.ts loads native code; call what it exports`;
  }
  if (specifier.startsWith('node:')) {
    return zone.name.startsWith('assembly/')
      ? `${zone.name} -> ${specifier} is no arrow: the core has no effects; ${zone.cure}`
      : undefined;
  }
  if (!specifier.startsWith('.')) {
    if (zone.packages === true) return undefined;
    const who = 'host/cli, host/control and host/config/file';
    return `${zone.name} -> the package ${specifier} is no arrow: only ${who} import packages; ${zone.cure}`;
  }
  const target = path.posix.join(path.posix.dirname(file), specifier);
  const other = zoneOf(target);
  if (other === zone || (other !== undefined && zone.may.includes(other.name))) return undefined;
  const allowed = zone.may.length > 0 ? zone.may.join(', ') : 'nothing';
  const name = other?.name ?? target;
  return `${zone.name} -> ${name} is no arrow (it imports ${allowed}): ${zone.cure}`;
}

/** @type {import('eslint').Rule.RuleModule} */
const importArrows = {
  meta: {
    type: 'problem',
    docs: { description: 'imports follow the arrows between the folders' },
    messages: { forbidden: '{{ verdict }}.' },
    schema: [],
  },
  create(context) {
    const file = path.relative(context.cwd, context.filename).replaceAll(path.sep, '/');
    /** @param {{ source?: import('estree').Expression | null | undefined }} node */
    const check = ({ source }) => {
      if (source?.type !== 'Literal' || typeof source.value !== 'string') return;
      const verdict = judgeImport(file, source.value);
      if (verdict !== undefined) context.report({ node: source, messageId: 'forbidden', data: { verdict } });
    };
    return {
      ImportDeclaration: check,
      ImportExpression: check,
      ExportAllDeclaration: check,
      ExportNamedDeclaration: check,
    };
  },
};

/** @type {import('eslint').ESLint.Plugin} */
export const plugin = { rules: { 'import-arrows': importArrows } };
