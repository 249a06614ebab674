// The client's process, seen from the benchmark: started, asked, ended.

import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { FromClient, ToClient } from './client-process.ts';
import type { SliceOptions, SliceResult } from './client.ts';

const PROGRAM = new URL('./client-process.js', import.meta.url).pathname;

export class ClientHandle {
  readonly #child: ChildProcess = fork(PROGRAM);

  private constructor() {
    process.once('exit', () => this.#child.kill('SIGKILL'));
  }

  /** One enabled controller on each socket; slices go to the first. */
  static async connect(...socketPaths: readonly string[]): Promise<ClientHandle> {
    const handle = new ClientHandle();
    await handle.#ask({ connect: socketPaths });
    return handle;
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  async slice(options: SliceOptions): Promise<SliceResult> {
    const answer = await this.#ask({ slice: options });
    if (!('result' in answer)) throw new Error('the client answered something else');
    if (answer.result.failed > 0) throw new Error(`${answer.result.failed} commands failed`);
    return answer.result;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill('SIGKILL');
    await once(this.#child, 'exit');
  }

  async #ask(message: ToClient): Promise<FromClient> {
    const ended = new AbortController();
    try {
      this.#child.send(message);
      const [answer] = (await Promise.race([
        once(this.#child, 'message', { signal: ended.signal }),
        once(this.#child, 'exit', { signal: ended.signal }).then(() => [{ error: 'the client ended' }]),
      ])) as [FromClient];
      if ('error' in answer) throw new Error(`the client failed: ${answer.error}`);
      return answer;
    } finally {
      ended.abort();
    }
  }
}
