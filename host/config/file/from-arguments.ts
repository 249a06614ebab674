// A configuration file for what stood on a command line: what `config.save` writes for a target that was started
// without one.

import { parseFields, parseSwitch } from '../fields.ts';
import { NAMESPACE_KEYS } from '../namespace-spec.ts';
import type { ServeArguments } from '../options.ts';
import { parseSize } from '../size.ts';
import { SOCKET_KEYS } from '../socket-spec.ts';
import { ConfigDocument, type Value } from './document.ts';
import { CONTROLLER_SCHEMA, NAMESPACE_HEADS, NAMESPACE_SCHEMAS, type ObjectSchema } from './schema.ts';

/** `args` were understood by parseServeOptions. */
export function documentOf(args: ServeArguments, directory: string = process.cwd()): ConfigDocument {
  const value = {
    'log-level': args.logLevel,
    json: args.json,
    'spin-us': numberOf(args.spinUs),
    windows: numberOf(args.windows),
    control: args.control,
    metrics: args.metrics,
    subsystems: [
      {
        nqn: args.subsystemNqn,
        serial: args.serial,
        model: args.model,
        'shadow-doorbells':
          args.shadowDoorbells === undefined
            ? undefined
            : parseSwitch('--shadow-doorbells', args.shadowDoorbells),
        namespaces: args.namespace.map(namespaceEntry),
        controllers: args.socket.map(controllerEntry),
      },
    ],
  };
  return new ConfigDocument(`${JSON.stringify(value, undefined, 2)}\n`, undefined, directory);
}

/** What `file:disk.img,size=1G` is in a file. */
export function namespaceEntry(text: string): Record<string, Value> {
  const colon = text.indexOf(':');
  const backend = text.slice(0, colon);
  const { head, values } = parseFields('--namespace', text.slice(colon + 1), NAMESPACE_KEYS[backend] ?? []);
  const schema = NAMESPACE_SCHEMAS.find(({ properties }) => properties['backend']?.const === backend);
  return { backend, [NAMESPACE_HEADS[backend] ?? '']: head, ...entriesOf(values, schema) };
}

/** What `nvme.sock,namespaces=1+2` is in a file. */
export function controllerEntry(text: string): Record<string, Value> {
  const { head, values } = parseFields('--socket', text, SOCKET_KEYS);
  return { socket: head, ...entriesOf(values, CONTROLLER_SCHEMA) };
}

/** Texts as the types that the schema wants. */
function entriesOf(
  values: ReadonlyMap<string, string>,
  schema: ObjectSchema | undefined,
): Record<string, Value> {
  const entries = [...values].map(([key, text]): [string, Value] => {
    const { type, enum: allowed } = schema?.properties[key] ?? {};
    if (type === 'boolean') return [key, parseSwitch(key, text)];
    if (type === 'array') return [key, text.split('+').map(Number)];
    if (type === 'integer' || allowed?.some((value) => typeof value === 'number') === true) {
      // A block size may be written as 4K.
      return [key, parseSize(text, key)];
    }
    if (allowed !== undefined && !allowed.includes(text)) return [key, parseSwitch(key, text) ? 'on' : 'off'];
    return [key, text];
  });
  return Object.fromEntries(entries);
}

function numberOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Number(text);
}
