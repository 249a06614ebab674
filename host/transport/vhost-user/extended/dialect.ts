// The extended dialect of vhost-user-nvme (docs/protocol/vhost-user-nvme.md): the whole controller is in the target.
// The front end is a PCI function in a VMM that shares doorbells and memory, and keeps the state of the controller
// while there is no target. Here: what is agreed on, which request goes where, and how it is answered.

import * as spec from '../../../../assembly/spec/vhost-user-nvme.ts';
import * as standard from '../../../../assembly/spec/vhost-user.ts';
import type { Dialect, Request } from '../dialect.ts';
import { SessionMemory } from '../memory.ts';
import { encodeU64Reply, parseU64, sizeCheck, type Header } from '../messages/header.ts';
import { fatal, fdsCheck, outOfRange, ProtocolError } from '../messages/protocol-error.ts';
import { encodeSetStateReply } from '../messages/state.ts';
import type { BackChannelOpen } from './back-channel.ts';
import { ControllerRequests } from './controller.ts';
import { EventRequests } from './events.ts';
import { done, emptyCheck, type Finish, type Handler, type Handlers } from './handler.ts';
import type { KickOptions } from './kicks.ts';
import { Life, type LifeOptions } from './life.ts';
import { MemoryRequests } from './memory.ts';
import { Status } from './status.ts';

export interface ExtendedOptions extends KickOptions, LifeOptions {
  /** Regions of memory that a front end may add. */
  memorySlots: number;
  openBackChannel: BackChannelOpen;
}

const bit = (index: number): bigint => 1n << BigInt(index);
const FEATURES = bit(spec.FEATURE_PROTOCOL_FEATURES_BIT);
const REPLY_ACK = bit(spec.PROTOCOL_FEATURE_REPLY_ACK_BIT);
const BACKEND_REQ = bit(spec.PROTOCOL_FEATURE_BACKEND_REQ_BIT);
const CONFIGURE_MEM_SLOTS = bit(spec.PROTOCOL_FEATURE_CONFIGURE_MEM_SLOTS_BIT);
const NVME = bit(spec.PROTOCOL_FEATURE_NVME_BIT);
const PROTOCOL_FEATURES = REPLY_ACK | BACKEND_REQ | CONFIGURE_MEM_SLOTS | NVME;

/** Requests of the standard that belong to a protocol feature. */
const FEATURE_OF = new Map<number, bigint>([
  [standard.REQUEST_SET_BACKEND_REQ_FD, BACKEND_REQ],
  [spec.REQUEST_GET_MAX_MEM_SLOTS, CONFIGURE_MEM_SLOTS],
  [spec.REQUEST_ADD_MEM_REG, CONFIGURE_MEM_SLOTS],
  [spec.REQUEST_REM_MEM_REG, CONFIGURE_MEM_SLOTS],
]);

/** Requests of the standard that the front end waits for with an answer of their own, offered or not. */
const ANSWERED = new Set<number>([
  standard.REQUEST_GET_FEATURES,
  standard.REQUEST_GET_VRING_BASE,
  standard.REQUEST_GET_PROTOCOL_FEATURES,
  standard.REQUEST_GET_QUEUE_NUM,
  standard.REQUEST_GET_CONFIG,
  spec.REQUEST_GET_MAX_MEM_SLOTS,
]);

export class ExtendedDialect implements Dialect {
  readonly payloadBytesMax = spec.EXTENDED_PAYLOAD_BYTES_MAX;
  readonly #memory: SessionMemory;
  readonly #status: Status;
  readonly #life: Life;
  readonly #events: EventRequests;
  readonly #handlers: ReadonlyMap<number, Handler>;
  /** Protocol features that were agreed on. */
  #features = 0n;

  constructor(options: ExtendedOptions) {
    const { device, closeFd, openBackChannel, memorySlots } = options;
    this.#memory = new SessionMemory(device, closeFd);
    this.#status = new Status(device, openBackChannel);
    this.#life = new Life(options, this.#memory, this.#status);
    this.#events = new EventRequests(options, this.#memory);
    this.#handlers = new Map([
      ...this.#handshake(memorySlots),
      ...new MemoryRequests(this.#memory, this.#life, memorySlots).handlers,
      ...new ControllerRequests(device, this.#status).handlers,
      ...this.#events.handlers,
      ...this.#life.handlers,
    ]);
  }

