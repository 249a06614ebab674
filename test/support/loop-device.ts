// Loop devices for tests: block devices over files, where this user may have them.

import { spawnSync } from 'node:child_process';

export interface LoopDevice {
  /** `/dev/loop3` */
  readonly path: string;
  detach(): void;
}

export interface LoopOptions {
  /** Bytes of a logical block. */
  readonly sectorSize?: 512 | 4096;
  readonly readOnly?: boolean;
}

/** Makes a file a block device. Throws with what losetup says. */
export function attachLoop(
  file: string,
  { sectorSize = 512, readOnly = false }: LoopOptions = {},
): LoopDevice {
  const options = [
    '--find',
    '--show',
    '--sector-size',
    String(sectorSize),
    ...(readOnly ? ['--read-only'] : []),
  ];
  const { status, stdout, stderr, error } = spawnSync('losetup', [...options, file], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`losetup: ${error?.message ?? stderr.trim()}`);
  const path = stdout.trim();
  return {
    path,
    detach: () => {
      spawnSync('losetup', ['--detach', path]);
    },
  };
}

/** Why there are no loop devices here; undefined where there are. */
export function loopRefusal(file: string): string | undefined {
  if (process.getuid?.() !== 0) return 'loop devices need root';
  try {
    attachLoop(file).detach();
    return undefined;
  } catch (error) {
    return `no loop devices here: ${error instanceof Error ? error.message : String(error)}`;
  }
}
