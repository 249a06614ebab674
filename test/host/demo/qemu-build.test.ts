/**
 * What QEMU with our device is made of and named by: keys, versions, places.
 */
import assert from 'node:assert/strict';
import path from 'node:path';
import { afterEach, test } from 'node:test';
import { parseSourceUris } from '../../../host/demo/apt.ts';
import { findCheckout } from '../../../host/demo/checkout.ts';
import { formatVersion, makeRecipe, readRecipe } from '../../../host/demo/qemu-build-recipe.ts';
import { BuildError } from '../../../host/demo/qemu-build-tree.ts';
import { cachePath, locateDeviceQemu } from '../../../host/demo/qemu-build.ts';
import { silent } from '../../../host/demo/setup-error.ts';

const FILES = { 'a.c': 'int a;', 'b.h': '', 'doorbell.mak': 'CONFIG_Q35=y', '1.patch': '--- a' };

function recipeOf(files: Readonly<Record<string, string>>): ReturnType<typeof makeRecipe> {
  return makeRecipe(new Map(Object.entries(files).map(([name, text]) => [name, Buffer.from(text)])));
}

const variables = ['XDG_CACHE_HOME', 'DOORBELL_DEVICE_QEMU'] as const;
const before = variables.map((name) => [name, process.env[name]] as const);

afterEach(() => {
  for (const [name, value] of before) {
    if (value === undefined) Reflect.deleteProperty(process.env, name);
    else process.env[name] = value;
  }
});

test('a change of the device needs another program, but no other tree', () => {
  const one = recipeOf(FILES);
  for (const changed of [
    { ...FILES, 'a.c': 'int b;' },
    { ...FILES, 'c.c': '' },
    { ...FILES, 'doorbell.mak': '' },
  ]) {
    assert.equal(recipeOf(changed).treeKey, one.treeKey);
    assert.notEqual(recipeOf(changed).key, one.key);
  }
});

test("a change of a patch of QEMU's own files needs another tree", () => {
  const one = recipeOf(FILES);
  for (const changed of [
    { ...FILES, '1.patch': '--- b' },
    { ...FILES, '2.patch': '' },
  ]) {
    assert.notEqual(recipeOf(changed).treeKey, one.treeKey);
    assert.notEqual(recipeOf(changed).key, one.key);
  }
});

test('the keys know the names of files, and not their order', () => {
  const reversed = Object.fromEntries(Object.entries(FILES).reverse());
  assert.deepEqual(recipeOf(reversed), recipeOf(FILES));
  assert.notEqual(recipeOf({ ab: 'c' }).key, recipeOf({ a: 'bc' }).key);
});

test('each file of native/qemu has its place in the source of QEMU; what is for people has none', async () => {
  const { added, patches } = await readRecipe(path.join(findCheckout(), 'native/qemu'));
  assert.ok(added.has('hw/vhost-user-nvme/vhost-user-nvme.c'));
  assert.ok(added.has('configs/devices/x86_64-softmmu/doorbell.mak'));
  assert.deepEqual(
    [...added.keys(), ...patches.keys()].filter((name) => /README|LICENSE/.test(name)),
    [],
  );
  assert.deepEqual([...patches.keys()], ['0001-build-vhost-user-nvme.patch']);
});

test('the version is that of the .dsc file, and the size that of all files', () => {
  const text = [
    "'http://example.org/q/qemu_10.0.13%2bds-0%2bdeb13u1.dsc' qemu_10.0.13+ds-0+deb13u1.dsc 100 SHA256:aa",
    "'http://example.org/q/qemu_10.0.13%2bds.orig.tar.xz' qemu_10.0.13+ds.orig.tar.xz 4000 SHA256:bb",
    '',
  ].join('\n');
  assert.deepEqual(parseSourceUris(text), { name: 'qemu', version: '10.0.13+ds-0+deb13u1', bytes: 4100 });
  assert.equal(parseSourceUris('Reading package lists...\n'), undefined);
});

test('a version is a file name without characters that have a meaning elsewhere', () => {
  assert.equal(formatVersion('10.0.13+ds-0+deb13u1'), '10.0.13-ds-0-deb13u1');
  assert.equal(formatVersion('1:10.0.2~rc1'), '1-10.0.2-rc1');
});

test("the cache directory is the user's, and a relative one counts as unset", () => {
  process.env['XDG_CACHE_HOME'] = '/var/cache/one';
  assert.equal(cachePath('lock'), '/var/cache/one/doorbell/qemu/lock');
  process.env['XDG_CACHE_HOME'] = 'relative';
  assert.match(cachePath('lock'), /^\/.*\/\.cache\/doorbell\/qemu\/lock$/);
});

test('a QEMU that was chosen and has no such device is refused, not replaced', async () => {
  process.env['DOORBELL_DEVICE_QEMU'] = '/bin/true';
  await assert.rejects(locateDeviceQemu(silent), {
    code: 'SETUP',
    message: /DOORBELL_DEVICE_QEMU.*\/bin\/true/,
  });
});

test('of a failed compilation the first failure is shown, of another step its end', () => {
  const compiled = ['[1/2] Compiling a.c', 'FAILED: a.c.o', 'a.c:1:1: error: b', '[2/2] Compiling c.c'].join(
    '\n',
  );
  assert.equal(
    new BuildError('compiling', compiled).message,
    'compiling failed:\nFAILED: a.c.o\na.c:1:1: error: b\n[2/2] Compiling c.c',
  );
  const long = Array.from({ length: 100 }, (_, index) => `line ${index}`).join('\n');
  assert.match(new BuildError('configuring', long).message, /^configuring failed:\nline 40\n[^]*line 99$/);
});
