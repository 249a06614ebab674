// RamDisk of host/native.ts.
#pragma once

#include "binding.h"
#include "storage.h"

namespace doorbell {

class RamDiskObject : public Napi::ObjectWrap<RamDiskObject> {
 public:
  explicit RamDiskObject(const Napi::CallbackInfo& info);
  ~RamDiskObject() override;

  static Napi::Function define(Napi::Env env);

  /** Throws EBADF once closed. */
  Shared<RamMemory> memory() const;
  /** Gives the memory up; storages that use it keep it. */
  void shutdown() { memory_ = {}; }

 private:
  Napi::Value bytes(const Napi::CallbackInfo& info);
  Napi::Value residentBytes(const Napi::CallbackInfo& info);
  void close(const Napi::CallbackInfo& info);

  std::shared_ptr<OpenObjects> open_;
  Shared<RamMemory> memory_;
  std::uint64_t bytes_ = 0;
};

} // namespace doorbell