  begin(request: Request, finish: Finish): ProtocolError | undefined {
    const number = request.request;
    const error = this.#unwelcome(number) ?? this.#handlers.get(number)?.(request, finish);
    // The front end waits for an answer that cannot say no.
    return error !== undefined && ANSWERED.has(number) ? fatal(error) : error;
  }

  acknowledgement(header: Header): Uint8Array | undefined {
    return this.#isAwaited(header) ? encodeU64Reply(header.request, 0n) : undefined;
  }

  refusal(header: Header, error: ProtocolError): Uint8Array | undefined {
    if (!this.#isAwaited(header)) return undefined;
    if (header.request === spec.REQUEST_SET_STATE) return encodeSetStateReply(error);
    return encodeU64Reply(header.request, BigInt(error.errno));
  }

  drain(then: () => void): void {
    this.#life.drain(then);
  }

  close(): void {
    this.#life.close();
    this.#memory.close();
    this.#events.close();
    this.#status.close();
  }

  /** Every private request is answered, any other where that was agreed on and is asked for. */
  #isAwaited({ request, needReply }: Header): boolean {
    return isPrivate(request) || (needReply && (this.#features & REPLY_ACK) !== 0n);
  }

  /** Why a request is not begun at all: nobody knows it, or it was not agreed on. */
  #unwelcome(request: number): ProtocolError | undefined {
    if (isPrivate(request) && (this.#features & NVME) === 0n) {
      const feature = `protocol feature ${spec.PROTOCOL_FEATURE_NVME_BIT}`;
      const message = `request ${request} came before SET_PROTOCOL_FEATURES had agreed on ${feature}`;
      return new ProtocolError('VHOST_USER_REQUEST', message, { fatal: true });
    }
    if (!this.#handlers.has(request)) {
      return new ProtocolError('VHOST_USER_REQUEST', `request ${request} is not offered in this dialect`);
    }
    const feature = FEATURE_OF.get(request);
    if (feature === undefined || (this.#features & feature) !== 0n) return undefined;
    const message = `request ${request} belongs to a protocol feature that was not agreed on`;
    return new ProtocolError('VHOST_USER_REQUEST', message);
  }

  #handshake(memorySlots: number): Handlers {
    const answer =
      (value: bigint): Handler =>
      (request, finish) =>
        emptyCheck(request) ?? done(finish, encodeU64Reply(request.request, value));
    return [
      [standard.REQUEST_GET_FEATURES, answer(FEATURES)],
      [standard.REQUEST_SET_FEATURES, (request, finish) => this.#featuresSet(request, finish)],
      [standard.REQUEST_SET_OWNER, (request, finish) => emptyCheck(request) ?? done(finish)],
      [standard.REQUEST_GET_PROTOCOL_FEATURES, answer(PROTOCOL_FEATURES)],
      [standard.REQUEST_SET_PROTOCOL_FEATURES, (request, finish) => this.#agree(request, finish)],
      [standard.REQUEST_SET_BACKEND_REQ_FD, (request, finish) => this.#backChannel(request, finish)],
      [spec.REQUEST_GET_MAX_MEM_SLOTS, answer(BigInt(memorySlots))],
    ];
  }

  #featuresSet(request: Request, finish: Finish): ProtocolError | undefined {
    const features = chosen(request, FEATURES);
    return typeof features === 'bigint' ? done(finish) : features;
  }

  #agree(request: Request, finish: Finish): ProtocolError | undefined {
    const features = chosen(request, PROTOCOL_FEATURES);
    if (typeof features !== 'bigint') return features;
    this.#features = features;
    return done(finish);
  }

  #backChannel({ payload, fds }: Request, finish: Finish): ProtocolError | undefined {
    const wrong = sizeCheck(payload, 0) ?? fdsCheck(fds, 1);
    if (wrong !== undefined) return wrong;
    const [fd = -1] = fds.splice(0);
    return this.#status.open(fd) ?? done(finish);
  }
}

/** The features that a front end chooses among those that are offered. */
function chosen({ payload, fds }: Request, offered: bigint): bigint | ProtocolError {
  const features = parseU64(payload);
  if (typeof features !== 'bigint') return features;
  const wrong = fdsCheck(fds, 0);
  if (wrong !== undefined) return wrong;
  if ((features & ~offered) === 0n) return features;
  return outOfRange(`features 0x${features.toString(16)}, where 0x${offered.toString(16)} are offered`);
}

function isPrivate(request: number): boolean {
  return request >= spec.REQUEST_GET_CONTROLLER;
}
