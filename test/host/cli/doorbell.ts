// Runs the built command as a person does.

import { spawnSync } from 'node:child_process';
import { buildPath } from '../../../host/demo/checkout.ts';

export const MAIN = buildPath('dist', 'host', 'cli', 'main.js');

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export function doorbell(...args: readonly string[]): Ended {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8' });
  return { code: status, stdout, stderr };
}
