// One io_uring: the requests of all controllers of a reactor, and readiness of its descriptors. It is the
// single point where the reactor's thread blocks. Belongs to the thread that made it
// (IORING_SETUP_SINGLE_ISSUER).
#pragma once

#include "controller.h"
#include "request.h"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <liburing.h>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

namespace doorbell {

/** Page-aligned buffers for requests that O_DIRECT does not take as they are. */
class BouncePool {
 public:
  ~BouncePool();

  /** At least `bytes`, at most 1 MiB, aligned to 4 KiB. */
  void* take(std::uint64_t bytes);
  void give(void* buffer, std::uint64_t bytes);

 private:
  /** Two sizes, so that many small requests do not hold much memory. */
  std::vector<void*> small_;
  std::vector<void*> large_;
};

class Uring {
 public:
  /** User data of operations whose end nobody waits for. */
  static constexpr std::uint64_t IGNORED = 7;
  /** How often the ring looks at the progress of storages that have requests. */
  static constexpr std::int64_t LOOK_MICROSECONDS = 100'000;

  /** Throws what io_uring_setup says: EPERM or ENOSYS where it is denied. */
  explicit Uring(std::uint32_t entries);
  /** Closes; requests that never end are left to the kernel together with their memory. */
  ~Uring();
  Uring(const Uring&) = delete;
  Uring& operator=(const Uring&) = delete;

  // The reactor's side; host/native.ts says what each does.

  void watch(int fd, std::uint32_t token);
  void watchWritable(int fd, std::uint32_t token);
  void unwatch(std::uint32_t token);
  void submit(Controller& controller, std::uint32_t count);
  /** The request in a slot, or all of the controller. */
  void cancel(Controller& controller, std::optional<std::uint32_t> slot);
  std::uint32_t enter(std::int64_t microseconds, std::uint32_t* tokens, std::uint32_t capacity);
  /** Cancels what can be canceled and waits for the rest; false if something did not end in time. */
  bool close();

  // The storages' side.

  /** Queues one operation for the request: `prepare` fills the SQE and does not throw. */
  template <class Prepare>
  void queue(Request& request, Prepare prepare) {
    const bool ends = closing_ || request.canceled;
    io_uring_sqe* sqe = ends ? nullptr : nextSqe();
    if (sqe == nullptr) return finish(request, ends ? -ECANCELED : -EAGAIN);
    prepare(sqe);
    io_uring_sqe_set_data(sqe, &request);
    ++outstanding_;
    if (!request.storage->load->listed) list(request.storage->load);
  }
  /** The request is done: a BLOCK_* code, or a negative errno. */
  void finish(Request& request, std::int32_t result);
  BouncePool& bouncePool() { return bouncePool_; }

 private:
  struct Watch {
    int fd = -1;
    /** Tells a late completion from one of the present poll. */
    std::uint32_t generation = 0;
    bool armed = false;
  };
  using Watches = std::unordered_map<std::uint32_t, Watch>;

  void start(Request& request);
  void begin(Request& request);
  void startWaiting();
  void startHeld();
  void cancel(Request& request);
  void arm(std::uint32_t token, Watch& watch, std::uint32_t tag, unsigned events);
  void disarm(Watches& watches, std::uint32_t token, std::uint32_t tag);
  void rearm();
  void flush();
  void wait(std::int64_t microseconds);
  int waitOnce(std::int64_t microseconds);
  void list(const Shared<Storage::Load>& load);
  bool watchesProgress() const;
  void look();
  static std::int64_t millisecondsNow();
  void allowWorkers(std::uint32_t stalled);
  void reap();
  void resume(Request& request, std::int32_t result);
  void polled(std::uint64_t data);
  io_uring_sqe* nextSqe();
  Request& newRequest();
  /** What a stalled storage has in the kernel takes no room from the others. */
  bool hasRoom() const { return outstanding_ < outstandingMax_ + stalled_; }

  io_uring ring_{};
  bool open_ = false;
  bool closing_ = false;
  /** Whether the kernel tells, in the ring itself, that it wants to be entered. */
  bool tellsWork_ = false;
  /** Operations that the kernel will complete; never more than the completion queue holds. */
  std::uint32_t outstanding_ = 0;
  std::uint32_t outstandingMax_ = 0;
  /** Requests that are neither finished nor on the free list. */
  std::uint32_t active_ = 0;
  /** Some request finished since the reactor last looked: it must not be made to wait. */
  bool finishedSome_ = false;
  std::deque<Request*> waiting_;
  /** Of storages that have, or lately had, operations in the kernel. */
  std::vector<Shared<Storage::Load>> listed_;
  /** Requests in the queues of all storages. */
  std::uint32_t held_ = 0;
  /** Requests of stalled storages when the ring last looked. */
  std::uint32_t stalled_ = 0;
  /** Milliseconds at which the ring looks at the progress of the storages again. */
  std::int64_t nextLook_ = 0;
  /** Threads that the kernel keeps for requests of files by itself; 0: not yet asked. */
  std::uint32_t workers_ = 0;
  /** Threads that it was last allowed. */
  std::uint32_t workersAllowed_ = 0;
  std::vector<std::unique_ptr<Request>> requests_;
  Request* free_ = nullptr;
  BouncePool bouncePool_;
  Watches readable_;
  Watches writable_;
  std::uint32_t nextGeneration_ = 1;
  /** Tokens to be handed out. */
  std::vector<std::uint32_t> ready_;
  /** Tokens handed out, whose descriptors are polled again at the next enter. */
  std::vector<std::uint32_t> rearm_;
};

} // namespace doorbell
