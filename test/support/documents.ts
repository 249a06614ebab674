// Documents that are tests. A Markdown file is a topic; each `##` section is a rule: its title, why it matters, and
// fenced blocks that are played one after the other against a fresh guest. Numbers are hexadecimal.
//
// guest     lines `region ADDRESS + BYTES rw|ro|unmapped`, `blocks N`, `lba-shift 9|12`, `read-only`, `shadow`,
// `disabled`
//   memory A  bytes from guest physical address A on
//   sqe Q     fields of a submission queue entry (`opcode`, `flags`, `nsid`, `prp1`, `prp2`, `cdw2`, `cdw10` ...);
//             what is not named is 0; submitted to queue Q at once, and the queue's doorbell is written
//   bar0      lines `write OFFSET VALUE`, `read OFFSET VALUE` (which must be the answer)
//   expect    all that came of it since the last `expect`: requests with their segments, completions, events
//
// A guest has 16 MiB of memory; that from 400000h on is the document's own. Queue 1 exists, unless it is `disabled`.

import assert from 'node:assert/strict';
import * as abi from '../../assembly/abi/records.ts';
import * as nvme from '../../assembly/spec/nvme.ts';
import { MockGuest, type MockGuestOptions } from './mock-guest.ts';
import type { RegionOptions } from './guest-memory.ts';
import type { Request } from './model-disk.ts';

export interface Block {
  kind: string;
  argument: string;
  lines: string[];
}

export interface Rule {
  title: string;
  blocks: Block[];
}

/** The rules of a document, in order. */
export function documentParse(text: string): Rule[] {
  const rules: Rule[] = [];
  let block: Block | undefined;
  for (const line of text.split('\n')) {
    const rule = rules.at(-1);
    if (line.startsWith('## ')) rules.push({ title: line.slice(3).trim(), blocks: [] });
    else if (line.startsWith('```') && block) block = undefined;
    else if (line.startsWith('```') && rule) {
      const [kind = '', argument = ''] = line.slice(3).trim().split(/\s+/);
      block = { kind, argument, lines: [] };
      rule.blocks.push(block);
    } else if (block && line.trim() !== '') block.lines.push(line.trimEnd());
  }
  return rules;
}

const FIELDS: Record<string, [offset: number, bytes: number]> = {
  opcode: [nvme.SQE_OPCODE, 1],
  flags: [nvme.SQE_FLAGS, 1],
  nsid: [nvme.SQE_NSID, 4],
  cdw2: [nvme.SQE_CDW2, 4],
  cdw3: [nvme.SQE_CDW3, 4],
  mptr: [nvme.SQE_MPTR, 8],
  prp1: [nvme.SQE_PRP1, 8],
  prp2: [nvme.SQE_PRP2, 8],
  cdw10: [nvme.SQE_CDW10, 4],
  cdw11: [nvme.SQE_CDW11, 4],
  cdw12: [nvme.SQE_CDW12, 4],
  cdw13: [nvme.SQE_CDW13, 4],
  cdw14: [nvme.SQE_CDW14, 4],
  cdw15: [nvme.SQE_CDW15, 4],
};

const OPERATIONS: Record<number, string> = {
  [abi.OPERATION_READ]: 'read',
  [abi.OPERATION_WRITE]: 'write',
  [abi.OPERATION_FLUSH]: 'flush',
  [abi.OPERATION_WRITE_ZEROES]: 'write-zeroes',
  [abi.OPERATION_DEALLOCATE]: 'deallocate',
  [abi.OPERATION_COPY_OUT]: 'copy-out',
  [abi.OPERATION_COPY_IN]: 'copy-in',
  [abi.OPERATION_COMPARE]: 'compare',
  [abi.OPERATION_VERIFY]: 'verify',
  [abi.OPERATION_COPY]: 'copy',
  [abi.OPERATION_WRITE_UNCORRECTABLE]: 'write-uncorrectable',
};

const EVENTS: Record<number, string> = {
  [abi.EVENT_CONTROLLER_FAILED]: 'controller-failed',
  [abi.EVENT_DOORBELL_REFUSED]: 'doorbell-refused',
  [abi.EVENT_MEMORY_NOT_SHARED]: 'memory-not-shared',
  [abi.EVENT_REGISTER_REFUSED]: 'register-refused',
};

const hex = (value: number | bigint): string => value.toString(16);
const number = (text: string | undefined): number => Number(`0x${text ?? ''}`);

/** Plays a rule; throws an AssertionError that shows both sides where an `expect` differs. */
export function rulePlay(rule: Rule): void {
  const [first] = rule.blocks;
  const player = new Player(first?.kind === 'guest' ? first.lines : []);
  for (const block of rule.blocks) player.play(block);
}

class Player {
  readonly #guest: MockGuest;
  #log: string[] = [];

  constructor(options: readonly string[]) {
    this.#guest = guestCreate(options);
    this.#guest.events.length = 0;
  }

