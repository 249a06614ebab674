// The common grammar of --namespace and --socket: a first value, then key=value fields, separated by commas. A comma
// that belongs to a value is written twice, as QEMU has it.

import { hint } from './suggest.ts';
import { UsageError } from './usage-error.ts';

export interface Fields {
  /** What stands before the first comma, commas unescaped. */
  readonly head: string;
  readonly values: ReadonlyMap<string, string>;
}

/**
 * Splits `text` and checks its keys against `known`. `aliases` are other words for a key, of people who come from
 * another tool. `option` names the option in errors: `--namespace`.
 */
export function parseFields(
  option: string,
  text: string,
  known: readonly string[],
  aliases: Readonly<Record<string, string>> = {},
): Fields {
  const [head = '', ...parts] = splitCommas(text);
  const values = new Map<string, string>();
  for (const part of parts) {
    const equals = part.indexOf('=');
    const word = equals < 0 ? part : part.slice(0, equals);
    if (!known.includes(word)) throw unknownKey(option, word, known, aliases);
    if (equals < 0) {
      throw new UsageError('OPTION_INVALID', `${option} ${text}: ${word} needs a value: write ${word}=...`);
    }
    if (values.has(word)) {
      throw new UsageError('OPTION_INVALID', `${option} ${text}: ${word} is given twice: leave one of them`);
    }
    values.set(word, part.slice(equals + 1));
  }
  return { head, values };
}

/** `on` or `off`, and the words that people use for them. */
export function parseSwitch(name: string, text: string): boolean {
  if (['on', 'yes', 'true', '1'].includes(text)) return true;
  if (['off', 'no', 'false', '0'].includes(text)) return false;
  throw new UsageError('OPTION_INVALID', `${name}=${text} is not possible: write ${name}=on or ${name}=off`);
}

/** A whole decimal number from `min` to `max`. */
export function parseInteger(name: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < min || value > max) {
    throw new UsageError(
      'OPTION_INVALID',
      `${name} ${text === '' ? '(empty)' : text} is not possible: give a whole number from ${min} to ${max}`,
    );
  }
  return value;
}

/** Fields between single commas; `,,` is one comma of a field. */
function splitCommas(text: string): string[] {
  const fields: string[] = [];
  let field = '';
  for (let index = 0; index < text.length; index++) {
    const character = text.charAt(index);
    if (character === ',' && text[index + 1] === ',') {
      field += ',';
      index += 1;
    } else if (character === ',') {
      fields.push(field);
      field = '';
    } else {
      field += character;
    }
  }
  fields.push(field);
  return fields;
}

function unknownKey(
  option: string,
  word: string,
  known: readonly string[],
  aliases: Readonly<Record<string, string>>,
): UsageError {
  const alias = aliases[word.toLowerCase()];
  const meant = alias === undefined ? hint(word, known) : ` (${alias})`;
  const name = word === '' ? 'an empty field' : `'${word}'`;
  return new UsageError(
    'OPTION_UNKNOWN',
    `${option} does not know ${name}${meant}; it knows ${known.join(', ')}; a comma in a path is written ,,`,
  );
}
