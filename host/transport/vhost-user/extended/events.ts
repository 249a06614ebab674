// Who signals whom: doorbells and kicks towards the controller, notifiers towards the guest.

import * as spec from '../../../../assembly/spec/vhost-user-nvme.ts';
import type { ResumableDevice } from '../../device.ts';
import { attempt } from '../attempt.ts';
import type { Request } from '../dialect.ts';
import { parseKick, parseNotifier } from '../messages/events.ts';
import { parseDoorbellPage } from '../messages/memory.ts';
import { fdsCheck, outOfState, ProtocolError } from '../messages/protocol-error.ts';
import { parseDoorbell } from '../messages/registers.ts';
import type { SessionMemory } from '../memory.ts';
import { done, type Finish, type Handlers } from './handler.ts';
import { Kicks, type KickOptions } from './kicks.ts';

export class EventRequests {
  readonly #device: ResumableDevice;
  readonly #memory: SessionMemory;
  readonly #kicks: Kicks;

  constructor(options: KickOptions & { device: ResumableDevice }, memory: SessionMemory) {
    this.#device = options.device;
    this.#memory = memory;
    this.#kicks = new Kicks(options);
  }

  get handlers(): Handlers {
    return [
      [spec.REQUEST_SET_DOORBELL, (request, finish) => this.#doorbell(request, finish)],
      [spec.REQUEST_SET_DOORBELL_PAGE, (request, finish) => this.#page(request, finish)],
      [spec.REQUEST_SET_KICK, (request, finish) => this.#kick(request, finish)],
      [spec.REQUEST_SET_NOTIFIER, (request, finish) => this.#notifier(request, finish)],
    ];
  }

  close(): void {
    this.#kicks.close();
  }

  /** Pairs of queues, the admin queues among them: each has a vector. */
  get #queuePairs(): number {
    return this.#device.interruptCount('msix');
  }

  #doorbell({ payload, fds }: Request, finish: Finish): ProtocolError | undefined {
    const write = parseDoorbell(payload, this.#queuePairs);
    if (write instanceof ProtocolError) return write;
    const wrong = fdsCheck(fds, 0);
    if (wrong !== undefined) return wrong;
    if (this.#memory.doorbells !== undefined) return outOfState('a doorbell, while doorbells are in a page');
    this.#device.regionWrite('bar0', write.offset, write.bytes, () => done(finish));
    return undefined;
  }

  /** While queues exist the controller keeps to the page that it has. */
  #page({ payload, fds }: Request, finish: Finish): ProtocolError | undefined {
    const region = parseDoorbellPage(payload);
    if (region instanceof ProtocolError) return region;
    const wrong = fdsCheck(fds, region === undefined ? 0 : 1);
    if (wrong !== undefined) return wrong;
    if (this.#memory.doorbells !== undefined) {
      const refused = this.#lookAt(undefined);
      if (refused !== undefined) return refused;
    }
    this.#memory.doorbellsReplace(region, fds, (error) => {
      const refused = error ?? (this.#memory.doorbells === undefined ? undefined : this.#lookAt(region?.gpa));
      if (refused === undefined || error !== undefined) finish(refused);
      else this.#memory.doorbellsReplace(undefined, [], () => finish(refused));
    });
    return undefined;
  }

  #lookAt(page: bigint | undefined): ProtocolError | undefined {
    return attempt('VHOST_USER_STATE', () => this.#device.doorbellsKicked(page));
  }

  #kick({ payload, fds }: Request, finish: Finish): ProtocolError | undefined {
    const qid = parseKick(payload, this.#queuePairs);
    if (typeof qid !== 'number') return qid;
    return fdsCheck(fds, 0, 1) ?? this.#kicks.set(qid, fds) ?? done(finish);
  }

  #notifier({ payload, fds }: Request, finish: Finish): ProtocolError | undefined {
    const change = parseNotifier(payload, this.#queuePairs);
    if (change instanceof ProtocolError) return change;
    const { kind, vector, action } = change;
    const wrong = fdsCheck(fds, action === spec.NOTIFIER_SET ? 1 : 0);
    if (wrong !== undefined) return wrong;
    const device = this.#device;
    const refused = attempt('VHOST_USER_FDS', () => {
      // The device takes the descriptor, whatever it makes of it.
      if (action === spec.NOTIFIER_SET) device.notifierSet(kind, vector, fds.shift());
      else if (action === spec.NOTIFIER_REMOVE) device.notifierSet(kind, vector, undefined);
      else if (kind === 'intx') device.intxUnmask();
      else device.notifierMask(vector, action === spec.NOTIFIER_MASK);
    });
    return refused ?? done(finish);
  }
}
