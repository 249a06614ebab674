/**
 * Reads which libraries a 64-bit little-endian ELF file needs, and can make it do without some of them.
 *
 * Distributions link programs against libraries of every feature, such as clients of storage clusters, that weigh
 * many times what the program does. Dropping those keeps a guest small and quick to start. Offsets are those of
 * the ELF-64 object file format and of the GNU symbol versioning extension.
 */

const SECTION_TYPE_DYNAMIC = 6;
const SECTION_TYPE_DYNSYM = 11;
const SECTION_TYPE_VERNEED = 0x6ffffffe;
const SECTION_TYPE_VERSYM = 0x6fffffff;

const DT_NULL = 0n;
const DT_NEEDED = 1n;
const DT_VERNEED = 0x6ffffffen;
const DT_VERNEEDNUM = 0x6fffffffn;

const SYMBOL_BYTES = 24;
const DYNAMIC_ENTRY_BYTES = 16;
const BINDING_SHIFT = 4;
const BINDING_GLOBAL = 1;
const BINDING_WEAK = 2;
/** Version index of a symbol that is not versioned. */
const VERSION_GLOBAL = 1;

interface Section {
  readonly address: bigint;
  readonly offset: number;
  readonly size: number;
  readonly link: number;
}

/** Names of the libraries that the file asks the loader for; empty for a static program or what is not ELF. */
export function neededLibraries(file: Buffer): string[] {
  const sections = readSections(file);
  const dynamic = sections.get(SECTION_TYPE_DYNAMIC);
  if (dynamic === undefined) return [];
  const strings = stringsOf(sections, dynamic);
  return dynamicEntries(file, dynamic)
    .filter(({ tag }) => tag === DT_NEEDED)
    .map(({ value }) => readString(file, strings.offset + Number(value)));
}

/**
 * A copy of the file that does not ask for `names`. Functions of these libraries become null: calling one is a
 * crash, so only libraries of features that stay unused may be dropped.
 */
export function dropLibraries(original: Buffer, names: readonly string[]): Buffer {
  const file = Buffer.from(original);
  const sections = readSections(file);
  const dynamic = sections.get(SECTION_TYPE_DYNAMIC);
  if (dynamic === undefined) return file;
  const dropped = new Set(names);
  const remainingVersions = dropVersions(file, sections, dropped);
  const strings = stringsOf(sections, dynamic);
  const kept: DynamicEntry[] = [];
  for (const { tag, value } of dynamicEntries(file, dynamic)) {
    if (tag === DT_NEEDED && dropped.has(readString(file, strings.offset + Number(value)))) continue;
    if (tag === DT_VERNEED && remainingVersions.count === 0) continue;
    if (tag === DT_VERNEED) kept.push({ tag, value: remainingVersions.address });
    else if (tag === DT_VERNEEDNUM) kept.push({ tag, value: BigInt(remainingVersions.count) });
    else kept.push({ tag, value });
  }
  file.fill(0, dynamic.offset, dynamic.offset + dynamic.size);
  for (const [index, { tag, value }] of kept.entries()) {
    file.writeBigUInt64LE(tag, dynamic.offset + index * DYNAMIC_ENTRY_BYTES);
    file.writeBigUInt64LE(value, dynamic.offset + index * DYNAMIC_ENTRY_BYTES + 8);
  }
  weakenUndefined(file, sections);
  return file;
}

