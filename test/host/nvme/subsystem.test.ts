// The plan of a subsystem: who sees which namespace, with what identity, and what is refused.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Backend, BackendSpec } from '../../../host/block/backend.ts';
import { BlockError } from '../../../host/block/errors.ts';
import { parseServeOptions, type SubsystemOptions } from '../../../host/config/options.ts';
import { parseSocket } from '../../../host/config/socket-spec.ts';
import { openSubsystem, type Subsystem } from '../../../host/nvme/subsystem.ts';
import { refused } from '../config/refused.ts';

const MACHINE = 'machine-id:0123456789abcdef0123456789abcdef';

/** Backends without storage: the subsystem never looks into it. */
function recorder(): { open: (spec: BackendSpec) => Backend; opened: string[]; closed: string[] } {
  const opened: string[] = [];
  const closed: string[] = [];
  const open = (spec: BackendSpec): Backend => {
    const label = 'path' in spec ? `file:${spec.path}` : `ram:${spec.size}`;
    if (label === 'file:broken') throw new BlockError(5, 'cannot open broken: EIO');
    opened.push(label);
    return {
      label,
      identity: spec.scheme === 'file' ? label : undefined,
      geometry: {
        blocks: 100n,
        blockSize: spec.blockSize ?? 512,
        optimalBlocks: 8,
        readOnly: spec.readOnly,
        volatileCache: spec.scheme === 'file',
        deallocate: !spec.readOnly,
      },
      storage: { kind: 'file', fd: -1, offset: 0, length: 0, readOnly: spec.readOnly } as Backend['storage'],
      notices: spec.scheme === 'file' ? ['is a file'] : [],
      close: () => closed.push(label),
    };
  };
  return { open, opened, closed };
}

function options(socket: string[], namespace: string[], more: object = {}): SubsystemOptions {
  const [subsystem] = parseServeOptions({ socket, namespace, ...more }).subsystems;
  assert.ok(subsystem !== undefined);
  return subsystem;
}

function plan(socket: string[], namespace: string[], more: object = {}): Subsystem {
  return openSubsystem(options(socket, namespace, more), {
    open: recorder().open,
    firmware: '1.2.3',
    machine: MACHINE,
  });
}

test('one controller, two namespaces', () => {
  const subsystem = plan(['/a.sock'], ['file:/x.img,block-size=4096', 'ram:1M,readonly=on']);
  assert.equal(subsystem.controllers.length, 1);
  const [controller] = subsystem.controllers;
  assert.ok(controller !== undefined);
  assert.equal(controller.socketPath, '/a.sock');
  assert.equal(controller.identity.cntlid, 1);
  assert.equal(controller.identity.multiController, false);
  assert.equal(controller.identity.firmware, '1.2.3');
  assert.equal(controller.identity.model, 'doorbell NVMe controller');
  assert.equal(controller.identity.subnqn, subsystem.nqn);
  const [file, ram] = controller.namespaces.map(({ record }) => record);
  assert.ok(file !== undefined && ram !== undefined);
  assert.deepEqual(
    [file.nsid, file.lbaShift, file.readOnly, file.shared, file.volatileCache],
    [1, 12, false, false, true],
  );
  assert.deepEqual(
    [ram.nsid, ram.lbaShift, ram.readOnly, ram.deallocate, ram.volatileCache],
    [2, 9, true, false, false],
  );
  assert.deepEqual(subsystem.notices, ['namespace 1: is a file']);
  assert.ok(Object.isFrozen(controller) && Object.isFrozen(controller.identity) && Object.isFrozen(file));
});

test('shadow doorbells are for each controller to have or not', () => {
  const sockets = ['/a.sock', '/b.sock,shadow-doorbells=off', '/c.sock,shadow-doorbells=on'];
  const offered = (more: object): boolean[] =>
    plan(sockets, ['ram:1M,share=on'], more).controllers.map(({ identity }) => identity.shadowDoorbells);
  assert.deepEqual(offered({}), [true, false, true]);
  assert.deepEqual(offered({ shadowDoorbells: 'off' }), [false, false, true]);
});

test('two controllers of one subsystem: who sees what, and what they say of each other', () => {
  const subsystem = plan(
    ['/a.sock,namespaces=1+2', '/b.sock,namespaces=2+3,cntlid=1', '/c.sock,namespaces=2'],
    ['ram:1M', 'ram:2M,share=on', 'ram:3M'],
  );
  const seen = subsystem.controllers.map(({ namespaces }) => namespaces.map(({ record }) => record.nsid));
  assert.deepEqual(seen, [[1, 2], [2, 3], [2]]);
  assert.deepEqual(
    subsystem.controllers.map(({ identity }) => identity.cntlid),
    [2, 1, 3],
  );
  assert.ok(subsystem.controllers.every(({ identity }) => identity.multiController));
  assert.equal(new Set(subsystem.controllers.map(({ identity }) => identity.subnqn)).size, 1);
  assert.equal(new Set(subsystem.controllers.map(({ identity }) => identity.serial)).size, 1);
  const shared = subsystem.namespaces.map(({ record }) => record.shared);
  assert.deepEqual(shared, [false, true, false]);
});

