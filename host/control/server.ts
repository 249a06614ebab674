// The control socket: JSON-RPC 2.0 (json-rpc-2.0 does it), one request or batch a line, one answer a line. Only the
// user that runs the target may connect: the socket file has mode 0600.

import { lstatSync, unlinkSync } from 'node:fs';
import net from 'node:net';
import { createJSONRPCErrorResponse, JSONRPCErrorCode, JSONRPCServer } from 'json-rpc-2.0';
import { listenFailure } from '../config/socket-spec.ts';
import { UsageError } from '../config/usage-error.ts';
import type { Log } from '../log/log.ts';
import { LineReader } from './lines.ts';
import { ParametersError, registerMethods, type Method } from './methods.ts';

/** Codes of errors that are not JSON-RPC's own: the exit codes of a command. */
export const RPC_FAILURE = 1;
export const RPC_USAGE = 2;

const CONNECTIONS_MAX = 64;
/** Bytes of answers that a client may leave unread. */
const UNREAD_BYTES_MAX = 4 << 20;
const UMASK_OWNER_ONLY = 0o177;

export class ControlServer {
  readonly path: string;
  readonly #rpc: JSONRPCServer;
  readonly #log: Log;
  readonly #connections = new Set<net.Socket>();
  readonly #server: net.Server;

  private constructor(path: string, methods: readonly Method[], log: Log) {
    this.path = path;
    this.#log = log;
    this.#rpc = new JSONRPCServer({ errorListener: () => undefined });
    this.#rpc.mapErrorToJSONRPCErrorResponse = (id, error: unknown) => this.#errorResponse(id, error);
    registerMethods(this.#rpc, methods);
    this.#server = net.createServer((connection) => {
      this.#serve(connection);
    });
    this.#server.maxConnections = CONNECTIONS_MAX;
  }

  /** Rejects with UsageError where the socket cannot be bound. */
  static async listen(path: string, methods: readonly Method[], log: Log): Promise<ControlServer> {
    const control = new ControlServer(path, methods, log);
    await listenUnix(control.#server, path);
    return control;
  }

  /** Removes the socket and drops all connections, as soon as their last answers are out. */
  close(): void {
    this.#server.close();
    for (const connection of this.#connections) connection.destroySoon();
  }

  #serve(connection: net.Socket): void {
    this.#connections.add(connection);
    connection.on('close', () => this.#connections.delete(connection));
    connection.on('error', () => connection.destroy());
    const reader = new LineReader((line) => {
      void this.#answer(connection, line);
    });
    connection.on('data', (chunk) => {
      if (reader.push(chunk)) return;
      this.#log.limited('control').warn('a client of the control socket sends a line that is too long');
      connection.destroy();
    });
  }

  async #answer(connection: net.Socket, line: string): Promise<void> {
    const response = await this.#rpc.receiveJSON(line);
    if (response === null || !connection.writable) return;
    connection.write(`${JSON.stringify(response)}\n`);
    if (connection.writableLength > UNREAD_BYTES_MAX) connection.destroy();
  }

  #errorResponse(id: string | number | null, error: unknown): ReturnType<typeof createJSONRPCErrorResponse> {
    if (error instanceof ParametersError) {
      return createJSONRPCErrorResponse(id, JSONRPCErrorCode.InvalidParams, error.message);
    }
    if (error instanceof UsageError) {
      return createJSONRPCErrorResponse(id, RPC_USAGE, error.message, { code: error.code });
    }
    const message = error instanceof Error ? error.message : String(error);
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'INTERNAL_ERROR';
    if (code === 'INTERNAL_ERROR')
      this.#log.error('a request of the control socket failed', { cause: message });
    return createJSONRPCErrorResponse(id, RPC_FAILURE, message, { code });
  }
}

/** Listens with mode 0600, in place of a socket that nobody serves any more. Rejects with UsageError. */
export async function listenUnix(server: net.Server, path: string): Promise<void> {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() === true && !(await isServed(path))) {
    unlinkSync(path);
  }
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      reject(listenFailure(path, error.code ?? '') ?? error);
    });
    // From the first moment: a mode that is set later leaves time to connect. The bind happens within this call.
    const umask = process.umask(UMASK_OWNER_ONLY);
    try {
      server.listen(path, resolve);
    } finally {
      process.umask(umask);
    }
  });
}

function isServed(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = net.connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', (error: NodeJS.ErrnoException) => {
      resolve(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT');
    });
  });
}
