// A file that hangs on demand, by a FUSE server in a process of its own (fuse-server.ts).

import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';

const SERVER = path.join(import.meta.dirname, 'fuse-server.js');

export class FuseFile {
  readonly path: string;
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  private constructor(file: string, child: ChildProcess, lines: AsyncIterator<string>) {
    this.path = file;
    this.#child = child;
    this.#lines = lines;
  }

  /** Mounts a file of zeros in the place of `file`, which it creates; or says why that does not work here. */
  static async mount(file: string, bytes: number): Promise<FuseFile | string> {
    if (process.getuid?.() !== 0) return 'mounting a FUSE file needs root';
    writeFileSync(file, '');
    const child = spawn(process.execPath, [SERVER, file, String(bytes)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const { stdout } = child;
    const lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
    const mounted = new FuseFile(file, child, lines);
    const said = await mounted.#line();
    return said === 'mounted' ? mounted : `no FUSE here: ${said}`;
  }

  /** From now on reads, writes and flushes are taken and not answered. */
  async hang(): Promise<void> {
    await this.#tell('hang', 'hanging');
  }

  /** Answers what was kept, and everything from now on. */
  async resume(): Promise<void> {
    await this.#tell('resume', 'resumed');
  }

  /** Unmounts; requests that hang end with an error. */
  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exit = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.stdin?.end('end\n');
    await exit;
    spawnSync('umount', ['-l', this.path]);
  }

  async #tell(command: string, answer: string): Promise<void> {
    this.#child.stdin?.write(`${command}\n`);
    const said = await this.#line();
    if (said !== answer) throw new Error(`the FUSE server said ${said}`);
  }

  async #line(): Promise<string> {
    const next = await this.#lines.next();
    return next.done === true ? 'it ended' : next.value;
  }
}
