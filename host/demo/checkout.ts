/**
 * Where the checkout is, and where in it fetched and built things go.
 *
 * The compiled files lie deeper in the tree than their sources, so nothing counts directory levels: the root is
 * the nearest directory upwards that has doorbell's package.json.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';

/** Absolute path of the checkout that contains `from` (default: this file). Throws when there is none. */
export function findCheckout(from: string = import.meta.dirname): string {
  for (let directory = path.resolve(from); ; directory = path.dirname(directory)) {
    if (isCheckout(directory)) return directory;
    if (directory === path.dirname(directory)) {
      throw new Error(`no doorbell checkout contains ${from}: its package.json was not found`);
    }
  }
}

/** Absolute path below the checkout's `build` directory. */
export function buildPath(...segments: string[]): string {
  return path.join(findCheckout(), 'build', ...segments);
}

function isCheckout(directory: string): boolean {
  try {
    const manifest: unknown = JSON.parse(readFileSync(path.join(directory, 'package.json'), 'utf8'));
    return (
      typeof manifest === 'object' && manifest !== null && 'name' in manifest && manifest.name === 'doorbell'
    );
  } catch {
    return false;
  }
}
