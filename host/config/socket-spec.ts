// `--socket PATH[,namespaces=1+2][,cntlid=N][,protocol=vhost-user-nvme][,shadow-doorbells=off]`: where a controller
// listens, and what it shows.

import { lstatSync } from 'node:fs';
import path from 'node:path';
import { NAMESPACE_COUNT } from '../../assembly/abi/memory-map.ts';
import { parseFields, parseInteger, parseSwitch, type Fields } from './fields.ts';
import { hint } from './suggest.ts';
import { UsageError } from './usage-error.ts';

const OPTION = '--socket';
export const SOCKET_KEYS = ['namespaces', 'cntlid', 'protocol', 'shadow-doorbells'];

/** Words of other tools, or for what belongs elsewhere. */
const ALIASES: Readonly<Record<string, string>> = {
  namespace: 'write namespaces=',
  nsid: 'write namespaces=',
  nsids: 'write namespaces=',
  ns: 'write namespaces=',
  serial: 'a serial number belongs to the whole subsystem: use --serial',
  model: 'a model number belongs to the whole subsystem: use --model',
  path: 'the path comes first: --socket PATH',
  dbcs: 'write shadow-doorbells=',
  shadow_doorbells: 'write shadow-doorbells=',
};

/** sun_path of unix(7) has 108 bytes, the last of which is the terminator. */
const PATH_BYTES_MAX = 107;

/** FFF0h to FFFFh are reserved for other purposes (NVM Express Base Specification 2.0, CNTLID). */
export const CNTLID_MAX = 0xffef;

/** Socket protocols that VMMs speak. */
export const SOCKET_PROTOCOLS = ['vfio-user', 'vhost-user-nvme'] as const;

export type SocketProtocol = (typeof SOCKET_PROTOCOLS)[number];

export interface SocketSpec {
  /** Absolute; at most 107 bytes. */
  readonly path: string;
  /** NSIDs that the controller sees, ascending; undefined: all. */
  readonly namespaces: readonly number[] | undefined;
  /** 1 to 65,519; undefined: the lowest free one. */
  readonly cntlid: number | undefined;
  readonly protocol: SocketProtocol;
  /** Doorbell Buffer Config is offered to the guest; undefined: as `--shadow-doorbells` says. */
  readonly shadowDoorbells: boolean | undefined;
}

/** Throws UsageError. A relative path counts from `directory`. */
export function parseSocket(text: string, directory: string = process.cwd()): SocketSpec {
  const fields = parseFields(OPTION, text, SOCKET_KEYS, ALIASES);
  if (fields.head === '')
    throw new UsageError('SOCKET_PATH', `${OPTION} ${text || '(empty)'} has no path: write --socket PATH`);
  return socketOf(fields, directory);
}

/** The same from fields that were told apart already; the first one is the path. */
export function socketOf({ head, values }: Fields, directory: string): SocketSpec {
  const namespaces = values.get('namespaces');
  const cntlid = values.get('cntlid');
  const shadowDoorbells = values.get('shadow-doorbells');
  return Object.freeze({
    path: checkSocketPath(OPTION, head, directory),
    namespaces: namespaces === undefined ? undefined : parseNsids(namespaces),
    cntlid: cntlid === undefined ? undefined : parseInteger('cntlid', cntlid, 1, CNTLID_MAX),
    protocol: parseProtocol(values.get('protocol') ?? SOCKET_PROTOCOLS[0]),
    shadowDoorbells:
      shadowDoorbells === undefined ? undefined : parseSwitch('shadow-doorbells', shadowDoorbells),
  });
}

function parseProtocol(text: string): SocketProtocol {
  const protocol = SOCKET_PROTOCOLS.find((known) => known === text);
  if (protocol !== undefined) return protocol;
  throw new UsageError(
    'OPTION_INVALID',
    `protocol=${text} is not possible${hint(text, SOCKET_PROTOCOLS)}: write ${SOCKET_PROTOCOLS.join(' or ')}`,
  );
}

/** The absolute path of a socket that `option` names. Throws UsageError. A relative path counts from `directory`. */
export function checkSocketPath(option: string, head: string, directory: string): string {
  if (head === '') throw new UsageError('SOCKET_PATH', `${option} has no path: write ${option} PATH`);
  if (head.includes('\0')) throw new UsageError('SOCKET_PATH', `${option}: a path cannot hold a zero byte`);
  if (head.endsWith('/')) {
    throw new UsageError(
      'SOCKET_PATH',
      `${option} ${head} names a directory: name a socket in it, such as ${head}nvme.sock`,
    );
  }
  const absolute = path.resolve(directory, head);
  const bytes = Buffer.byteLength(absolute);
  if (bytes > PATH_BYTES_MAX) {
    throw new UsageError(
      'SOCKET_PATH',
      `${option} ${absolute} is ${bytes} bytes long, a UNIX socket's path has at most ${PATH_BYTES_MAX}: ` +
        'use a shorter one, such as /run/doorbell/nvme.sock',
    );
  }
  return absolute;
}

/**
 * What an operator can do about a socket that could not be bound: `code` is that of the system error, such as
 * EADDRINUSE. Undefined where it is not the operator's to cure.
 */
export function listenFailure(socketPath: string, code: string): UsageError | undefined {
  const directory = path.dirname(socketPath);
  switch (code) {
    case 'EADDRINUSE':
      return takenPath(socketPath);
    case 'ENOENT':
    case 'ENOTDIR':
      return new UsageError('SOCKET_PATH', `${directory} is not a directory: create it, or use another path`);
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new UsageError(
        'SOCKET_PATH',
        `no socket can be created in ${directory} by this user: change its permissions, or use another path`,
      );
    default:
      return undefined;
  }
}

/** What is at the path: advice to remove it must not cost a directory or a disk. */
function takenPath(socketPath: string): UsageError {
  const there = lstatSync(socketPath, { throwIfNoEntry: false });
  if (there?.isDirectory() === true) {
    return new UsageError(
      'SOCKET_PATH',
      `${socketPath} is a directory: name a socket in it, such as ${path.join(socketPath, 'nvme.sock')}`,
    );
  }
  if (there?.isSocket() === false) {
    const message = `${socketPath} is there and no socket: use another path, or remove it if nobody needs it`;
    return new UsageError('SOCKET_PATH', message);
  }
  return new UsageError(
    'SOCKET_BUSY',
    `something listens on ${socketPath} already: end that process, or use another path`,
  );
}

/** `1+2`: the NSIDs in ascending order. */
function parseNsids(text: string): readonly number[] {
  const nsids = text.split('+').map((part) => {
    if (/^\d+$/.test(part)) return parseInteger('namespaces: NSID', part, 1, NAMESPACE_COUNT);
    throw new UsageError(
      'OPTION_INVALID',
      `namespaces=${text} is not possible: write NSIDs joined by +, such as namespaces=1+2`,
    );
  });
  const twice = nsids.find((nsid, index) => nsids.indexOf(nsid) !== index);
  if (twice !== undefined) {
    throw new UsageError('OPTION_INVALID', `namespaces=${text} names ${twice} twice: leave one of them`);
  }
  return Object.freeze(nsids.sort((a, b) => a - b));
}
