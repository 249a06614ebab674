// Guest memory that was truncated under us. A load or store beyond the end of a mapped file raises SIGBUS;
// the handler puts an anonymous page over the hole, counts, and lets the instruction run again.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace doorbell {

/** Installs the process-wide handler, once. The one that was there before gets what is not ours. */
void installBusHandler();

/** While it lives, a SIGBUS inside [begin, begin + bytes) is repaired and counted. */
class BusGuard {
 public:
  BusGuard() = default;
  /** Throws ENOMEM when the registry is full. `faults` must outlive the guard. */
  BusGuard(const void* begin, std::size_t bytes, std::atomic<std::uint64_t>* faults);
  BusGuard(BusGuard&& other) noexcept;
  BusGuard& operator=(BusGuard&& other) noexcept;
  ~BusGuard();

 private:
  std::int32_t entry_ = -1;
};

} // namespace doorbell
