// Event counters: eventfd(2), and proc(5) to tell one from other descriptors. The descriptors are the
// caller's: nothing here closes one.
//
// A peer shares the open file of the counter it passed, so it can fill it and take O_NONBLOCK away again at
// any moment, and then write(2) never returns. The kernel's own way to signal a counter never waits and knows
// no flags; io_submit(2) leads to it: the end of an operation signals `aio_resfd`. The operation is a read of
// /dev/null, which ends before the call returns. Likewise it can empty the counter before it is read here,
// and then read(2) never returns: the flag for a single call, RWF_NOWAIT, is not the peer's to take away.

#include "binding.h"
#include "fd.h"

#include <atomic>
#include <cstdint>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <poll.h>
#include <string>
#include <string_view>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

namespace doorbell {
namespace {

/** The head of the ring that an aio_context_t points to: part of the kernel's interface, in none of its
 * headers. */
struct AioRing {
  std::uint32_t id;
  std::uint32_t count;
  std::uint32_t head;
  std::uint32_t tail;
};

/** Signals counters without ever waiting, where the kernel has aio. One for each thread. */
class Signaller {
 public:
  Signaller() : null_(open("/dev/null", O_RDONLY | O_CLOEXEC)) {
    if (null_.isOpen() && syscall(SYS_io_setup, 1U, &context_) != 0) context_ = 0;
  }
  Signaller(const Signaller&) = delete;
  Signaller& operator=(const Signaller&) = delete;
  ~Signaller() {
    if (context_ != 0) syscall(SYS_io_destroy, context_);
  }

  bool signal(int fd) {
    if (context_ == 0) return false;
    iocb operation{};
    operation.aio_lio_opcode = IOCB_CMD_PREAD;
    operation.aio_fildes = static_cast<std::uint32_t>(null_.get());
    operation.aio_flags = IOCB_FLAG_RESFD;
    operation.aio_resfd = static_cast<std::uint32_t>(fd);
    iocb* list = &operation;
    if (retry([&] { return syscall(SYS_io_submit, context_, 1L, &list); }) != 1) return false;
    // Nobody wants its result: taken from the ring unread.
    auto* ring = reinterpret_cast<AioRing*>(context_);
    std::atomic_ref(ring->head).store(std::atomic_ref(ring->tail).load());
    return true;
  }

 private:
  OwnedFd null_;
  aio_context_t context_ = 0;
};

Signaller& signaller() {
  thread_local Signaller instance;
  return instance;
}

Napi::Value create(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0) fail("eventfd");
    return Napi::Number::New(info.Env(), fd);
  });
}

Napi::Value adopt(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const int fd = toFd(info[0], "fd");
    const std::string path = "/proc/self/fd/" + std::to_string(fd);
    char target[64];
    const ssize_t length = readlink(path.c_str(), target, sizeof target);
    if (length < 0) fail("readlink");
    const std::string_view name(target, static_cast<std::size_t>(length));
    if (name != "anon_inode:[eventfd]") return Napi::Boolean::New(info.Env(), false);
    // One that was opened with O_PATH has the name of a counter and can do nothing.
    const int flags = fcntl(fd, F_GETFL);
    if (flags < 0) fail("fcntl");
    const bool isUsable = fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
    return Napi::Boolean::New(info.Env(), isUsable);
  });
}

void signal(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    const int fd = toFd(info[0], "fd");
    if (signaller().signal(fd)) return;
    // Without aio: a full counter is left alone. The peer could still fill it between the two calls.
    pollfd state{fd, POLLOUT, 0};
    if (retry([&] { return poll(&state, 1, 0); }) == 0) return;
    const std::uint64_t one = 1;
    if (retry([&] { return write(fd, &one, sizeof one); }) < 0 && errno != EAGAIN) fail("write");
  });
}

/** Reads the counter if it is not 0; else -1 with EAGAIN. */
ssize_t readNow(int fd, std::uint64_t& count) {
  const iovec whole{&count, sizeof count};
  const ssize_t length = retry([&] { return preadv2(fd, &whole, 1, -1, RWF_NOWAIT); });
  if (length >= 0 || errno != EOPNOTSUPP) return length;
  // Kernels before 5.10. The peer could still empty it between the two calls.
  pollfd state{fd, POLLIN, 0};
  if (retry([&] { return poll(&state, 1, 0); }) == 0) {
    errno = EAGAIN;
    return -1;
  }
  return retry([&] { return ::read(fd, &count, sizeof count); });
}

Napi::Value read(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const int fd = toFd(info[0], "fd");
    std::uint64_t count = 0;
    if (readNow(fd, count) < 0) {
      if (errno != EAGAIN) fail("read");
      count = 0;
    }
    return Napi::Number::New(info.Env(), static_cast<double>(count));
  });
}

} // namespace

void registerEventfd(Napi::Env env, Napi::Object exports) {
  // Its descriptor is there from the start: later there may be none free.
  signaller();
  exports.Set("eventfdCreate", Napi::Function::New<create>(env, "eventfdCreate"));
  exports.Set("eventfdAdopt", Napi::Function::New<adopt>(env, "eventfdAdopt"));
  exports.Set("eventfdSignal", Napi::Function::New<signal>(env, "eventfdSignal"));
  exports.Set("eventfdRead", Napi::Function::New<read>(env, "eventfdRead"));
}

} // namespace doorbell
