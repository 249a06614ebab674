// Identifiers: stable, distinct, and in the shape of their standards.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  IEEE_OUI,
  formatUuid,
  machineIdentity,
  storedNamespaceIds,
  subsystemIds,
  volatileNamespaceIds,
  type NamespaceIds,
} from '../../../host/nvme/identity.ts';

const MACHINE = 'machine-id:0123456789abcdef0123456789abcdef';

function hex(ids: NamespaceIds): Record<string, string> {
  const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
  return { uuid: formatUuid(ids.uuid), nguid: text(ids.nguid), eui64: text(ids.eui64) };
}

// Guests keep these values: another one after an update is another disk to them.
test('identifiers never change', () => {
  assert.deepEqual(subsystemIds(MACHINE, '/run/doorbell/nvme.sock'), {
    nqn: 'nqn.2014-08.org.nvmexpress:uuid:b55a0909-e31f-86f9-92f4-b68080af1fad',
    serial: 'DBD5F77E63FCC204A7B3',
  });
  assert.deepEqual(hex(storedNamespaceIds(MACHINE, 'file:/srv/disk.img')), {
    uuid: '220bc7ab-36bb-8bb8-abc9-60d99ea56aca',
    nguid: '5a06b3c58c3b0659d20be12ca07182f5',
    eui64: 'd20be1762c49f46e',
  });
});

test('what differs in anything differs in everything', () => {
  const all = [
    storedNamespaceIds(MACHINE, 'file:/srv/a.img'),
    storedNamespaceIds(MACHINE, 'file:/srv/b.img'),
    storedNamespaceIds('hostname:other', 'file:/srv/a.img'),
    volatileNamespaceIds('nqn.2026-01.com.example:a', 1),
    volatileNamespaceIds('nqn.2026-01.com.example:a', 2),
    volatileNamespaceIds('nqn.2026-01.com.example:b', 1),
  ].map(hex);
  for (const name of ['uuid', 'nguid', 'eui64']) {
    assert.equal(new Set(all.map((ids) => ids[name])).size, all.length);
  }
  const subsystems = [
    subsystemIds(MACHINE, '/a'),
    subsystemIds(MACHINE, '/b'),
    subsystemIds('hostname:other', '/a'),
  ];
  assert.equal(new Set(subsystems.map(({ nqn }) => nqn)).size, 3);
  assert.equal(new Set(subsystems.map(({ serial }) => serial)).size, 3);
});

test('the shapes that the standards ask for', () => {
  const { nqn, serial } = subsystemIds(MACHINE, '/a');
  assert.match(
    nqn,
    /^nqn\.2014-08\.org\.nvmexpress:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
  );
  assert.match(serial, /^[0-9A-Z]{20}$/);
  const ids = storedNamespaceIds(MACHINE, 'file:/a');
  assert.match(formatUuid(ids.uuid), /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  const oui = Buffer.from([IEEE_OUI >>> 16, (IEEE_OUI >>> 8) & 0xff, IEEE_OUI & 0xff]);
  assert.deepEqual(Buffer.from(ids.nguid.subarray(8, 11)), oui);
  assert.deepEqual(Buffer.from(ids.eui64.subarray(0, 3)), oui);
  // IEEE 802c: locally administered, not a group.
  assert.equal((oui[0] ?? 0) & 0b1111, 0b0010);
});

test('a machine without a machine-id goes by its host name', () => {
  assert.match(machineIdentity([]), /^hostname:/);
  assert.match(machineIdentity(['/no/such/file', '/dev/null']), /^hostname:/);
});
