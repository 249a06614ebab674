// A mock guest whose doorbells are stores into a page that the core reads, as behind a front end that shares one: a
// write is a store and a kick, and a kick makes the reactor poll. The page lies below all that the guest allocates; the
// core may know it by another address.

import assert from 'node:assert/strict';
import { POLL_OK } from '../../assembly/abi/records.ts';
import { PAGE_BYTES, REG_DOORBELLS } from '../../assembly/spec/nvme.ts';
import { MockGuest, type MockGuestOptions, type StartOptions } from './mock-guest.ts';

/** Offset of the page in the memory of the guest. */
export const PAGE_OFFSET = 0x8000;

export interface PagedGuestOptions extends MockGuestOptions {
  /** The address that the core is told, of a region of the options that shows the page. */
  pageKnownAs?: bigint;
}

export class PagedGuest extends MockGuest {
  /** Guest physical address of the page. */
  readonly page: number;

  constructor(options: PagedGuestOptions = {}) {
    super(options);
    this.page = this.memory.options.address + PAGE_OFFSET;
    assert.equal(
      this.memory.call((core) => core.doorbellsKick(options.pageKnownAs ?? BigInt(this.page))),
      POLL_OK,
    );
  }

  override doorbellWrite(offset: number, value: number): void {
    this.memory.view(this.page + offset - REG_DOORBELLS, 4).setUint32(0, value, true);
  }

  /** The front end clears the page before CC.EN becomes 1. */
  override enable(): void {
    this.memory.at(this.page, PAGE_BYTES).fill(0);
    super.enable();
  }

  static override up(options: PagedGuestOptions & StartOptions = {}): PagedGuest {
    return new PagedGuest(options).start(options);
  }
}
