// `--namespace SPEC`.

import type { BackendSpec } from '../block/backend.ts';

export interface NamespaceSpec {
  /** 1 to 256, unique in the subsystem. */
  readonly nsid: number;
  readonly backend: BackendSpec;
  /** Several controllers may write this namespace. */
  readonly share: boolean;
  /** 16 bytes; undefined: derived. */
  readonly nguid: Uint8Array | undefined;
  /** 8 bytes; undefined: derived. */
  readonly eui64: Uint8Array | undefined;
  /** 16 bytes; undefined: derived. */
  readonly uuid: Uint8Array | undefined;
}
