// Requests: taken from the core's memory once, checked, and their segments walked.

#include "request.h"
#include "controller.h"
#include "storage.h"

#include <algorithm>
#include <cstring>

namespace doorbell {
namespace {

template <class Number>
Number load(const std::uint8_t* record, std::uint32_t offset) {
  Number number;
  std::memcpy(&number, record + offset, sizeof number);
  return number;
}

/** Calls visit(address, bytes) for the first `bytes` of the segments that are left. */
template <class Visit>
void walk(const Request& request, std::uint64_t bytes, Visit visit) {
  for (std::uint32_t i = request.segmentFirst; bytes != 0 && i < request.segmentCount; ++i) {
    const std::uint64_t part = std::min<std::uint64_t>(bytes, request.segments[i].iov_len);
    visit(static_cast<std::uint8_t*>(request.segments[i].iov_base), part);
    bytes -= part;
  }
}

} // namespace

static_assert(sizeof(iovec) == abi::SEGMENT_BYTES && offsetof(iovec, iov_base) == abi::SEGMENT_ADDRESS &&
              offsetof(iovec, iov_len) == abi::SEGMENT_LENGTH);

std::uint32_t takeRequest(const CoreMemory& core, std::uint32_t index, Request& request) {
  std::uint8_t record[abi::REQUEST_BYTES];
  std::memcpy(record, core.base + abi::REQUEST_BASE + std::uint64_t{index} * abi::REQUEST_BYTES,
              sizeof record);
  request.slot = load<std::uint32_t>(record, abi::REQUEST_SLOT);
  request.operation = load<std::uint16_t>(record, abi::REQUEST_OPERATION);
  request.flags = load<std::uint16_t>(record, abi::REQUEST_FLAGS);
  request.nsid = load<std::uint32_t>(record, abi::REQUEST_NSID);
  request.data = load<std::uint32_t>(record, abi::REQUEST_DATA);
  request.offset = load<std::uint64_t>(record, abi::REQUEST_OFFSET);
  request.length = load<std::uint64_t>(record, abi::REQUEST_LENGTH);
  request.segmentCount = load<std::uint32_t>(record, abi::REQUEST_SEGMENT_COUNT);
  request.segmentFirst = 0;
  request.done = 0;
  request.stage = Stage::TRANSFER;
  request.place = Place::NOWHERE;
  request.canceled = false;
  request.heals = false;

  if (request.operation == abi::OPERATION_FLUSH || request.operation == abi::OPERATION_WRITE_ZEROES ||
      request.operation == abi::OPERATION_VERIFY || request.operation == abi::OPERATION_WRITE_UNCORRECTABLE) {
    request.segmentCount = 0;
    return abi::BLOCK_OK;
  }
  const std::uint64_t segments = load<std::uint32_t>(record, abi::REQUEST_SEGMENTS);
  const std::uint64_t bytes = std::uint64_t{request.segmentCount} * abi::SEGMENT_BYTES;
  if (request.segmentCount > abi::SEGMENTS_PER_SLOT || !core.contains(segments, bytes)) {
    request.segmentCount = 0;
    return abi::BLOCK_MEMORY_FAULT;
  }
  std::memcpy(request.segments, core.base + segments, bytes);
  return abi::BLOCK_OK;
}

std::uint32_t checkSegments(const Request& request, const GuestMemory& memory) {
  const bool loads = request.operation == abi::OPERATION_WRITE ||
                     request.operation == abi::OPERATION_COMPARE ||
                     request.operation == abi::OPERATION_COPY_IN;
  const Access access = loads ? Access::LOAD : Access::STORE;
  std::uint64_t sum = 0;
  for (std::uint32_t i = 0; i < request.segmentCount; ++i) {
    const iovec& segment = request.segments[i];
    if (!memory.allows(reinterpret_cast<std::uint64_t>(segment.iov_base), segment.iov_len, access) ||
        __builtin_add_overflow(sum, segment.iov_len, &sum)) {
      return abi::BLOCK_MEMORY_FAULT;
    }
  }
  return sum == request.length ? abi::BLOCK_OK : abi::BLOCK_MEMORY_FAULT;
}

std::uint32_t copyData(const Request& request, const CoreMemory& core) {
  const std::uint64_t held = std::min<std::uint64_t>(request.length, abi::DATA_BUFFER_BYTES);
  if (!core.contains(request.data, held)) return abi::BLOCK_MEMORY_FAULT;
  std::uint8_t* data = core.base + request.data;
  if (request.operation == abi::OPERATION_COPY_IN) {
    if (request.length > abi::DATA_BUFFER_BYTES) return abi::BLOCK_MEMORY_FAULT;
    request.gather(data, request.length);
    return abi::BLOCK_OK;
  }
  std::uint64_t position = 0;
  walk(request, request.length, [&](std::uint8_t* address, std::uint64_t bytes) {
    const std::uint64_t copied = std::min(bytes, held - std::min(held, position));
    std::memcpy(address, data + std::min(held, position), copied);
    std::memset(address + copied, 0, bytes - copied);
    position += bytes;
  });
  return abi::BLOCK_OK;
}

bool Request::touches(const AddressRange& range) const {
  if (hasRanges()) return false;
  return std::any_of(segments + segmentFirst, segments + segmentCount, [&](const iovec& segment) {
    const auto begin = reinterpret_cast<std::uint64_t>(segment.iov_base);
    return begin < range.end && range.begin < begin + segment.iov_len;
  });
}

void Request::consume(std::uint64_t bytes) {
  done += bytes;
  while (bytes != 0 && segmentFirst < segmentCount) {
    iovec& segment = segments[segmentFirst];
    if (bytes < segment.iov_len) {
      segment.iov_base = static_cast<std::uint8_t*>(segment.iov_base) + bytes;
      segment.iov_len -= bytes;
      return;
    }
    bytes -= segment.iov_len;
    ++segmentFirst;
  }
}

void Request::gather(void* target, std::uint64_t bytes) const {
  auto* position = static_cast<std::uint8_t*>(target);
  walk(*this, bytes, [&](const std::uint8_t* address, std::uint64_t part) {
    std::memcpy(position, address, part);
    position += part;
  });
}

bool Request::matches(const void* source, std::uint64_t bytes) const {
  const auto* position = static_cast<const std::uint8_t*>(source);
  bool same = true;
  walk(*this, bytes, [&](const std::uint8_t* address, std::uint64_t part) {
    same = same && std::memcmp(address, position, part) == 0;
    position += part;
  });
  return same;
}

void Request::scatter(const void* source, std::uint64_t bytes) const {
  const auto* position = static_cast<const std::uint8_t*>(source);
  walk(*this, bytes, [&](std::uint8_t* address, std::uint64_t part) {
    std::memcpy(address, position, part);
    position += part;
  });
}

void Request::zero() const {
  walk(*this, length, [](std::uint8_t* address, std::uint64_t part) { std::memset(address, 0, part); });
}

bool Request::isZero() const {
  bool same = true;
  walk(*this, length, [&](const std::uint8_t* address, std::uint64_t part) {
    same = same && std::all_of(address, address + part, [](std::uint8_t byte) { return byte == 0; });
  });
  return same;
}

} // namespace doorbell
