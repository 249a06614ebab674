// The options of serve as a whole: defaults, values, and how sockets and namespaces fit together.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  parseServeOptions,
  type ServeArguments,
  type ServeOptions,
  type SubsystemOptions,
} from '../../../host/config/options.ts';
import { suggest } from '../../../host/config/suggest.ts';
import { refused } from './refused.ts';

const MINIMUM: ServeArguments = { socket: ['/run/a.sock'], namespace: ['ram:1M'] };

function subsystemOf(options: ServeOptions): SubsystemOptions {
  const [subsystem] = options.subsystems;
  assert.ok(subsystem !== undefined);
  return subsystem;
}

test('the defaults', () => {
  const options = parseServeOptions(MINIMUM);
  const { subsystems, ...rest } = options;
  assert.equal(subsystems.length, 1);
  const { sockets, namespaces, ...identity } = subsystemOf(options);
  assert.equal(sockets[0]?.path, '/run/a.sock');
  assert.equal(namespaces[0]?.nsid, 1);
  assert.deepEqual(identity, {
    shadowDoorbells: true,
    subsystemNqn: undefined,
    serial: undefined,
    model: undefined,
  });
  assert.deepEqual(rest, {
    spinMicroseconds: 50,
    windows: 64,
    logLevel: 'info',
    json: false,
    control: undefined,
    metrics: undefined,
  });
  assert.ok(Object.isFrozen(options) && Object.isFrozen(sockets) && Object.isFrozen(namespaces));
});

test('everything chosen', () => {
  const options = parseServeOptions({
    ...MINIMUM,
    shadowDoorbells: 'off',
    spinUs: '10000',
    windows: '2',
    subsystemNqn: 'nqn.2026-01.com.example:storage-1',
    serial: 'S 123',
    model: 'M'.repeat(40),
    logLevel: 'trace',
    json: true,
  });
  assert.equal(subsystemOf(options).shadowDoorbells, false);
  assert.equal(options.spinMicroseconds, 10000);
  assert.equal(options.windows, 2);
  assert.equal(subsystemOf(options).subsystemNqn, 'nqn.2026-01.com.example:storage-1');
  assert.equal(subsystemOf(options).serial, 'S 123');
  assert.equal(options.logLevel, 'trace');
  assert.equal(options.json, true);
});

test('values that are not possible', () => {
  const wrong = (args: Partial<ServeArguments>) => () => parseServeOptions({ ...MINIMUM, ...args });
  refused('COMMAND_LINE', /add --socket PATH/, wrong({ socket: [] }));
  refused('COMMAND_LINE', /add --namespace file:/, wrong({ namespace: [] }));
  refused('OPTION_INVALID', /--shadow-doorbells=on or/, wrong({ shadowDoorbells: 'sometimes' }));
  refused('OPTION_INVALID', /--spin-us -1 .* from 0 to 1000000/, wrong({ spinUs: '-1' }));
  refused('OPTION_INVALID', /--spin-us 1000001/, wrong({ spinUs: '1000001' }));
  refused('OPTION_INVALID', /--windows 1 .* from 2 to 1024/, wrong({ windows: '1' }));
  refused('OPTION_INVALID', /--log-level wran .*did you mean warn/, wrong({ logLevel: 'wran' }));
  refused('ID_INVALID', /--serial '' .* 1 to 20 printable/, wrong({ serial: '' }));
  refused('ID_INVALID', /--serial/, wrong({ serial: 'x'.repeat(21) }));
  refused('ID_INVALID', /no blank at either end/, wrong({ serial: ' x' }));
  refused('ID_INVALID', /--model/, wrong({ model: 'Gerät' }));
  refused('ID_INVALID', /--subsystem-nqn 'x'/, wrong({ subsystemNqn: 'x' }));
  refused(
    'ID_INVALID',
    /is 233 bytes long/,
    wrong({ subsystemNqn: `nqn.2026-01.com.example:${'x'.repeat(209)}` }),
  );
});

test('sockets that contradict each other or the namespaces', () => {
  const wrong = (...socket: string[]) => {
    return () => parseServeOptions({ socket, namespace: ['ram:1M', 'ram:1M'] });
  };
  refused('SOCKET_CONFLICT', /a.sock is given twice/, wrong('/run/a.sock', '/run/x/../a.sock'));
  refused('CNTLID_CONFLICT', /two sockets have cntlid=2/, wrong('/a,cntlid=2', '/b,cntlid=2'));
  refused(
    'NAMESPACE_UNKNOWN',
    /namespace 3, which does not exist; there is 1, 2/,
    wrong('/a,namespaces=1+3'),
  );
  refused('NAMESPACE_UNKNOWN', /no socket shows namespace 2/, wrong('/a,namespaces=1'));
});

test('suggestions are for slips, not for other words', () => {
  const known = ['size', 'direct', 'share'];
  assert.equal(suggest('siez', known), 'size');
  assert.equal(suggest('drect', known), 'direct');
  assert.equal(suggest('colour', known), undefined);
  assert.equal(suggest('', known), undefined);
  assert.equal(suggest('abc', known), undefined);
});
