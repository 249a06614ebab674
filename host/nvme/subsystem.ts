// The process's one NVM subsystem.

import type { Backend } from '../block/backend.ts';

/** What the CONFIG area of a core tells of its controller (assembly/abi/records.ts, CONFIG_*). Strings are not padded. */
export interface ControllerIdentity {
  readonly cntlid: number;
  /** At most 20 printable ASCII characters. */
  readonly serial: string;
  /** At most 40 printable ASCII characters. */
  readonly model: string;
  /** At most 8 printable ASCII characters. */
  readonly firmware: string;
  /** At most 223 bytes. */
  readonly subsystemNqn: string;
  /** Three bytes in the order of the standard's text: most significant first. */
  readonly ieeeOui: readonly [number, number, number];
  readonly pciVendorId: number;
  readonly pciSubsystemVendorId: number;
  /** The subsystem has more than this one controller (CMIC bit 1). */
  readonly multiController: boolean;
  readonly shadowDoorbells: boolean;
}

/** What the NAMESPACE area of a core tells of one namespace (assembly/abi/records.ts, NAMESPACE_*). */
export interface NamespaceRecord {
  readonly nsid: number;
  /** 9 or 12. */
  readonly lbaShift: 9 | 12;
  readonly blocks: bigint;
  /** 16 bytes, big-endian. */
  readonly nguid: Uint8Array;
  /** 8 bytes, big-endian. */
  readonly eui64: Uint8Array;
  /** 16 bytes, big-endian. */
  readonly uuid: Uint8Array;
  readonly optimalBlocks: number;
  /** More than one controller is attached (NMIC bit 0). */
  readonly shared: boolean;
  readonly readOnly: boolean;
  readonly deallocate: boolean;
  readonly volatileCache: boolean;
}

/** A namespace as one controller sees it. */
export interface Attachment {
  readonly record: NamespaceRecord;
  readonly backend: Backend;
}

/** One controller of the subsystem: where it listens, who it is, what it sees. */
export interface ControllerPlan {
  readonly socketPath: string;
  readonly identity: ControllerIdentity;
  /** Ascending by NSID. */
  readonly namespaces: readonly Attachment[];
}

export interface Subsystem {
  readonly nqn: string;
  /** In the order of the sockets. */
  readonly controllers: readonly ControllerPlan[];
  /** Sentences for the operator, each with the NSID in front. */
  readonly notices: readonly string[];
  /** Closes all backends; no controller may use them any more. Idempotent. */
  close(): void;
}
