// What the addon holds for one controller: its guest's memory, the windows in its core's memory, its
// namespaces, the requests in flight and the completions that nobody has taken yet. Belongs to one thread.
#pragma once

#include "guest-memory.h"
#include "request.h"
#include "shared.h"
#include "storage.h"
#include "windows.h"

#include <array>
#include <atomic>
#include <optional>
#include <vector>

namespace doorbell {

class Controller : public Counted {
 public:
  /** The windows begin `core.bytes` into the linear memory at `core.base`. */
  Controller(const CoreMemory& core, std::uint32_t windowCount);

  GuestMemory& memory() { return memory_; }
  /** Throws EBADF once closed. */
  Windows& windows();
  const CoreMemory& core() const { return core_; }
  /** SIGBUS repairs so far, in guest memory and windows. */
  std::uint64_t faults() const { return faults_.load(std::memory_order_relaxed); }
  /** Runs a copy from or to guest memory; false if it met memory that the peer had truncated. */
  template <class Copy>
  bool survives(Copy copy) const {
    const std::uint64_t before = faults();
    std::atomic_signal_fence(std::memory_order_seq_cst);
    copy();
    std::atomic_signal_fence(std::memory_order_seq_cst);
    return faults() == before;
  }

  void attach(std::uint32_t nsid, Shared<Storage> storage);
  void detach(std::uint32_t nsid);
  /** Null where no namespace is attached. */
  Storage* storage(std::uint32_t nsid) const;

  std::uint32_t remove(std::uint64_t gpa, std::uint64_t length);

  /** The request is the kernel's, or waits for room in the ring. */
  void begin(Request& request);
  /** The request is done: a BLOCK_* code, or a negative errno. */
  void complete(Request& request, std::int32_t result);

  /** The requests that are not complete, linked by `next`. */
  Request* first() const { return first_; }
  std::uint32_t inFlight() const { return active_ + static_cast<std::uint32_t>(ready_.size()); }
  std::uint32_t active() const { return active_; }
  /** Writes completion records to the core's memory; returns how many. */
  std::uint32_t takeCompletions();
  /** Records with a result other than 0 among those last taken. */
  std::uint32_t completionErrors() const { return completionErrors_; }

  /** The linear memory is ordinary again and no longer touched. */
  void close();

 private:
  struct Completion {
    std::uint32_t slot;
    std::uint32_t result;
  };

  CoreMemory core_;
  /** Before what counts in it. */
  std::atomic<std::uint64_t> faults_{0};
  GuestMemory memory_;
  std::optional<Windows> windows_;
  std::array<Shared<Storage>, abi::NAMESPACE_COUNT> storages_;
  Request* first_ = nullptr;
  std::uint32_t active_ = 0;
  std::vector<Completion> ready_;
  std::uint32_t completionErrors_ = 0;
};

} // namespace doorbell
