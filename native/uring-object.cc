// The ring's JavaScript object; uring.cc has the ring.

#include "uring-object.h"
#include "controller-object.h"

namespace doorbell {
namespace {

/** Tokens that one enter can hand out; more wait for the next. */
constexpr std::uint32_t TOKEN_COUNT = 1024;

} // namespace

UringObject::UringObject(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<UringObject>(info), open_(Instance::of(info.Env()).open) {
  guarded(info.Env(), [&] {
    uring_ = std::make_unique<Uring>(toU32(info[0], "entries"));
    Napi::Uint32Array tokens = Napi::Uint32Array::New(info.Env(), TOKEN_COUNT);
    tokenData_ = tokens.Data();
    tokens_ = Napi::Persistent(tokens);
  });
  open_->urings.insert(this);
}

UringObject::~UringObject() {
  open_->urings.erase(this);
}

void UringObject::shutdown() {
  uring_.reset();
}

void UringObject::watch(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] { uring_->watch(toFd(info[0], "fd"), toU32(info[1], "token")); });
}

void UringObject::watchWritable(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] { uring_->watchWritable(toFd(info[0], "fd"), toU32(info[1], "token")); });
}

void UringObject::unwatch(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] { uring_->unwatch(toU32(info[0], "token")); });
}

Controller& UringObject::toController(const Napi::Value& value) const {
  void* object = nullptr;
  if (!value.IsObject() || napi_unwrap(value.Env(), value, &object) != napi_ok ||
      !open_->controllers.contains(static_cast<ControllerObject*>(object))) {
    throw Napi::TypeError::New(value.Env(), "controller must be a NativeController");
  }
  return static_cast<ControllerObject*>(object)->controller();
}

void UringObject::submit(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    const std::uint32_t count = toU32(info[1], "count");
    uring_->submit(toController(info[0]), count);
  });
}

void UringObject::cancel(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    Controller& controller = toController(info[0]);
    if (info[1].IsUndefined()) return uring_->cancel(controller, std::nullopt);
    uring_->cancel(controller, toU32(info[1], "slot"));
  });
}

Napi::Value UringObject::enter(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const double microseconds = toNumber(info[0], "waitMicroseconds");
    // Rounded up, so that a fraction of a microsecond is a wait; bounded to about a month.
    const std::int64_t wait =
        microseconds < 0 ? -1 : static_cast<std::int64_t>(std::min(microseconds + 0.999, 3e12));
    return Napi::Number::New(info.Env(), uring_->enter(wait, tokenData_, TOKEN_COUNT));
  });
}

Napi::Value UringObject::tokens(const Napi::CallbackInfo&) {
  return tokens_.Value();
}

void UringObject::close(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    if (!uring_->close()) fail("io_uring_enter", ETIMEDOUT);
  });
}

Napi::Function UringObject::define(Napi::Env env) {
  return DefineClass(env, "Uring",
                     {
                         InstanceMethod<&UringObject::watch>("watch"),
                         InstanceMethod<&UringObject::unwatch>("unwatch"),
                         InstanceMethod<&UringObject::watchWritable>("watchWritable"),
                         InstanceMethod<&UringObject::submit>("submit"),
                         InstanceMethod<&UringObject::cancel>("cancel"),
                         InstanceMethod<&UringObject::enter>("enter"),
                         InstanceAccessor<&UringObject::tokens>("tokens"),
                         InstanceMethod<&UringObject::close>("close"),
                     });
}

void registerUring(Napi::Env env, Napi::Object exports) {
  Instance::of(env).uring = Napi::Persistent(UringObject::define(env));
  exports.Set("uring", Napi::Function::New(
                           env,
                           [](const Napi::CallbackInfo& info) -> Napi::Value {
                             return Instance::of(info.Env()).uring.New({info[0]});
                           },
                           "uring"));
}

} // namespace doorbell
