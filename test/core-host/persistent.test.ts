// What a caller does for a controller over its whole life: it keeps the persistent record, changes namespaces while the
// controller runs, and comes back when the Keep Alive Timer wants it to.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as abi from '../../assembly/abi/records.ts';
import {
  FID_ARBITRATION,
  FID_ASYNC_EVENT_CONFIGURATION,
  FID_KEEP_ALIVE_TIMER,
} from '../../assembly/spec/nvme-features.ts';
import * as identify from '../../assembly/spec/nvme-identify.ts';
import * as logs from '../../assembly/spec/nvme-logs.ts';
import * as nvme from '../../assembly/spec/nvme.ts';
import type { NamespaceConfig } from '../../host/core/config.ts';
import { MockGuest } from '../support/mock-guest.ts';

const NAMESPACE: Omit<NamespaceConfig, 'nsid'> = {
  shared: false,
  readOnly: false,
  deallocate: true,
  volatileCache: true,
  lbaShift: 9,
  blocks: 4096n,
  nguid: new Uint8Array(16).fill(7),
  eui64: new Uint8Array(8).fill(8),
  uuid: new Uint8Array(16).fill(9),
  optimalBlocks: 0,
};

/** The health log as the guest reads it. */
function health(guest: MockGuest, data: number): DataView {
  guest.driver.getLogPage(data, logs.LID_SMART, logs.LOG_SMART_BYTES);
  guest.succeed();
  return new DataView(guest.memory.at(data, logs.LOG_SMART_BYTES).slice().buffer);
}

describe('the persistent record', () => {
  test('goes from one core to the next: counters and saved features', () => {
    const first = MockGuest.up();
    const data = first.allocate(4096);
    first.driver.data(data, 4096).read(1, 0, 8);
    first.succeed(1);
    first.driver.data(data, 4096).write(1, 0, 8);
    first.succeed(1);
    first.driver.setFeatures(FID_ARBITRATION, 3, true);
    first.succeed();
    const kept = first.core.persistentSave();
    assert.equal(kept.length, abi.PERSISTENT_BYTES);

    const second = new MockGuest();
    second.core.persistentLoad(kept);
    assert.equal(second.core.init(), abi.INIT_OK);
    second.memory.regionsAdd();
    second.start({ queues: 0 });
    const log = health(second, second.allocate(4096));
    assert.equal(log.getBigUint64(logs.LOG_SMART_HOST_READS, true), 1n);
    assert.equal(log.getBigUint64(logs.LOG_SMART_HOST_WRITES, true), 1n);
    assert.equal(log.getBigUint64(logs.LOG_SMART_POWER_CYCLES, true), 2n);
    assert.equal(log.getBigUint64(logs.LOG_SMART_UNSAFE_SHUTDOWNS, true), 1n);
    second.driver.getFeatures(FID_ARBITRATION);
    assert.equal(second.succeed().result, 3);
  });

  test('garbage is a record of zeros', () => {
    const guest = new MockGuest();
    guest.core.persistentLoad(new Uint8Array(abi.PERSISTENT_BYTES).fill(0x5a));
    assert.equal(guest.core.init(), abi.INIT_OK);
    guest.memory.regionsAdd();
    guest.start({ queues: 0 });
    assert.equal(health(guest, guest.allocate(4096)).getBigUint64(logs.LOG_SMART_POWER_CYCLES, true), 1n);
  });
});

describe('namespaces that change', () => {
  test('a guest that asked for it hears of a namespace, finds it and uses it', () => {
    const guest = MockGuest.up();
    const { driver } = guest;
    const data = guest.allocate(4096);
    driver.setFeatures(FID_ASYNC_EVENT_CONFIGURATION, 1 << 8);
    guest.succeed();
    driver.asyncEventRequest();
    driver.submit(0);
    guest.ring(0);
    assert.deepEqual(guest.run(), []);
    guest.disk.namespaces.set(5, { bytes: new Uint8Array(4096 * 512), readOnly: false });
    assert.equal(guest.core.namespaceUpdate(5, NAMESPACE), abi.NAMESPACE_OK);
    const [event] = guest.run();
    assert.equal(event?.result, logs.AEN_TYPE_NOTICE | (logs.LID_CHANGED_NAMESPACES << logs.AEN_LID_SHIFT));
    driver.getLogPage(data, logs.LID_CHANGED_NAMESPACES, logs.LOG_CHANGED_BYTES);
    guest.succeed();
    assert.deepEqual([...new Uint32Array(guest.memory.at(data, 12).slice().buffer)], [5, 0, 0]);
    driver.identify(data, identify.CNS_ACTIVE_NAMESPACES);
    guest.succeed();
    assert.deepEqual([...new Uint32Array(guest.memory.at(data, 12).slice().buffer)], [1, 5, 0]);
    driver.data(data, 512).write(5, 4095, 1);
    guest.succeed(1);
    assert.equal(guest.core.namespaceUpdate(5, undefined), abi.NAMESPACE_OK);
    driver.data(data, 512).write(5, 4095, 1);
    assert.equal(guest.command(1).status, nvme.STATUS_INVALID_FIELD);
  });

  test('what core_init would refuse is refused, and changes nothing', () => {
    const guest = MockGuest.up();
    const { core } = guest;
    assert.equal(core.namespaceUpdate(0, NAMESPACE), abi.NAMESPACE_INVALID);
    assert.equal(core.namespaceUpdate(257, NAMESPACE), abi.NAMESPACE_INVALID);
    assert.equal(core.namespaceUpdate(1, { ...NAMESPACE, blocks: 0n }), abi.NAMESPACE_INVALID);
    guest.driver.data(guest.allocate(4096), 512).read(1, 8191, 1);
    guest.succeed(1);
  });
});

test('a caller that sleeps as long as deadline_next says sees the Keep Alive Timer expire on time', () => {
  const guest = MockGuest.up();
  guest.driver.setFeatures(FID_KEEP_ALIVE_TIMER, 5000);
  guest.succeed();
  guest.events.length = 0;
  guest.poll();
  const left = guest.core.deadlineNext();
  assert.ok(left <= 5_000_000 && left > 4_900_000, `${left} microseconds`);
  guest.now += left - 11;
  guest.poll();
  assert.equal(guest.registerRead(nvme.REG_CSTS), nvme.CSTS_RDY);
  guest.poll();
  assert.equal(guest.registerRead(nvme.REG_CSTS), nvme.CSTS_RDY | nvme.CSTS_CFS);
  assert.deepEqual(
    guest.events.map(({ type, argument, value }) => [type, argument, value]),
    [[abi.EVENT_CONTROLLER_FAILED, abi.FAILED_KEEP_ALIVE, 5000n]],
  );
});
