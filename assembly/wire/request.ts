// The records of the request and completion rings, and a segment: the layout is the ABI's (abi/records.ts).

import {
  COMPLETION_BASE,
  COMPLETION_BYTES,
  REQUEST_BASE,
  REQUEST_BYTES,
  SEGMENT_BYTES,
} from '../abi/memory-map.ts';
import {
  COMPLETION_RESULT,
  COMPLETION_SLOT,
  REQUEST_CID,
  REQUEST_DATA,
  REQUEST_FLAGS,
  REQUEST_LENGTH,
  REQUEST_NSID,
  REQUEST_OFFSET,
  REQUEST_OPERATION,
  REQUEST_SEGMENTS,
  REQUEST_SEGMENT_COUNT,
  REQUEST_SLOT,
  REQUEST_SQID,
  SEGMENT_ADDRESS,
  SEGMENT_LENGTH,
} from '../abi/records.ts';

@unmanaged
export class Request {
  slot: u32;
  operation: u16;
  flags: u16;
  nsid: u32;
  segmentCount: u32;
  segments: u32;
  data: u32;
  offset: u64;
  length: u64;
  sqid: u16;
  cid: u16;
  reserved0: u32;
  reserved1: u64;
  reserved2: u64;

  @inline static at(index: u32): Request {
    return changetype<Request>(<usize>REQUEST_BASE + <usize>index * REQUEST_BYTES);
  }
}

if (offsetof<Request>() != REQUEST_BYTES) ERROR('Request');
if (offsetof<Request>('slot') != REQUEST_SLOT) ERROR('Request.slot');
if (offsetof<Request>('operation') != REQUEST_OPERATION) ERROR('Request.operation');
if (offsetof<Request>('flags') != REQUEST_FLAGS) ERROR('Request.flags');
if (offsetof<Request>('nsid') != REQUEST_NSID) ERROR('Request.nsid');
if (offsetof<Request>('segmentCount') != REQUEST_SEGMENT_COUNT) ERROR('Request.segmentCount');
if (offsetof<Request>('segments') != REQUEST_SEGMENTS) ERROR('Request.segments');
if (offsetof<Request>('data') != REQUEST_DATA) ERROR('Request.data');
if (offsetof<Request>('offset') != REQUEST_OFFSET) ERROR('Request.offset');
if (offsetof<Request>('length') != REQUEST_LENGTH) ERROR('Request.length');
if (offsetof<Request>('sqid') != REQUEST_SQID) ERROR('Request.sqid');
if (offsetof<Request>('cid') != REQUEST_CID) ERROR('Request.cid');

@unmanaged
export class Completion {
  slot: u32;
  result: u32;
  reserved0: u64;

  @inline static at(index: u32): Completion {
    return changetype<Completion>(<usize>COMPLETION_BASE + <usize>index * COMPLETION_BYTES);
  }
}

if (offsetof<Completion>() != COMPLETION_BYTES) ERROR('Completion');
if (offsetof<Completion>('slot') != COMPLETION_SLOT) ERROR('Completion.slot');
if (offsetof<Completion>('result') != COMPLETION_RESULT) ERROR('Completion.result');

@unmanaged
export class Segment {
  /** The region's I/O base plus the offset in it; a range of OPERATION_DEALLOCATE: bytes from the namespace's start. */
  address: u64;
  /** Bytes. */
  length: u64;

  @inline static at(address: usize): Segment {
    return changetype<Segment>(address);
  }
}

if (offsetof<Segment>() != SEGMENT_BYTES) ERROR('Segment');
if (offsetof<Segment>('address') != SEGMENT_ADDRESS) ERROR('Segment.address');
if (offsetof<Segment>('length') != SEGMENT_LENGTH) ERROR('Segment.length');
