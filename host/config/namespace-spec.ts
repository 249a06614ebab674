// `--namespace SPEC`: where the blocks of a namespace are, and what the guest is told of it.
//
//   file:PATH[,size=10G][,block-size=4096][,readonly=on][,direct=off]   a regular file
//   ram:SIZE[,block-size=4096][,readonly=on]                            memory, gone with the target
//
// and for both [,share=on][,nsid=N][,nguid=HEX][,eui64=HEX][,uuid=UUID].

import { NAMESPACE_COUNT } from '../../assembly/abi/memory-map.ts';
import type { BackendSpec, BlockSize, DirectMode } from '../block/backend.ts';
import { parseFields, parseInteger, parseSwitch, type Fields } from './fields.ts';
import { parseHexId, parseUuid } from './identifiers.ts';
import { nearestSizes, parseSize } from './size.ts';
import { hint } from './suggest.ts';
import { UsageError } from './usage-error.ts';

const OPTION = '--namespace';
const COMMON_KEYS = ['block-size', 'readonly', 'share', 'nsid', 'nguid', 'eui64', 'uuid'];
const FILE_KEYS = ['size', 'direct', ...COMMON_KEYS];
const SCHEMES = ['file', 'ram'];

/** Words of other tools for the same thing. */
const ALIASES: Readonly<Record<string, string>> = {
  bs: 'write block-size=512 or block-size=4096',
  blocksize: 'write block-size=512 or block-size=4096',
  logical_block_size: 'write block-size=512 or block-size=4096',
  physical_block_size: 'write block-size=512 or block-size=4096',
  'read-only': 'write readonly=on',
  read_only: 'write readonly=on',
  ro: 'write readonly=on',
  rw: 'write readonly=off, which is the default',
  'cache.direct': 'write direct=on, direct=off or direct=auto',
  o_direct: 'write direct=on, direct=off or direct=auto',
  cache: 'write direct=on, direct=off or direct=auto',
  shared: 'write share=on',
  'share-rw': 'write share=on',
  eui: 'write eui64=',
  id: 'write nsid=',
  file: 'the path comes first: file:PATH',
  filename: 'the path comes first: file:PATH',
  path: 'the path comes first: file:PATH',
};

