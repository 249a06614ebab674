// Registration of the addon, and the end of an environment. The whole surface is typed in host/native.ts.
//
// Ownership and threads: all objects belong to the environment (the main thread or one worker) that made
// them. When it ends, its rings are drained first, because the kernel may still write to guest memory on
// behalf of a request; only then are the mappings removed.

#include "binding.h"
#include "controller-object.h"
#include "ram-disk-object.h"
#include "sigbus.h"
#include "uring-object.h"

#include <ctime>
#include <sys/prctl.h>

namespace doorbell {
namespace {

Napi::Value now(const Napi::CallbackInfo& info) {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  const double microseconds =
      static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec / 1000);
  return Napi::Number::New(info.Env(), microseconds);
}

void threadName(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    if (prctl(PR_SET_NAME, toText(info[0], "name").c_str()) != 0) fail("prctl");
  });
}

void closeAll(OpenObjects& open) {
  for (UringObject* uring : open.urings) uring->shutdown();
  for (ControllerObject* controller : open.controllers) controller->shutdown();
  for (RamDiskObject* disk : open.ramDisks) disk->shutdown();
}

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  auto* instance = new Instance();
  env.SetInstanceData(instance);
  env.AddCleanupHook(
      [](std::shared_ptr<OpenObjects>* open) {
        closeAll(**open);
        delete open;
      },
      new std::shared_ptr<OpenObjects>(instance->open));
  installBusHandler();
  registerSocket(env, exports);
  registerEventfd(env, exports);
  registerFile(env, exports);
  registerRamDisk(env, exports);
  registerController(env, exports);
  registerUring(env, exports);
  exports.Set("now", Napi::Function::New<now>(env, "now"));
  exports.Set("threadName", Napi::Function::New<threadName>(env, "threadName"));
  return exports;
}

} // namespace
} // namespace doorbell

static Napi::Object Initialize(Napi::Env env, Napi::Object exports) {
  return doorbell::initialize(env, exports);
}
NODE_API_MODULE(doorbell, Initialize)
