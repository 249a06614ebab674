// One request of a core: a private copy of its record and segments, and where its execution stands.
//
// The core's memory is read exactly once, when a request is submitted. What was checked is what the kernel
// gets: the core, however wrong, has no way to change it afterwards.
#pragma once

#include "abi.h"
#include "guest-memory.h"
#include "shared.h"

#include <cstdint>
#include <sys/uio.h>
#include <vector>

namespace doorbell {

class Controller;
class Storage;

/** What a file request waits for. */
enum class Stage : std::uint8_t {
  /** A read or write of the segments, or of the bounce buffer. */
  TRANSFER,
  /** fallocate(2) of Write Zeroes. */
  ALLOCATE,
  /** A write of zeros, where fallocate does not work. */
  WRITE_ZEROS,
  /** fallocate(2) of one range of Deallocate. */
  PUNCH,
  /** fdatasync(2): of Flush, and at the end of a Write Zeroes with FUA. */
  SYNC,
  /** A read into the bounce buffer: of Compare, Verify and Copy. */
  SCAN,
  /** A write of what Copy has read. */
  COPY_WRITE,
};

/** Where a request is. */
enum class Place : std::uint8_t {
  /** Not yet shown to its storage, or finished. */
  NOWHERE,
  /** In the ring's queue for room. */
  WAITING,
  /** In its storage's queue. */
  HELD,
  /** With its storage. */
  STARTED,
};

struct Request {
  Shared<Controller> controller;
  Shared<Storage> storage;
  /** Links of the controller's list of requests in flight; `next` also of the free list. */
  Request* next = nullptr;
  Request* previous = nullptr;
  /** Removed regions that this request touches. */
  std::vector<Ticket*> tickets;
  /** Null, or the aligned buffer that stands in for the segments. */
  void* bounce = nullptr;
  std::uint64_t bounceBytes = 0;

  std::uint32_t slot = 0;
  std::uint16_t operation = 0;
  std::uint16_t flags = 0;
  std::uint32_t nsid = 0;
  /** Linear address of the slot's data buffer. */
  std::uint32_t data = 0;
  /** Bytes from the start of the namespace. */
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  /** Bytes that are done. */
  std::uint64_t done = 0;
  /** Copy: bytes that the bounce buffer holds, and how many of them are written. */
  std::uint64_t held = 0;
  std::uint64_t stored = 0;
  /** Some of its blocks are marked uncorrectable: once it has succeeded they are not. */
  bool heals = false;
  Stage stage = Stage::TRANSFER;
  Place place = Place::NOWHERE;
  /** Nothing more is begun for it. */
  bool canceled = false;
  std::uint32_t segmentCount = 0;
  /** Segments before this one are done; this one begins where the work goes on. */
  std::uint32_t segmentFirst = 0;
  /** Addresses of this process; or, of Deallocate and Copy, byte ranges of the namespace. */
  iovec segments[abi::SEGMENTS_PER_SLOT];

  bool isFua() const { return (flags & abi::REQUEST_FLAG_FUA) != 0; }
  /** Of Copy: where it reads, in bytes from the start of the namespace. */
  std::uint64_t source() const { return reinterpret_cast<std::uint64_t>(segments[0].iov_base); }
  /** Whether the segments are ranges of the namespace. */
  bool hasRanges() const {
    return operation == abi::OPERATION_DEALLOCATE || operation == abi::OPERATION_COPY;
  }
  /** Whether it leaves the namespace as it is. */
  bool isRead() const {
    return operation == abi::OPERATION_READ || operation == abi::OPERATION_COMPARE ||
           operation == abi::OPERATION_VERIFY;
  }
  bool touches(const AddressRange& range) const;
  /** Moves on by `bytes` that were transferred. */
  void consume(std::uint64_t bytes);
  /** Copies from the segments, without moving on. */
  void gather(void* target, std::uint64_t bytes) const;
  /** Whether the segments hold these bytes. Reads them once. */
  bool matches(const void* source, std::uint64_t bytes) const;
  /** Copies to the segments, without moving on. */
  void scatter(const void* source, std::uint64_t bytes) const;
  /** Stores zeros into the segments. */
  void zero() const;
  /** Whether the segments hold zeros. */
  bool isZero() const;
};

/** The core's memory below its windows: where records, segments and data buffers lie. */
struct CoreMemory {
  std::uint8_t* base;
  std::uint64_t bytes;

  bool contains(std::uint64_t address, std::uint64_t length) const {
    return address <= bytes && length <= bytes - address;
  }
};

/** Copies record `index` of the request area and its segments; BLOCK_OK, or why they cannot be taken. */
std::uint32_t takeRequest(const CoreMemory& core, std::uint32_t index, Request& request);

/** Checks range and direction of each segment, and that they add up to the length: BLOCK_OK or
 * BLOCK_MEMORY_FAULT. */
std::uint32_t checkSegments(const Request& request, const GuestMemory& memory);

/** Executes one of the two copies, whose segments were checked; BLOCK_OK or BLOCK_MEMORY_FAULT. */
std::uint32_t copyData(const Request& request, const CoreMemory& core);

} // namespace doorbell
