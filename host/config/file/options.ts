// From a configuration file to the options of a target: each value goes to the parser that the command line has for it.

import path from 'node:path';
import type { Fields } from '../fields.ts';
import { namespaceOf, numberNamespaces, type ParsedNamespace } from '../namespace-spec.ts';
import {
  checkShown,
  joinOptions,
  parseIdentity,
  parseProcessOptions,
  type ProcessArguments,
  type ProcessOptions,
  type ServeOptions,
  type SubsystemOptions,
} from '../options.ts';
import { socketOf, type SocketSpec } from '../socket-spec.ts';
import { UsageError } from '../usage-error.ts';
import type { ConfigDocument, Entry, SubsystemEntry, Value } from './document.ts';
import { NAMESPACE_HEADS } from './schema.ts';

/** `overrides` are what stands on the command line beside the file. Throws UsageError. */
export function optionsOf(document: ConfigDocument, overrides: ProcessArguments = {}): ServeOptions {
  const processOptions = processOf(document, overrides);
  const changeable = processOptions.control !== undefined;
  const subsystems = document.value.subsystems.map((entry, index) => {
    const subsystem = subsystemOf(document, entry, index);
    return document.at(['subsystems', index], () => {
      if (!changeable) checkFilled(subsystem);
      checkShown(subsystem, changeable);
      return subsystem;
    });
  });
  return document.at([], () => joinOptions(subsystems, processOptions));
}

function processOf(document: ConfigDocument, overrides: ProcessArguments): ProcessOptions {
  const { value, directory } = document;
  const fromFile = document.at([], () =>
    parseProcessOptions(
      {
        spinUs: textOf(value['spin-us']),
        windows: textOf(value.windows),
        logLevel: value['log-level'],
        json: value.json,
        control: value.control,
        metrics: value.metrics,
      },
      directory,
    ),
  );
  const fromLine = parseProcessOptions(overrides);
  const chosen = (Object.keys(overrides) as (keyof ProcessArguments)[]).map((name) => {
    const option = name === 'spinUs' ? 'spinMicroseconds' : name;
    return [option, fromLine[option]];
  });
  return { ...fromFile, ...Object.fromEntries(chosen) } as ProcessOptions;
}

/** What nobody can change is useless when it is empty. */
function checkFilled({ sockets, namespaces }: SubsystemOptions): void {
  const empty = sockets.length === 0 ? 'controllers' : namespaces.length === 0 ? 'namespaces' : undefined;
  if (empty === undefined) return;
  throw new UsageError(
    'CONFIG_INVALID',
    `there are no ${empty}: add one, or add "control" to the file so that they can come later`,
  );
}

function subsystemOf(document: ConfigDocument, entry: SubsystemEntry, index: number): SubsystemOptions {
  const at = ['subsystems', index];
  const namespaces = (entry.namespaces ?? []).map((namespace, position) =>
    document.at([...at, 'namespaces', position], () => namespaceOfEntry(namespace, document.directory)),
  );
  const sockets = (entry.controllers ?? []).map((controller, position) =>
    document.at([...at, 'controllers', position], () => socketOfEntry(controller, document.directory)),
  );
  return document.at(at, () =>
    Object.freeze({
      namespaces: numberNamespaces(namespaces),
      sockets: Object.freeze(sockets),
      shadowDoorbells: entry['shadow-doorbells'] ?? true,
      ...parseIdentity({ subsystemNqn: entry.nqn, serial: entry.serial, model: entry.model }),
    }),
  );
}

/** A namespace that the schema allows; relative paths count from `directory`. Throws UsageError. */
export function namespaceOfEntry(entry: Entry, directory: string): ParsedNamespace {
  const { backend, ...rest } = entry;
  const scheme = textOf(backend) ?? '';
  const headKey = NAMESPACE_HEADS[scheme] ?? '';
  const { [headKey]: first = '', ...values } = rest;
  const head = headKey === 'path' ? path.resolve(directory, textOf(first) ?? '') : (textOf(first) ?? '');
  return namespaceOf(scheme, fieldsOf(head, values));
}

/** A controller that the schema allows; relative paths count from `directory`. Throws UsageError. */
export function socketOfEntry(entry: Entry, directory: string): SocketSpec {
  const { socket, namespaces, ...values } = entry;
  const spec = socketOf(fieldsOf(textOf(socket) ?? '', values), directory);
  if (namespaces === undefined) return spec;
  const nsids = (namespaces as readonly number[]).toSorted((a, b) => a - b);
  return Object.freeze({ ...spec, namespaces: Object.freeze(nsids) });
}

function fieldsOf(head: string, values: Entry): Fields {
  const texts = Object.entries(values).map(([key, value]) => [key, textOf(value) ?? ''] as const);
  return { head, values: new Map(texts) };
}

/** A value as the command line has it. */
function textOf(value: Value | undefined): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value === 'boolean') return value ? 'on' : 'off';
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}
