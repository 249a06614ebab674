// The JSON Schema of configuration files and of the parameters of control methods, made from the limits that the
// command line has, too. docs/config.schema.json is this schema, published for editors.

import {
  NAMESPACE_COUNT,
  WINDOW_COUNT_DEFAULT,
  WINDOW_COUNT_MAX,
  WINDOW_COUNT_MIN,
} from '../../../assembly/abi/memory-map.ts';
import { LOG_LEVELS } from '../../log/log.ts';
import { SPIN_MICROSECONDS_DEFAULT, SPIN_MICROSECONDS_MAX } from '../options.ts';
import { CNTLID_MAX, SOCKET_PROTOCOLS } from '../socket-spec.ts';

/** A value of a key; what is left out may be anything. Sizes and identifiers are checked further by their parsers. */
export interface ValueSchema {
  readonly description: string;
  readonly type?: string | readonly string[];
  readonly const?: string;
  readonly enum?: readonly (string | number)[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly items?: ValueSchema | Reference;
  readonly uniqueItems?: boolean;
  readonly minItems?: number;
  readonly default?: string | number | boolean;
  readonly examples?: readonly unknown[];
}

export interface Reference {
  readonly $ref: string;
}

export interface ObjectSchema {
  readonly type: 'object';
  readonly description: string;
  readonly properties: Readonly<Record<string, ValueSchema>>;
  readonly required: readonly string[];
  readonly additionalProperties: false;
}

function object(
  description: string,
  required: readonly string[],
  properties: Readonly<Record<string, ValueSchema>>,
): ObjectSchema {
  return { type: 'object', description, required, additionalProperties: false, properties };
}

function size(description: string): ValueSchema {
  return { description, type: ['string', 'integer'], minimum: 1, minLength: 1, examples: ['10G'] };
}

function word(description: string, ...examples: readonly string[]): ValueSchema {
  return { description, type: 'string', minLength: 1, examples };
}

function flag(description: string, byDefault: boolean): ValueSchema {
  return { description, type: 'boolean', default: byDefault, examples: [!byDefault] };
}

const NSID: ValueSchema = {
  description: 'Namespace identifier; by default the lowest that is free.',
  type: 'integer',
  minimum: 1,
  maximum: NAMESPACE_COUNT,
  examples: [1],
};

const COMMON: Readonly<Record<string, ValueSchema>> = {
  nsid: NSID,
  'block-size': { description: 'Bytes of a logical block.', enum: [512, 4096], examples: [4096] },
  readonly: flag('Refuse writes.', false),
  share: flag('Several controllers may write this namespace.', false),
  uuid: word(
    'UUID that guests know the disk by; derived by default.',
    '6ba7b810-9dad-41d1-80b4-00c04fd430c8',
  ),
  nguid: word('16 bytes in hexadecimal; derived by default.', '6ba7b8109dad41d180b400c04fd430c8'),
  eui64: word('8 bytes in hexadecimal; derived by default.', '6ba7b8109dad41d1'),
};

function backend(name: string): ValueSchema {
  return { description: 'Where the blocks are.', const: name, examples: [name] };
}

const FILE: Readonly<Record<string, ValueSchema>> = {
  size: size(
    'Bytes: of a new file, or of the slice that begins at offset; else what a file that is there must have.',
  ),
  offset: { ...size('Bytes: the namespace is a slice that begins here.'), minimum: 0 },
  direct: {
    description: 'Past the page cache (O_DIRECT).',
    enum: ['on', 'off', 'auto'],
    default: 'auto',
    examples: ['auto'],
  },
  ...COMMON,
};

/** One schema for each backend; `backend` tells which. */
export const NAMESPACE_SCHEMAS: readonly ObjectSchema[] = [
  object('A namespace whose blocks are a file or a block device.', ['backend', 'path'], {
    backend: backend('file'),
    path: word('The file; a relative path begins at the directory of the configuration file.', 'disk.img'),
    ...FILE,
  }),
  object('A namespace whose blocks are a block device; a regular file is refused.', ['backend', 'path'], {
    backend: backend('block'),
    path: word('The device; a name below /dev/disk/by-id stays the same.', '/dev/disk/by-id/nvme-1'),
    ...FILE,
  }),
  object('A namespace in the memory of the target, gone when it ends.', ['backend', 'size'], {
    backend: backend('ram'),
    size: size('Bytes, with K, M, G, T or P for powers of 1,024.'),
    ...COMMON,
  }),
  object('A namespace that keeps nothing, for measurements.', ['backend', 'size'], {
    backend: backend('null'),
    size: size('Bytes, with K, M, G, T or P for powers of 1,024.'),
    reads: {
      description: "What a read stores into the guest's memory.",
      enum: ['zeros', 'nothing'],
      default: 'zeros',
      examples: ['zeros'],
    },
    ...COMMON,
  }),
];

/** The key whose value comes first in a --namespace of the command line. */
export const NAMESPACE_HEADS: Readonly<Record<string, string>> = {
  file: 'path',
  block: 'path',
  ram: 'size',
  null: 'size',
};

export const CONTROLLER_SCHEMA = object(
  'A controller, and the socket that a VMM reaches it through.',
  ['socket'],
  {
    socket: word(
      'Path of the UNIX socket; a relative path begins at the directory of the configuration file.',
      '/run/doorbell/vm1.sock',
    ),
    namespaces: {
      description: 'Identifiers of the namespaces that it shows; by default all.',
      type: 'array',
      items: NSID,
      uniqueItems: true,
      examples: [[1, 2]],
    },
    cntlid: {
      description: 'Controller identifier; by default the lowest that is free.',
      type: 'integer',
      minimum: 1,
      maximum: CNTLID_MAX,
      examples: [1],
    },
    protocol: {
      description: 'What the VMM speaks.',
      enum: SOCKET_PROTOCOLS,
      default: SOCKET_PROTOCOLS[0],
      examples: [SOCKET_PROTOCOLS[0]],
    },
    'shadow-doorbells': {
      description:
        'Let the guest ring through memory (Doorbell Buffer Config); by default as the subsystem says.',
      type: 'boolean',
      examples: [true],
    },
  },
);

export const SUBSYSTEM_SCHEMA = object('An NVM subsystem: namespaces, and controllers that show them.', [], {
  nqn: word('NVMe Qualified Name; by default derived.', 'nqn.2026-01.com.example:storage-1'),
  serial: word('Serial number, at most 20 characters; by default derived.', 'S123'),
  model: word('Model number, at most 40 characters.', 'doorbell NVMe controller'),
  'shadow-doorbells': flag('Let guests ring through memory (Doorbell Buffer Config).', true),
  namespaces: {
    description: 'The namespaces, numbered 1, 2, ... unless they say otherwise.',
    type: 'array',
    items: { $ref: '#/definitions/namespace' },
    examples: [[{ backend: 'file', path: 'disk.img', size: '10G' }]],
  },
  controllers: {
    description: 'The controllers.',
    type: 'array',
    items: { $ref: '#/definitions/controller' },
    examples: [[{ socket: '/run/doorbell/vm1.sock' }]],
  },
});

export const LOG_LEVEL_SCHEMA: ValueSchema = {
  description: 'How much to log.',
  enum: LOG_LEVELS,
  default: 'info',
  examples: ['info'],
};

const FILE_SCHEMA = object('Configuration of a target: doorbell serve --config FILE.', ['subsystems'], {
  $schema: word('Where this schema is, for editors.', 'config.schema.json'),
  'log-level': LOG_LEVEL_SCHEMA,
  json: flag('Log, and report on stdout, one JSON object a line.', false),
  'spin-us': {
    description: 'Microseconds to poll on after the last work before sleeping.',
    type: 'integer',
    minimum: 0,
    maximum: SPIN_MICROSECONDS_MAX,
    default: SPIN_MICROSECONDS_DEFAULT,
    examples: [SPIN_MICROSECONDS_DEFAULT],
  },
  windows: {
    description: 'Windows of 2 MiB onto guest memory, for queues, a controller.',
    type: 'integer',
    minimum: WINDOW_COUNT_MIN,
    maximum: WINDOW_COUNT_MAX,
    default: WINDOW_COUNT_DEFAULT,
    examples: [WINDOW_COUNT_DEFAULT],
  },
  control: word('Path of the control socket; none by default.', '/run/doorbell/control.sock'),
  metrics: word('Where metrics can be read: HOST:PORT or unix:PATH; nowhere by default.', '127.0.0.1:9464'),
  subsystems: {
    description: 'The NVM subsystems.',
    type: 'array',
    minItems: 1,
    items: { $ref: '#/definitions/subsystem' },
    examples: [[{}]],
  },
});

/** JSON Schema, draft 7, with the `discriminator` of OpenAPI. */
export const CONFIG_SCHEMA = {
  $schema: 'http://json-schema.org/draft-07/schema#',
  title: 'Configuration of doorbell',
  ...FILE_SCHEMA,
  definitions: {
    subsystem: SUBSYSTEM_SCHEMA,
    controller: CONTROLLER_SCHEMA,
    namespace: {
      type: 'object',
      description: 'A namespace; backend tells where its blocks are.',
      required: ['backend'],
      discriminator: { propertyName: 'backend' },
      oneOf: NAMESPACE_SCHEMAS,
    },
  },
};