/** Unlinks the version requirements on dropped libraries, and makes the symbols that had them unversioned. */
function dropVersions(
  file: Buffer,
  sections: Sections,
  dropped: ReadonlySet<string>,
): { readonly address: bigint; readonly count: number } {
  const section = sections.get(SECTION_TYPE_VERNEED);
  if (section === undefined) return { address: 0n, count: 0 };
  const strings = stringsOf(sections, section);
  const kept: number[] = [];
  const droppedVersions = new Set<number>();
  for (let at = section.offset, next = -1; next !== 0; at += next) {
    next = file.readUInt32LE(at + 12);
    const isDropped = dropped.has(readString(file, strings.offset + file.readUInt32LE(at + 4)));
    if (!isDropped) kept.push(at);
    else for (const version of versionsOf(file, at)) droppedVersions.add(version);
  }
  for (const [index, at] of kept.entries()) {
    file.writeUInt32LE((kept[index + 1] ?? at) - at, at + 12);
  }
  const table = sections.get(SECTION_TYPE_VERSYM);
  for (let at = table?.offset ?? 0; table !== undefined && at < table.offset + table.size; at += 2) {
    if (droppedVersions.has(file.readUInt16LE(at))) file.writeUInt16LE(VERSION_GLOBAL, at);
  }
  const first = kept[0] ?? section.offset;
  return { address: section.address + BigInt(first - section.offset), count: kept.length };
}

/** Version indices that the requirement at `at` introduces. */
function versionsOf(file: Buffer, at: number): number[] {
  const versions: number[] = [];
  let auxiliary = at + file.readUInt32LE(at + 8);
  for (let count = file.readUInt16LE(at + 2); count > 0; count--) {
    versions.push(file.readUInt16LE(auxiliary + 6));
    auxiliary += file.readUInt32LE(auxiliary + 12);
  }
  return versions;
}

/** Makes undefined symbols weak: the loader resolves those that exist as before, the others to null. */
function weakenUndefined(file: Buffer, sections: Sections): void {
  const symbols = sections.get(SECTION_TYPE_DYNSYM);
  if (symbols === undefined) return;
  for (let at = symbols.offset; at < symbols.offset + symbols.size; at += SYMBOL_BYTES) {
    const information = file.readUInt8(at + 4);
    const isUndefined = file.readUInt16LE(at + 6) === 0;
    if (isUndefined && information >> BINDING_SHIFT === BINDING_GLOBAL) {
      file.writeUInt8((BINDING_WEAK << BINDING_SHIFT) | (information & 0xf), at + 4);
    }
  }
}

interface DynamicEntry {
  readonly tag: bigint;
  readonly value: bigint;
}

function dynamicEntries(file: Buffer, section: Section): DynamicEntry[] {
  const entries: DynamicEntry[] = [];
  for (let at = section.offset; at < section.offset + section.size; at += DYNAMIC_ENTRY_BYTES) {
    const tag = file.readBigUInt64LE(at);
    if (tag === DT_NULL) break;
    entries.push({ tag, value: file.readBigUInt64LE(at + 8) });
  }
  return entries;
}

type Sections = ReadonlyMap<number, Section> & { readonly byIndex: readonly Section[] };

/** Sections by type, the first of each, and all by index; empty if the file is not ELF-64. */
function readSections(file: Buffer): Sections {
  const byIndex: Section[] = [];
  const byType = Object.assign(new Map<number, Section>(), { byIndex });
  if (file.length < 64 || file.readUInt32BE(0) !== 0x7f454c46 || file.readUInt8(4) !== 2) return byType;
  const table = Number(file.readBigUInt64LE(0x28));
  const entryBytes = file.readUInt16LE(0x3a);
  for (let index = 0; index < file.readUInt16LE(0x3c); index++) {
    const at = table + index * entryBytes;
    const section = {
      address: file.readBigUInt64LE(at + 0x10),
      offset: Number(file.readBigUInt64LE(at + 0x18)),
      size: Number(file.readBigUInt64LE(at + 0x20)),
      link: file.readUInt32LE(at + 0x28),
    };
    byIndex.push(section);
    const type = file.readUInt32LE(at + 4);
    if (!byType.has(type)) byType.set(type, section);
  }
  return byType;
}

function stringsOf(sections: Sections, section: Section): Section {
  const strings = sections.byIndex[section.link];
  if (strings === undefined) throw new Error('the ELF file has a section without its string table');
  return strings;
}

function readString(file: Buffer, offset: number): string {
  return file.toString('latin1', offset, file.indexOf(0, offset));
}