test('a namespace that several controllers could write needs share=on', () => {
  const sockets = ['/a.sock', '/b.sock'];
  refused('NAMESPACE_NOT_SHARED', /namespace 1 would be writable through 2 controllers: add share=on/, () =>
    plan(sockets, ['file:/x']),
  );
  assert.equal(plan(sockets, ['file:/x,share=on']).namespaces[0]?.record.shared, true);
  assert.equal(plan(sockets, ['file:/x,readonly=on']).namespaces[0]?.record.shared, true);
  plan(['/a.sock,namespaces=1', '/b.sock,namespaces=2'], ['file:/x', 'file:/y']);
});

test('identifiers: derived ones are stable, chosen ones stay', () => {
  const ids = (subsystem: Subsystem): string[] =>
    subsystem.namespaces.map(({ record }) => Buffer.from(record.uuid).toString('hex'));
  assert.deepEqual(
    ids(plan(['/a'], ['file:/x', 'ram:1M'])),
    ids(plan(['/a'], ['file:/x,nsid=1', 'ram:2M,nsid=2'])),
  );
  // A file keeps its identifiers on another socket and as another namespace; RAM belongs to its place.
  const [file, ram] = ids(plan(['/a'], ['file:/x', 'ram:1M']));
  const [ramElsewhere, fileElsewhere] = ids(plan(['/b'], ['ram:1M', 'file:/x']));
  assert.equal(fileElsewhere, file);
  assert.notEqual(ramElsewhere, ram);
  const chosen = plan(['/a'], ['file:/x,uuid=6ba7b810-9dad-41d1-80b4-00c04fd430c8'], {
    subsystemNqn: 'nqn.2026-01.com.example:one',
    serial: 'S1',
    model: 'M1',
  });
  assert.deepEqual(ids(chosen), ['6ba7b8109dad41d180b400c04fd430c8']);
  assert.equal(chosen.nqn, 'nqn.2026-01.com.example:one');
  const identities = chosen.controllers.map(({ identity }) => [identity.serial, identity.model]);
  assert.deepEqual(identities, [['S1', 'M1']]);
});

test('two namespaces must not look like two paths to one', () => {
  refused(
    'NAMESPACE_CONFLICT',
    /namespaces 1 and 2 \(file:\/x\) have the same uuid .*: give one of them its own/,
    () => plan(['/a'], ['file:/x,readonly=on', 'file:/x,readonly=on']),
  );
  refused('NAMESPACE_CONFLICT', /the same eui64 525400123456789a/, () =>
    plan(['/a'], ['ram:1M,eui64=525400123456789a', 'ram:1M,eui64=525400123456789a']),
  );
});

test('everything is opened or nothing', () => {
  const { open, opened, closed } = recorder();
  const environment = { open, firmware: '1', machine: MACHINE };
  assert.throws(
    () => openSubsystem(options(['/a'], ['file:x', 'ram:1M', 'file:broken']), environment),
    BlockError,
  );
  assert.deepEqual(closed, opened);
  const subsystem = openSubsystem(options(['/a'], ['file:y']), environment);
  subsystem.close();
  subsystem.close();
  assert.deepEqual(closed, [...opened]);
});

test('controllers and namespaces come and go', () => {
  const { open, opened, closed } = recorder();
  const environment = { open, firmware: '1', machine: MACHINE, changeable: true };
  const subsystem = openSubsystem(options(['/a', '/b'], ['ram:1M,share=on']), environment);
  assert.ok(subsystem.controllers.every(({ identity }) => identity.multiController));
  const [namespace] =
    parseServeOptions({ socket: ['/x'], namespace: ['file:/y,nsid=7'] }).subsystems[0]?.namespaces ?? [];
  assert.ok(namespace !== undefined);
  assert.equal(subsystem.namespaceAdd(namespace).record.nsid, 7);
  const socket = parseSocket('/c,namespaces=7');
  const plan = subsystem.controllerAdd(socket);
  assert.equal(plan.identity.cntlid, 3);
  assert.deepEqual(
    plan.namespaces.map(({ record }) => record.nsid),
    [7],
  );
  refused('NAMESPACE_NOT_SHARED', /namespace 7 would be writable through 2/, () =>
    subsystem.controllerAdd(parseSocket('/d')),
  );
  refused('NAMESPACE_BUSY', /controller on \/c shows namespace 7/, () => {
    subsystem.namespaceRemove(7);
  });
  subsystem.controllerRemove(plan);
  subsystem.namespaceRemove(7);
  assert.deepEqual(closed, ['file:/y']);
  assert.deepEqual(opened, ['ram:1048576', 'file:/y']);
  assert.equal(subsystem.controllerAdd(parseSocket('/d')).identity.cntlid, 3);
});
