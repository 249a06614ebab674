// `--namespace SPEC`: where the blocks of a namespace are, and what the guest is told of it.
//
//   file:PATH[,size=10G][,offset=10G][,direct=off]    a regular file, a block device, or a slice of one
//   block:PATH[,size=10G][,offset=10G][,direct=off]   the same, but refused where PATH is no block device
//   ram:SIZE                                          memory, gone with the target
//   null:SIZE[,reads=zeros|nothing]                   nothing: for measuring all but the storage
//
// and for all [,block-size=4096][,readonly=on][,share=on][,nsid=N][,nguid=HEX][,eui64=HEX][,uuid=UUID].

import { NAMESPACE_COUNT } from '../../assembly/abi/memory-map.ts';
import type { BackendSpec, BlockSize, DirectMode, FileSpec, NullSpec, RamSpec } from '../block/backend.ts';
import { parseFields, parseInteger, parseSwitch, type Fields } from './fields.ts';
import { parseHexId, parseUuid } from './identifiers.ts';
import { nearestSizes, parseSize } from './size.ts';
import { hint } from './suggest.ts';
import { UsageError } from './usage-error.ts';

const OPTION = '--namespace';
const COMMON_KEYS = ['block-size', 'readonly', 'share', 'nsid', 'nguid', 'eui64', 'uuid'];
const FILE_KEYS = ['size', 'offset', 'direct', ...COMMON_KEYS];
const NULL_KEYS = ['reads', ...COMMON_KEYS];
const SCHEMES = ['file', 'block', 'ram', 'null'];

/** Keys of each scheme beside the first field. */
export const NAMESPACE_KEYS: Readonly<Record<string, readonly string[]>> = {
  file: FILE_KEYS,
  block: FILE_KEYS,
  ram: COMMON_KEYS,
  null: NULL_KEYS,
};

/** Names that other tools have for a backend. */
const SCHEME_ALIASES: Readonly<Record<string, string>> = {
  host_device: 'block',
  aio: 'file',
  uring: 'file',
  raw: 'file',
  malloc: 'ram',
  memory: 'ram',
  'null-co': 'null',
  null_blk: 'null',
};

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
  start: 'write offset=',
  length: 'write size=',
  'read-zeroes': 'write reads=zeros or reads=nothing',
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
  const fields = parseFields(OPTION, rest, NAMESPACE_KEYS[scheme] ?? [], {
    ...ALIASES,
    ...(scheme === 'ram' || scheme === 'null' ? { size: `the size comes first: ${scheme}:1G` } : {}),
  });
  return namespaceOf(scheme, fields);
}

/** The same from fields that were told apart already; the first one is the path, or the size. Throws UsageError. */
export function namespaceOf(scheme: string, fields: Fields): ParsedNamespace {
  const backend = backendSpec(scheme, fields);
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

function backendSpec(scheme: string, fields: Fields): BackendSpec {
  switch (scheme) {
    case 'file':
    case 'block':
      return fileSpec(scheme, fields);
    case 'null':
      return { scheme, ...memorySpec(scheme, fields), reads: parseReads(fields.values.get('reads')) };
    default:
      return { scheme: 'ram', ...memorySpec('ram', fields) };
  }
}

function fileSpec(scheme: 'file' | 'block', { head: path, values }: Fields): FileSpec {
  if (path === '') {
    const example = scheme === 'file' ? 'file:disk.img' : 'block:/dev/sdb';
    throw new UsageError('OPTION_INVALID', `${OPTION} ${scheme}: has no path: write ${example}`);
  }
  const blockSize = optional(values, 'block-size', parseBlockSize);
  const size = optional(values, 'size', (value) => parseSize(value, 'size'));
  const offset = optional(values, 'offset', parseOffset);
  if (size !== undefined) checkWholeBlocks(size, blockSize ?? 512, 'size=');
  if (offset !== undefined) checkWholeBlocks(offset, blockSize ?? 512, 'offset=');
  return {
    scheme,
    path,
    size,
    offset,
    blockSize,
    readOnly: parseSwitch('readonly', values.get('readonly') ?? 'off'),
    direct: parseDirect(values.get('direct') ?? 'auto'),
    overlap: offset !== undefined && parseSwitch('share', values.get('share') ?? 'off'),
  };
}

/** A size of 0 is a mistake, an offset of 0 is where the first slice begins. */
function parseOffset(text: string): number {
  return /^0+[kmgtp]?(ib|b)?$/i.test(text) ? 0 : parseSize(text, 'offset');
}

function memorySpec(scheme: 'ram' | 'null', { head, values }: Fields): Omit<RamSpec, 'scheme'> {
  const blockSize = parseBlockSize(values.get('block-size') ?? '512');
  const size = parseSize(head, `${OPTION} ${scheme}: size`);
  checkWholeBlocks(size, blockSize, `${scheme}:`);
  return { size, blockSize, readOnly: parseSwitch('readonly', values.get('readonly') ?? 'off') };
}

function parseReads(text = 'zeros'): NullSpec['reads'] {
  if (text === 'zeros' || text === 'nothing') return text;
  throw new UsageError(
    'OPTION_INVALID',
    `reads=${text} is not possible: write reads=zeros, or reads=nothing, which leaves the guest's memory as it is`,
  );
}

function parseBlockSize(text: string): BlockSize {
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
  const known = 'write file:PATH, block:PATH, ram:SIZE or null:SIZE';
  if (scheme === '') {
    const example = text === '' ? '' : `, such as file:${text}`;
    return new UsageError(
      'BACKEND_UNKNOWN',
      `${OPTION} ${text || '(empty)'} does not say where the data is: ${known}${example}`,
    );
  }
  const alias = SCHEME_ALIASES[scheme.toLowerCase()];
  const meant = alias === undefined ? hint(scheme, SCHEMES) : ` (it is called ${alias} here)`;
  return new UsageError(
    'BACKEND_UNKNOWN',
    `${OPTION} ${text}: there is no backend '${scheme}'${meant}: ${known}`,
  );
}
