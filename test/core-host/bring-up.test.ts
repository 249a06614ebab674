// A controller from power-on to the first I/O and back: registers, Identify, queues, interrupts, disable, shutdown.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as abi from '../../assembly/abi/records.ts';
import * as features from '../../assembly/spec/nvme-features.ts';
import * as identify from '../../assembly/spec/nvme-identify.ts';
import * as nvme from '../../assembly/spec/nvme.ts';
import { MockGuest } from '../support/mock-guest.ts';

function text(bytes: Uint8Array, at: number, length: number): string {
  return Buffer.from(bytes.subarray(at, at + length))
    .toString('latin1')
    .trimEnd();
}

describe('registers', () => {
  test('what the controller is capable of', () => {
    const guest = new MockGuest();
    const low = guest.registerRead(nvme.REG_CAP);
    const high = guest.registerRead(nvme.REG_CAP_HIGH);
    assert.equal(low & 0xffff, 1023, 'MQES');
    assert.equal((low >>> nvme.CAP_LOW_CQR_SHIFT) & 1, 1, 'CQR');
    assert.equal((high >>> nvme.CAP_HIGH_CSS_SHIFT) & 0xff, nvme.CAP_CSS_NVM, 'CSS');
    assert.equal((high >>> nvme.CAP_HIGH_DSTRD_SHIFT) & 0xf, 0, 'DSTRD');
    assert.equal((high >>> nvme.CAP_HIGH_CRWMS_SHIFT) & 1, 1, 'CRWMS');
    assert.equal(guest.registerRead(nvme.REG_VS), nvme.VS_2_0);
    assert.equal(guest.registerRead(nvme.REG_CSTS), 0);
    assert.equal(guest.registerRead(nvme.REG_CC), 0);
  });

  test('read-only registers stay, and reading beyond them is 0', () => {
    const guest = new MockGuest();
    const before = guest.registerRead(nvme.REG_CAP);
    guest.registerWrite(nvme.REG_CAP, 0);
    guest.registerWrite(nvme.REG_VS, 0);
    assert.equal(guest.registerRead(nvme.REG_CAP), before);
    assert.equal(guest.registerRead(nvme.REG_VS), nvme.VS_2_0);
    assert.equal(guest.registerRead(0xffc), 0);
  });
});

describe('bring-up', () => {
  test('enable, identify, queues, a flush, disable, enable again', () => {
    const guest = MockGuest.up({ queues: 2 });
    guest.driver.flush(1);
    guest.succeed(2);
    guest.disable();
    assert.equal(guest.registerRead(nvme.REG_CSTS), 0);
    guest.enable();
    guest.queueCreate(1);
    guest.driver.flush(1);
    guest.succeed(1);
    const types = guest.events.map((event) => event.type);
    assert.deepEqual(
      types.filter((type) => type <= abi.EVENT_CONTROLLER_DISABLED),
      [abi.EVENT_CONTROLLER_READY, abi.EVENT_CONTROLLER_DISABLED, abi.EVENT_CONTROLLER_READY],
    );
  });

  test('Identify Controller says what the configuration says', () => {
    const guest = new MockGuest({ controller: { serial: 'SN-42', cntlid: 7 } });
    guest.enable();
    const page = guest.allocate(4096);
    guest.driver.identify(page, identify.CNS_CONTROLLER);
    guest.succeed();
    const bytes = guest.memory.at(page, 4096).slice();
    const view = new DataView(bytes.buffer);
    assert.equal(text(bytes, identify.IDCTRL_SN, 20), 'SN-42');
    assert.equal(text(bytes, identify.IDCTRL_MN, 40), 'mock guest');
    assert.equal(view.getUint16(identify.IDCTRL_CNTLID, true), 7);
    assert.equal(view.getUint32(identify.IDCTRL_VER, true), nvme.VS_2_0);
    assert.equal(bytes[identify.IDCTRL_MDTS], 8);
    assert.notEqual(view.getUint16(identify.IDCTRL_OACS, true) & identify.OACS_DOORBELL_BUFFER_CONFIG, 0);
  });

  test('Identify Namespace says its size, through PRPs with an odd offset too', () => {
    const guest = new MockGuest({ namespaces: [{ blocks: 0x12345n }] });
    guest.enable();
    const page = guest.allocate(8192);
    guest.driver.identify(page + 0x804, identify.CNS_NAMESPACE, 1);
    guest.succeed();
    assert.equal(guest.memory.view(page + 0x804, 8).getBigUint64(0, true), 0x12345n);
  });

  test('no more queues are granted than there are', () => {
    const guest = new MockGuest({ controller: { ioQueuePairs: 3 } });
    guest.enable();
    assert.equal(guest.queueCountSet(64), 3);
    guest.queueCreate(3);
    const [address, entries] = [guest.allocate(4096), 16];
    guest.driver.createCompletionQueue(4, address, entries, undefined);
    assert.equal(guest.command().status, nvme.STATUS_INVALID_QUEUE_ID);
  });

  test('the most queues of the largest size, several of them on one completion queue', () => {
    const guest = MockGuest.up({ memory: 64 << 20, queues: 1, queue: { entries: 1024, depth: 64 } });
    for (let qid = 2; qid <= 64; qid++)
      guest.queueCreate(qid, { entries: 1024, depth: 4, cqid: qid % 2 ? 1 : qid });
    for (let qid = 1; qid <= 64; qid++) {
      guest.driver.flush(1);
      assert.equal(guest.succeed(qid).sqid, qid);
    }
  });
});

