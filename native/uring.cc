// The ring: io_uring_setup(2), io_uring_enter(2), by liburing.
//
// Descriptors are watched by polls that end at their first event and are armed again, in the same system call
// as the next submission, after the reactor has seen them. Arming looks at the present state, so readiness
// that the reactor left behind is reported again; a multishot poll would report only changes.

#include "uring.h"

#include <algorithm>
#include <poll.h>
#include <sys/mman.h>

namespace doorbell {
namespace {

constexpr std::uint32_t ENTRIES_MAX = 4096;
constexpr std::uint32_t COMPLETIONS_MIN = 8192;
/** Completions kept free for polls and cancelations. */
constexpr std::uint32_t COMPLETIONS_RESERVE = 2048;
constexpr std::uint64_t SMALL_BOUNCE_BYTES = std::uint64_t{16} << 10;
constexpr std::uint64_t LARGE_BOUNCE_BYTES = std::uint64_t{1} << 20;
constexpr std::size_t SMALL_BOUNCES_KEPT = 512;
constexpr std::size_t LARGE_BOUNCES_KEPT = 16;
constexpr std::int64_t CLOSE_TIMEOUT_MILLISECONDS = 3000;

// The user data of a completion: a request's address, whose low bits are 0, or
// token << 32 | generation << TAG_BITS | tag.
constexpr unsigned TAG_BITS = 3;
constexpr std::uint64_t TAG_MASK = (1U << TAG_BITS) - 1;
constexpr std::uint32_t TAG_REQUEST = 0;
constexpr std::uint32_t TAG_READABLE = 1;
constexpr std::uint32_t TAG_WRITABLE = 2;
constexpr std::uint32_t GENERATION_MAX = 0xffffffffU >> TAG_BITS;

static_assert(Uring::IGNORED == TAG_MASK);
static_assert(alignof(Request) > TAG_MASK);

std::uint64_t watchData(std::uint32_t token, std::uint32_t generation, std::uint32_t tag) {
  return std::uint64_t{token} << 32 | std::uint64_t{generation} << TAG_BITS | tag;
}

/** Whether a storage executes it, beside the transfers to and from guest memory. */
bool isStorageOperation(std::uint16_t operation) {
  switch (operation) {
  case abi::OPERATION_FLUSH:
  case abi::OPERATION_WRITE_ZEROES:
  case abi::OPERATION_DEALLOCATE:
  case abi::OPERATION_VERIFY:
  case abi::OPERATION_COPY:
  case abi::OPERATION_WRITE_UNCORRECTABLE:
    return true;
  default:
    return false;
  }
}

/** The best ring that this kernel makes; the flags are newer than io_uring itself. */
bool makeRing(std::uint32_t entries, io_uring& ring) {
  const unsigned attempts[] = {
      IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
      IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
      0,
  };
  int result = -EINVAL;
  for (const unsigned flags : attempts) {
    io_uring_params parameters{};
    parameters.flags = flags | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
    parameters.cq_entries = std::max(entries * 2, COMPLETIONS_MIN);
    result = io_uring_queue_init_params(entries, &ring, &parameters);
    if (result == 0) return (flags & IORING_SETUP_TASKRUN_FLAG) != 0;
    if (result != -EINVAL) break;
  }
  fail("io_uring_setup", -result);
}

void* mapBuffer(std::uint64_t bytes) {
  void* buffer = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (buffer == MAP_FAILED) fail("mmap");
  return buffer;
}

} // namespace

BouncePool::~BouncePool() {
  for (void* buffer : small_) munmap(buffer, SMALL_BOUNCE_BYTES);
  for (void* buffer : large_) munmap(buffer, LARGE_BOUNCE_BYTES);
}

void* BouncePool::take(std::uint64_t bytes) {
  const bool isSmall = bytes <= SMALL_BOUNCE_BYTES;
  std::vector<void*>& pool = isSmall ? small_ : large_;
  if (pool.empty()) return mapBuffer(isSmall ? SMALL_BOUNCE_BYTES : LARGE_BOUNCE_BYTES);
  void* buffer = pool.back();
  pool.pop_back();
  return buffer;
}

void BouncePool::give(void* buffer, std::uint64_t bytes) {
  const bool isSmall = bytes <= SMALL_BOUNCE_BYTES;
  std::vector<void*>& pool = isSmall ? small_ : large_;
  if (pool.size() < (isSmall ? SMALL_BOUNCES_KEPT : LARGE_BOUNCES_KEPT)) {
    pool.push_back(buffer);
  } else {
    munmap(buffer, isSmall ? SMALL_BOUNCE_BYTES : LARGE_BOUNCE_BYTES);
  }
}

Uring::Uring(std::uint32_t entries) {
  tellsWork_ = makeRing(std::clamp(entries, 1U, ENTRIES_MAX), ring_);
  open_ = true;
  outstandingMax_ = *ring_.cq.kring_entries - COMPLETIONS_RESERVE;
  io_uring_ring_dontfork(&ring_);
  // Saves a look-up in each system call; where it cannot be had, nothing is lost.
  io_uring_register_ring_fd(&ring_);
}

Uring::~Uring() {
  if (!close()) {
    // The kernel still owns them.
    for (auto& request : requests_) static_cast<void>(request.release());
  }
}

// ---- Descriptors
// -----------------------------------------------------------------------------------------------

void Uring::watch(int fd, std::uint32_t token) {
  if (!open_) fail("io_uring_enter", EBADF);
  if (readable_.contains(token)) fail("io_uring_enter", EEXIST);
  Watch& watch = readable_[token];
  watch.fd = fd;
  arm(token, watch, TAG_READABLE, POLLIN);
}

void Uring::watchWritable(int fd, std::uint32_t token) {
  if (!open_) fail("io_uring_enter", EBADF);
  Watch& watch = writable_[token];
  if (watch.armed && watch.fd == fd) return;
  if (watch.armed) {
    disarm(writable_, token, TAG_WRITABLE);
    return watchWritable(fd, token);
  }
  watch.fd = fd;
  arm(token, watch, TAG_WRITABLE, POLLOUT);
}

void Uring::unwatch(std::uint32_t token) {
  if (!open_) return;
  disarm(readable_, token, TAG_READABLE);
  disarm(writable_, token, TAG_WRITABLE);
  std::erase(ready_, token);
  std::erase(rearm_, token);
}

void Uring::arm(std::uint32_t token, Watch& watch, std::uint32_t tag, unsigned events) {
  io_uring_sqe* sqe = nextSqe();
  if (sqe == nullptr) fail("io_uring_enter", EAGAIN);
  watch.generation = nextGeneration_;
  nextGeneration_ = nextGeneration_ == GENERATION_MAX ? 1 : nextGeneration_ + 1;
  watch.armed = true;
  io_uring_prep_poll_add(sqe, watch.fd, events);
  io_uring_sqe_set_data64(sqe, watchData(token, watch.generation, tag));
}

void Uring::disarm(Watches& watches, std::uint32_t token, std::uint32_t tag) {
  const auto found = watches.find(token);
  if (found == watches.end()) return;
  const Watch watch = found->second;
  watches.erase(found);
  if (!watch.armed) return;
  io_uring_sqe* sqe = nextSqe();
  if (sqe == nullptr) return;
  io_uring_prep_poll_remove(sqe, watchData(token, watch.generation, tag));
  io_uring_sqe_set_data64(sqe, IGNORED);
  // At once: until then the poll holds the file open, and the peer of a closed socket would wait for its end.
  flush();
}

void Uring::rearm() {
  // Taken from the end, so that one that fails now is tried again.
  while (!rearm_.empty()) {
    const auto found = readable_.find(rearm_.back());
    if (found != readable_.end() && !found->second.armed)
      arm(found->first, found->second, TAG_READABLE, POLLIN);
    rearm_.pop_back();
  }
}

void Uring::polled(std::uint64_t data) {
  const auto token = static_cast<std::uint32_t>(data >> 32);
  const auto tag = static_cast<std::uint32_t>(data & TAG_MASK);
  if (tag != TAG_READABLE && tag != TAG_WRITABLE) return;
  Watches& watches = tag == TAG_READABLE ? readable_ : writable_;
  const auto found = watches.find(token);
  if (found == watches.end() || watchData(token, found->second.generation, tag) != data) return;
  found->second.armed = false;
  if (tag == TAG_WRITABLE) watches.erase(found);
  // A poll that failed is reported too: the reactor meets the error when it reads.
  ready_.push_back(token);
}

// ---- Requests
// --------------------------------------------------------------------------------------------------

void Uring::submit(Controller& controller, std::uint32_t count) {
  if (!open_) fail("io_uring_enter", EBADF);
  if (count > abi::SLOT_COUNT) fail("io_uring_enter", EINVAL);
  controller.windows();
  for (std::uint32_t i = 0; i < count; ++i) {
    Request& request = newRequest();
    std::uint32_t code = takeRequest(controller.core(), i, request);
    // A core has no more commands than slots; one that says so has lost count.
    if (controller.inFlight() >= 2 * abi::SLOT_COUNT) code = abi::BLOCK_BUSY;
    controller.begin(request);
    if (code != abi::BLOCK_OK) {
      finish(request, static_cast<std::int32_t>(code));
      continue;
    }
    if (hasRoom()) {
      start(request);
    } else {
      request.place = Place::WAITING;
      waiting_.push_back(&request);
    }
  }
}

/** Checks the request and starts it. */
void Uring::start(Request& request) {
  Controller& controller = *request.controller;
  const auto refuse = [&](std::uint32_t code) { finish(request, static_cast<std::int32_t>(code)); };
  if (closing_ || request.canceled) return finish(request, -ECANCELED);
  const bool copies =
      request.operation == abi::OPERATION_COPY_OUT || request.operation == abi::OPERATION_COPY_IN;
  const bool transfers = request.operation == abi::OPERATION_READ ||
                         request.operation == abi::OPERATION_WRITE ||
                         request.operation == abi::OPERATION_COMPARE;
  if (copies || transfers) {
    const std::uint32_t code = checkSegments(request, controller.memory());
    if (code != abi::BLOCK_OK) return refuse(code);
  }
  if (copies) {
    std::uint32_t code = abi::BLOCK_OK;
    const bool survived = controller.survives([&] { code = copyData(request, controller.core()); });
    return refuse(survived ? code : abi::BLOCK_MEMORY_FAULT);
  }
  if (!transfers && !isStorageOperation(request.operation)) return refuse(abi::BLOCK_NOT_SUPPORTED);
  request.storage = Shared<Storage>(controller.storage(request.nsid));
  if (!request.storage) return refuse(abi::BLOCK_OUT_OF_RANGE);
  const std::uint32_t code = checkRange(request, *request.storage);
  if (code != abi::BLOCK_OK) return refuse(code);
  if (request.operation == abi::OPERATION_WRITE_UNCORRECTABLE || request.storage->hasUncorrectable()) {
    const Verdict verdict = request.storage->judge(request);
    if (verdict.isFinal) return refuse(verdict.code);
  }
  begin(request);
}

void Uring::startWaiting() {
  while (!waiting_.empty() && hasRoom()) {
    Request* request = waiting_.front();
    waiting_.pop_front();
    request->place = Place::NOWHERE;
    start(*request);
  }
}

void Uring::cancel(Controller& controller, std::optional<std::uint32_t> slot) {
  if (!open_) fail("io_uring_enter", EBADF);
  std::vector<Request*> requests;
  for (Request* request = controller.first(); request != nullptr; request = request->next) {
    if (!slot || request->slot == *slot) requests.push_back(request);
  }
  for (Request* request : requests) cancel(*request);
  if (!requests.empty()) flush();
}

void Uring::cancel(Request& request) {
  request.canceled = true;
  if (request.place == Place::STARTED) {
    io_uring_sqe* sqe = nextSqe();
    if (sqe == nullptr) return;
    io_uring_prep_cancel(sqe, &request, 0);
    io_uring_sqe_set_data64(sqe, IGNORED);
    return;
  }
  if (request.place == Place::WAITING) std::erase(waiting_, &request);
  if (request.place == Place::HELD) {
    std::erase(request.storage->load->held, &request);
    --held_;
  }
  finish(request, -ECANCELED);
}

void Uring::finish(Request& request, std::int32_t result) {
  if (request.bounce != nullptr) bouncePool_.give(request.bounce, request.bounceBytes);
  request.bounce = nullptr;
  if (request.heals && result == abi::BLOCK_OK) request.storage->heal(request);
  if (request.place == Place::STARTED) --request.storage->load->requests;
  request.place = Place::NOWHERE;
  request.controller->complete(request, result);
  request.storage = {};
  request.controller = {};
  request.next = free_;
  free_ = &request;
  --active_;
  finishedSome_ = true;
}

Request& Uring::newRequest() {
  if (free_ == nullptr) {
    requests_.push_back(std::make_unique<Request>());
    free_ = requests_.back().get();
  }
  Request& request = *free_;
  free_ = request.next;
  ++active_;
  return request;
}

// ---- The ring
// --------------------------------------------------------------------------------------------------

std::uint32_t Uring::enter(std::int64_t microseconds, std::uint32_t* tokens, std::uint32_t capacity) {
  if (!open_) fail("io_uring_enter", EBADF);
  rearm();
  if (outstanding_ != 0) look();
  if (microseconds != 0 && !finishedSome_ && ready_.empty() && io_uring_cq_ready(&ring_) == 0) {
    wait(microseconds);
  } else if (io_uring_sq_ready(&ring_) != 0 ||
             (tellsWork_ && (IO_URING_READ_ONCE(*ring_.sq.kflags) & IORING_SQ_TASKRUN) != 0) ||
             io_uring_cq_has_overflow(&ring_)) {
    flush();
  }
  reap();
  startHeld();
  startWaiting();
  finishedSome_ = false;

  const auto count = std::min(capacity, static_cast<std::uint32_t>(ready_.size()));
  std::copy_n(ready_.begin(), count, tokens);
  rearm_.insert(rearm_.end(), tokens, tokens + count);
  ready_.erase(ready_.begin(), ready_.begin() + count);
  return count;
}

/** Gives the kernel what is queued, without waiting. */
void Uring::flush() {
  const int result = io_uring_submit_and_get_events(&ring_);
  // EAGAIN and EBUSY: the kernel is short of memory or of completions; what is queued stays queued.
  if (result < 0 && result != -EINTR && result != -EAGAIN && result != -EBUSY)
    fail("io_uring_enter", -result);
}

/** Waits in pieces as long as the progress of some storage has to be looked at. */
void Uring::wait(std::int64_t microseconds) {
  for (;;) {
    const bool inPieces = (microseconds < 0 || microseconds > LOOK_MICROSECONDS) && watchesProgress();
    const int result = waitOnce(inPieces ? LOOK_MICROSECONDS : microseconds);
    if (!inPieces || result == -EINTR || io_uring_cq_ready(&ring_) != 0) return;
    if (microseconds > 0) microseconds -= LOOK_MICROSECONDS;
    look();
  }
}

int Uring::waitOnce(std::int64_t microseconds) {
  int result;
  if (microseconds < 0) {
    result = io_uring_submit_and_wait(&ring_, 1);
  } else {
    __kernel_timespec time{microseconds / 1000000, microseconds % 1000000 * 1000};
    io_uring_cqe* first = nullptr;
    result = io_uring_submit_and_wait_timeout(&ring_, &first, 1, &time, nullptr);
  }
  if (result < 0 && result != -EINTR && result != -ETIME && result != -EAGAIN && result != -EBUSY) {
    fail("io_uring_enter", -result);
  }
  return result;
}

// ---- Completions and the end
// -----------------------------------------------------------------------------------

void Uring::reap() {
  unsigned head;
  unsigned count = 0;
  io_uring_cqe* cqe;
  io_uring_for_each_cqe(&ring_, head, cqe) {
    const std::uint64_t data = io_uring_cqe_get_data64(cqe);
    ++count;
    if ((data & TAG_MASK) == TAG_REQUEST) {
      resume(*reinterpret_cast<Request*>(data), cqe->res);
    } else {
      polled(data);
    }
  }
  io_uring_cq_advance(&ring_, count);
}

void Uring::resume(Request& request, std::int32_t result) {
  --outstanding_;
  Storage::Load& load = *request.storage->load;
  load.progressed = true;
  if (load.quiet != 0) {
    load.quiet = 0;
    // Soon: its requests no longer count as stuck.
    if (stalled_ != 0) nextLook_ = 0;
  }
  try {
    request.storage->resume(request, *this, result);
  } catch (const SystemError& error) {
    finish(request, -error.number);
  }
}

io_uring_sqe* Uring::nextSqe() {
  io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
  if (sqe == nullptr) {
    io_uring_submit(&ring_);
    sqe = io_uring_get_sqe(&ring_);
  }
  return sqe;
}

bool Uring::close() {
  if (!open_) return active_ == 0;
  closing_ = true;
  while (!waiting_.empty()) cancel(*waiting_.front());
  for (const Shared<Storage::Load>& load : listed_) {
    while (!load->held.empty()) cancel(*load->held.front());
  }
  io_uring_submit(&ring_);
  if (active_ != 0) {
    io_uring_sync_cancel_reg all{};
    all.fd = -1;
    all.flags = IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_ANY;
    all.timeout = {0, 500'000'000};
    // Kernels that do not know it leave the requests to end by themselves.
    io_uring_register_sync_cancel(&ring_, &all);
  }
  const std::int64_t deadline = millisecondsNow() + CLOSE_TIMEOUT_MILLISECONDS;
  while (active_ != 0 && millisecondsNow() < deadline) {
    __kernel_timespec time{0, 100000000};
    io_uring_cqe* first = nullptr;
    io_uring_submit_and_wait_timeout(&ring_, &first, 1, &time, nullptr);
    reap();
  }
  open_ = false;
  listed_.clear();
  readable_.clear();
  writable_.clear();
  io_uring_queue_exit(&ring_);
  return active_ == 0;
}

} // namespace doorbell
