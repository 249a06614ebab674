// Plays every document of test/core-host/documents: see test/support/documents.ts for their form.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { findCheckout } from '../../host/demo/checkout.ts';
import { documentParse, rulePlay } from '../support/documents.ts';

const folder = path.join(findCheckout(), 'test/core-host/documents');

for (const name of readdirSync(folder).filter((file) => file.endsWith('.md'))) {
  describe(name, () => {
    const rules = documentParse(readFileSync(path.join(folder, name), 'utf8'));
    for (const rule of rules) {
      test(rule.title, () => {
        assert.ok(
          rule.blocks.some((block) => block.kind === 'expect' || block.kind === 'bar0'),
          'a rule that expects nothing',
        );
        rulePlay(rule);
      });
    }
  });
}
