// What is wrong with a value that a schema describes, as sentences with their cures. Of what the schema cannot say
// (that an identifier is unique, that a size is whole blocks) the parsers of the command line take care.

import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import { hint } from '../suggest.ts';
import { CONFIG_SCHEMA, type ValueSchema } from './schema.ts';

export type Path = readonly (string | number)[];

export interface Fault {
  /** Where: the value itself, or of an unknown key, its place. */
  readonly path: Path;
  /** What is wrong and what to write, without the place. */
  readonly message: string;
  /** A key is to be added. */
  readonly isMissing: boolean;
}

/** Which part of the schema a value is to match. */
export type Definition = 'file' | 'subsystem' | 'controller' | 'namespace';

const SCHEMA_ID = 'config';
const ajv = new Ajv({
  allErrors: true,
  verbose: true,
  discriminator: true,
  allowUnionTypes: true,
  // The tag of a discriminator is declared in the branches alone.
  strictRequired: false,
});
ajv.addSchema(CONFIG_SCHEMA, SCHEMA_ID);

/** Everything that is wrong, nothing if nothing is. */
export function faultsOf(value: unknown, definition: Definition): readonly Fault[] {
  const reference = definition === 'file' ? SCHEMA_ID : `${SCHEMA_ID}#/definitions/${definition}`;
  return validated(ajv.getSchema(reference), value);
}

/** The same for a schema of its own. */
export function faultsOfSchema(value: unknown, schema: object): readonly Fault[] {
  return validated(ajv.compile(schema), value);
}

function validated(validate: ValidateFunction | undefined, value: unknown): readonly Fault[] {
  if (validate === undefined) throw new Error('the schema has no such part');
  if (validate(value)) return [];
  const errors = validate.errors ?? [];
  // A union that failed says so beside what failed in it.
  const plain = errors.filter(({ keyword }) => !['oneOf', 'anyOf', 'if', 'not'].includes(keyword));
  return (plain.length > 0 ? plain : errors).map(faultOf);
}

function faultOf(error: ErrorObject): Fault {
  return { ...told(error), isMissing: error.keyword === 'required' };
}

function told(error: ErrorObject): Omit<Fault, 'isMissing'> {
  const at = pathOf(error.instancePath);
  const parameters = error.params as Readonly<Record<string, unknown>>;
  switch (error.keyword) {
    case 'additionalProperties': {
      const key = String(parameters['additionalProperty']);
      const parent = error.parentSchema as { properties?: object } | undefined;
      const known = Object.keys(parent?.properties ?? {}).filter((name) => name !== '$schema');
      return {
        path: [...at, key],
        message: `'${key}' is not known here${hint(key, known)}: there is ${known.join(', ')}`,
      };
    }
    case 'required': {
      const key = String(parameters['missingProperty']);
      return { path: at, message: `${key} is missing: add ${exampleOf(error, key)}` };
    }
    case 'discriminator':
      return { path: [...at, 'backend'], message: backendFault(parameters['tagValue']) };
    default:
      return { path: at, message: `${show(error.data)} is not possible${cureOf(error, parameters)}` };
  }
}

function cureOf(error: ErrorObject, parameters: Readonly<Record<string, unknown>>): string {
  switch (error.keyword) {
    case 'enum':
    case 'const': {
      const allowed = (parameters['allowedValues'] ?? [parameters['allowedValue']]) as unknown[];
      const names = allowed.filter((name) => typeof name === 'string');
      const meant = typeof error.data === 'string' ? hint(error.data, names) : '';
      return `${meant}: write ${allowed.map(show).join(' or ')}`;
    }
    case 'minimum':
    case 'maximum': {
      const { minimum, maximum, type } = error.parentSchema as ValueSchema;
      const range = maximum === undefined ? `at least ${minimum}` : `from ${minimum} to ${maximum}`;
      return `: write a${type === 'integer' ? ' whole' : ''} number ${range}`;
    }
    case 'uniqueItems':
      return `: item ${String(parameters['i'])} is given twice; leave one of them`;
    case 'minItems':
      return ': give at least one';
    case 'minLength':
      return ': give at least one character';
    case 'type': {
      const types = [error.schema].flat().map((name) => TYPES[String(name)] ?? String(name));
      return `: write ${types.join(' or ')}${such(error.parentSchema as ValueSchema)}`;
    }
    default:
      return `: it ${error.message ?? 'is wrong'}`;
  }
}

const TYPES: Readonly<Record<string, string>> = {
  string: 'a text in quotes',
  integer: 'a whole number',
  boolean: 'true or false',
  array: 'a list in [ ]',
  object: 'an object in { }',
};

function such({ examples, type }: ValueSchema): string {
  const [example] = examples ?? [];
  return example === undefined || type === 'boolean' ? '' : `, such as ${JSON.stringify(example)}`;
}

function exampleOf(error: ErrorObject, key: string): string {
  const { properties } = error.parentSchema as { properties?: Readonly<Record<string, ValueSchema>> };
  const [example] = properties?.[key]?.examples ?? [];
  if (key === 'backend') return BACKENDS.map((name) => `"backend": "${name}"`).join(' or ');
  return example === undefined ? `"${key}"` : `"${key}": ${JSON.stringify(example)}`;
}

const BACKENDS = CONFIG_SCHEMA.definitions.namespace.oneOf.map(({ properties }) =>
  String(properties['backend']?.const),
);

function backendFault(tag: unknown): string {
  const known = BACKENDS.map((name) => `"${name}"`).join(' or ');
  if (tag === undefined)
    return `backend is missing: add ${BACKENDS.map((name) => `"backend": "${name}"`).join(' or ')}`;
  return `there is no backend ${show(tag)}${typeof tag === 'string' ? hint(tag, BACKENDS) : ''}: write ${known}`;
}

/** A value of a person's file, short. */
function show(value: unknown): string {
  const text = value === undefined ? 'nothing' : JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

/** The path of a JSON pointer; what looks like an index is one. */
function pathOf(pointer: string): Path {
  if (pointer === '') return [];
  return pointer
    .slice(1)
    .split('/')
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .map((part) => (/^\d+$/.test(part) ? Number(part) : part));
}

/** `subsystems[0].namespaces[2].size` */
export function formatPath(path: Path): string {
  return path
    .map((part) => (typeof part === 'number' ? `[${part}]` : `.${part}`))
    .join('')
    .replace(/^\./, '');
}
