/**
 * Finding Debian's mirror in what apt is configured with, and reading what apt would download.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseHostRelease, parseUris } from '../../../host/demo/apt.ts';
import {
  chooseMirror,
  formatDeb822,
  parseDeb822Sources,
  parseOneLineSources,
} from '../../../host/demo/apt-sources.ts';

const DEB822 = `# written by the installer
Types: deb deb-src
# a comment within a stanza
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main non-free-firmware
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Enabled: no
Types: deb
URIs: http://disabled.example/debian
Suites: bookworm
Components: main
`;

test('deb822 stanzas are sources, disabled ones are not', () => {
  const sources = parseDeb822Sources(DEB822);
  assert.equal(sources.length, 2);
  assert.deepEqual(sources[0], {
    types: ['deb', 'deb-src'],
    uris: ['http://mirror.example/debian'],
    suites: ['bookworm', 'bookworm-updates'],
    components: ['main', 'non-free-firmware'],
    options: { 'signed-by': '/usr/share/keyrings/debian-archive-keyring.gpg' },
  });
});

test('an embedded key survives reading and writing', () => {
  const key = [
    '',
    ' -----BEGIN PGP PUBLIC KEY BLOCK-----',
    ' .',
    ' mQINBF',
    ' -----END PGP PUBLIC KEY BLOCK-----',
  ];
  const [source] = parseDeb822Sources(
    `URIs: http://mirror.example/debian\nSuites: trixie\nSigned-By:${key.join('\n')}\nComponents: main\n`,
  );
  assert.equal(source?.options['signed-by'], key.join('\n'));
  assert.equal(formatDeb822({ 'Signed-By': key.join('\n') }), `Signed-By:${key.join('\n')}\n`);
});

test('lines are sources, with and without options and comments', () => {
  const sources = parseOneLineSources(
    [
      '# deb http://old.example/debian bookworm main',
      'deb http://mirror.example/debian bookworm main contrib # the mirror',
      'deb-src [arch=amd64,arm64 signed-by=/k.gpg] http://mirror.example/debian bookworm main',
      '',
    ].join('\n'),
  );
  assert.deepEqual(sources, [
    {
      types: ['deb'],
      uris: ['http://mirror.example/debian'],
      suites: ['bookworm'],
      components: ['main', 'contrib'],
      options: {},
    },
    {
      types: ['deb-src'],
      uris: ['http://mirror.example/debian'],
      suites: ['bookworm'],
      components: ['main'],
      options: { arch: 'amd64 arm64', 'signed-by': '/k.gpg' },
    },
  ]);
});

test("Debian's own archive is chosen, not another one for the same release", () => {
  const sources = [
    ...parseOneLineSources('deb [signed-by=/k.gpg] http://vendor.example/tools bookworm main'),
    ...parseDeb822Sources(DEB822),
  ];
  assert.equal(chooseMirror(sources, 'bookworm')?.uris[0], 'http://mirror.example/debian');
});

test('sources of other releases, of sources or of security updates are not chosen', () => {
  const choose = (line: string): string | undefined =>
    chooseMirror(parseOneLineSources(line), 'trixie')?.uris[0];
  assert.equal(choose('deb http://m.example/debian trixie main'), 'http://m.example/debian');
  assert.equal(choose('deb http://m.example/debian stable main'), 'http://m.example/debian');
  assert.equal(choose('deb http://m.example/debian noble main'), undefined);
  assert.equal(choose('deb http://m.example/debian trixie contrib'), undefined);
  assert.equal(choose('deb-src http://m.example/debian trixie main'), undefined);
  assert.equal(choose('deb http://m.example/debian-security trixie-security main'), undefined);
  assert.equal(choose('deb cdrom:[Debian]/ trixie main'), undefined);
});

test('what apt would download is read with its decoded version', () => {
  const text = [
    "'http://m.example/debian/pool/main/q/qemu/q.deb' qemu-system-x86_1%3a11.1.3+ds-1~bpo13+1_amd64.deb 1234 SHA256:00",
    'NOTE: something else',
    "'http://m.example/debian/pool/main/l/l.deb' libaudit-common_4.0_all.deb 99 SHA256:11",
  ].join('\n');
  assert.deepEqual(parseUris(text), [
    { name: 'qemu-system-x86', version: '1:11.1.3+ds-1~bpo13+1', bytes: 1234 },
    { name: 'libaudit-common', version: '4.0', bytes: 99 },
  ]);
});

test('packages are fetched on Debian 12 and 13 for amd64', () => {
  const text = (id: string, version: string): string =>
    `PRETTY_NAME="Some ${id}"\nID=${id}\nVERSION_ID="${version}"\nVERSION_CODENAME=name\n`;
  assert.equal(parseHostRelease(text('debian', '12'), 'x64').supported, true);
  assert.equal(parseHostRelease(text('debian', '13'), 'x64').supported, true);
  assert.equal(parseHostRelease(text('debian', '11'), 'x64').supported, false);
  assert.equal(parseHostRelease(text('debian', '13'), 'arm64').supported, false);
  assert.equal(parseHostRelease(text('ubuntu', '13'), 'x64').supported, false);
  assert.deepEqual(parseHostRelease('', 'x64'), {
    supported: false,
    codename: '',
    name: 'this system on x64',
  });
});
