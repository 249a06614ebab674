// The RAM disk's JavaScript object; storage-ram.cc has the disk.

#include "ram-disk-object.h"

namespace doorbell {

RamDiskObject::RamDiskObject(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<RamDiskObject>(info), open_(Instance::of(info.Env()).open) {
  guarded(info.Env(), [&] {
    bytes_ = toSize(info[0], "bytes");
    if (bytes_ == 0) fail("mmap", EINVAL);
    memory_ = Shared<RamMemory>(new RamMemory(bytes_));
  });
  open_->ramDisks.insert(this);
}

RamDiskObject::~RamDiskObject() {
  open_->ramDisks.erase(this);
}

Shared<RamMemory> RamDiskObject::memory() const {
  if (!memory_) fail("mmap", EBADF);
  return memory_;
}

Napi::Value RamDiskObject::bytes(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(bytes_));
}

Napi::Value RamDiskObject::residentBytes(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    return Napi::Number::New(info.Env(), static_cast<double>(memory()->residentBytes()));
  });
}

void RamDiskObject::close(const Napi::CallbackInfo&) {
  shutdown();
}

Napi::Function RamDiskObject::define(Napi::Env env) {
  return DefineClass(env, "RamDisk",
                     {
                         InstanceAccessor<&RamDiskObject::bytes>("bytes"),
                         InstanceMethod<&RamDiskObject::residentBytes>("residentBytes"),
                         InstanceMethod<&RamDiskObject::close>("close"),
                     });
}

void registerRamDisk(Napi::Env env, Napi::Object exports) {
  Instance::of(env).ramDisk = Napi::Persistent(RamDiskObject::define(env));
  exports.Set("ramDisk", Napi::Function::New(
                             env,
                             [](const Napi::CallbackInfo& info) -> Napi::Value {
                               return Instance::of(info.Env()).ramDisk.New({info[0]});
                             },
                             "ramDisk"));
}

} // namespace doorbell
