// The other end of a control socket, for `doorbell ctl` and `doorbell top`.

import net from 'node:net';
import { JSONRPCClient, JSONRPCErrorException } from 'json-rpc-2.0';
import { UsageError } from '../config/usage-error.ts';
import { ControlError } from './control-error.ts';
import { LineReader } from './lines.ts';

/** A controller that goes may take three seconds for its requests, and as much to flush. */
const ANSWER_MS = 15_000;

export class ControlClient {
  readonly #socket: net.Socket;
  readonly #client: JSONRPCClient;

  private constructor(socket: net.Socket) {
    this.#socket = socket;
    this.#client = new JSONRPCClient((request) => {
      socket.write(`${JSON.stringify(request)}\n`);
    });
    const reader = new LineReader((line) => {
      this.#client.receive(JSON.parse(line) as Parameters<JSONRPCClient['receive']>[0]);
    });
    socket.on('data', (chunk) => {
      reader.push(chunk);
    });
    const lost = (): void => {
      this.#client.rejectAllPendingRequests('the target has gone');
    };
    socket.on('error', lost);
    socket.on('close', lost);
  }

  /** Rejects with UsageError where nobody listens. */
  static async connect(path: string): Promise<ControlClient> {
    const socket = net.connect(path);
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', (error: NodeJS.ErrnoException) => {
        reject(
          new UsageError(
            'CONTROL_UNREACHABLE',
            `no target answers on ${path} (${error.code ?? error.message}): start one with --control ${path}, ` +
              'or name its socket',
            { cause: error },
          ),
        );
      });
    });
    return new ControlClient(socket);
  }

  /** Rejects with ControlError. The caller knows what the method answers. */
  async call(method: string, parameters: object = {}): Promise<unknown> {
    try {
      return (await this.#client.timeout(ANSWER_MS).request(method, parameters, undefined)) as unknown;
    } catch (error) {
      throw controlError(error);
    }
  }

  close(): void {
    this.#socket.destroy();
  }
}

function controlError(error: unknown): ControlError {
  if (!(error instanceof JSONRPCErrorException)) {
    return new ControlError(error instanceof Error ? error.message : String(error), 'CONTROL_LOST', false);
  }
  const data = error.data as { code?: string } | undefined;
  const isUsage = error.code === 2 || error.code === -32602 || error.code === -32601;
  return new ControlError(error.message, data?.code ?? `JSON-RPC ${error.code}`, isUsage);
}
