// The ring's care that a storage that hangs keeps nobody waiting but its own requests.
//
// What the kernel cannot do without sleeping (fsync, fallocate, all I/O of some file systems) it gives to a
// few threads of its own, which all files of a ring share: a file that hangs would soon have them all. So the
// ring looks every now and then which storages have made no progress, and allows the kernel one more thread
// for each of their requests; and no storage may have more than so many requests in the kernel.

#include "uring.h"

#include <algorithm>
#include <time.h>

namespace doorbell {
namespace {

/** Requests of one storage that the kernel may have: more than any device works on at the same time. */
constexpr std::uint32_t STORAGE_REQUESTS_MAX = 256;
/** A storage without progress at so many looks in a row is stalled. */
constexpr unsigned QUIET_LOOKS_MAX = 3;

bool isStalled(const Storage::Load& load) {
  return load.quiet >= QUIET_LOOKS_MAX;
}

} // namespace

/** Of a clock that is cheap to read and steps by some milliseconds. */
std::int64_t Uring::millisecondsNow() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &time);
  return std::int64_t{time.tv_sec} * 1000 + time.tv_nsec / 1000000;
}

/** Gives a checked request to its storage, or puts it into the storage's queue. */
void Uring::begin(Request& request) {
  Storage::Load& load = *request.storage->load;
  if (load.requests >= STORAGE_REQUESTS_MAX) {
    request.place = Place::HELD;
    load.held.push_back(&request);
    ++held_;
    return;
  }
  request.place = Place::STARTED;
  ++load.requests;
  try {
    request.storage->start(request, *this);
  } catch (const SystemError& error) {
    finish(request, -error.number);
  }
}

/** Held requests were checked against regions that may be gone since: they are checked once more. */
void Uring::startHeld() {
  // By index: a start may list a storage.
  for (std::size_t i = 0; held_ != 0 && i < listed_.size(); ++i) {
    const Shared<Storage::Load> load = listed_[i];
    while (!load->held.empty() && load->requests < STORAGE_REQUESTS_MAX && hasRoom()) {
      Request* request = load->held.front();
      load->held.pop_front();
      --held_;
      request->place = Place::NOWHERE;
      start(*request);
    }
  }
}

void Uring::list(const Shared<Storage::Load>& load) {
  load->listed = true;
  load->progressed = true;
  listed_.push_back(load);
}

/** Whether a storage has requests and may yet turn out to be stalled. */
bool Uring::watchesProgress() const {
  return std::any_of(listed_.begin(), listed_.end(), [](const Shared<Storage::Load>& load) {
    return load->requests != 0 && !isStalled(*load);
  });
}

void Uring::look() {
  const std::int64_t now = millisecondsNow();
  if (now < nextLook_) return;
  nextLook_ = now + LOOK_MICROSECONDS / 1000;
  std::uint32_t stalled = 0;
  std::erase_if(listed_, [&](const Shared<Storage::Load>& shared) {
    Storage::Load& load = *shared;
    load.quiet = load.requests == 0 || load.progressed ? 0 : load.quiet + 1;
    load.progressed = false;
    if (isStalled(load)) stalled += load.requests;
    load.listed = load.requests != 0 || !load.held.empty();
    return !load.listed;
  });
  stalled_ = stalled;
  allowWorkers(stalled);
}

/** Gives requests that are stuck a thread each, so that the others have as many as ever. */
void Uring::allowWorkers(std::uint32_t stalled) {
  if (stalled == 0 && workersAllowed_ == workers_) return;
  if (workers_ == 0) {
    unsigned present[2] = {0, 0};
    if (io_uring_register_iowq_max_workers(&ring_, present) != 0) return;
    workers_ = workersAllowed_ = present[0];
  }
  const std::uint32_t wanted = workers_ + stalled;
  if (wanted == workersAllowed_) return;
  unsigned limits[2] = {wanted, 0};
  if (io_uring_register_iowq_max_workers(&ring_, limits) != 0) return;
  const bool more = wanted > workersAllowed_;
  workersAllowed_ = wanted;
  // The kernel starts a thread when it gets work for one: what came before the limit was raised has none.
  io_uring_sqe* sqe = more ? nextSqe() : nullptr;
  if (sqe == nullptr) return;
  io_uring_prep_nop(sqe);
  sqe->flags |= IOSQE_ASYNC;
  io_uring_sqe_set_data64(sqe, IGNORED);
}

} // namespace doorbell
