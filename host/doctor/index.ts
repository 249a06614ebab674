// What `doorbell doctor` does: an examination, and the machine that it is made on.

export { examine, type Finding, type Needs, type Verdict } from './checks.ts';
export { thisMachine, type Machine } from './machine.ts';
