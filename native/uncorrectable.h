// Blocks that Write Uncorrectable has marked: they cannot be read until they are written again. The marks
// belong to the stored bytes, not to a controller: every storage on the same file, block device or RAM disk
// sees the same ones, from any thread. They live as long as one of those storages does; no file system could
// keep them.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>

namespace doorbell {

/** The bytes [begin, end) of what is stored. */
struct Extent {
  std::uint64_t begin;
  std::uint64_t end;
};

class Uncorrectable {
 public:
  /** Whether there is any mark; the one question on the way of every request. */
  bool any() const { return any_.load(std::memory_order_relaxed); }
  /** False, and nothing is marked, where the namespace has too many marks already. */
  bool mark(const Extent& extent, const Extent& space);
  void clear(const Extent& extent, const Extent& space);
  /** Whether a byte of it is marked. */
  bool touches(const Extent& extent) const;

 private:
  bool hasFewer(std::size_t bound, const Extent& space) const;

  mutable std::mutex mutex_;
  /** Begin and end of ranges that neither touch nor overlap. */
  std::map<std::uint64_t, std::uint64_t> ranges_;
  std::atomic<bool> any_{false};
};

/** The marks of an open file or block device. */
std::shared_ptr<Uncorrectable> uncorrectableOf(int fd);

} // namespace doorbell
