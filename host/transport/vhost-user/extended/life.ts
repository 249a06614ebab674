// A controller is stopped, put down, taken up and goes on: RESET, QUIESCE, GET_STATE, SET_STATE, and the end of the
// target.

import * as spec from '../../../../assembly/spec/vhost-user-nvme.ts';
import type { Log } from '../../../log/log.ts';
import type { ResumableDevice } from '../../device.ts';
import { attempt } from '../attempt.ts';
import type { Request } from '../dialect.ts';
import { fdsCheck, outOfState, ProtocolError } from '../messages/protocol-error.ts';
import * as messages from '../messages/state.ts';
import type { SessionMemory } from '../memory.ts';
import { done, emptyCheck, type Finish, type Handlers } from './handler.ts';
import type { Status } from './status.ts';

export interface LifeOptions {
  device: ResumableDevice;
  log: Log;
  closeFd: (fd: number) => void;
  /** A file of so many bytes, of a size that nobody can change. Throws what the system says. */
  createStateFile: (bytes: number) => number;
}

export class Life {
  readonly #options: LifeOptions;
  readonly #memory: SessionMemory;
  readonly #status: Status;
  /** The front end asked for it, or gave back a state. */
  #quiesced = false;
  /** Handed out by GET_STATE. */
  #file: number | undefined;
  /** The target ends: nothing goes on any more. */
  #draining = false;
  #closed = false;

  constructor(options: LifeOptions, memory: SessionMemory, status: Status) {
    this.#options = options;
    this.#memory = memory;
    this.#status = status;
  }

  get handlers(): Handlers {
    return [
      [spec.REQUEST_RESET, (request, finish) => this.#reset(request, finish)],
      [spec.REQUEST_QUIESCE, (request, finish) => this.#quiesce(request, finish)],
      [spec.REQUEST_GET_STATE, (request, finish) => this.#get(request, finish)],
      [spec.REQUEST_SET_STATE, (request, finish) => this.#set(request, finish)],
    ];
  }

  /** Runs something while the controller fetches no commands; it calls `goOn` in the end. */
  pause(then: (goOn: () => void) => void): void {
    if (this.#quiesced) {
      then(() => undefined);
      return;
    }
    const goOn = (): void => {
      if (!this.#closed && !this.#draining) this.#options.device.proceed();
    };
    this.#options.device.quiesce(() => then(goOn));
  }

  /**
   * Leaves the controller at rest and its state in the file that the front end has, if it has one. What is under way
   * has the time that a quiesce has; if it takes longer there is no state.
   */
  drain(then: () => void): void {
    const { device, log } = this.#options;
    this.#draining = true;
    if (this.#file === undefined) {
      then();
      return;
    }
    device.quiesce((drained) => {
      if (this.#file !== undefined && drained) this.#save(this.#file);
      else if (this.#file !== undefined) {
        log.warn(
          'no state is left to the front end, whose guest will reset its controller: I/O does not end',
        );
      }
      then();
    });
  }

  close(): void {
    this.#closed = true;
    if (this.#file !== undefined) this.#options.closeFd(this.#file);
    this.#file = undefined;
  }

  #save(file: number): void {
    const { device, log } = this.#options;
    try {
      device.stateSave(file);
      log.debug('the front end keeps the state of its controller');
    } catch (error) {
      const reason = reasonOf(error);
      log.error(`no state is left to the front end, whose guest will reset its controller: ${reason}`);
    }
  }

  /** The doorbell page is the front end's, as its memory is: it stays. */
  #reset(request: Request, finish: Finish): ProtocolError | undefined {
    const wrong = emptyCheck(request);
    if (wrong !== undefined) return wrong;
    const { device } = this.#options;
    device.reset(() => {
      if (this.#closed) return;
      const error = attempt('VHOST_USER_STATE', () => device.doorbellsKicked(this.#memory.doorbells));
      this.#status.refresh();
      finish(error);
    });
    return undefined;
  }

  #quiesce({ payload, fds }: Request, finish: Finish): ProtocolError | undefined {
    const stop = messages.parseQuiesce(payload);
    if (typeof stop !== 'boolean') return stop;
    const wrong = fdsCheck(fds, 0);
    if (wrong !== undefined) return wrong;
    this.#quiesced = stop;
    if (!stop) {
      this.#options.device.proceed();
      return done(finish);
    }
    this.#options.device.quiesce((drained) => {
      finish(drained ? undefined : new ProtocolError('VHOST_USER_TIMEOUT', 'a quiesce: I/O does not end'));
    });
    return undefined;
  }

  /** One file for each session, however often it is asked for. */
  #get(request: Request, finish: Finish): ProtocolError | undefined {
    const wrong = emptyCheck(request);
    if (wrong !== undefined) return wrong;
    const bytes = this.#options.device.stateBytes;
    try {
      this.#file ??= this.#options.createStateFile(bytes);
    } catch (error) {
      const errno = error instanceof Error && 'errno' in error ? Number(error.errno) : undefined;
      const message = `there can be no file for the state of the controller: ${reasonOf(error)}`;
      return new ProtocolError('VHOST_USER_RESOURCE', message, errno === undefined ? {} : { errno });
    }
    finish({ bytes: messages.encodeGetStateReply(bytes), fds: [this.#file] });
    return undefined;
  }

  #set({ payload, fds }: Request, finish: Finish): ProtocolError | undefined {
    const size = messages.parseSetState(payload);
    if (size instanceof ProtocolError) return size;
    const wrong = fdsCheck(fds, 1);
    if (wrong !== undefined) return wrong;
    if (this.#memory.count > 0 || this.#memory.doorbells !== undefined) {
      return outOfState('a state comes before memory and doorbells');
    }
    const [fd = -1] = fds;
    const { device } = this.#options;
    const refused: { reason?: messages.StateRefused } = {};
    const failed = attempt('VHOST_USER_STATE', () => {
      const refusal = device.stateLoad(fd, size);
      if (refusal !== undefined) refused.reason = new messages.StateRefused(refusal);
    });
    const error = failed ?? refused.reason;
    if (error !== undefined) return error;
    this.#quiesced = true;
    this.#status.refresh();
    this.#options.log.limited('resumed').info('the controller goes on where another target left it');
    return done(finish, messages.encodeSetStateReply());
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
