// docs/nvme-support.md says what a controller supports; here a controller is asked. Each table is read, and every
// number that could be in it is tried: what is listed as supported is known, everything else is refused.

import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import * as memoryMap from '../../../assembly/abi/memory-map.ts';
import { EVENT_REGISTER_REFUSED } from '../../../assembly/abi/records.ts';
import {
  FEATURE_CHANGEABLE,
  FEATURE_NAMESPACE_SPECIFIC,
  FEATURE_SAVEABLE,
  SEL_SUPPORTED,
} from '../../../assembly/spec/nvme-features.ts';
import * as identify from '../../../assembly/spec/nvme-identify.ts';
import * as logs from '../../../assembly/spec/nvme-logs.ts';
import * as nvme from '../../../assembly/spec/nvme.ts';
import { findCheckout } from '../../../host/demo/checkout.ts';
import { MockGuest } from '../../support/mock-guest.ts';

const page = fs.readFileSync(path.join(findCheckout(), 'docs/nvme-support.md'), 'utf8');

/** Rows of the table in this section, without its heading. */
function table(section: string): string[][] {
  const [, text = ''] = page.split(`\n## ${section}\n`);
  const [first = ''] = text.split('\n## ');
  const rows = first.split('\n').filter((line) => line.startsWith('|'));
  assert.ok(rows.length > 2, `there is no table in the section ${section}`);
  return rows.slice(2).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

const hexOf = (text: string): number => Number.parseInt(text, 16);

/** Numbers that a table lists as supported; its rows are in order, and none is there twice. */
function supported(section: string): number[] {
  const rows = table(section);
  const numbers = rows.map(([number = '']) => hexOf(number));
  assert.deepEqual(
    numbers,
    [...new Set(numbers)].sort((a, b) => a - b),
  );
  assert.ok(rows.every((row) => row[2] === 'yes' || row[2] === 'no'));
  return numbers.filter((_, index) => rows[index]?.[2] === 'yes');
}

const BYTES = Array.from({ length: 256 }, (_, value) => value);

/** Those of the numbers 0 to 255 whose command does not end with `refusal`. */
function known(guest: MockGuest, sqid: number, refusal: number, prepare: (value: number) => void): number[] {
  return BYTES.filter((value) => {
    prepare(value);
    return guest.command(sqid).status !== refusal;
  });
}

describe('the tables of docs/nvme-support.md', () => {
  const guest = MockGuest.up();
  const { driver } = guest;
  const data = guest.allocate(4096);

  test('admin commands', () => {
    const opcodes = known(guest, 0, nvme.STATUS_INVALID_OPCODE, (opcode) => {
      driver.flush(1);
      driver.sqe.setUint8(nvme.SQE_OPCODE, opcode);
      // Reserved in every admin command: nothing is created, and nothing waits.
      driver.sqe.setUint32(nvme.SQE_CDW15, 1, true);
    });
    assert.deepEqual(opcodes, supported('Admin commands'));
  });

  test('Doorbell Buffer Config can be switched off', () => {
    const other = MockGuest.up({ queues: 0, controller: { shadowDoorbells: false } });
    other.driver.doorbellBuffers(data, data);
    assert.equal(other.command().status, nvme.STATUS_INVALID_OPCODE);
  });

  test('I/O commands', () => {
    const opcodes = known(guest, 1, nvme.STATUS_INVALID_OPCODE, (opcode) => {
      driver.flush(1);
      driver.data(data, 512);
      driver.sqe.setUint8(nvme.SQE_OPCODE, opcode);
    });
    assert.deepEqual(opcodes, supported('I/O commands'));
  });

  test('Identify', () => {
    const structures = known(guest, 0, nvme.STATUS_INVALID_FIELD, (cns) => {
      driver.identify(data, cns, 1, 0xffff, identify.CSI_NVM);
    });
    assert.deepEqual(structures, supported('Identify'));
  });

  test('features, whose values they are, and Save', () => {
    const fids = known(guest, 0, nvme.STATUS_INVALID_FIELD, (fid) => {
      driver.getFeatures(fid, SEL_SUPPORTED);
    });
    assert.deepEqual(fids, supported('Features'));
    const rows = table('Features').filter((row) => row[2] === 'yes');
    for (const [fid = '', , , scope, saved] of rows) {
      driver.getFeatures(hexOf(fid), SEL_SUPPORTED);
      const specific = scope === 'namespace' ? FEATURE_NAMESPACE_SPECIFIC : 0;
      const saveable = saved === 'yes' ? FEATURE_SAVEABLE : 0;
      assert.equal(guest.succeed().result, FEATURE_CHANGEABLE | specific | saveable, `feature ${fid}`);
      driver.setFeatures(hexOf(fid), 0, true);
      assert.equal(guest.command().status, saveable === 0 ? nvme.STATUS_FEATURE_NOT_SAVEABLE : 0);
    }
  });

  test('log pages', () => {
    const lids = known(guest, 0, nvme.STATUS_INVALID_LOG_PAGE, (lid) => {
      driver.getLogPage(data, lid, 4);
    });
    assert.deepEqual(lids, supported('Log pages'));
  });

  test('the log pages about what is supported say the same', () => {
    const listed = (lid: number, from: number): number[] => {
      driver.getLogPage(data, lid, 4096);
      guest.succeed();
      const entries = new DataView(guest.memory.at(data, 4096).slice().buffer, from);
      return BYTES.filter((index) => (entries.getUint32(index * 4, true) & 1) !== 0);
    };
    assert.deepEqual(listed(logs.LID_EFFECTS, logs.LOG_EFFECTS_ADMIN), supported('Admin commands'));
    assert.deepEqual(listed(logs.LID_EFFECTS, logs.LOG_EFFECTS_IO), supported('I/O commands'));
    assert.deepEqual(listed(logs.LID_FEATURES, 0), supported('Features'));
    assert.deepEqual(listed(logs.LID_SUPPORTED_PAGES, 0), supported('Log pages'));
  });

  test('controller properties', () => {
    const offsets = supported('Controller properties').filter((offset) => offset < nvme.REG_DOORBELLS);
    const all = table('Controller properties').map(([offset = '']) => hexOf(offset));
    guest.events.length = 0;
    for (const offset of all.filter((each) => each < nvme.REG_DOORBELLS)) {
      const value = guest.registerRead(offset);
      if (!offsets.includes(offset)) assert.equal(value, 0, `the property at ${offset.toString(16)}`);
    }
    guest.take();
    assert.deepEqual(guest.events, [], 'all of them may be read');
    for (let offset = 0; offset < nvme.REG_DOORBELLS; offset += 4) {
      if (guest.registerRead(offset) !== 0)
        assert.ok(offsets.includes(offset), `${offset.toString(16)} is not 0`);
    }
    guest.take();
    assert.ok(guest.events.every(({ type }) => type === EVENT_REGISTER_REFUSED));
  });

  test('limits', () => {
    driver.identify(data, identify.CNS_CONTROLLER);
    guest.succeed();
    const controller = new DataView(guest.memory.at(data, 4096).slice().buffer);
    driver.identify(data, identify.CNS_NAMESPACE, 1);
    guest.succeed();
    const namespace = new DataView(guest.memory.at(data, 4096).slice().buffer);
    const values = new Map(table('Limits').map(([what = '', value = '']) => [what, value]));
    const expected: Record<string, number> = {
      'I/O queue pairs': memoryMap.IO_QUEUE_PAIRS_MAX,
      'entries of an I/O queue': memoryMap.QUEUE_ENTRIES_MAX,
      'entries of an admin queue': 1 << nvme.AQA_ASQS_Z_WIDTH,
      'commands under way': memoryMap.SLOT_COUNT,
      'transfer of one command': nvme.PAGE_BYTES << controller.getUint8(identify.IDCTRL_MDTS),
      namespaces: controller.getUint32(identify.IDCTRL_NN, true),
      'Asynchronous Event Requests': controller.getUint8(identify.IDCTRL_AERL) + 1,
      'Error Information entries': controller.getUint8(identify.IDCTRL_ELPE) + 1,
      'ranges of a Dataset Management': nvme.DSM_RANGES_MAX,
      'ranges of a Copy': namespace.getUint8(identify.IDNS_MSRC) + 1,
      'interrupt vectors': memoryMap.QUEUE_COUNT,
    };
    for (const [what, value] of Object.entries(expected)) {
      assert.equal(values.get(what), value.toLocaleString('en-US'), what);
    }
  });

  test('every status is one of the sources', () => {
    const statuses = [...page.matchAll(/\((\d[0-9a-f]{1,2})h\)/g)].map(([, number = '']) => hexOf(number));
    assert.ok(statuses.length > 25);
    const codes = Object.entries(nvme).filter(([name]) => name.startsWith('STATUS_'));
    for (const status of statuses) {
      assert.ok(
        codes.some(([, code]) => code === status),
        `${status.toString(16)}h is no status`,
      );
    }
  });
});
