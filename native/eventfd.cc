// Event counters: eventfd(2). The descriptors are the caller's: nothing here closes one.

#include "binding.h"

#include <cstdint>
#include <sys/eventfd.h>
#include <unistd.h>

namespace doorbell {
namespace {

Napi::Value create(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0) fail("eventfd");
    return Napi::Number::New(info.Env(), fd);
  });
}

void signal(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    const int fd = toFd(info[0], "fd");
    const std::uint64_t one = 1;
    if (retry([&] { return write(fd, &one, sizeof one); }) < 0 && errno != EAGAIN) fail("write");
  });
}

Napi::Value read(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const int fd = toFd(info[0], "fd");
    std::uint64_t count = 0;
    if (retry([&] { return ::read(fd, &count, sizeof count); }) < 0) {
      if (errno != EAGAIN) fail("read");
      count = 0;
    }
    return Napi::Number::New(info.Env(), static_cast<double>(count));
  });
}

} // namespace

void registerEventfd(Napi::Env env, Napi::Object exports) {
  exports.Set("eventfdCreate", Napi::Function::New<create>(env, "eventfdCreate"));
  exports.Set("eventfdSignal", Napi::Function::New<signal>(env, "eventfdSignal"));
  exports.Set("eventfdRead", Napi::Function::New<read>(env, "eventfdRead"));
}

} // namespace doorbell
