// Every bit of every command, one at a time. A bit that means something may change what the command does; a reserved
// one is either ignored or answered with Invalid Field. Whatever a bit does, the command completes exactly once and
// the controller serves the next one.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as nvme from '../../assembly/spec/nvme.ts';
import { MockGuest } from '../support/mock-guest.ts';

interface Template {
  title: string;
  sqid: number;
  prepare: (guest: MockGuest) => void;
  /** Bits that are reserved for this command (NVMe 2.0), by dword; all of CDW14 and CDW15 unless named. */
  reserved: Partial<Record<number, number>>;
}

const DATA = 0x600000;
const ALL = 0xffffffff;

/** Dwords of an entry: CDW2 and CDW3, and CDW10 to CDW15. MPTR and PRPs are addresses. */
const CDW = (dword: number): number => dword * 4;

/** Expected tags of protection information, ignored by a namespace without it, are in CDW14 and CDW15 of these. */
const TEMPLATES: Template[] = [
  {
    title: 'Flush',
    sqid: 1,
    prepare: ({ driver }) => driver.flush(1),
    reserved: { 10: ALL, 11: ALL, 12: ALL, 13: ALL },
  },
  {
    title: 'Read',
    sqid: 1,
    prepare: ({ driver }) => driver.read(1, 0, 8).data(DATA, 4096),
    reserved: { 12: 0x02ff0000, 13: 0xffffff00, 14: 0, 15: 0 },
  },
  {
    title: 'Write',
    sqid: 1,
    prepare: ({ driver }) => driver.write(1, 0, 8).data(DATA, 4096),
    reserved: { 12: 0x020f0000, 14: 0, 15: 0 },
  },
  {
    title: 'Write Zeroes',
    sqid: 1,
    prepare: ({ driver }) => driver.writeZeroes(1, 0, 8),
    reserved: { 12: 0x00ff0000, 13: ALL, 14: 0, 15: 0 },
  },
  {
    title: 'Dataset Management',
    sqid: 1,
    prepare: ({ driver }) => driver.datasetManagement(1, 1).data(DATA, 16),
    reserved: { 10: 0xffffff00, 11: 0xfffffff8, 12: ALL, 13: ALL },
  },
  {
    title: 'Identify',
    sqid: 0,
    prepare: ({ driver }) => driver.identify(DATA, 1),
    reserved: { 10: 0x0000ff00, 12: ALL, 13: ALL, 14: 0xffffff80, 15: ALL },
  },
  {
    title: 'Get Features',
    sqid: 0,
    prepare: ({ driver }) => driver.getFeatures(7),
    reserved: { 10: 0xfffff800, 12: ALL, 13: ALL, 14: 0xffffff80, 15: ALL },
  },
  {
    title: 'Set Features',
    sqid: 0,
    prepare: ({ driver }) => driver.setFeatures(4, 0x150),
    reserved: { 10: 0x7fffff00, 14: 0xffffff80 },
  },
  {
    title: 'Get Log Page',
    sqid: 0,
    prepare: ({ driver }) => driver.getLogPage(DATA, 2, 512),
    reserved: { 14: 0x007fff80, 15: ALL },
  },
  {
    title: 'Abort',
    sqid: 0,
    prepare: ({ driver }) => driver.abort(1, 5),
    reserved: { 11: ALL, 12: ALL, 13: ALL, 14: ALL, 15: ALL },
  },
  {
    title: 'Delete I/O Submission Queue (of one that is not there)',
    sqid: 0,
    prepare: ({ driver }) => driver.deleteSubmissionQueue(60),
    reserved: { 10: 0xffff0000, 11: ALL, 12: ALL, 13: ALL, 14: ALL, 15: ALL },
  },
  {
    title: 'Create I/O Completion Queue (with a number that is taken)',
    sqid: 0,
    prepare: ({ driver }) => driver.createCompletionQueue(1, DATA, 16, undefined),
    reserved: { 11: 0x0000fffc, 12: ALL, 13: ALL, 14: ALL, 15: ALL },
  },
  {
    title: 'Create I/O Submission Queue (with a number that is taken)',
    sqid: 0,
    prepare: ({ driver }) => driver.createSubmissionQueue(1, DATA, 16, 1),
    reserved: { 11: 0x0000fff8, 13: ALL, 14: ALL, 15: ALL },
  },
];

for (const template of TEMPLATES) {
  describe(template.title, () => {
    const guest = MockGuest.up({ queue: { entries: 16 } });
    const plain = (): number => {
      template.prepare(guest);
      return guest.command(template.sqid).status;
    };
    const flipped = (dword: number, bit: number): number => {
      template.prepare(guest);
      const { sqe } = guest.driver;
      sqe.setUint32(CDW(dword), (sqe.getUint32(CDW(dword), true) ^ (1 << bit)) >>> 0, true);
      return guest.command(template.sqid).status;
    };

    test('reserved bits are ignored or Invalid Field', () => {
      const usual = plain();
      for (const [dword, mask = 0] of Object.entries(template.reserved)) {
        for (let bit = 0; bit < 32; bit++) {
          if (((mask >>> bit) & 1) === 0) continue;
          const status = flipped(Number(dword), bit);
          const fine = status === usual || status === nvme.STATUS_INVALID_FIELD;
          assert.ok(fine, `CDW${dword} bit ${bit}: status ${status.toString(16)}`);
        }
      }
      assert.equal(plain(), usual);
    });

    test('no bit of any dword harms', () => {
      const usual = plain();
      for (const dword of [2, 3, 4, 5, 10, 11, 12, 13, 14, 15]) {
        for (let bit = 0; bit < 32; bit++) flipped(dword, bit);
      }
      assert.equal(guest.core.failure, undefined);
      assert.equal(guest.driver.strangers, 0);
      if (template.title !== 'Set Features') assert.equal(plain(), usual);
    });
  });
}
