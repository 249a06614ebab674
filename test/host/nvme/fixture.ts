// What tests of controllers have around each of them: a directory, a ring, and rigs that are closed afterwards.

import * as fs from 'node:fs';
import { afterEach, beforeEach } from 'node:test';
import { buildPath } from '../../../host/demo/checkout.ts';
import { ControllerRig, TestReactor, type RigOptions } from './rig.ts';

export class Fixture {
  #directory = '';
  #reactor: TestReactor | undefined;
  #rigs: ControllerRig[] = [];

  /** Around each test of the calling file. */
  constructor(name: string) {
    beforeEach(() => {
      fs.mkdirSync(buildPath('tmp'), { recursive: true });
      this.#directory = fs.mkdtempSync(buildPath('tmp', `${name}-`));
      // State images of cores that trapped go here.
      process.env['TMPDIR'] = this.#directory;
      this.#reactor = new TestReactor();
      this.#rigs = [];
    });
    afterEach(() => {
      this.#reactor?.close();
      for (const each of this.#rigs) each.close();
      delete process.env['TMPDIR'];
      fs.rmSync(this.#directory, { recursive: true });
    });
  }

  get directory(): string {
    return this.#directory;
  }

  get reactor(): TestReactor {
    if (this.#reactor === undefined) throw new Error('there is a ring inside of tests');
    return this.#reactor;
  }

  rig(options: Omit<RigOptions, 'directory' | 'reactor'> = {}): ControllerRig {
    const made = new ControllerRig({ directory: this.#directory, reactor: this.reactor, ...options });
    this.#rigs.push(made);
    return made;
  }
}
