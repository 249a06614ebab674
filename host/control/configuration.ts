// The configuration of a running target: each change is checked by the rules of the start, made by the reactor thread,
// and noted in the document that `config.save` writes.

import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import path from 'node:path';
import {
  type ConfigDocument,
  namespaceOfEntry,
  socketOfEntry,
  type Entry,
  type Value,
} from '../config/file/index.ts';
import { numberNamespaces } from '../config/namespace-spec.ts';
import { joinOptions, type ServeOptions, type SubsystemOptions } from '../config/options.ts';
import { UsageError } from '../config/usage-error.ts';
import type { ControllerSummary, NamespaceSummary } from '../serve/messages.ts';
import type { Target } from '../serve/target.ts';

export interface ConfigurationParts {
  readonly target: Pick<Target, 'ask' | 'summary'>;
  readonly options: ServeOptions;
  readonly document: ConfigDocument;
}

export class Configuration {
  readonly #target: ConfigurationParts['target'];
  readonly #document: ConfigDocument;
  #options: ServeOptions;
  /** What the file held when it was last read or written. */
  #onDisk: string | undefined;
  /** Subsystems whose derived names and numbers are written in the document. */
  readonly #pinned = new Set<number>();
  /** Changes are made one after another. */
  #last: Promise<unknown> = Promise.resolve();

  constructor({ target, options, document }: ConfigurationParts) {
    this.#target = target;
    this.#options = options;
    this.#document = document;
    this.#onDisk = document.path === undefined ? undefined : document.text;
  }

  get value(): object {
    return this.#document.value;
  }

  /** `entry` is what the schema allows. Rejects with UsageError or TargetError. */
  controllerAdd(nqn: string | undefined, entry: Entry): Promise<ControllerSummary> {
    return this.#oneAtATime(async () => {
      const index = this.#subsystemIndex(nqn);
      const subsystem = this.#subsystem(index);
      const wanted = socketOfEntry(entry, this.#document.directory);
      const check = { ...subsystem, sockets: [...subsystem.sockets, wanted] };
      joinOptions(this.#with(index, check), this.#options);
      const added = await this.#target.ask({ kind: 'controller add', subsystem: index, socket: wanted });
      await this.#pin(index);
      const nsids = added.namespaces.map(({ nsid }) => nsid);
      const socket = { ...wanted, cntlid: added.cntlid, namespaces: nsids };
      this.#note(index, { ...subsystem, sockets: [...subsystem.sockets, socket] });
      const written = { ...entry, cntlid: added.cntlid, namespaces: nsids };
      this.#append(['subsystems', index, 'controllers'], written);
      return added;
    });
  }

