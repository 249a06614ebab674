/**
 * Reads apt's lists of package sources (sources.list(5)), in the one-line and the deb822 format, and finds in
 * them the mirror of Debian's main archive. Pure: text in, records out.
 */

/** One stanza, or one line, of an apt source list. */
export interface AptSource {
  readonly types: readonly string[];
  readonly uris: readonly string[];
  readonly suites: readonly string[];
  readonly components: readonly string[];
  /** Everything else, such as `Signed-By` or `Trusted`, under its deb822 name in lower case. */
  readonly options: Readonly<Record<string, string>>;
}

/** Parses a `*.list` file: one source a line, `deb [option=value ...] uri suite component...`. */
export function parseOneLineSources(text: string): AptSource[] {
  const sources: AptSource[] = [];
  for (const rawLine of text.split('\n')) {
    const line = rawLine.replace(/#.*/, '').trim();
    const match = /^(deb|deb-src)\s+(?:\[([^\]]*)\]\s*)?(\S+)\s+(\S+)\s*(.*)$/.exec(line);
    if (match === null) continue;
    const [, type = '', optionText = '', uri = '', suite = '', components = ''] = match;
    const options: Record<string, string> = {};
    for (const option of words(optionText)) {
      const [name = '', ...value] = option.split('=');
      options[name.toLowerCase()] = value.join('=').replaceAll(',', ' ');
    }
    sources.push({ types: [type], uris: [uri], suites: [suite], components: words(components), options });
  }
  return sources;
}

/** Parses a `*.sources` file (deb822 stanzas). Disabled stanzas are left out. */
export function parseDeb822Sources(text: string): AptSource[] {
  const sources: AptSource[] = [];
  const lines = text.split('\n').filter((line) => !line.startsWith('#'));
  for (const stanza of lines.join('\n').split(/\n\s*\n/)) {
    const fields = parseStanza(stanza);
    const take = (name: string): string[] => {
      const value = fields.get(name) ?? '';
      fields.delete(name);
      return words(value);
    };
    const enabled = !/^(no|false|without|off|disable)$/i.test(take('enabled')[0] ?? 'yes');
    const source = {
      types: take('types'),
      uris: take('uris'),
      suites: take('suites'),
      components: take('components'),
      options: Object.fromEntries(fields),
    };
    if (enabled && source.uris.length > 0 && source.suites.length > 0) sources.push(source);
  }
  return sources;
}

/**
 * The source to fetch Debian's own packages from: a binary source of `main` for the release `codename`, not the
 * security archive. Third parties use the release's name for their archives too, so a source that is signed with
 * Debian's keyring, or whose address ends in `/debian`, goes before one that is only named alike.
 */
export function chooseMirror(sources: readonly AptSource[], codename: string): AptSource | undefined {
  const releases = [codename, 'stable', 'oldstable', 'testing'];
  let best: AptSource | undefined;
  let bestScore = -1;
  for (const source of sources) {
    const usable =
      source.types.includes('deb') &&
      source.components.includes('main') &&
      source.suites.some((suite) => releases.includes(suite)) &&
      !/^cdrom:/.test(source.uris[0] ?? '');
    if (!usable) continue;
    const signedByDebian = /debian-archive/.test(source.options['signed-by'] ?? '');
    const score = (signedByDebian ? 2 : 0) + (/\/debian\/?$/.test(source.uris[0] ?? '') ? 1 : 0);
    if (score > bestScore) {
      best = source;
      bestScore = score;
    }
  }
  return best;
}

/** Writes one deb822 stanza. A value with newlines, such as an embedded key, keeps them. */
export function formatDeb822(fields: Readonly<Record<string, string>>): string {
  return Object.entries(fields)
    .map(([name, value]) => `${name}:${value.startsWith('\n') ? '' : ' '}${value}\n`)
    .join('');
}

function parseStanza(stanza: string): Map<string, string> {
  const fields = new Map<string, string>();
  let current = '';
  for (const line of stanza.split('\n')) {
    const match = /^([A-Za-z][A-Za-z0-9-]*):\s*(.*)$/.exec(line);
    if (match !== null) {
      current = (match[1] ?? '').toLowerCase();
      fields.set(current, match[2] ?? '');
    } else if (current !== '' && /^\s/.test(line)) {
      fields.set(current, `${fields.get(current) ?? ''}\n${line}`);
    }
  }
  return fields;
}

function words(text: string): string[] {
  return text.split(/\s+/).filter(Boolean);
}
