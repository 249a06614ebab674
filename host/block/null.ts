// A namespace of nothing, for measuring all that is not storage: every request is done at once, no data is kept.

import { formatSize } from '../config/size.ts';
import type { Backend, NullSpec } from './backend.ts';

export function openNull(spec: NullSpec): Backend {
  return {
    label: `null:${formatSize(spec.size)}`,
    identity: undefined,
    geometry: Object.freeze({
      blocks: BigInt(spec.size / spec.blockSize),
      blockSize: spec.blockSize,
      optimalBlocks: 0,
      readOnly: spec.readOnly,
      volatileCache: false,
      // Whether deallocated blocks read as zeros is said to guests; blocks that read as nothing do not.
      deallocate: !spec.readOnly && spec.reads === 'zeros',
    }),
    storage: { kind: 'null', length: spec.size, readOnly: spec.readOnly, zeros: spec.reads === 'zeros' },
    notices: spec.readOnly ? [] : ['the null backend keeps no data: what a guest writes is lost at once'],
    close: () => undefined,
  };
}
