/**
 * The project's own lint rules work, through the configuration that `npm run check` uses: each arrow between the
 * folders is shown to fail on an import against it and to let through the imports along it.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ESLint } from 'eslint';
import tseslint from 'typescript-eslint';
import { root } from './sources.ts';

/** A file, what it imports, and the arrow that the message must name; undefined when the import is right. */
const CASES: readonly (readonly [file: string, specifier: string, arrow: string | undefined])[] = [
  ['assembly/spec/x.ts', '../abi/y.ts', 'assembly/spec -> assembly/abi'],
  ['assembly/spec/x.ts', './y.ts', undefined],
  ['assembly/abi/x.ts', '../wire/y.ts', 'assembly/abi -> assembly/wire'],
  ['assembly/abi/x.ts', '../spec/y.ts', undefined],
  ['assembly/wire/x.ts', '../guest/y.ts', 'assembly/wire -> assembly/guest'],
  ['assembly/wire/x.ts', '../spec/y.ts', undefined],
  ['assembly/wire/x.ts', '../abi/y.ts', undefined],
  ['assembly/guest/x.ts', '../queue/y.ts', 'assembly/guest -> assembly/queue'],
  ['assembly/guest/x.ts', '../dptr/y.ts', 'assembly/guest -> assembly/dptr'],
  ['assembly/guest/x.ts', '../abi/y.ts', undefined],
  ['assembly/dptr/x.ts', '../queue/y.ts', 'assembly/dptr -> assembly/queue'],
  ['assembly/dptr/x.ts', '../wire/y.ts', undefined],
  ['assembly/dptr/x.ts', '../guest/y.ts', undefined],
  ['assembly/queue/x.ts', '../dptr/y.ts', 'assembly/queue -> assembly/dptr'],
  ['assembly/queue/x.ts', '../command/y.ts', 'assembly/queue -> assembly/command'],
  ['assembly/queue/x.ts', '../guest/y.ts', undefined],
  ['assembly/command/x.ts', '../controller/y.ts', 'assembly/command -> assembly/controller'],
  ['assembly/command/x.ts', '../admin/y.ts', 'assembly/command -> assembly/admin'],
  ['assembly/command/x.ts', '../dptr/y.ts', undefined],
  ['assembly/admin/x.ts', '../controller/y.ts', 'assembly/admin -> assembly/controller'],
  ['assembly/admin/x.ts', '../queue/y.ts', undefined],
  ['assembly/controller/x.ts', '../driver/y.ts', 'assembly/controller -> assembly/driver'],
  ['assembly/controller/x.ts', '../command/y.ts', undefined],
  ['assembly/controller/x.ts', 'node:fs', 'assembly/controller -> node:fs'],
  ['assembly/driver/x.ts', '../controller/y.ts', 'assembly/driver -> assembly/controller'],
  ['assembly/driver/x.ts', '../wire/y.ts', undefined],
  ['assembly/index.ts', './queue/y.ts', 'assembly/index.ts -> assembly/queue'],
  ['assembly/index.ts', './controller/y.ts', undefined],
  ['host/core/x.ts', '../block/y.ts', 'host/core -> host/block'],
  ['host/core/x.ts', '../../assembly/wire/y.ts', 'host/core -> assembly/wire'],
  ['host/core/x.ts', '../../assembly/abi/y.ts', undefined],
  ['host/core/x.ts', '../../assembly/spec/y.ts', undefined],
  ['host/transport/vfio-user/messages.ts', './session.ts', 'host/transport messages -> host/transport'],
  ['host/transport/vfio-user/messages.ts', '../../native.ts', 'host/transport messages -> host/native.ts'],
  ['host/transport/vfio-user/messages.ts', '../../../assembly/abi/y.ts', 'messages -> assembly/abi'],
  ['host/transport/vhost-user/messages.ts', '../../../assembly/spec/y.ts', undefined],
  ['host/transport/vfio-user/session.ts', '../../block/y.ts', 'host/transport -> host/block'],
  ['host/transport/vfio-user/session.ts', '../../nvme/y.ts', 'host/transport -> host/nvme'],
  ['host/transport/vfio-user/session.ts', '../device.ts', undefined],
  ['host/transport/device.ts', './vfio-user/session.ts', 'host/transport ports -> host/transport'],
  ['host/transport/reactor-port.ts', '../reactor/y.ts', 'host/transport ports -> host/reactor'],
  ['host/block/x.ts', '../nvme/y.ts', 'host/block -> host/nvme'],
  ['host/block/x.ts', '../transport/device.ts', 'host/block -> host/transport ports'],
  ['host/block/x.ts', '../transport/vfio-user/session.ts', 'host/block -> host/transport'],
  ['host/block/x.ts', '../native.ts', undefined],
  ['host/pci/x.ts', '../native.ts', 'host/pci -> host/native.ts'],
  ['host/log/x.ts', '../config/y.ts', 'host/log -> host/config'],
  ['host/reactor/x.ts', '../nvme/y.ts', 'host/reactor -> host/nvme'],
  ['host/reactor/x.ts', '../transport/reactor-port.ts', undefined],
  ['host/nvme/x.ts', '../transport/vfio-user/session.ts', 'host/nvme -> host/transport'],
  ['host/nvme/x.ts', '../transport/device.ts', undefined],
  ['host/nvme/x.ts', '../serve/y.ts', 'host/nvme -> host/serve'],
  ['host/demo/x.ts', '../nvme/y.ts', 'host/demo -> host/nvme'],
  ['host/cli/x.ts', '../nvme/y.ts', 'host/cli -> host/nvme'],
  ['host/serve/x.ts', '../cli/y.ts', 'host/serve -> host/cli'],
  ['host/serve/x.ts', '../transport/vfio-user/server.ts', undefined],
  ['host/config/x.ts', 'commander', 'host/config -> the package commander'],
  ['host/cli/x.ts', 'commander', undefined],
  ['host/cli/x.ts', '../serve/y.ts', undefined],
  ['host/block/x.ts', 'node:module', 'host/block -> the addon'],
  ['host/native.ts', 'node:module', undefined],
  ['examples/x.ts', '../host/core/y.ts', 'examples -> host/core'],
  ['examples/x.ts', '../assembly/abi/y.ts', undefined],
];