  /** Rejects with UsageError or TargetError. */
  controllerRemove(socket: string): Promise<void> {
    return this.#oneAtATime(async () => {
      const socketPath = path.resolve(this.#document.directory, socket);
      const index = this.#options.subsystems.findIndex(({ sockets }) =>
        sockets.some((each) => each.path === socketPath),
      );
      const subsystem = this.#options.subsystems[index];
      // Before it is gone: the others' numbers would be lost with its place.
      if (subsystem !== undefined) await this.#pin(index);
      await this.#target.ask({ kind: 'controller remove', socketPath });
      if (subsystem === undefined) return;
      const position = subsystem.sockets.findIndex((each) => each.path === socketPath);
      const sockets = subsystem.sockets.filter((each) => each.path !== socketPath);
      this.#note(index, { ...subsystem, sockets });
      this.#document.set(['subsystems', index, 'controllers', position], undefined);
    });
  }

  /** `entry` is what the schema allows. Rejects with UsageError or TargetError. */
  namespaceAdd(nqn: string | undefined, entry: Entry): Promise<NamespaceSummary> {
    return this.#oneAtATime(async () => {
      const index = this.#subsystemIndex(nqn);
      const subsystem = this.#subsystem(index);
      const parsed = namespaceOfEntry(entry, this.#document.directory);
      const namespaces = numberNamespaces([...subsystem.namespaces, parsed]);
      const namespace = namespaces.find(({ backend }) => backend === parsed.backend);
      if (namespace === undefined) throw new Error('a namespace was not numbered');
      await this.#pin(index);
      const added = await this.#target.ask({ kind: 'namespace add', subsystem: index, namespace });
      this.#note(index, { ...subsystem, namespaces });
      this.#append(['subsystems', index, 'namespaces'], { ...entry, nsid: namespace.nsid });
      return added;
    });
  }

  /** Rejects with UsageError or TargetError. */
  namespaceRemove(nqn: string | undefined, nsid: number): Promise<void> {
    return this.#oneAtATime(async () => {
      const index = this.#subsystemIndex(nqn);
      const subsystem = this.#subsystem(index);
      if (!subsystem.namespaces.some((each) => each.nsid === nsid)) {
        const there = subsystem.namespaces.map((each) => each.nsid).join(', ') || 'none';
        throw new UsageError('NAMESPACE_UNKNOWN', `there is no namespace ${nsid}: there is ${there}`);
      }
      await this.#pin(index);
      await this.#target.ask({ kind: 'namespace remove', subsystem: index, nsid });
      const namespaces = subsystem.namespaces.filter((each) => each.nsid !== nsid);
      this.#note(index, { ...subsystem, namespaces });
      const entries = this.#document.value.subsystems[index]?.namespaces ?? [];
      const position = entries.findIndex((each) => each['nsid'] === nsid);
      this.#document.set(['subsystems', index, 'namespaces', position], undefined);
    });
  }

  /**
   * Writes the configuration to `file`, by default to where it came from; whole or not at all. Returns the path.
   * Rejects with UsageError.
   */
  save(file: string | undefined, force: boolean): Promise<string> {
    return this.#oneAtATime(() => {
      const target = file === undefined ? this.#document.path : path.resolve(this.#document.directory, file);
      if (target === undefined) {
        throw new UsageError(
          'CONFIG_FILE',
          'this target was started without --config: name a file to save to',
        );
      }
      const found = readText(target);
      const isKnown = target === this.#document.path && found === this.#onDisk;
      if (found !== undefined && !isKnown && !force) {
        throw new UsageError(
          'CONFIG_CHANGED',
          `${target} holds something else than this target read there: name another file, or force it`,
        );
      }
      writeWhole(target, this.#document.text);
      if (target === this.#document.path) this.#onDisk = this.#document.text;
      return Promise.resolve(target);
    });
  }

  #oneAtATime<T>(change: () => Promise<T>): Promise<T> {
    const result = this.#last.then(change);
    this.#last = result.catch(() => undefined);
    return result;
  }

  #subsystemIndex(nqn: string | undefined): number {
    const { subsystems } = this.#target.summary;
    if (nqn === undefined && subsystems.length === 1) return 0;
    const index = subsystems.findIndex((subsystem) => subsystem.nqn === nqn);
    if (index >= 0) return index;
    const there = subsystems.map((subsystem) => subsystem.nqn).join(', ');
    throw new UsageError(
      'SUBSYSTEM_UNKNOWN',
      nqn === undefined
        ? `there are several subsystems: say which, one of ${there}`
        : `there is no subsystem ${nqn}: there is ${there}`,
    );
  }

  #subsystem(index: number): SubsystemOptions {
    const subsystem = this.#options.subsystems[index];
    if (subsystem === undefined) throw new Error(`there is no subsystem ${index}`);
    return subsystem;
  }

  #with(index: number, subsystem: SubsystemOptions): SubsystemOptions[] {
    return this.#options.subsystems.map((other, position) => (position === index ? subsystem : other));
  }

  #note(index: number, subsystem: SubsystemOptions): void {
    this.#options = { ...this.#options, subsystems: this.#with(index, subsystem) };
  }

  #append(list: readonly (string | number)[], entry: Entry): void {
    const { document } = { document: this.#document };
    const [, index = 0, key = ''] = list;
    const subsystem = document.value.subsystems[Number(index)] as
      Readonly<Record<string, Value[]>> | undefined;
    const entries = subsystem?.[key];
    if (entries === undefined) document.set(list, [entry]);
    else document.set([...list, entries.length], entry);
  }

  /**
   * Names and numbers that derive from what stands first, or from what is free, are written out: without that a change
   * of one controller would give others another identity at the next start.
   */
  async #pin(index: number): Promise<void> {
    if (this.#pinned.has(index)) return;
    const { controllers } = await this.#target.ask({ kind: 'look' });
    const [identity, entry] = [
      this.#target.summary.subsystems[index],
      this.#document.value.subsystems[index],
    ];
    if (identity === undefined || entry === undefined) return;
    const at = ['subsystems', index];
    const put = (place: readonly (string | number)[], there: unknown, value: Value | undefined): void => {
      if (there === undefined && value !== undefined) this.#document.set([...at, ...place], value);
    };
    put(['nqn'], entry.nqn, identity.nqn);
    put(['serial'], entry.serial, identity.serial);
    const { directory } = this.#document;
    (entry.controllers ?? []).forEach((controller, position) => {
      const { path: socketPath } = socketOfEntry(controller, directory);
      const running = controllers.find((each) => each.socketPath === socketPath);
      put(['controllers', position, 'cntlid'], controller['cntlid'], running?.cntlid);
      put(['controllers', position, 'namespaces'], controller['namespaces'], running?.namespaces);
    });
    const parsed = (entry.namespaces ?? []).map((each) => namespaceOfEntry(each, directory));
    const numbered = numberNamespaces(parsed);
    parsed.forEach(({ nsid, backend }, position) => {
      put(['namespaces', position, 'nsid'], nsid, numbered.find((each) => each.backend === backend)?.nsid);
    });
    this.#pinned.add(index);
  }
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

/** Beside it first, so that a crash leaves the old file or the new one. Throws UsageError. */
function writeWhole(file: string, text: string): void {
  const beside = `${file}.new`;
  try {
    const fd = openSync(beside, 'w', 0o644);
    try {
      writeSync(fd, text);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(beside, file);
  } catch (cause) {
    rmSync(beside, { force: true });
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
    throw new UsageError(
      'CONFIG_FILE',
      `${file} cannot be written (${code}): name a file in a directory that the target may write`,
      { cause },
    );
  }
}
