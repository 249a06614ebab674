// The backends that there are, by the scheme of their SPEC.

import type { Backend, BackendSpec } from './backend.ts';
import { openFile } from './file.ts';
import { openNull } from './null.ts';
import { openRam } from './ram.ts';

/** Opens what a SPEC describes. Throws UsageError and BlockError; leaves nothing behind then. */
export function openBackend(spec: BackendSpec): Backend {
  switch (spec.scheme) {
    case 'file':
    case 'block':
      return openFile(spec);
    case 'ram':
      return openRam(spec);
    case 'null':
      return openNull(spec);
  }
}
