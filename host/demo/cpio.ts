/**
 * Writes the archive that Linux unpacks as its initial file system: cpio in the "new ASCII" format (newc), as
 * described in the kernel's Documentation/driver-api/early-userspace/buffer-format.rst.
 */

const HEADER_MAGIC = '070701';
const TRAILER_NAME = 'TRAILER!!!';

const TYPE_DIRECTORY = 0o040000;
const TYPE_FILE = 0o100000;
const TYPE_SYMLINK = 0o120000;
const TYPE_CHARACTER_DEVICE = 0o020000;

/** One member. Parent directories are members of their own and come first. */
export type CpioEntry =
  | { readonly kind: 'directory'; readonly path: string }
  | { readonly kind: 'file'; readonly path: string; readonly mode: number; readonly data: Uint8Array }
  | { readonly kind: 'symlink'; readonly path: string; readonly target: string }
  | { readonly kind: 'device'; readonly path: string; readonly major: number; readonly minor: number };

/** The archive of `entries`, owned by root, with all times zero: equal entries give equal bytes. */
export function writeCpio(entries: readonly CpioEntry[]): Buffer {
  const parts: Buffer[] = [];
  for (const [index, entry] of entries.entries()) {
    const links = entry.kind === 'directory' ? 2 : 1;
    const device = entry.kind === 'device' ? entry : { major: 0, minor: 0 };
    parts.push(...member(entry.path, index + 1, modeOf(entry), links, device, dataOf(entry)));
  }
  parts.push(...member(TRAILER_NAME, 0, 0, 1, { major: 0, minor: 0 }, Buffer.alloc(0)));
  return Buffer.concat(parts);
}

/** Header, name and data, the last two padded to 4 bytes (the header's 110 bytes count with the name). */
function member(
  name: string,
  inode: number,
  mode: number,
  links: number,
  device: { readonly major: number; readonly minor: number },
  data: Uint8Array,
): Buffer[] {
  const nameBytes = Buffer.from(`${name}\0`);
  const fields = [
    inode,
    mode,
    0, // uid
    0, // gid
    links,
    0, // mtime
    data.length,
    0, // major and minor number of the device that holds the archive
    0,
    device.major,
    device.minor,
    nameBytes.length,
    0, // checksum: unused in this format
  ];
  const digits = fields.map((field) => field.toString(16).padStart(8, '0')).join('');
  const header = Buffer.concat([Buffer.from(HEADER_MAGIC + digits), nameBytes]);
  return [header, padding(header.length), Buffer.from(data), padding(data.length)];
}

function padding(length: number): Buffer {
  return Buffer.alloc((4 - (length % 4)) % 4);
}

function modeOf(entry: CpioEntry): number {
  switch (entry.kind) {
    case 'directory':
      return TYPE_DIRECTORY | 0o755;
    case 'file':
      return TYPE_FILE | entry.mode;
    case 'symlink':
      return TYPE_SYMLINK | 0o777;
    case 'device':
      return TYPE_CHARACTER_DEVICE | 0o600;
  }
}

function dataOf(entry: CpioEntry): Uint8Array {
  if (entry.kind === 'file') return entry.data;
  return Buffer.from(entry.kind === 'symlink' ? entry.target : '');
}
