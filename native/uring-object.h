// Uring of host/native.ts.
#pragma once

#include "binding.h"
#include "uring.h"

namespace doorbell {

class UringObject : public Napi::ObjectWrap<UringObject> {
 public:
  explicit UringObject(const Napi::CallbackInfo& info);
  ~UringObject() override;

  static Napi::Function define(Napi::Env env);

  /** The environment ends: waits for the kernel. */
  void shutdown();

 private:
  void watch(const Napi::CallbackInfo& info);
  void unwatch(const Napi::CallbackInfo& info);
  void watchWritable(const Napi::CallbackInfo& info);
  void submit(const Napi::CallbackInfo& info);
  void cancel(const Napi::CallbackInfo& info);
  Napi::Value enter(const Napi::CallbackInfo& info);
  Napi::Value tokens(const Napi::CallbackInfo& info);
  void close(const Napi::CallbackInfo& info);

  Controller& toController(const Napi::Value& value) const;

  std::shared_ptr<OpenObjects> open_;
  std::unique_ptr<Uring> uring_;
  Napi::Reference<Napi::Uint32Array> tokens_;
  std::uint32_t* tokenData_ = nullptr;
};

} // namespace doorbell
