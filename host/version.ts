// The product's version, as package.json has it; also the firmware revision that guests see.

import { readFileSync } from 'node:fs';

const manifest = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

/** Such as `0.1.0`. */
export const VERSION = manifest.version;

/** At most 8 characters (Identify Controller, FR). */
export const FIRMWARE_REVISION = VERSION.slice(0, 8);
