// Event counters: eventfd(2), and proc(5) to tell one from other descriptors. The descriptors are the
// caller's: nothing here closes one.

#include "binding.h"

#include <cstdint>
#include <fcntl.h>
#include <string>
#include <string_view>
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

Napi::Value adopt(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const int fd = toFd(info[0], "fd");
    const std::string path = "/proc/self/fd/" + std::to_string(fd);
    char target[64];
    const ssize_t length = readlink(path.c_str(), target, sizeof target);
    if (length < 0) fail("readlink");
    const std::string_view name(target, static_cast<std::size_t>(length));
    if (name != "anon_inode:[eventfd]") return Napi::Boolean::New(info.Env(), false);
    const int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) fail("fcntl");
    return Napi::Boolean::New(info.Env(), true);
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
  exports.Set("eventfdAdopt", Napi::Function::New<adopt>(env, "eventfdAdopt"));
  exports.Set("eventfdSignal", Napi::Function::New<signal>(env, "eventfdSignal"));
  exports.Set("eventfdRead", Napi::Function::New<read>(env, "eventfdRead"));
}

} // namespace doorbell
