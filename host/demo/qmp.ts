/**
 * The QEMU Machine Protocol over a connected stream: JSON objects, one a line (QEMU's docs/interop/qmp-spec.rst).
 */
import type { Duplex } from 'node:stream';

/** QEMU refused a command. */
export class QmpError extends Error {
  constructor(
    readonly command: string,
    /** QEMU's error class, such as `GenericError`. */
    readonly errorClass: string,
    description: string,
  ) {
    super(`QMP ${command}: ${description}`);
    this.name = 'QmpError';
  }
}

/** Something that QEMU reports on its own, such as `SHUTDOWN` or `RESET`. */
export interface QmpEvent {
  readonly event: string;
  readonly data?: unknown;
}

interface Pending {
  readonly command: string;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

interface Message {
  readonly id?: number;
  readonly event?: string;
  readonly data?: unknown;
  readonly return?: unknown;
  readonly error?: { readonly class: string; readonly desc: string };
}

/** One connection. Commands sent before QEMU is ready wait for it. */
export class QmpClient {
  /** All events so far, oldest first. */
  readonly events: QmpEvent[] = [];
  readonly #stream: Duplex;
  readonly #pending = new Map<number, Pending>();
  #nextId = 0;
  #text = '';
  #closed: Error | undefined;

  constructor(stream: Duplex) {
    this.#stream = stream;
    stream.on('data', (chunk: Buffer) => this.#receive(chunk.toString()));
    stream.on('error', (error) => this.close(error));
    stream.on('close', () => this.close(new Error('QEMU closed the QMP connection')));
    this.execute('qmp_capabilities').catch(() => {});
  }

  /** Sends a command; resolves to its return value. Rejects with QmpError, or when the connection ends. */
  execute(command: string, args?: object): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#closed !== undefined) {
        reject(this.#closed);
        return;
      }
      const id = this.#nextId++;
      this.#pending.set(id, { command, resolve, reject });
      const body = args === undefined ? { execute: command, id } : { execute: command, arguments: args, id };
      this.#stream.write(`${JSON.stringify(body)}\n`);
    });
  }

  /** Rejects what waits and all further commands. */
  close(reason: Error): void {
    this.#closed ??= reason;
    for (const { reject } of this.#pending.values()) reject(reason);
    this.#pending.clear();
  }

  #receive(text: string): void {
    const lines = (this.#text + text).split('\n');
    this.#text = lines.pop() ?? '';
    for (const line of lines) {
      const message = JSON.parse(line) as Message;
      if (message.event !== undefined) this.events.push({ event: message.event, data: message.data });
      if (message.id !== undefined) this.#settle(message.id, message);
    }
  }

  #settle(id: number, message: Message): void {
    const pending = this.#pending.get(id);
    if (pending === undefined) return;
    this.#pending.delete(id);
    if (message.error === undefined) pending.resolve(message.return);
    else pending.reject(new QmpError(pending.command, message.error.class, message.error.desc));
  }
}
