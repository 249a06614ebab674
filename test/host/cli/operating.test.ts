// The commands of an operator as processes: ctl against a target, doctor, libvirt-xml, completion.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import path from 'node:path';
import { after, test } from 'node:test';
import { buildPath } from '../../../host/demo/checkout.ts';
import { TargetProcess } from '../../support/target-process.ts';
import { doorbell } from './doorbell.ts';

fs.mkdirSync(buildPath('tmp'), { recursive: true });
const directory = fs.mkdtempSync(buildPath('tmp', 'operating-'));
after(() => fs.rmSync(directory, { recursive: true }));

test('ctl: list, add, save, drain', async () => {
  const [file, control] = [path.join(directory, 'target.json'), path.join(directory, 'control.sock')];
  fs.writeFileSync(file, JSON.stringify({ control, subsystems: [{}] }));
  const target = await TargetProcess.start('--config', file);
  const ctl = (...args: string[]): string => {
    const { code, stdout, stderr } = doorbell('ctl', '--control', control, ...args);
    assert.equal(code, 0, stderr);
    return stdout;
  };
  assert.equal(ctl('namespace-add', 'ram:1M'), 'namespace 1: ram:1M, 1M, blocks of 512\n');
  const socket = path.join(directory, 'a.sock');
  assert.equal(ctl('controller-add', `${socket},namespaces=1`), `controller 1 on ${socket}\n`);
  assert.match(ctl('list'), /^1 +\S+a\.sock +vfio-user +no +off +1 +0 +0 +0$/m);
  assert.equal((JSON.parse(ctl('--json', 'list')) as { controllers: object[] }).controllers.length, 1);
  assert.equal(ctl('save'), `path: ${file}\n`);
  const wrong = doorbell('ctl', '--control', control, 'controller-remove', 'b.sock');
  assert.equal(wrong.code, 2);
  assert.match(wrong.stderr, /^doorbell: no controller listens on .* \[CONTROLLER_UNKNOWN\]\n$/);
  ctl('drain');
  for (let tries = 0; target.alive && tries < 500; tries++) await new Promise((next) => setTimeout(next, 10));
  assert.ok(!target.alive);
  assert.ok(!fs.existsSync(control) && !fs.existsSync(socket));
  const again = await TargetProcess.start('--config', file);
  assert.match(ctl('list'), /a\.sock/);
  await again.drain();
  const gone = doorbell('ctl', '--control', control, 'ping');
  assert.deepEqual([gone.code, /CONTROL_UNREACHABLE/.test(gone.stderr)], [2, true]);
});

test('doctor: a table, and JSON', () => {
  const { stdout, stderr } = doorbell('doctor');
  assert.match(stdout, /^ok +platform +linux/m, stderr);
  const { code, stdout: json } = doorbell('doctor', '--json', '--file', path.join(directory, 'none'));
  const findings = JSON.parse(json) as { name: string; verdict: string; cure?: string }[];
  const storage = findings.at(-1);
  assert.deepEqual([code, storage?.verdict], [1, 'missing']);
  assert.match(storage?.cure ?? '', /name a file/);
});

test('libvirt-xml: the socket is quoted for XML', () => {
  const { stdout } = doorbell('libvirt-xml', '--socket', "/run/a'&b.sock");
  assert.match(stdout, /<access mode='shared'\/>/);
  assert.match(stdout, /<qemu:arg value='-device'\/>\n.*\/run\/a&apos;&amp;b\.sock/);
});

test('completion: bash completes subcommands, options and choices', () => {
  const script = doorbell('completion', 'bash').stdout;
  const complete = (...words: string[]): string[] => {
    const line = words.map((word) => `'${word}'`).join(' ');
    const { stdout } = spawnSync('bash', [
      '-c',
      `${script}
COMP_WORDS=(doorbell ${line}); COMP_CWORD=${words.length}; _doorbell; echo "\${COMPREPLY[@]}"`,
    ]);
    return stdout.toString().trim().split(' ');
  };
  assert.deepEqual(complete('ser'), ['serve']);
  assert.deepEqual(complete('serve', '--con'), ['--config', '--control']);
  assert.deepEqual(complete('ctl', '--control', '/x', 'sa'), ['save']);
  assert.deepEqual(complete('ctl', 'save', '--f'), ['--force']);
  assert.deepEqual(complete('completion', 'z'), ['zsh']);
  for (const shell of ['zsh', 'fish']) assert.match(doorbell('completion', shell).stdout, /doorbell/);
});
