// The controller's JavaScript object: arguments in, numbers out; controller.cc, guest-memory.cc and
// windows.cc do it.

#include "controller-object.h"
#include "ram-disk-object.h"

#include <bit>

namespace doorbell {

ControllerObject::ControllerObject(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<ControllerObject>(info), open_(Instance::of(info.Env()).open) {
  guarded(info.Env(), [&] {
    const Bytes memory = toBytes(info[0], "memory");
    const Napi::Object layout = toObject(info[1], "layout");
    const std::uint32_t windowBase = toU32(layout.Get("windowBase"), "layout.windowBase");
    const std::uint32_t windowCount = toU32(layout.Get("windowCount"), "layout.windowCount");
    const std::uint64_t windowBytes = std::uint64_t{windowCount} * abi::WINDOW_BYTES;
    if (windowBase < abi::WINDOW_BASE_MIN || windowCount == 0 || windowCount > abi::WINDOW_COUNT_MAX ||
        windowBase > memory.length || windowBytes > memory.length - windowBase ||
        reinterpret_cast<std::uint64_t>(memory.data + windowBase) % PAGE_BYTES != 0) {
      fail("mmap", EINVAL);
    }
    view_ = Napi::Persistent(info[0].As<Napi::Object>());
    controller_ = Shared<Controller>(new Controller({memory.data, windowBase}, windowCount));
  });
  open_->controllers.insert(this);
}

ControllerObject::~ControllerObject() {
  open_->controllers.erase(this);
  // Requests in flight keep the guest's memory; the core's goes with this object.
  if (controller_) controller_->close();
}

void ControllerObject::shutdown() {
  if (!controller_) return;
  if (controller_->active() != 0) controller_->memory().leak();
  controller_->close();
  controller_ = {};
}

Controller& ControllerObject::controller() const {
  if (!controller_) fail("controller", EBADF);
  return *controller_;
}

Napi::Value ControllerObject::regionAdd(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Napi::Object region = toObject(info[0], "region");
    const Napi::Value fd = region.Get("fd");
    const RegionRequest request{
        toU64(region.Get("gpa"), "region.gpa"),
        toU64(region.Get("length"), "region.length"),
        toU64(region.Get("offset"), "region.offset"),
        fd.IsUndefined() ? -1 : toFd(fd, "region.fd"),
        toBoolean(region.Get("readable"), "region.readable"),
        toBoolean(region.Get("writable"), "region.writable"),
    };
    const Region& added = controller().memory().add(request);
    Napi::Object result = Napi::Object::New(info.Env());
    result.Set("ioBase", Napi::BigInt::New(info.Env(), added.ioBase()));
    result.Set("file", Napi::Number::New(info.Env(), added.file == nullptr ? 0 : added.file->number));
    return result;
  });
}

Napi::Value ControllerObject::regionRemove(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const std::uint64_t gpa = toU64(info[0], "gpa");
    const std::uint64_t length = toU64(info[1], "length");
    return Napi::Number::New(info.Env(), controller().remove(gpa, length));
  });
}

Napi::Value ControllerObject::regionDrained(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    return Napi::Boolean::New(info.Env(), controller().memory().isDrained(toU32(info[0], "ticket")));
  });
}

void ControllerObject::regionAbandon(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] { controller().memory().abandon(toU32(info[0], "ticket")); });
}

void ControllerObject::windowFill(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    const std::uint32_t window = toU32(info[0], "window");
    const std::uint32_t page = toU32(info[1], "page");
    Windows& windows = controller().windows();
    if (window >= windows.count()) fail("mmap", EINVAL);
    windows.fill(window, page, controller().memory());
  });
}

void ControllerObject::windowsClear(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] { controller().windows().clear(); });
}

void ControllerObject::namespaceAttach(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    const std::uint32_t nsid = toU32(info[0], "nsid");
    controller().attach(nsid, toStorage(info[1]));
  });
}

