// The registry of guarded ranges and the SIGBUS handler: sigaction(2), mmap(2), signal-safety(7).
//
// The registry is the one thing that all environments of the process share. The handler may run in any thread
// between any two instructions, so it takes no lock: an entry is valid while its `begin` is above CLAIMED,
// `begin` is written last when an entry is made and first when it is removed.

#include "sigbus.h"
#include "system-error.h"

#include <csignal>
#include <mutex>
#include <sys/mman.h>
#include <utility>

namespace doorbell {
namespace {

struct Entry {
  std::atomic<std::uintptr_t> begin{0};
  std::atomic<std::uintptr_t> end{0};
  std::atomic<std::atomic<std::uint64_t>*> faults{nullptr};
};

constexpr std::uintptr_t FREE = 0;
constexpr std::uintptr_t CLAIMED = 1;
constexpr std::int32_t ENTRY_COUNT = 16384;
/** Page sizes that a hole can have, smallest first: ordinary pages, then huge pages. */
constexpr std::uintptr_t PAGE_SIZES[] = {std::uintptr_t{4} << 10, std::uintptr_t{2} << 20,
                                         std::uintptr_t{1} << 30};

Entry entries[ENTRY_COUNT];
/** Entries beyond this one were never used. */
std::atomic<std::int32_t> entriesUsed{0};
struct sigaction previous;

static_assert(std::atomic<std::uintptr_t>::is_always_lock_free);

/** Puts anonymous memory over the page of `address`, of the smallest size that the mapping there allows. */
bool repair(std::uintptr_t address, std::uintptr_t begin, std::uintptr_t end) {
  for (const std::uintptr_t size : PAGE_SIZES) {
    const std::uintptr_t page = address & ~(size - 1);
    if (page < begin || end - page < size) return false;
    if (mmap(reinterpret_cast<void*>(page), size, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) != MAP_FAILED) {
      return true;
    }
  }
  return false;
}

bool repairGuarded(std::uintptr_t address) {
  const std::int32_t used = entriesUsed.load(std::memory_order_acquire);
  for (std::int32_t i = 0; i < used; ++i) {
    const std::uintptr_t begin = entries[i].begin.load(std::memory_order_acquire);
    if (begin <= CLAIMED || address < begin) continue;
    const std::uintptr_t end = entries[i].end.load(std::memory_order_relaxed);
    if (address >= end) continue;
    if (!repair(address, begin, end)) return false;
    entries[i].faults.load(std::memory_order_relaxed)->fetch_add(1, std::memory_order_relaxed);
    return true;
  }
  return false;
}

void onBusError(int signal, siginfo_t* info, void* context) {
  const int saved = errno;
  const bool repaired = repairGuarded(reinterpret_cast<std::uintptr_t>(info->si_addr));
  errno = saved;
  if (repaired) return;
  if ((previous.sa_flags & SA_SIGINFO) != 0) {
    previous.sa_sigaction(signal, info, context);
  } else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) {
    previous.sa_handler(signal);
  } else {
    // The instruction runs again and meets the default action: a core dump at the right place.
    struct sigaction standard {};
    standard.sa_handler = SIG_DFL;
    sigaction(SIGBUS, &standard, nullptr);
  }
}

} // namespace

void installBusHandler() {
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction action {};
    action.sa_sigaction = onBusError;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, nullptr, &previous);
    if (sigaction(SIGBUS, &action, nullptr) != 0) fail("sigaction");
  });
}

BusGuard::BusGuard(const void* begin, std::size_t bytes, std::atomic<std::uint64_t>* faults) {
  const auto address = reinterpret_cast<std::uintptr_t>(begin);
  for (std::int32_t i = 0; i < ENTRY_COUNT; ++i) {
    std::uintptr_t expected = FREE;
    if (!entries[i].begin.compare_exchange_strong(expected, CLAIMED, std::memory_order_acq_rel)) continue;
    entries[i].end.store(address + bytes, std::memory_order_relaxed);
    entries[i].faults.store(faults, std::memory_order_relaxed);
    std::int32_t used = entriesUsed.load(std::memory_order_relaxed);
    while (used <= i && !entriesUsed.compare_exchange_weak(used, i + 1, std::memory_order_acq_rel)) {
    }
    entries[i].begin.store(address, std::memory_order_release);
    entry_ = i;
    return;
  }
  fail("mmap", ENOMEM);
}

BusGuard::BusGuard(BusGuard&& other) noexcept : entry_(std::exchange(other.entry_, -1)) {}

BusGuard& BusGuard::operator=(BusGuard&& other) noexcept {
  std::swap(entry_, other.entry_);
  return *this;
}

BusGuard::~BusGuard() {
  if (entry_ >= 0) entries[entry_].begin.store(FREE, std::memory_order_release);
}

} // namespace doorbell
