// Sizes: how they are read and how they are written.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatSize, nearestSizes, parseSize } from '../../../host/config/size.ts';
import { refused } from './refused.ts';

test('sizes with and without units', () => {
  const sizes: readonly [string, number][] = [
    ['1', 1],
    ['4096', 4096],
    ['512b', 512],
    ['1K', 1024],
    ['1.5k', 1536],
    ['512M', 512 * 1024 ** 2],
    ['10G', 10 * 1024 ** 3],
    ['10GiB', 10 * 1024 ** 3],
    ['2t', 2 * 1024 ** 4],
    ['7P', 7 * 1024 ** 5],
    ['9007199254740991', Number.MAX_SAFE_INTEGER],
  ];
  for (const [text, bytes] of sizes) assert.equal(parseSize(text, 'size'), bytes, text);
});

test('what is no size is refused, and the message tells how to write one', () => {
  for (const text of [
    '',
    'G',
    '10 apples',
    '-1',
    '+1',
    '1e9',
    '0x10',
    '1,5G',
    '10X',
    '10GB',
    '1.G',
    ' 1',
    'NaN',
  ]) {
    refused('SIZE_INVALID', /size .* is not a size: write bytes, or a number with K, M, G/, () =>
      parseSize(text, 'size'),
    );
  }
  refused('SIZE_INVALID', /is 0/, () => parseSize('0G', 'size'));
  refused('SIZE_INVALID', /too large/, () => parseSize('8P', 'size'));
  refused('SIZE_INVALID', /too large/, () => parseSize('9'.repeat(400), 'size'));
  refused('SIZE_INVALID', /not a whole number of bytes/, () => parseSize('1.0001K', 'size'));
});

test('sizes are written as short as they are exact', () => {
  const sizes: readonly [number, string][] = [
    [0, '0'],
    [513, '513'],
    [1024, '1K'],
    [1536 * 1024 ** 2, '1536M'],
    [1024 ** 5 * 3, '3P'],
    [1024 ** 5 * 4096, '4096P'],
  ];
  for (const [bytes, text] of sizes) assert.equal(formatSize(bytes), text);
});

test('the nearest whole blocks', () => {
  assert.equal(nearestSizes(4097, 4096, 'size='), 'size=4K or size=8K');
  assert.equal(nearestSizes(1, 512, 'ram:'), 'ram:512');
});