describe('interrupts', () => {
  test('a completion raises the vector of its queue; without IEN none', () => {
    const guest = MockGuest.up({ queues: 0 });
    guest.queueCreate(1, { vector: 5 });
    guest.queueCreate(2, { vector: undefined });
    guest.interrupts.length = 0;
    guest.driver.flush(1);
    guest.succeed(1);
    assert.deepEqual(guest.interrupts, [5]);
    guest.interrupts.length = 0;
    guest.driver.flush(1);
    guest.succeed(2);
    assert.deepEqual(guest.interrupts, []);
  });

  test('the INTx pin is asserted while completions wait and their vector is not masked', () => {
    const guest = MockGuest.up({ queues: 1, queue: { vector: 0 } });
    guest.driver.flush(1).submit(1);
    guest.ring(1);
    for (let polls = 0; polls < 4; polls++) {
      guest.poll();
      guest.complete();
    }
    assert.equal(guest.core.interruptPending(), true);
    guest.registerWrite(nvme.REG_INTMS, 1);
    assert.equal(guest.core.interruptPending(), false);
    guest.registerWrite(nvme.REG_INTMC, 1);
    assert.equal(guest.core.interruptPending(), true);
    assert.equal(guest.reap(1).length, 1);
    assert.equal(guest.core.interruptPending(), false);
  });
});

describe('going down', () => {
  test('shutdown finishes what is outstanding', () => {
    const guest = MockGuest.up();
    guest.driver.flush(1).submit(1);
    guest.ring(1);
    guest.poll();
    assert.equal(guest.pending.length, 1);
    const cc = guest.registerRead(nvme.REG_CC);
    guest.registerWrite(nvme.REG_CC, cc | (nvme.CC_SHN_NORMAL << nvme.CC_SHN_SHIFT));
    guest.poll();
    const shst = (): number => (guest.registerRead(nvme.REG_CSTS) >>> nvme.CSTS_SHST_SHIFT) & 3;
    assert.equal(shst(), nvme.CSTS_SHST_OCCURRING);
    guest.statusWait(3 << nvme.CSTS_SHST_SHIFT, nvme.CSTS_SHST_COMPLETE << nvme.CSTS_SHST_SHIFT);
    assert.equal(shst(), nvme.CSTS_SHST_COMPLETE);
  });

  test('RDY falls only when the last request came back', () => {
    const guest = MockGuest.up();
    guest.driver.flush(1).submit(1);
    guest.ring(1);
    guest.poll();
    guest.registerWrite(nvme.REG_CC, guest.registerRead(nvme.REG_CC) & ~nvme.CC_EN);
    guest.poll();
    assert.equal(guest.registerRead(nvme.REG_CSTS) & nvme.CSTS_RDY, nvme.CSTS_RDY);
    assert.equal(guest.core.requestsOutstanding(), 1);
    guest.complete();
    guest.poll();
    assert.equal(guest.registerRead(nvme.REG_CSTS) & nvme.CSTS_RDY, 0);
    assert.equal(guest.core.requestsOutstanding(), 0);
  });

  test('a function-level reset is at once, and a new enable waits for the requests of before', () => {
    const guest = MockGuest.up();
    guest.driver.flush(1).submit(1);
    guest.ring(1);
    guest.poll();
    const late = [...guest.pending];
    guest.core.controllerReset();
    assert.equal(guest.registerRead(nvme.REG_CSTS), 0);
    assert.equal(guest.registerRead(nvme.REG_CC), 0);
    guest.forget();
    assert.equal(guest.core.requestsOutstanding(), 1);
    guest.complete(late);
    guest.enable();
    guest.queueCreate(1);
    guest.driver.flush(1);
    guest.succeed(1);
  });

  test('the caller can fail a controller', () => {
    const guest = MockGuest.up();
    guest.core.controllerFail();
    assert.notEqual(guest.registerRead(nvme.REG_CSTS) & nvme.CSTS_CFS, 0);
  });
});

describe('features', () => {
  test('a value set is the value got, and the default is still known', () => {
    const guest = MockGuest.up({ queues: 0 });
    guest.driver.setFeatures(features.FID_INTERRUPT_COALESCING, 0x0305);
    guest.succeed();
    guest.driver.getFeatures(features.FID_INTERRUPT_COALESCING);
    assert.equal(guest.succeed().result, 0x0305);
    guest.driver.getFeatures(features.FID_INTERRUPT_COALESCING, features.SEL_DEFAULT);
    assert.equal(guest.succeed().result, 0);
  });
});
