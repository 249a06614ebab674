// The log: both formats, levels, and the limit of lines that a guest can cause.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLog, LIMIT_LINES, LIMIT_SECONDS, type Log, type LogLevel } from '../../../host/log/log.ts';

const START = Date.parse('2026-01-02T03:04:05.678Z');

function logOf(
  level: LogLevel,
  json = false,
): { log: Log; lines: string[]; pass: (seconds: number) => void } {
  const lines: string[] = [];
  let now = START;
  const log = createLog({ level, json, write: (line) => lines.push(line), now: () => now });
  return { log, lines, pass: (seconds) => (now += seconds * 1000) };
}

test('text for people', () => {
  const { log, lines } = logOf('info');
  log
    .with({ controller: 1 })
    .warn('the disk is full', { nsid: 2, path: '/a b', none: undefined, offset: 2n ** 60n });
  log.debug('not at this level');
  assert.deepEqual(lines, [
    '2026-01-02T03:04:05.678Z warn  the disk is full controller=1 nsid=2 path="/a b" offset=1152921504606846976\n',
  ]);
  assert.ok(log.enabled('info'));
  assert.ok(!log.enabled('debug'));
});

test('JSON for programs', () => {
  const { log, lines } = logOf('trace', true);
  log.trace('line', { a: 1, big: 2n ** 60n, small: 5n, none: undefined });
  assert.deepEqual(JSON.parse(lines.join()), {
    time: '2026-01-02T03:04:05.678Z',
    level: 'trace',
    message: 'line',
    a: 1,
    big: '1152921504606846976',
    small: 5,
  });
});

test('a peer can forge no line and drive no terminal', () => {
  const { log, lines } = logOf('info');
  log.info('name: \x1b[2Jx\n2026 error forged', { name: 'a\nb', plain: '\u009b2J' });
  assert.equal(lines.length, 1);
  assert.match(lines.join(''), /^[^\n]*\n$/);
  assert.match(lines[0] ?? '', /name: \\x1b\[2Jx\\x0a2026 error forged name="a\\nb" plain=\\x9b2J/);
});

test('a key that is limited: some lines, then their number', () => {
  const { log, lines, pass } = logOf('info');
  for (let count = 0; count < 100; count++) log.limited('ns1').warn('again');
  log.limited('ns2').warn('other');
  assert.equal(lines.length, LIMIT_LINES + 1);
  pass(LIMIT_SECONDS);
  log.limited('ns1').warn('again');
  log.limited('ns1').warn('again');
  assert.match(lines[LIMIT_LINES + 1] ?? '', new RegExp(`again suppressed=${100 - LIMIT_LINES}\n$`));
  assert.match(lines[LIMIT_LINES + 2] ?? '', /again\n$/);
});

test('one controller that is noisy hides nothing of another', () => {
  const { log, lines } = logOf('info');
  const [noisy, quiet] = [log.with({ controller: 1 }), log.with({ controller: 2 })];
  for (let count = 0; count < 100; count++) noisy.limited('doorbell refused').warn('doorbell refused');
  quiet.limited('doorbell refused').warn('doorbell refused');
  assert.match(lines.at(-1) ?? '', /controller=2/);
});

test('lines that the level leaves out cost no budget', () => {
  const { log, lines } = logOf('info');
  const limited = log.limited('key');
  for (let count = 0; count < 100; count++) limited.debug('hidden');
  limited.info('shown');
  assert.equal(lines.length, 1);
});

test('endless keys do not fill the memory, and every new key gets its line', () => {
  const { log, lines } = logOf('info');
  for (let key = 0; key < 5000; key++) log.limited(`key ${key}`).info('x');
  assert.equal(lines.length, 5000);
});
