// The command line as a person uses it: help, usage errors, what qemu-args prints.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, test } from 'node:test';
import { quoteForShell } from '../../../host/cli/qemu-args.ts';
import { VERSION } from '../../../host/version.ts';
import { doorbell } from './doorbell.ts';

describe('help and version', () => {
  test('the version alone', () => {
    assert.deepEqual(doorbell('--version'), { code: 0, stdout: `${VERSION}\n`, stderr: '' });
  });

  test('help on stdout with subcommands, exit codes and an example', () => {
    for (const args of [['--help'], ['help']]) {
      const { code, stdout, stderr } = doorbell(...args);
      assert.equal(code, 0);
      assert.equal(stderr, '');
      for (const words of ['serve', 'qemu-args', 'demo', 'Exit codes:', 'doorbell serve --socket']) {
        assert.ok(stdout.includes(words), words);
      }
    }
  });

  test('each subcommand has help with its options, and no line is too long for a terminal of 130 columns', () => {
    const subcommands = { serve: '--namespace <spec>', 'qemu-args': '--memory <size>', demo: '--no-shell' };
    for (const [name, option] of Object.entries(subcommands)) {
      const { code, stdout } = doorbell(name, '--help');
      assert.equal(code, 0);
      assert.ok(stdout.includes(option), option);
      for (const line of stdout.split('\n')) assert.ok(line.length <= 130, line);
      assert.equal(doorbell('help', name).stdout, stdout);
    }
  });

  test('nothing at all prints the help on stderr and is a usage error', () => {
    const { code, stdout, stderr } = doorbell();
    assert.equal(code, 2);
    assert.equal(stdout, '');
    assert.match(stderr, /^Usage: doorbell/);
  });

  test('a reader that goes away is no failure', () => {
    const { status, stderr } = spawnSync('sh', ['-c', '"$@" | true', 'sh', process.execPath, '--version'], {
      encoding: 'utf8',
    });
    assert.equal(status, 0);
    assert.equal(stderr, '');
  });
});

describe('usage errors: one line on stderr, exit code 2', () => {
  const cases: readonly [string[], RegExp][] = [
    [['srve'], /unknown command 'srve' \(Did you mean serve\?\) \[COMMAND_LINE\]/],
    [['serve'], /no --socket is given.*\[COMMAND_LINE\]/],
    [['serve', '--sockt', 'x'], /unknown option '--sockt' \(Did you mean --socket\?\)/],
    [['serve', '--socket'], /argument missing/],
    [['serve', 'disk.img'], /too many arguments.*got 1; doorbell --help/],
    [['serve', '--socket', 's'], /no --namespace is given/],
    [['serve', '--socket', 's', '--namespace', 'ram:1Q'], /is not a size.*\[SIZE_INVALID\]/],
    [['serve', '--socket', 's', '--namespace', 'file:x,szie=1G'], /did you mean size\?.*\[OPTION_UNKNOWN\]/],
    [['serve', '--socket', 's', '--namespace', 'ram:1M', '--log-level', 'loud'], /--log-level loud/],
    [
      ['serve', '--socket', 's,shadow-doorbells=no-way', '--namespace', 'ram:1M'],
      /write shadow-doorbells=on/,
    ],
    [['qemu-args'], /required option '--socket <path\[,...\]>' not specified/],
    [['qemu-args', '--socket', 's', '--memory', '1.5M'], /--memory 1.5M is not whole MiB: write --memory 2M/],
  ];
  for (const [args, words] of cases) {
    test(`doorbell ${args.join(' ')}`, () => {
      const { code, stdout, stderr } = doorbell(...args);
      assert.match(stderr, words);
      assert.match(stderr, /^doorbell: [^\n]+ \[[A-Z_]+\]\n$/);
      assert.equal(stdout, '');
      assert.equal(code, 2);
    });
  }
});

describe('qemu-args', () => {
  test('one line for a shell', () => {
    const { code, stdout } = doorbell('qemu-args', '--socket', '/run/a.sock', '--memory', '6G');
    assert.equal(code, 0);
    assert.equal(
      stdout,
      '-m 6G -object memory-backend-memfd,id=mem,size=6G,share=on -machine q35,memory-backend=mem -device ' +
        `'{"driver":"vfio-user-pci","socket":{"type":"unix","path":"/run/a.sock"}}'\n`,
    );
  });

  test('several sockets as JSON; what serve takes is taken', () => {
    const { stdout } = doorbell('qemu-args', '--socket', '/a,namespaces=1', '--socket', '/b', '--json');
    const args = JSON.parse(stdout) as string[];
    const devices = args.filter((_, index) => args[index - 1] === '-device');
    const paths = devices.map((text) => (JSON.parse(text) as { socket: { path: string } }).socket.path);
    assert.deepEqual(paths, ['/a', '/b']);
    assert.equal(args[args.indexOf('-m') + 1], '1G');
  });

  test('a socket of vhost-user-nvme gets its own device', () => {
    const sockets = ['--socket', '/a', '--socket', '/b,,c,protocol=vhost-user-nvme'];
    const { stdout } = doorbell('qemu-args', ...sockets, '--json');
    const args = JSON.parse(stdout) as string[];
    assert.deepEqual(args.slice(args.indexOf('-device')), [
      '-device',
      '{"driver":"vfio-user-pci","socket":{"type":"unix","path":"/a"}}',
      '-chardev',
      'socket,id=nvme1,path=/b,,c,reconnect-ms=1000',
      '-device',
      'vhost-user-nvme,chardev=nvme1',
    ]);
  });

  test('the shell gives back what was quoted', () => {
    for (const text of ['plain', '', 'a b', "it's", '{"a":"$x"}', '`x`', 'a\\b', '*', 'é', '-m']) {
      const { stdout } = spawnSync('sh', ['-c', `printf %s ${quoteForShell(text)}`], { encoding: 'utf8' });
      assert.equal(stdout, text);
    }
  });
});
