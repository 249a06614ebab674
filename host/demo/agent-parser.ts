/**
 * Splits the byte stream of the guest's agent (protocol: guest-init.ts) into messages and command output. Pure.
 *
 * A command may print anything, the mark included: only a message with the id of the command that runs is one,
 * and ids are not to be guessed.
 */
import { AGENT_MARK } from './guest-init.ts';

export type AgentEvent =
  | { readonly kind: 'ready' }
  | { readonly kind: 'begin' }
  | { readonly kind: 'output'; readonly bytes: Buffer }
  | { readonly kind: 'end'; readonly status: number };

/** Longer than any message of the agent. */
const MESSAGE_BYTES_MAX = 64;

const LINE_FEED = 0x0a;

/** Feed it chunks as they arrive; a message may be split anywhere. */
export class AgentParser {
  #pending = Buffer.alloc(0);
  #id: string | undefined;

  /** From now on `id` is the command whose messages count; undefined: none is running. */
  expect(id: string | undefined): void {
    this.#id = id;
  }

  push(chunk: Uint8Array): AgentEvent[] {
    this.#pending = Buffer.concat([this.#pending, chunk]);
    const events: AgentEvent[] = [];
    while (this.#pending.length > 0) {
      const mark = this.#pending.indexOf(AGENT_MARK);
      const plain = mark === -1 ? this.#pending.length : mark;
      if (plain > 0) {
        events.push(this.#output(plain));
        continue;
      }
      const window = this.#pending.subarray(0, MESSAGE_BYTES_MAX);
      const end = window.indexOf(LINE_FEED);
      if (end === -1 && window.length < MESSAGE_BYTES_MAX) break;
      const message = end === -1 ? undefined : this.#parse(window.toString('latin1', 1, end));
      if (message === undefined) {
        events.push(this.#output(1));
      } else {
        events.push(message);
        this.#pending = this.#pending.subarray(end + 1);
      }
    }
    return events;
  }

  #output(length: number): AgentEvent {
    const bytes = this.#pending.subarray(0, length);
    this.#pending = this.#pending.subarray(length);
    return { kind: 'output', bytes };
  }

  #parse(message: string): AgentEvent | undefined {
    const [verb, id, status] = message.split(' ');
    if (verb === 'ready' && id === undefined) return { kind: 'ready' };
    if (id === undefined || id !== this.#id) return undefined;
    if (verb === 'begin') return { kind: 'begin' };
    if (verb === 'end' && status !== undefined && /^\d+$/.test(status)) {
      return { kind: 'end', status: Number(status) };
    }
    return undefined;
  }
}
