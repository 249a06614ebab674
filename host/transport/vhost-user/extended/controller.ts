// What a front end asks of the controller itself: identity and limits, registers, the PCI function, whole commands.

import * as nvme from '../../../../assembly/spec/nvme.ts';
import { CONFIG_LEGACY_BYTES } from '../../../../assembly/spec/pci.ts';
import * as spec from '../../../../assembly/spec/vhost-user-nvme.ts';
import type { CommandSet, ResumableDevice } from '../../device.ts';
import { attempt } from '../attempt.ts';
import type { Request } from '../dialect.ts';
import { encodeCommandReply, parseCommand } from '../messages/command.ts';
import { encodeController, parseLimits } from '../messages/controller.ts';
import { fdsCheck, ProtocolError } from '../messages/protocol-error.ts';
import * as messages from '../messages/registers.ts';
import { functionWrite } from './function.ts';
import { done, emptyCheck, type Finish, type Handlers } from './handler.ts';
import type { Status } from './status.ts';

const DATA_BYTES_MAX: Readonly<Record<CommandSet, number>> = {
  admin: spec.COMMAND_ADMIN_DATA_BYTES_MAX,
  nvm: spec.COMMAND_DATA_BYTES_MAX,
};

export class ControllerRequests {
  readonly #device: ResumableDevice;
  readonly #status: Status;

  constructor(device: ResumableDevice, status: Status) {
    this.#device = device;
    this.#status = status;
  }

  get handlers(): Handlers {
    return [
      [spec.REQUEST_GET_CONTROLLER, (request, finish) => this.#get(request, finish)],
      [spec.REQUEST_SET_CONTROLLER, (request, finish) => this.#set(request, finish)],
      [spec.REQUEST_GET_REGISTER, (request, finish) => this.#registerGet(request, finish)],
      [spec.REQUEST_SET_REGISTER, (request, finish) => this.#registerSet(request, finish)],
      [spec.REQUEST_SET_FUNCTION, (request, finish) => this.#function(request, finish)],
      [spec.REQUEST_ADMIN_COMMAND, (request, finish) => this.#command('admin', request, finish)],
      [spec.REQUEST_IO_COMMAND, (request, finish) => this.#command('nvm', request, finish)],
    ];
  }

  #get(request: Request, finish: Finish): ProtocolError | undefined {
    const wrong = emptyCheck(request);
    if (wrong !== undefined) return wrong;
    const device = this.#device;
    const bytes = encodeController({
      cap: device.regionRead('bar0', nvme.REG_CAP, 8),
      vs: device.regionRead('bar0', nvme.REG_VS, 4),
      vectors: device.interruptCount('msix'),
      stateBytes: device.stateBytes,
      config: device.regionRead('config', 0, CONFIG_LEGACY_BYTES),
    });
    return done(finish, bytes);
  }

  #set({ payload, fds }: Request, finish: Finish): ProtocolError | undefined {
    const limits = parseLimits(payload);
    if (limits instanceof ProtocolError) return limits;
    const configure = (): void => this.#device.configure({ ...limits, queueEntries: undefined });
    return fdsCheck(fds, 0) ?? attempt('VHOST_USER_STATE', configure) ?? done(finish);
  }

  #registerGet({ payload, fds }: Request, finish: Finish): ProtocolError | undefined {
    const access = messages.parseGetRegister(payload);
    if (access instanceof ProtocolError) return access;
    const wrong = fdsCheck(fds, 0);
    if (wrong !== undefined) return wrong;
    const value = this.#device.regionRead('bar0', access.offset, access.size);
    return done(finish, messages.encodeRegisterReply(value));
  }

  #registerSet({ payload, fds }: Request, finish: Finish): ProtocolError | undefined {
    const write = messages.parseSetRegister(payload);
    if (write instanceof ProtocolError) return write;
    const wrong = fdsCheck(fds, 0);
    if (wrong !== undefined) return wrong;
    this.#device.regionWrite('bar0', write.offset, write.bytes, () => this.#finish(finish));
    return undefined;
  }

  #function({ payload, fds }: Request, finish: Finish): ProtocolError | undefined {
    const write = messages.parseFunction(payload);
    if (write instanceof ProtocolError) return write;
    const wrong = fdsCheck(fds, 0);
    if (wrong !== undefined) return wrong;
    functionWrite(this.#device, write, () => this.#finish(finish));
    return undefined;
  }

  /** A change of CSTS is told before the reply. */
  #finish(finish: Finish): void {
    this.#status.refresh();
    done(finish);
  }

  #command(set: CommandSet, { request, payload, fds }: Request, finish: Finish): ProtocolError | undefined {
    const command = parseCommand(payload, DATA_BYTES_MAX[set]);
    if (command instanceof ProtocolError) return command;
    const wrong = fdsCheck(fds, 0);
    if (wrong !== undefined) return wrong;
    const { opcode, cid, entry, data, dataBytes } = command;
    if (set === 'admin' && opcode === nvme.ADMIN_ASYNC_EVENT_REQUEST) {
      // It would keep all that follows waiting for an event that may never come.
      return new ProtocolError('VHOST_USER_REQUEST', 'events are not to be asked for by ADMIN_COMMAND');
    }
    this.#device.passthrough(set, entry, data, dataBytes, (completion) =>
      done(finish, encodeCommandReply(request, cid, completion)),
    );
    return undefined;
  }
}
