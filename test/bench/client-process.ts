// The client's process: does what its parent's messages ask for, and answers each. While it runs a slice it does
// nothing else; between two slices it sleeps.

import { BenchClient, type SliceOptions, type SliceResult } from './client.ts';

export type ToClient = { connect: readonly string[] } | { slice: SliceOptions };
export type FromClient = { connected: true } | { result: SliceResult } | { error: string };

const clients: BenchClient[] = [];

process.on('message', (message: ToClient) => {
  process.send?.(answer(message));
});

function answer(message: ToClient): FromClient {
  try {
    if ('connect' in message) {
      for (const path of message.connect) clients.push(new BenchClient(path));
      return { connected: true };
    }
    const [client] = clients;
    if (client === undefined) throw new Error('not connected yet');
    return { result: client.slice(message.slice) };
  } catch (error) {
    return { error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}
