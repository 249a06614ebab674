// A naive reference of the NVM commands: what a command with these PRPs must become, worked out the slow way from the
// text of the specification. It gives either the request that must leave the core, or the statuses of all that is
// wrong with the command, any of which is a right answer.

import { NAMESPACE_COUNT } from '../../assembly/abi/memory-map.ts';
import * as abi from '../../assembly/abi/records.ts';
import * as nvme from '../../assembly/spec/nvme.ts';

const PAGE = 4096n;

export interface ReferenceRegion {
  address: bigint;
  bytes: bigint;
  writable: boolean;
  mapped: boolean;
}

export interface ReferenceNamespace {
  nsid: number;
  blocks: bigint;
  lbaShift: number;
}

export interface ReferenceCommand {
  opcode: number;
  nsid: number;
  prp1: bigint;
  prp2: bigint;
  lba: bigint;
  /** Number of logical blocks, from 1. */
  blocks: number;
}

export interface ReferenceRequest {
  operation: number;
  offset: bigint;
  length: bigint;
  segments: { address: bigint; length: bigint }[];
}

export type Outcome = { faults: Set<number> } | { request: ReferenceRequest };

export class Reference {
  readonly #regions: readonly ReferenceRegion[];
  readonly #namespace: ReferenceNamespace;
  readonly #read: (address: bigint) => bigint;
  readonly #transferMax: bigint;

  /** `read` gives the 8 bytes at a guest physical address. */
  constructor(
    regions: readonly ReferenceRegion[],
    namespace: ReferenceNamespace,
    transferMax: bigint,
    read: (address: bigint) => bigint,
  ) {
    this.#regions = regions;
    this.#namespace = namespace;
    this.#transferMax = transferMax;
    this.#read = read;
  }

  /** What must become of a Read, Write, Compare, Verify or Write Zeroes. */
  outcome(command: ReferenceCommand): Outcome {
    const faults = new Set<number>();
    const { nsid, blocks: total, lbaShift } = this.#namespace;
    if (command.nsid !== nsid) {
      const inactive = command.nsid > 0 && command.nsid <= NAMESPACE_COUNT;
      return { faults: faults.add(inactive ? nvme.STATUS_INVALID_FIELD : nvme.STATUS_INVALID_NAMESPACE) };
    }
    const length = BigInt(command.blocks) << BigInt(lbaShift);
    const moves = command.opcode !== nvme.NVM_WRITE_ZEROES && command.opcode !== nvme.NVM_VERIFY;
    if (moves && length > this.#transferMax) faults.add(nvme.STATUS_INVALID_FIELD);
    if (command.lba + BigInt(command.blocks) > total) faults.add(nvme.STATUS_LBA_OUT_OF_RANGE);
    const segments = moves && faults.size === 0 ? this.#walk(command, length, faults) : [];
    if (faults.size > 0) return { faults };
    const operation = OPERATIONS[command.opcode] ?? 0;
    return { request: { operation, offset: command.lba << BigInt(lbaShift), length, segments } };
  }

  /** All pieces of the data, page by page; merged at the end. */
  #walk(command: ReferenceCommand, length: bigint, faults: Set<number>): ReferenceRequest['segments'] {
    const write = command.opcode === nvme.NVM_READ;
    const pieces: ReferenceRequest['segments'] = [];
    const take = (address: bigint, bytes: bigint): void => {
      if (!this.#regionOf(address, bytes, write)) faults.add(nvme.STATUS_DATA_TRANSFER_ERROR);
      pieces.push({ address, length: bytes });
    };
    if (command.prp1 % 4n !== 0n) faults.add(nvme.STATUS_PRP_OFFSET_INVALID);
    const first = min(length, PAGE - (command.prp1 % PAGE));
    take(command.prp1, first);
    let left = length - first;
    if (left > 0n && left <= PAGE) {
      if (command.prp2 % PAGE !== 0n) faults.add(nvme.STATUS_PRP_OFFSET_INVALID);
      take(command.prp2, left);
      left = 0n;
    }
    if (left > 0n && command.prp2 % 8n !== 0n) faults.add(nvme.STATUS_PRP_OFFSET_INVALID);
    let entryAt = command.prp2;
    while (left > 0n && faults.size === 0) {
      if (!this.#regionOf(entryAt, 8n, false)) {
        faults.add(nvme.STATUS_DATA_TRANSFER_ERROR);
        break;
      }
      const entry = this.#read(entryAt);
      if (entry % PAGE !== 0n) faults.add(nvme.STATUS_PRP_OFFSET_INVALID);
      if ((entryAt + 8n) % PAGE === 0n && left > PAGE) {
        entryAt = entry;
        continue;
      }
      take(entry, min(left, PAGE));
      left -= min(left, PAGE);
      entryAt += 8n;
    }
    return this.#merge(pieces);
  }

  #merge(pieces: ReferenceRequest['segments']): ReferenceRequest['segments'] {
    const merged: ReferenceRequest['segments'] = [];
    for (const piece of pieces) {
      const last = merged.at(-1);
      const together = last && last.address + last.length === piece.address;
      if (together && this.#regionOf(last.address, 1n, false) === this.#regionOf(piece.address, 1n, false)) {
        last.length += piece.length;
      } else merged.push({ ...piece });
    }
    return merged;
  }

  #regionOf(address: bigint, bytes: bigint, write: boolean): ReferenceRegion | undefined {
    return this.#regions.find(
      (region) =>
        region.mapped &&
        (region.writable || !write) &&
        address >= region.address &&
        address + bytes <= region.address + region.bytes,
    );
  }
}

const OPERATIONS: Record<number, number> = {
  [nvme.NVM_READ]: abi.OPERATION_READ,
  [nvme.NVM_WRITE]: abi.OPERATION_WRITE,
  [nvme.NVM_COMPARE]: abi.OPERATION_COMPARE,
  [nvme.NVM_VERIFY]: abi.OPERATION_VERIFY,
  [nvme.NVM_WRITE_ZEROES]: abi.OPERATION_WRITE_ZEROES,
};

function min(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
