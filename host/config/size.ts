// Sizes as people write them: plain bytes, or a number with K, M, G, T or P, powers of 1,024.

import { UsageError } from './usage-error.ts';

const UNITS = ['', 'K', 'M', 'G', 'T', 'P'];

/**
 * Bytes of `10G`, `512M`, `1.5T`, `4096` or `512MiB`; a whole number from 1 to 2^53 - 1. `what` begins the sentence of
 * the error: "size of namespace".
 */
export function parseSize(text: string, what: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*(?:([kmgtp])(?:ib)?|b)?$/i.exec(text);
  if (match === null) {
    throw new UsageError(
      'SIZE_INVALID',
      `${what} ${quoted(text)} is not a size: write bytes, or a number with K, M, G, T or P (powers of 1,024), ` +
        'such as 10G',
    );
  }
  const [, number = '', unit = ''] = match;
  const bytes = Number(number) * 1024 ** UNITS.indexOf(unit.toUpperCase());
  if (bytes === 0) throw new UsageError('SIZE_INVALID', `${what} is 0: give at least one block, such as 1M`);
  if (bytes > Number.MAX_SAFE_INTEGER) {
    throw new UsageError('SIZE_INVALID', `${what} ${text} is too large: at most 8P - 1 bytes`);
  }
  if (!Number.isInteger(bytes)) {
    throw new UsageError(
      'SIZE_INVALID',
      `${what} ${text} is not a whole number of bytes: use a smaller unit`,
    );
  }
  return bytes;
}

/** The shortest way to write a number of bytes exactly: `10G`, `1536M`, `513`. */
export function formatSize(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value !== 0 && value % 1024 === 0 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value}${UNITS[unit] ?? ''}`;
}

/** `size=1G or size=1048577K`: the whole blocks below and above `size`, each written after `prefix`. */
export function nearestSizes(size: number, blockSize: number, prefix: string): string {
  const below = Math.floor(size / blockSize) * blockSize;
  return (below === 0 ? [blockSize] : [below, below + blockSize])
    .map((bytes) => `${prefix}${formatSize(bytes)}`)
    .join(' or ');
}

function quoted(text: string): string {
  return text === '' ? '(empty)' : `'${text}'`;
}