Shared<Storage> ControllerObject::toStorage(const Napi::Value& value) const {
  const Napi::Object storage = toObject(value, "storage");
  const std::string kind = toText(storage.Get("kind"), "storage.kind");
  const std::uint64_t length = toSize(storage.Get("length"), "storage.length");
  const bool readOnly = toBoolean(storage.Get("readOnly"), "storage.readOnly");
  if (kind == "null") {
    const bool zeros = toBoolean(storage.Get("zeros"), "storage.zeros");
    return Shared<Storage>(new NullStorage(length, readOnly, zeros));
  }
  const std::uint64_t offset = toSize(storage.Get("offset"), "storage.offset");
  // The end of the slice is a file offset too.
  if (length > std::uint64_t{INT64_MAX} - offset) {
    throw Napi::RangeError::New(value.Env(), "storage.offset and storage.length must end before 2^63");
  }
  if (kind == "file") {
    const std::uint64_t alignment = toSize(storage.Get("memoryAlignment"), "storage.memoryAlignment");
    // Bounce buffers are aligned to a page.
    if (!std::has_single_bit(alignment) || alignment > PAGE_BYTES) {
      throw Napi::RangeError::New(value.Env(), "storage.memoryAlignment must be a power of two up to 4096");
    }
    const Napi::Value mayBlock = storage.Get("mayBlock");
    const FileOptions options{
        toFd(storage.Get("fd"), "storage.fd"),
        offset,
        toBoolean(storage.Get("direct"), "storage.direct"),
        alignment,
        !mayBlock.IsUndefined() && toBoolean(mayBlock, "storage.mayBlock"),
        toBoolean(storage.Get("zeroRange"), "storage.zeroRange"),
        toBoolean(storage.Get("punchHole"), "storage.punchHole"),
    };
    return Shared<Storage>(new FileStorage(length, readOnly, options));
  }
  if (kind != "ram") throw Napi::TypeError::New(value.Env(), "storage.kind must be 'file', 'ram' or 'null'");
  void* disk = nullptr;
  if (napi_unwrap(value.Env(), toObject(storage.Get("disk"), "storage.disk"), &disk) != napi_ok ||
      !open_->ramDisks.contains(static_cast<RamDiskObject*>(disk))) {
    throw Napi::TypeError::New(value.Env(), "storage.disk must be a RamDisk");
  }
  Shared<RamMemory> memory = static_cast<RamDiskObject*>(disk)->memory();
  if (offset > memory->bytes || length > memory->bytes - offset) {
    throw Napi::RangeError::New(value.Env(),
                                "storage.offset and storage.length must lie inside the RAM disk");
  }
  return Shared<Storage>(new RamStorage(length, readOnly, memory, offset));
}

void ControllerObject::namespaceDetach(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] { controller().detach(toU32(info[0], "nsid")); });
}

Napi::Value ControllerObject::inFlight(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), controller_ ? controller_->inFlight() : 0);
}

Napi::Value ControllerObject::completionsTake(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    return Napi::Number::New(info.Env(), controller().takeCompletions());
  });
}

Napi::Value ControllerObject::completionErrors(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), controller_ ? controller_->completionErrors() : 0);
}

Napi::Value ControllerObject::busFaults(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), controller_ ? static_cast<double>(controller_->faults()) : 0);
}

void ControllerObject::close(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    if (!controller_) return;
    if (controller_->inFlight() != 0) fail("close", EBUSY);
    controller_->close();
    controller_ = {};
    view_.Reset();
  });
}

Napi::Function ControllerObject::define(Napi::Env env) {
  return DefineClass(env, "NativeController",
                     {
                         InstanceMethod<&ControllerObject::regionAdd>("regionAdd"),
                         InstanceMethod<&ControllerObject::regionRemove>("regionRemove"),
                         InstanceMethod<&ControllerObject::regionDrained>("regionDrained"),
                         InstanceMethod<&ControllerObject::regionAbandon>("regionAbandon"),
                         InstanceMethod<&ControllerObject::windowFill>("windowFill"),
                         InstanceMethod<&ControllerObject::windowsClear>("windowsClear"),
                         InstanceMethod<&ControllerObject::namespaceAttach>("namespaceAttach"),
                         InstanceMethod<&ControllerObject::namespaceDetach>("namespaceDetach"),
                         InstanceAccessor<&ControllerObject::inFlight>("inFlight"),
                         InstanceMethod<&ControllerObject::completionsTake>("completionsTake"),
                         InstanceAccessor<&ControllerObject::completionErrors>("completionErrors"),
                         InstanceAccessor<&ControllerObject::busFaults>("busFaults"),
                         InstanceMethod<&ControllerObject::close>("close"),
                     });
}

void registerController(Napi::Env env, Napi::Object exports) {
  Instance::of(env).controller = Napi::Persistent(ControllerObject::define(env));
  exports.Set("controller", Napi::Function::New(
                                env,
                                [](const Napi::CallbackInfo& info) -> Napi::Value {
                                  return Instance::of(info.Env()).controller.New({info[0], info[1]});
                                },
                                "controller"));
}

} // namespace doorbell
