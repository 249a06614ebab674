// The memory requests of the extended dialect: a whole table, or region by region.

import * as spec from '../../../../assembly/spec/vhost-user-nvme.ts';
import { REQUEST_SET_MEM_TABLE } from '../../../../assembly/spec/vhost-user.ts';
import { constants } from 'node:os';
import type { Request } from '../dialect.ts';
import { parseMemorySlot, parseMemoryTable } from '../messages/memory.ts';
import { fdsCheck, ProtocolError } from '../messages/protocol-error.ts';
import type { SessionMemory } from '../memory.ts';
import { done, type Finish, type Handlers } from './handler.ts';
import type { Life } from './life.ts';

export class MemoryRequests {
  readonly #memory: SessionMemory;
  readonly #life: Life;
  readonly #slots: number;

  /** `slots`: regions that a front end may add. */
  constructor(memory: SessionMemory, life: Life, slots: number) {
    this.#memory = memory;
    this.#life = life;
    this.#slots = slots;
  }

  get handlers(): Handlers {
    return [
      [REQUEST_SET_MEM_TABLE, (request, finish) => this.#table(request, finish)],
      [spec.REQUEST_ADD_MEM_REG, (request, finish) => this.#add(request, finish)],
      [spec.REQUEST_REM_MEM_REG, (request, finish) => this.#remove(request, finish)],
    ];
  }

  /** A guest at work must not meet the moment without memory. */
  #table({ payload, fds }: Request, finish: Finish): ProtocolError | undefined {
    const table = parseMemoryTable(payload);
    if (table instanceof ProtocolError) return table;
    const wrong = fdsCheck(fds, table.length);
    if (wrong !== undefined) return wrong;
    const replace = (then: () => void): void =>
      this.#memory.replace(table, own, (error) => {
        then();
        finish(error);
      });
    const own = fds.splice(0);
    if (this.#memory.count === 0) replace(() => undefined);
    else this.#life.pause(replace);
    return undefined;
  }

  #add({ payload, fds }: Request, finish: Finish): ProtocolError | undefined {
    const region = parseMemorySlot(payload);
    if (region instanceof ProtocolError) return region;
    const wrong = fdsCheck(fds, 1);
    if (wrong !== undefined) return wrong;
    if (this.#memory.count >= this.#slots) {
      const message = `a region of memory more than ${this.#slots}`;
      return new ProtocolError('VHOST_USER_MEMORY', message, { errno: constants.errno.ENOSPC });
    }
    return this.#memory.add(region, fds[0]) ?? done(finish);
  }

  /** The standard lets the descriptor of the region come along; it is closed. */
  #remove({ payload, fds }: Request, finish: Finish): ProtocolError | undefined {
    const region = parseMemorySlot(payload);
    if (region instanceof ProtocolError) return region;
    return fdsCheck(fds, 0, 1) ?? this.#memory.remove(region, () => done(finish));
  }
}