const eslint = new ESLint({
  cwd: root,
  // The files of the cases do not exist, so no type information does.
  overrideConfig: [
    {
      ...tseslint.configs.disableTypeChecked,
      languageOptions: { parserOptions: { project: false, projectService: false } },
    },
  ],
});

async function verdicts(file: string, code: string): Promise<string[]> {
  const [result] = await eslint.lintText(code, { filePath: file });
  assert.ok(result, `lint ignores ${file}`);
  return result.messages.filter(({ fatal, ruleId }) => fatal === true || ruleId !== null).map(describe);
}

function describe({ ruleId, message }: { ruleId: string | null; message: string }): string {
  return `${ruleId ?? 'error'}: ${message}`;
}

for (const [file, specifier, arrow] of CASES) {
  test(`${file} ${arrow === undefined ? 'imports' : 'may not import'} ${specifier}`, async () => {
    const found = await verdicts(file, `export { y } from '${specifier}';\n`);
    if (arrow === undefined) {
      assert.deepEqual(found, []);
    } else {
      assert.equal(found.length, 1, found.join('\n'));
      assert.ok(found[0]?.startsWith('doorbell/import-arrows: ') && found[0].includes(arrow), found[0]);
    }
  });
}

test('every way to import is judged', async () => {
  for (const code of [
    "import { y } from '../nvme/y.ts';\ny();\n",
    "import type { Y } from '../nvme/y.ts';\nexport type Z = Y;\n",
    "export * from '../nvme/y.ts';\n",
    "export const y = () => import('../nvme/y.ts');\n",
  ]) {
    const found = await verdicts('host/block/x.ts', code);
    assert.equal(found.filter((verdict) => verdict.includes('host/block -> host/nvme')).length, 1, code);
  }
});

test('only host/core touches WebAssembly', async () => {
  const code = 'export const memory = new WebAssembly.Memory({ initial: 1 });\n';
  const [found = ''] = await verdicts('host/nvme/x.ts', code);
  assert.match(found, /Only host\/core touches the WebAssembly API/);
  assert.deepEqual(await verdicts('host/core/x.ts', code), []);
});

test('only host/native.ts loads native code', async () => {
  const [found = ''] = await verdicts('host/block/x.ts', "process.dlopen({ exports: {} }, 'x.node');\n");
  assert.match(found, /Only host\/native.ts loads native code/);
});

test('the core keeps no state outside of its image, and throws nothing', async () => {
  for (const code of [
    'let used: u32 = 0;\nexport function take(): u32 {\n  return used++;\n}\n',
    'export let used: u32 = 0;\nused = 1;\n',
    'export class Pool {\n  static used: u32 = 0;\n}\n',
  ]) {
    const found = await verdicts('assembly/queue/x.ts', code);
    assert.equal(found.filter((verdict) => verdict.includes('outside of the state image')).length, 1, code);
  }
  const [thrown = ''] = await verdicts(
    'assembly/queue/x.ts',
    "export function fail(): void {\n  throw new Error('');\n}\n",
  );
  assert.match(thrown, /return a status/);
});
