// The windows of one core: stretches of 2 MiB of its linear memory onto which guest memory is mapped.
#pragma once

#include "guest-memory.h"

#include <cstdint>
#include <vector>

namespace doorbell {

class Windows {
 public:
  /** `base` is the address of the first window, a multiple of 4 KiB; `faults` counts what the SIGBUS handler
   * repaired. */
  Windows(std::uint8_t* base, std::uint32_t count, std::atomic<std::uint64_t>* faults);
  /** The memory is ordinary and empty again. */
  ~Windows();
  Windows(const Windows&) = delete;
  Windows& operator=(const Windows&) = delete;

  std::uint32_t count() const { return static_cast<std::uint32_t>(shown_.size()); }
  /** Shows the 2 MiB at guest physical address page << 21. What no readable region backs becomes private
   * zeros. */
  void fill(std::uint32_t window, std::uint32_t page, const GuestMemory& memory);
  /** Private zeros in the place of this guest memory, in every window that shows some of it. */
  void hide(std::uint64_t gpa, std::uint64_t length);
  void clear();

 private:
  struct Shown {
    bool filled = false;
    /** Mapped by huge pages, which cannot be replaced in part. */
    bool huge = false;
    std::uint32_t page = 0;
  };

  std::uint8_t* at(std::uint32_t window) const;

  std::uint8_t* base_;
  std::vector<Shown> shown_;
  BusGuard guard_;
};

} // namespace doorbell
