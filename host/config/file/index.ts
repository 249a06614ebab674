// Configuration files: what `doorbell serve` loads when it is given one, and the control socket always. Kept apart from
// the options, which the reactor thread imports, too: it needs no parser of JSON.

export { documentOf, controllerEntry, namespaceEntry } from './from-arguments.ts';
export { ConfigDocument, type ConfigValue, type Entry, type Value } from './document.ts';
export { faultsOf, faultsOfSchema, formatPath, type Fault } from './faults.ts';
export { namespaceOfEntry, optionsOf as optionsOfDocument, socketOfEntry } from './options.ts';
export { CONFIG_SCHEMA } from './schema.ts';
