// A RAM disk as storage: mmap(2), madvise(2) with MADV_DONTNEED, mincore(2).

#include "controller.h"
#include "request.h"
#include "storage.h"
#include "uring.h"

#include <algorithm>
#include <cstring>
#include <sys/mman.h>
#include <vector>

namespace doorbell {
namespace {

std::uint8_t* mapMemory(std::uint64_t bytes) {
  void* memory =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) fail("mmap");
  // A disk of which little was written should hold little memory, and a freed block should come back.
  madvise(memory, bytes, MADV_NOHUGEPAGE);
  madvise(memory, bytes, MADV_DONTFORK);
  madvise(memory, bytes, MADV_DONTDUMP);
  return static_cast<std::uint8_t*>(memory);
}

} // namespace

RamMemory::RamMemory(std::uint64_t bytes) : base(mapMemory(bytes)), bytes(bytes) {}

RamMemory::~RamMemory() {
  munmap(base, bytes);
}

std::uint64_t RamMemory::residentBytes() const {
  constexpr std::uint64_t STEP_PAGES = 65536;
  std::vector<unsigned char> pages(STEP_PAGES);
  std::uint64_t resident = 0;
  for (std::uint64_t offset = 0; offset < bytes; offset += STEP_PAGES * PAGE_BYTES) {
    const std::uint64_t length = std::min(bytes - offset, STEP_PAGES * PAGE_BYTES);
    if (mincore(base + offset, length, pages.data()) != 0) fail("mincore");
    const auto end = pages.begin() + static_cast<std::ptrdiff_t>((length + PAGE_BYTES - 1) / PAGE_BYTES);
    resident += static_cast<std::uint64_t>(
        std::count_if(pages.begin(), end, [](unsigned char page) { return (page & 1) != 0; }));
  }
  return resident * PAGE_BYTES;
}

void RamMemory::zero(std::uint64_t offset, std::uint64_t length) {
  const std::uint64_t end = offset + length;
  const std::uint64_t first = (offset + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
  const std::uint64_t beyond = end & ~(PAGE_BYTES - 1);
  if (first >= beyond || madvise(base + first, beyond - first, MADV_DONTNEED) != 0) {
    std::memset(base + offset, 0, length);
    return;
  }
  std::memset(base + offset, 0, first - offset);
  std::memset(base + beyond, 0, end - beyond);
}

void RamStorage::start(Request& request, Uring& uring) {
  const std::uint64_t at = offset_ + request.offset;
  bool survived = true;
  switch (request.operation) {
  case abi::OPERATION_READ:
    survived = request.controller->survives([&] { request.scatter(memory_->base + at, request.length); });
    break;
  case abi::OPERATION_WRITE:
    survived = request.controller->survives([&] { request.gather(memory_->base + at, request.length); });
    break;
  case abi::OPERATION_COMPARE: {
    bool same = false;
    survived =
        request.controller->survives([&] { same = request.matches(memory_->base + at, request.length); });
    if (survived && !same) return uring.finish(request, abi::BLOCK_MISCOMPARE);
    break;
  }
  case abi::OPERATION_COPY:
    std::memmove(memory_->base + at, memory_->base + offset_ + request.source(), request.length);
    break;
  case abi::OPERATION_WRITE_ZEROES:
    memory_->zero(at, request.length);
    break;
  case abi::OPERATION_DEALLOCATE:
    for (std::uint32_t i = 0; i < request.segmentCount; ++i) {
      const iovec& range = request.segments[i];
      memory_->zero(offset_ + reinterpret_cast<std::uint64_t>(range.iov_base), range.iov_len);
    }
    break;
  default:
    // Flush: memory is as durable as it gets. Verify: all of it can be read.
    break;
  }
  uring.finish(request, survived ? abi::BLOCK_OK : abi::BLOCK_MEMORY_FAULT);
}

void RamStorage::resume(Request& request, Uring& uring, std::int32_t result) {
  uring.finish(request, result);
}

} // namespace doorbell