  play(block: Block): void {
    switch (block.kind) {
      case 'guest':
        return;
      case 'memory': {
        const bytes = block.lines.join(' ').trim().split(/\s+/).map(number);
        this.#guest.memory.at(number(block.argument), bytes.length).set(bytes);
        return;
      }
      case 'sqe':
        this.#submit(number(block.argument), block.lines);
        return;
      case 'bar0':
        for (const line of block.lines) this.#access(line);
        return;
      case 'expect':
        this.#run();
        assert.equal(`\n${this.#log.join('\n')}\n`, `\n${block.lines.join('\n')}\n`);
        this.#log = [];
        return;
      default:
        assert.fail(`a document has no blocks of kind "${block.kind}"`);
    }
  }

  #submit(sqid: number, lines: readonly string[]): void {
    const entry = new DataView(new ArrayBuffer(nvme.SQE_BYTES));
    for (const line of lines) {
      const [name = '', value = ''] = line.trim().split(/\s+/);
      const field = FIELDS[name];
      assert.ok(field, `"${name}" is no field of an entry`);
      const [offset, bytes] = field;
      if (bytes === 8) entry.setBigUint64(offset, BigInt(`0x${value}`), true);
      else if (bytes === 4) entry.setUint32(offset, number(value), true);
      else entry.setUint8(offset, number(value));
    }
    assert.ok(this.#guest.driver.raw(new Uint8Array(entry.buffer)).submit(sqid) !== undefined);
    this.#guest.ring(sqid);
  }

  #access(line: string): void {
    const [verb, offset, value] = line.trim().split(/\s+/);
    const at = number(offset);
    if (verb === 'read') assert.equal(hex(this.#guest.registerRead(at)), hex(number(value)), line);
    else if (at >= nvme.REG_DOORBELLS) this.#guest.doorbellWrite(at, number(value));
    else this.#guest.registerWrite(at, number(value));
    if (at < nvme.REG_DOORBELLS) for (let polls = 0; polls < 4; polls++) this.#guest.poll();
  }

  /** Polls until nothing moves; logs all that comes, requests before what their completion brings. */
  #run(): void {
    const guest = this.#guest;
    for (let idle = 0; idle < 3; idle++) {
      if (guest.poll() > 0) idle = 0;
      for (const request of guest.pending) this.#request(request);
      guest.complete();
      this.#events();
      for (const cqid of guest.completionQueues) {
        for (const { status, dnr, result } of guest.reap(cqid)) {
          this.#log.push(
            `cqe status=${hex(status).padStart(3, '0')}${dnr ? ' dnr' : ''} result=${hex(result)}`,
          );
          idle = 0;
        }
      }
    }
  }

  #request(request: Request): void {
    const { operation, flags, nsid, offset, length, segments } = request;
    const name = OPERATIONS[operation] ?? `operation ${operation}`;
    const copies = operation === abi.OPERATION_COPY_OUT || operation === abi.OPERATION_COPY_IN;
    const fua = (flags & abi.REQUEST_FLAG_FUA) !== 0 ? ' fua' : '';
    const free = (flags & abi.REQUEST_FLAG_DEALLOCATE) !== 0 ? ' deallocate' : '';
    const where = copies ? '' : ` nsid=${hex(nsid)} offset=${hex(offset)}`;
    this.#log.push(`${name}${where} length=${hex(length)}${fua}${free}`);
    const { base, options } = this.#guest.memory;
    for (const segment of segments) {
      const ranges = operation === abi.OPERATION_DEALLOCATE || operation === abi.OPERATION_COPY;
      const address = ranges ? segment.address : segment.address - base + options.address;
      this.#log.push(`  ${hex(address)} + ${hex(segment.length)}`);
    }
  }

  #events(): void {
    for (const event of this.#guest.events.splice(0)) {
      const name = EVENTS[event.type];
      if (name) this.#log.push(`event ${name} argument=${hex(event.argument)} value=${hex(event.value)}`);
    }
  }
}

function guestCreate(lines: readonly string[]): MockGuest {
  const regions: RegionOptions[] = [];
  const namespace: { blocks?: bigint; lbaShift?: 9 | 12; readOnly?: boolean } = {};
  let shadow = false;
  let disabled = false;
  for (const line of lines) {
    const [word, first, , bytes, kind] = line.trim().split(/\s+/);
    if (word === 'region') {
      const [address, size] = [number(first), number(bytes)];
      regions.push({ address, bytes: size, writable: kind !== 'ro', mapped: kind !== 'unmapped' });
    } else if (word === 'blocks') namespace.blocks = BigInt(`0x${first ?? ''}`);
    else if (word === 'lba-shift') namespace.lbaShift = first === '12' ? 12 : 9;
    else if (word === 'read-only') namespace.readOnly = true;
    else if (word === 'shadow') shadow = true;
    else if (word === 'disabled') disabled = true;
    else assert.fail(`a guest has no "${line}"`);
  }
  const options: MockGuestOptions = { regions, namespaces: [namespace], adminEntries: 16 };
  if (disabled) return new MockGuest(options);
  const guest = MockGuest.up({ ...options, queue: { entries: 16 } });
  if (shadow) guest.shadowDoorbells();
  return guest;
}
