// Marked ranges, and what they mean for a request.

#include "uncorrectable.h"
#include "request.h"
#include "storage.h"

#include <iterator>
#include <sys/stat.h>
#include <tuple>

namespace doorbell {
namespace {

/** A guest that marks every other block shall not fill the memory of the target. */
constexpr std::size_t RANGES_MAX = 4096;

/** What makes a file the same file: whether it is a block device, and its numbers. */
using FileKey = std::tuple<bool, dev_t, ino_t>;

} // namespace

bool Uncorrectable::mark(std::uint64_t begin, std::uint64_t end) {
  const std::lock_guard lock(mutex_);
  // Neighbours become one.
  auto next = ranges_.lower_bound(begin);
  if (next != ranges_.begin() && std::prev(next)->second >= begin) {
    --next;
    begin = next->first;
  }
  while (next != ranges_.end() && next->first <= end) {
    if (next->second > end) end = next->second;
    next = ranges_.erase(next);
  }
  if (ranges_.size() >= RANGES_MAX) return false;
  ranges_.emplace(begin, end);
  any_.store(true, std::memory_order_relaxed);
  return true;
}

void Uncorrectable::clear(std::uint64_t begin, std::uint64_t end) {
  const std::lock_guard lock(mutex_);
  auto range = ranges_.lower_bound(begin);
  if (range != ranges_.begin() && std::prev(range)->second > begin) --range;
  while (range != ranges_.end() && range->first < end) {
    const auto [first, last] = *range;
    range = ranges_.erase(range);
    if (first < begin) ranges_.emplace(first, begin);
    // Writes in the middle of ranges make more of them; beyond the bound the rest is given up.
    if (last > end && ranges_.size() < 2 * RANGES_MAX) range = ranges_.emplace(end, last).first;
  }
  any_.store(!ranges_.empty(), std::memory_order_relaxed);
}

bool Uncorrectable::touches(std::uint64_t begin, std::uint64_t end) const {
  const std::lock_guard lock(mutex_);
  const auto next = ranges_.lower_bound(begin);
  if (next != ranges_.end() && next->first < end) return true;
  return next != ranges_.begin() && std::prev(next)->second > begin;
}

std::shared_ptr<Uncorrectable> uncorrectableOf(int fd) {
  static std::mutex mutex;
  static std::map<FileKey, std::weak_ptr<Uncorrectable>> files;
  struct stat info {};
  // A descriptor that is none fails at its first request.
  if (fstat(fd, &info) != 0) return std::make_shared<Uncorrectable>();
  const bool isDevice = S_ISBLK(info.st_mode);
  const FileKey key{isDevice, isDevice ? info.st_rdev : info.st_dev, isDevice ? 0 : info.st_ino};
  const std::lock_guard lock(mutex);
  std::erase_if(files, [](const auto& entry) { return entry.second.expired(); });
  std::shared_ptr<Uncorrectable> marks = files[key].lock();
  if (!marks) files[key] = marks = std::make_shared<Uncorrectable>();
  return marks;
}

Verdict Storage::judge(Request& request) const {
  constexpr Verdict GO_ON{false, abi::BLOCK_OK};
  const std::uint64_t begin = origin_ + request.offset;
  const std::uint64_t end = begin + request.length;
  if (request.operation == abi::OPERATION_WRITE_UNCORRECTABLE) {
    const bool marked = uncorrectable_->mark(begin, end);
    return {true, marked ? abi::BLOCK_OK : abi::BLOCK_NO_SPACE};
  }
  if (request.isRead()) {
    return uncorrectable_->touches(begin, end) ? Verdict{true, abi::BLOCK_MEDIUM_ERROR} : GO_ON;
  }
  if (request.operation == abi::OPERATION_COPY) {
    const std::uint64_t source = origin_ + request.source();
    if (uncorrectable_->touches(source, source + request.length)) return {true, abi::BLOCK_SOURCE_ERROR};
  }
  request.heals = request.operation != abi::OPERATION_FLUSH;
  return GO_ON;
}

void Storage::heal(const Request& request) const {
  if (request.operation != abi::OPERATION_DEALLOCATE) {
    uncorrectable_->clear(origin_ + request.offset, origin_ + request.offset + request.length);
    return;
  }
  for (std::uint32_t i = 0; i < request.segmentCount; ++i) {
    const iovec& range = request.segments[i];
    const std::uint64_t begin = origin_ + reinterpret_cast<std::uint64_t>(range.iov_base);
    uncorrectable_->clear(begin, begin + range.iov_len);
  }
}

} // namespace doorbell
