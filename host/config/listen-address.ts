// `--metrics ADDRESS`: where an HTTP server of the target listens.

import { parseInteger } from './fields.ts';
import { checkSocketPath } from './socket-spec.ts';
import { UsageError } from './usage-error.ts';

export type ListenAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  /** An absolute path. */
  | { readonly kind: 'unix'; readonly path: string };

/** Nobody else's business by default: who wants more writes an address. */
const HOST_DEFAULT = '127.0.0.1';

/**
 * `unix:PATH`, `PORT`, `HOST:PORT` or `[IPV6]:PORT`; port 0 takes a free one. Throws UsageError. `option` names the
 * option in errors.
 */
export function parseListenAddress(option: string, text: string, directory: string): ListenAddress {
  if (text.startsWith('unix:')) {
    return Object.freeze({ kind: 'unix', path: checkSocketPath(option, text.slice(5), directory) });
  }
  const match = /^(?:(?:\[([0-9a-f:.]+)\]|([\w.-]+)):)?(\d+)$/i.exec(text);
  if (match === null) {
    const example = /^[./]/.test(text) ? `unix:${text}` : 'unix:/run/doorbell/metrics.sock';
    throw new UsageError(
      'OPTION_INVALID',
      `${option} ${text || '(empty)'} is not an address: write HOST:PORT, such as 127.0.0.1:9464, or ${example}`,
    );
  }
  const [, ipv6, host, port = ''] = match;
  return Object.freeze({
    kind: 'tcp',
    host: ipv6 ?? host ?? HOST_DEFAULT,
    port: parseInteger(`${option}: port`, port, 0, 65_535),
  });
}

/** As a person writes it. */
export function formatListenAddress(address: ListenAddress): string {
  if (address.kind === 'unix') return `unix:${address.path}`;
  return `${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`;
}
