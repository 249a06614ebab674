// Marked ranges, and what they mean for a request.

#include "uncorrectable.h"
#include "request.h"
#include "storage.h"

#include <algorithm>
#include <iterator>
#include <sys/stat.h>
#include <tuple>

namespace doorbell {
namespace {

/** Marks of one namespace: a guest that marks every other block shall not fill the memory of the target, nor
 * leave none to the guest of another slice. */
constexpr std::size_t RANGES_MAX = 4096;

/** What makes a file the same file: whether it is a block device, and its numbers. */
using FileKey = std::tuple<bool, dev_t, ino_t>;

} // namespace

/** Whether there are fewer marks than `bound` in a namespace. */
bool Uncorrectable::hasFewer(std::size_t bound, const Extent& space) const {
  if (ranges_.size() < bound) return true;
  const auto first = ranges_.lower_bound(space.begin);
  const auto last = ranges_.lower_bound(space.end);
  return static_cast<std::size_t>(std::distance(first, last)) < bound;
}

bool Uncorrectable::mark(const Extent& extent, const Extent& space) {
  if (extent.begin == extent.end) return true;
  const std::lock_guard lock(mutex_);
  auto [begin, end] = extent;
  // Neighbours become one.
  auto first = ranges_.lower_bound(begin);
  if (first != ranges_.begin() && std::prev(first)->second >= begin) {
    --first;
    begin = first->first;
  }
  auto next = first;
  for (; next != ranges_.end() && next->first <= end; ++next) end = std::max(end, next->second);
  if (first == next && !hasFewer(RANGES_MAX, space)) return false;
  ranges_.erase(first, next);
  ranges_.emplace(begin, end);
  any_.store(true, std::memory_order_relaxed);
  return true;
}

void Uncorrectable::clear(const Extent& extent, const Extent& space) {
  if (extent.begin == extent.end) return;
  const std::lock_guard lock(mutex_);
  const auto [begin, end] = extent;
  auto range = ranges_.lower_bound(begin);
  if (range != ranges_.begin() && std::prev(range)->second > begin) --range;
  while (range != ranges_.end() && range->first < end) {
    const auto [first, last] = *range;
    range = ranges_.erase(range);
    if (first < begin) ranges_.emplace(first, begin);
    // Writes in the middle of ranges make more of them; beyond the bound the rest is given up.
    if (last > end && hasFewer(2 * RANGES_MAX, space)) range = ranges_.emplace(end, last).first;
  }
  any_.store(!ranges_.empty(), std::memory_order_relaxed);
}

bool Uncorrectable::touches(const Extent& extent) const {
  const std::lock_guard lock(mutex_);
  const auto next = ranges_.lower_bound(extent.begin);
  if (next != ranges_.end() && next->first < extent.end) return true;
  return next != ranges_.begin() && std::prev(next)->second > extent.begin;
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
  const Extent extent = extentOf(request.offset, request.length);
  if (request.operation == abi::OPERATION_WRITE_UNCORRECTABLE) {
    // What keeps no data keeps no marks: both are written, and gone.
    if (!uncorrectable_) return {true, abi::BLOCK_OK};
    const bool marked = uncorrectable_->mark(extent, extentOf(0, length));
    return {true, marked ? abi::BLOCK_OK : abi::BLOCK_NO_SPACE};
  }
  if (request.isRead()) {
    return uncorrectable_->touches(extent) ? Verdict{true, abi::BLOCK_MEDIUM_ERROR} : GO_ON;
  }
  if (request.operation == abi::OPERATION_COPY &&
      uncorrectable_->touches(extentOf(request.source(), request.length))) {
    return {true, abi::BLOCK_SOURCE_ERROR};
  }
  request.heals = request.operation != abi::OPERATION_FLUSH;
  return GO_ON;
}

void Storage::heal(const Request& request) const {
  const Extent space = extentOf(0, length);
  if (request.operation != abi::OPERATION_DEALLOCATE) {
    return uncorrectable_->clear(extentOf(request.offset, request.length), space);
  }
  for (std::uint32_t i = 0; i < request.segmentCount; ++i) {
    const iovec& range = request.segments[i];
    uncorrectable_->clear(extentOf(reinterpret_cast<std::uint64_t>(range.iov_base), range.iov_len), space);
  }
}

} // namespace doorbell