/** A SPEC as it was written; its NSID may still be open. */
export interface ParsedNamespace {
  readonly nsid: number | undefined;
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

export interface NamespaceSpec extends ParsedNamespace {
  /** 1 to 256, unique in the subsystem. */
  readonly nsid: number;
}

/** Throws UsageError. */
export function parseNamespace(text: string): ParsedNamespace {
  const colon = text.indexOf(':');
  const scheme = text.slice(0, Math.max(colon, 0));
  if (!SCHEMES.includes(scheme)) throw unknownScheme(text, scheme);
  const rest = text.slice(colon + 1);
  const fields = parseFields(OPTION, rest, scheme === 'file' ? FILE_KEYS : COMMON_KEYS, {
    ...ALIASES,
    ...(scheme === 'ram' ? { size: 'the size comes first: ram:1G' } : {}),
  });
  const backend = scheme === 'file' ? fileSpec(fields) : ramSpec(fields);
  const { values } = fields;
  return Object.freeze({
    nsid: optional(values, 'nsid', (value) => parseInteger('nsid', value, 1, NAMESPACE_COUNT)),
    backend: Object.freeze(backend),
    share: parseSwitch('share', values.get('share') ?? 'off'),
    nguid: optional(values, 'nguid', (value) => parseHexId('nguid', value, 16)),
    eui64: optional(values, 'eui64', (value) => parseHexId('eui64', value, 8)),
    uuid: optional(values, 'uuid', (value) => parseUuid('uuid', value)),
  });
}

/** Gives each namespace its NSID: the chosen one, else the lowest free one, in the order of the command line. */
export function numberNamespaces(parsed: readonly ParsedNamespace[]): readonly NamespaceSpec[] {
  if (parsed.length > NAMESPACE_COUNT) {
    throw new UsageError(
      'NAMESPACE_CONFLICT',
      `${parsed.length} namespaces are too many: a subsystem has at most ${NAMESPACE_COUNT}`,
    );
  }
  const taken = new Set<number>();
  for (const { nsid } of parsed) {
    if (nsid === undefined) continue;
    if (taken.has(nsid)) {
      throw new UsageError(
        'NAMESPACE_CONFLICT',
        `two namespaces have nsid=${nsid}: change or leave out one of them`,
      );
    }
    taken.add(nsid);
  }
  let next = 1;
  const numbered = parsed.map((namespace) => {
    if (namespace.nsid !== undefined) return Object.freeze({ ...namespace, nsid: namespace.nsid });
    while (taken.has(next)) next += 1;
    taken.add(next);
    return Object.freeze({ ...namespace, nsid: next });
  });
  return Object.freeze(numbered.sort((a, b) => a.nsid - b.nsid));
}

function fileSpec({ head: path, values }: Fields): BackendSpec {
  if (path === '') throw new UsageError('OPTION_INVALID', `${OPTION} file: has no path: write file:disk.img`);
  const blockSize = parseBlockSize(values);
  const size = optional(values, 'size', (value) => parseSize(value, 'size'));
  if (size !== undefined) checkWholeBlocks(size, blockSize, 'size=');
  const readOnly = parseSwitch('readonly', values.get('readonly') ?? 'off');
  return {
    scheme: 'file',
    path,
    size,
    blockSize,
    readOnly,
    direct: parseDirect(values.get('direct') ?? 'auto'),
  };
}

function ramSpec({ head, values }: Fields): BackendSpec {
  const blockSize = parseBlockSize(values);
  const size = parseSize(head, `${OPTION} ram: size`);
  checkWholeBlocks(size, blockSize, 'ram:');
  return {
    scheme: 'ram',
    size,
    blockSize,
    readOnly: parseSwitch('readonly', values.get('readonly') ?? 'off'),
  };
}

function parseBlockSize(values: ReadonlyMap<string, string>): BlockSize {
  const text = values.get('block-size') ?? '512';
  const bytes = parseSize(text, 'block-size');
  if (bytes === 512 || bytes === 4096) return bytes;
  throw new UsageError(
    'OPTION_INVALID',
    `block-size=${text} is not possible: write block-size=512 or block-size=4096`,
  );
}

function parseDirect(text: string): DirectMode {
  if (text === 'auto') return 'auto';
  if (!/^(on|yes|true|1|off|no|false|0)$/.test(text)) {
    throw new UsageError(
      'OPTION_INVALID',
      `direct=${text} is not possible: write direct=on, direct=off or direct=auto`,
    );
  }
  return parseSwitch('direct', text) ? 'on' : 'off';
}

/** Refuses a size that is not whole blocks and names the nearest that are, written after `prefix`. */
function checkWholeBlocks(size: number, blockSize: BlockSize, prefix: string): void {
  if (size % blockSize === 0) return;
  throw new UsageError(
    'SIZE_INVALID',
    `${prefix}${size} is not a whole number of blocks of ${blockSize} bytes: ` +
      `write ${nearestSizes(size, blockSize, prefix)}`,
  );
}

function optional<T>(
  values: ReadonlyMap<string, string>,
  key: string,
  parse: (value: string) => T,
): T | undefined {
  const value = values.get(key);
  return value === undefined ? undefined : parse(value);
}

function unknownScheme(text: string, scheme: string): UsageError {
  const known = 'write file:PATH or ram:SIZE';
  if (scheme === '') {
    const example = text === '' ? '' : `, such as file:${text}`;
    return new UsageError(
      'BACKEND_UNKNOWN',
      `${OPTION} ${text || '(empty)'} does not say where the data is: ${known}${example}`,
    );
  }
  return new UsageError(
    'BACKEND_UNKNOWN',
    `${OPTION} ${text}: there is no backend '${scheme}'${hint(scheme, SCHEMES)}: ${known}`,
  );
}
